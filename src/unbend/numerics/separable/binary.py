"""One binary question about labelled rows: the search, and its outcome stated as a verdict."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from unbend.numerics.separable.clearance import Clearance, Hyperplane, clearance
from unbend.numerics.separable.cone import BinaryCone, Hyperplanes
from unbend.numerics.separable.dependency import dependency
from unbend.numerics.separable.duplicates import contradictions, groups
from unbend.numerics.separable.search import Limits, Open, Outcome, Overlapping, search
from unbend.numerics.separable.verdicts import Overlap, Separation, Undecided, binary_vectors, sides

HASHED_AT_ONCE = 200_000
"""Entries up to which equal rows are looked for before anything else."""


def binary(
    x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], positive: int, negative: int | None, limits: Limits
) -> tuple[Separation | Overlap | Undecided, Hyperplanes]:
    """Whether a hyperplane has class `positive` above it and `negative` (None: all others) below.

    Also returns the best hyperplane met on the way.
    """
    question = _Question.of(x, y, positive, negative)
    sign = question.sign
    if len(sign) == 0 or (sign == sign[0]).all():
        return question.one_sided(), question.flat()
    is_hashed = question.x.size <= HASHED_AT_ONCE
    pair = question.by_duplicates() if is_hashed else None
    if pair is not None:
        return pair, question.flat()
    outcome = search(BinaryCone(question.x, sign), limits)
    if isinstance(outcome, Open) and not is_hashed:
        pair = question.by_duplicates()
    return pair or question.verdict(outcome), outcome.planes or question.flat()


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """The rows that take part, and how to name them in a verdict.

    Attributes:
        x: those rows.
        sign: 1.0 for the rows of `positive`, -1.0 for the others.
        which: their numbers among all rows.
        positive: the class above the hyperplane.
        negative: the class below it; None means every other class.
    """

    x: Float[np.ndarray, "n d"]
    sign: Float64[np.ndarray, "n"]
    which: Int64[np.ndarray, "n"]
    positive: int
    negative: int | None

    @classmethod
    def of(
        cls, x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], positive: int, negative: int | None
    ) -> "_Question":
        sign = sides(y, positive, negative)
        if np.count_nonzero(sign) == len(sign):
            return cls(x, sign, np.arange(len(sign)), positive, negative)
        which = np.flatnonzero(sign)
        return cls(x[which], sign[which], which, positive, negative)

    def flat(self) -> Hyperplanes:
        bias = 1.0 if self.sign.sum() >= 0 else -1.0
        return Hyperplanes(np.zeros((1, self.x.shape[1])), np.array([bias]))

    def one_sided(self) -> Separation:
        bias = float(self.sign[0]) if len(self.sign) else 1.0
        certain = Clearance(np.zeros(0), 0, math.inf, math.inf, np.zeros(0, np.int64))
        return self.separation(Hyperplanes(np.zeros((1, self.x.shape[1])), np.array([bias])), certain)

    def by_duplicates(self) -> Overlap | None:
        pairs = contradictions(groups(self.x), self.sign)
        return self.overlap(pairs[0], np.ones(2), 0.0) if len(pairs) else None

    def overlap(self, index: Int64[np.ndarray, "s"], weights: Float64[np.ndarray, "s"], robustness: float) -> Overlap:
        return Overlap(
            positive=self.positive,
            negative=self.negative,
            n=len(self.x),
            d=self.x.shape[1],
            rows=self.which[index],
            weights=weights,
            robustness=robustness,
        )

    def separation(self, planes: Hyperplanes, found: Clearance) -> Separation:
        """State what a clearance has proved."""
        low, bias_low = (None, 0.0) if planes.low is None else (planes.low[0, :-1].copy(), float(planes.low[0, -1]))
        return Separation(
            positive=self.positive,
            negative=self.negative,
            n=len(self.x),
            d=self.x.shape[1],
            weight=planes.weight[0],
            bias=float(planes.bias[0]),
            margin=found.margin,
            robustness=found.robustness,
            tightest=self.which[found.tightest],
            weight_low=low,
            bias_low=bias_low,
        )

    def undecided(self, reason: str, planes: Hyperplanes, errors: int, hull_distance: float) -> Undecided:
        return Undecided(
            positive=self.positive,
            negative=self.negative,
            n=len(self.x),
            d=self.x.shape[1],
            reason=reason,
            weight=planes.weight,
            bias=planes.bias,
            errors=errors,
            hull_distance=hull_distance,
        )

    def verdict(self, outcome: Outcome) -> Separation | Overlap | Undecided:
        if isinstance(outcome, Overlapping):
            return self.overlap(outcome.index, self._in_balance(outcome), outcome.robustness)
        if isinstance(outcome, Open):
            distance = hull_distance(self.x[outcome.index], self.sign[outcome.index], outcome.forces)
            return self.undecided(outcome.reason, outcome.planes, outcome.errors, distance)
        return self.separation(outcome.planes, outcome.clearance)

    def _in_balance(self, outcome: Overlapping) -> Float64[np.ndarray, "s"]:
        """The weights with a sum of one on each side, unless that rounds an exact proof away."""
        weights = outcome.weights / outcome.weights[self.sign[outcome.index] > 0].sum()
        vectors = binary_vectors(self.x[outcome.index], self.sign[outcome.index])
        is_lost = outcome.robustness == 0.0 and dependency(vectors, weights) is None
        return outcome.weights if is_lost else weights


def hull_distance(
    x: Float[np.ndarray, "n d"], sign: Float64[np.ndarray, "n"], forces: Float64[np.ndarray, "n"]
) -> float:
    """The distance of the two weighted means: an upper bound of the distance of the hulls."""
    means = []
    for side in (1.0, -1.0):
        weight = np.where(sign == side, forces, 0.0)
        if not weight.sum() > 0:
            weight = (sign == side).astype(np.float64)
        if not weight.any():
            return math.inf
        means.append((weight / weight.sum()) @ x.astype(np.float64))
    return math.hypot(*(means[0] - means[1]))


def check_plane(
    x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], positive: int, negative: int | None, plane: Hyperplane
) -> Separation | Undecided:
    """A given hyperplane as a candidate proof."""
    question = _Question.of(x, y, positive, negative)
    found = clearance(question.x, question.sign, plane)
    planes = Hyperplanes(plane.weight[None], np.array([plane.bias]))
    if found.wrong == 0:
        return question.separation(planes, found)
    distance = hull_distance(question.x, question.sign, np.ones(len(question.x)))
    return question.undecided("the given hyperplane errs", planes, found.wrong, distance)
