"""The joint question as a value: rows, their classes, and how its answers are stated.

In: rows and labels. Out: verdicts in the user's row numbers and labels. Knows nothing of the search for them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float64, Int64

from unbend.numerics.separable.clearance import Clearance, argmax_clearance
from unbend.numerics.separable.verdicts import JointOverlap, JointSeparation, Overlap, Undecided

JointVerdict: TypeAlias = JointSeparation | JointOverlap | Undecided
Readout: TypeAlias = tuple[Float64[np.ndarray, "k d"], Float64[np.ndarray, "k"]]
"""Weight and bias, one row per class in sorted order."""


@dataclass(frozen=True, slots=True, eq=False)
class JointQuestion:
    """Rows with a class each.

    Attributes:
        x: rows.
        y: labels, as the user has them.
        classes: the labels that occur, sorted.
        code: the place of each row's label among them.
    """

    x: Float[np.ndarray, "n d"]
    y: Int64[np.ndarray, "n"]
    classes: Int64[np.ndarray, "k"]
    code: Int64[np.ndarray, "n"]

    @classmethod
    def of(cls, x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"]) -> "JointQuestion":
        """The question about these rows."""
        return cls(x, y, *np.unique(y, return_inverse=True))

    @property
    def k(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def dim(self) -> int:
        """Width of the vectors of the full cone (`KeslerCone`)."""
        return (self.k - 1) * (self.x.shape[1] + 1)

    def flat(self) -> Readout:
        """The read-out that always names the most frequent class."""
        return np.zeros((self.k, self.x.shape[1])), np.bincount(self.code, minlength=self.k) / len(self.code)

    def pairs(self) -> list[tuple[int, int]]:
        """The most frequent class with the next one, and with the rarest."""
        order = np.argsort(-np.bincount(self.code), kind="stable").tolist()
        return [(order[0], order[1]), (order[0], order[-1])]

    def separation(
        self, readout: Readout, found: Clearance, low: Float64[np.ndarray, "k d1"] | None = None
    ) -> JointSeparation:
        """What a clearance has proved of a read-out."""
        weight, bias = readout
        return JointSeparation(
            n=len(self.x),
            d=self.x.shape[1],
            classes=self.classes,
            weight=weight,
            bias=bias,
            margin=found.margin,
            robustness=found.robustness,
            tightest=found.tightest,
            low=low,
        )

    def overlap(
        self,
        rows: Int64[np.ndarray, "s"],
        rivals: Int64[np.ndarray, "s"],
        weights: Float64[np.ndarray, "s"],
        robustness: float = 0.0,
    ) -> JointOverlap:
        """Transfers of mass, the rivals as labels."""
        return JointOverlap(
            n=len(self.x), d=self.x.shape[1], rows=rows, rivals=rivals, weights=weights, robustness=robustness
        )

    def of_pair(self, overlap: Overlap) -> JointOverlap:
        """An overlap of two classes as a circulation between them."""
        pair = overlap.positive + (-1 if overlap.negative is None else overlap.negative)
        return self.overlap(overlap.rows, pair - self.y[overlap.rows], overlap.weights, overlap.robustness)

    def undecided(self, readout: Readout, reason: str, errors: int | None = None) -> Undecided:
        """The best read-out, and how many rows it does not provably get right; counted here unless they are known."""
        weight, bias = readout
        if errors is None:
            errors = argmax_clearance(self.x, self.code, weight, bias, None).wrong
        return Undecided(
            positive=None,
            negative=None,
            n=len(self.x),
            d=self.x.shape[1],
            reason=reason,
            weight=weight,
            bias=bias,
            errors=errors,
            hull_distance=math.nan,
            classes=self.classes,
        )


def confusions(confusion: Int64[np.ndarray, "k k"]) -> Sequence[tuple[tuple[int, int], int]]:
    """Pairs of classes by how often one is taken for the other, most often first, and how often that is."""
    both = confusion + confusion.T
    pairs = [((a, b), int(both[a, b])) for a in range(len(both)) for b in range(a + 1, len(both)) if both[a, b]]
    return sorted(pairs, key=lambda pair: -pair[1])
