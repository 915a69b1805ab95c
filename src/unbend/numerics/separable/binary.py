"""One binary question about labelled rows: the search, and its outcome stated as a verdict."""

import math

import numpy as np
from jaxtyping import Float, Float64, Int64

from unbend.numerics.separable.clearance import Clearance, Hyperplane, clearance
from unbend.numerics.separable.cone import BinaryCone, Hyperplanes
from unbend.numerics.separable.dependency import dependency
from unbend.numerics.separable.duplicates import contradictions, groups
from unbend.numerics.separable.search import Limits, Open, Outcome, Overlapping, search
from unbend.numerics.separable.verdicts import Overlap, Separation, Undecided, sides

HASHED_AT_ONCE = 200_000  # entries up to which equal rows are looked for before anything else


def binary(
    x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], positive: int, negative: int | None, limits: Limits
) -> tuple[Separation | Overlap | Undecided, Hyperplanes]:
    """Whether a hyperplane has class `positive` above it and `negative` (None: all others) below.

    Also returns the best hyperplane met on the way.
    """
    sign = sides(y, positive, negative)
    if np.count_nonzero(sign) < len(sign):
        which = np.flatnonzero(sign)
        x, sign = x[which], sign[which]
    else:
        which = np.arange(len(sign))
    question = _Question(x, sign, which, positive, negative)
    if len(x) == 0 or (sign == sign[0]).all():
        return question.one_sided(), question.flat()
    is_hashed = x.size <= HASHED_AT_ONCE
    pair = question.by_duplicates() if is_hashed else None
    if pair is not None:
        return pair, question.flat()
    outcome = search(question.cone, limits)
    if isinstance(outcome, Open) and not is_hashed:
        pair = question.by_duplicates()
    return pair or question.verdict(outcome), outcome.planes or question.flat()


class _Question:
    """The rows that take part, and how to name them in a verdict."""

    def __init__(
        self,
        x: Float[np.ndarray, "n d"],
        sign: Float64[np.ndarray, "n"],
        which: Int64[np.ndarray, "n"],
        positive: int,
        negative: int | None,
    ) -> None:
        self.x, self.sign, self.which = x, sign, which
        self.positive, self.negative = positive, negative
        self.n, self.d = x.shape
        self.cone = BinaryCone(x, sign)

    def flat(self) -> Hyperplanes:
        bias = 1.0 if self.sign.sum() >= 0 else -1.0
        return Hyperplanes(np.zeros((1, self.x.shape[1])), np.array([bias]))

    def one_sided(self) -> Separation:
        bias = float(self.sign[0]) if len(self.sign) else 1.0
        tightest = self.which[:0].astype(np.int64)
        return Separation(
            self.positive, self.negative, self.n, self.d, np.zeros(self.d), bias, math.inf, math.inf, tightest
        )

    def by_duplicates(self) -> Overlap | None:
        pairs = contradictions(groups(self.x), self.sign)
        if len(pairs) == 0:
            return None
        return self.overlap(pairs[0], np.ones(2), 0.0)

    def overlap(self, index: Int64[np.ndarray, "s"], weights: Float64[np.ndarray, "s"], robustness: float) -> Overlap:
        return Overlap(self.positive, self.negative, self.n, self.d, self.which[index], weights, robustness)

    def verdict(self, outcome: Outcome) -> Separation | Overlap | Undecided:
        if isinstance(outcome, Overlapping):
            weights = outcome.weights / outcome.weights[self.sign[outcome.index] > 0].sum()
            if outcome.robustness == 0.0 and dependency(self.cone.proof_vectors(outcome.index), weights) is None:
                weights = outcome.weights
            return self.overlap(outcome.index, weights, outcome.robustness)
        if isinstance(outcome, Open):
            distance = hull_distance(self.x[outcome.index], self.sign[outcome.index], outcome.forces)
            planes = outcome.planes
            return Undecided(
                self.positive,
                self.negative,
                self.n,
                self.d,
                outcome.reason,
                planes.weight,
                planes.bias,
                outcome.errors,
                distance,
            )
        return separation(self.positive, self.negative, self.which, outcome.planes, outcome.clearance)


def separation(
    positive: int, negative: int | None, which: Int64[np.ndarray, "n"], planes: Hyperplanes, found: Clearance
) -> Separation:
    """State what a clearance has proved."""
    low, bias_low = (None, 0.0) if planes.low is None else (planes.low[0, :-1].copy(), float(planes.low[0, -1]))
    return Separation(
        positive,
        negative,
        len(which),
        planes.weight.shape[1],
        planes.weight[0],
        float(planes.bias[0]),
        found.margin,
        found.robustness,
        which[found.tightest],
        low,
        bias_low,
    )


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
    sign = sides(y, positive, negative)
    which = np.flatnonzero(sign)
    found = clearance(x[which], sign[which], plane)
    planes = Hyperplanes(plane.weight[None], np.array([plane.bias]))
    if found.wrong == 0:
        return separation(positive, negative, which, planes, found)
    distance = hull_distance(x[which], sign[which], np.ones(len(which)))
    return Undecided(
        positive,
        negative,
        len(which),
        x.shape[1],
        "the given hyperplane errs",
        planes.weight,
        planes.bias,
        found.wrong,
        distance,
    )
