"""The joint question of k classes: is there a linear read-out whose argmax is right in every row?

In this order: equal rows with two labels; the full cone of rows and rivals where it is small; else
read-outs of less and less squared hinge loss as candidates, and the pairs of classes they confuse as places to look
for an overlap. An overlap of one pair is an overlap of all classes.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int64

from unbend.numerics.separable.binary import binary
from unbend.numerics.separable.clearance import Clearance, argmax_clearance
from unbend.numerics.separable.cone import KeslerCone, chart_of
from unbend.numerics.separable.duplicates import contradictions, groups
from unbend.numerics.separable.hinge import Candidate, readouts
from unbend.numerics.separable.search import Limits, Overlapping, Separated, search
from unbend.numerics.separable.verdicts import JointOverlap, JointSeparation, Overlap, Undecided

SMALL_CONE = 400  # (k - 1)(d + 1) up to which the full cone is searched first
LARGE_CONE = 2600  # and up to which it is searched at all
HASHED_AT_ONCE = 50_000_000
MANY_ERRORS = 20  # confusions of one pair that make an overlap likely
LIKELY = 0.06, 0.04, 0.02  # or this part of its rows, after the first three read-outs
RIPE = (5, 9, 15, 21)  # steps of the read-out after which the pair it confuses most is asked
MOST_PAIRS = 6

JointVerdict: TypeAlias = JointSeparation | JointOverlap | Undecided


def joint(
    x: Float[np.ndarray, "n d"],
    y: Int64[np.ndarray, "n"],
    limits: Limits,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    pairs_first: bool = False,
) -> tuple[JointVerdict, np.ndarray, np.ndarray]:
    """The verdict, and the best read-out met on the way (weight and bias, classes in sorted order)."""
    question = _Question(x, y)
    if x.size <= HASHED_AT_ONCE:
        pairs = contradictions(groups(x), question.code)
        if len(pairs):
            return question.by_duplicates(pairs[0]), *question.flat()
    dim = (len(question.classes) - 1) * (x.shape[1] + 1)
    if dim <= SMALL_CONE:
        return question.by_cone(limits)
    if len(x) <= 2 * x.shape[1]:
        found = question.by_interpolation()
        if found is not None:
            return found, found.weight, found.bias
    if pairs_first:
        overlap = question.by_pairs(question.any_pairs()[:2], limits)
        if overlap is not None:
            return overlap, *question.flat()
    return question.by_candidates(limits, start)


class _Question:
    """Rows, the sorted classes and the code of each row."""

    def __init__(self, x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"]) -> None:
        self.x, self.y = x, y
        self.n, self.d = x.shape
        self.classes, self.code = np.unique(y, return_inverse=True)

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """The read-out that always names the most frequent class."""
        k = len(self.classes)
        return np.zeros((k, self.x.shape[1])), np.bincount(self.code, minlength=k) / len(self.code)

    def by_duplicates(self, pair: np.ndarray) -> JointOverlap:
        return JointOverlap(self.n, self.d, pair, self.y[pair[::-1]], np.ones(2), 0.0)

    def by_interpolation(self) -> JointSeparation | None:
        """The flattest read-out through one-hot targets, which exists where rows are no more than columns."""
        chart = chart_of(self.x)
        Z = chart.apply(self.x)
        gram = Z @ Z.T
        gram[np.diag_indices_from(gram)] += 1e-12 * np.trace(gram)
        try:
            V = (Z.T @ np.linalg.solve(gram, np.eye(len(self.classes))[self.code] - 0.5)).T
        except np.linalg.LinAlgError:
            return None
        weight = np.zeros((len(self.classes), self.x.shape[1]))
        weight[:, chart.columns] = V[:, :-1] / chart.scale
        bias = V[:, -1] - weight[:, chart.columns] @ chart.mean
        found = argmax_clearance(self.x, self.code, weight, bias, None)
        return None if found.wrong else self.separation(weight, bias, found, None)

    def by_cone(self, limits: Limits) -> tuple[JointVerdict, np.ndarray, np.ndarray]:
        cone = KeslerCone(self.x, self.code, len(self.classes))
        outcome = search(cone, limits)
        weight, bias, low = cone.readout(outcome.planes or cone.flat())
        if isinstance(outcome, Overlapping):
            row, rival = cone.transfer(outcome.index)
            weights = outcome.weights
            return (
                JointOverlap(self.n, self.d, row, self.classes[rival], weights, outcome.robustness),
                weight,
                bias,
            )
        if isinstance(outcome, Separated):
            return self.separation(weight, bias, outcome.clearance, low), weight, bias
        errors = argmax_clearance(self.x, self.code, weight, bias, low).wrong
        best = Candidate(weight, bias, errors, np.zeros((0, 0)))
        return self.undecided(best, outcome.reason), weight, bias

    def by_readout(
        self, limits: Limits, start: tuple[np.ndarray, np.ndarray] | None
    ) -> tuple[JointVerdict | None, Candidate, list[tuple[int, int]]]:
        """Sharper and sharper read-outs; a pair they keep confusing is asked on the side."""
        best = Candidate(*self.flat(), len(self.x), np.zeros((len(self.classes),) * 2, np.int64))
        tried: list[tuple[int, int]] = []
        for at, readout in enumerate(readouts(self.x, self.code, len(self.classes), limits.deadline, start)):
            if readout.errors <= best.errors:
                best = readout
            if readout.errors == 0:
                found = argmax_clearance(self.x, self.code, readout.weight, readout.bias, None)
                if found.wrong == 0:
                    return self.separation(readout.weight, readout.bias, found, None), readout, tried
            pairs = self.confusions(readout)
            if pairs and pairs[0] not in tried and self._is_ripe(at, readout, pairs[0]):
                tried.append(pairs[0])
                overlap = self.by_pairs(pairs[:1], limits)
                if overlap is not None:
                    return overlap, best, tried
        return None, best, tried

    def by_candidates(
        self, limits: Limits, start: tuple[np.ndarray, np.ndarray] | None
    ) -> tuple[JointVerdict, np.ndarray, np.ndarray]:
        """Read-outs, then the pairs they confuse, then the full cone where it is not too large."""
        verdict, best, tried = self.by_readout(limits, start)
        if verdict is None and not limits.is_over:
            pairs = [p for p in self.confusions(best) if p not in tried]
            verdict = self.by_pairs(pairs[:MOST_PAIRS], limits)
        dim = (len(self.classes) - 1) * (self.x.shape[1] + 1)
        if verdict is None and dim <= LARGE_CONE and not limits.is_over:
            return self.by_cone(limits)
        if verdict is None:
            reason = "out of time" if limits.is_over else "no pair overlaps, no read-out is right"
            verdict = self.undecided(best, reason)
        return verdict, best.weight, best.bias

    def _is_ripe(self, at: int, readout: Candidate, pair: tuple[int, int]) -> bool:
        """Whether a pair is confused so often, so late, that it is worth asking whether it overlaps."""
        count = self._count(readout, pair)
        asked = int(np.isin(self.code, pair).sum())
        return count > LIKELY[at] * asked if at < len(LIKELY) else at in RIPE and count > MANY_ERRORS

    def _count(self, readout: Candidate, pair: tuple[int, int]) -> int:
        a, b = pair
        return int(readout.confusion[a, b] + readout.confusion[b, a])

    def confusions(self, readout: Candidate) -> list[tuple[int, int]]:
        """Pairs of classes by how often one is taken for the other."""
        k = len(self.classes)
        pairs = [(a, b) for a in range(k) for b in range(a + 1, k)]
        return sorted((p for p in pairs if self._count(readout, p)), key=lambda p: -self._count(readout, p))

    def any_pairs(self) -> list[tuple[int, int]]:
        """Pairs of the most frequent classes."""
        order = np.argsort(-np.bincount(self.code), kind="stable")
        return [(int(order[0]), int(order[1])), (int(order[0]), int(order[-1]))]

    def by_pairs(self, pairs: list[tuple[int, int]], limits: Limits) -> JointOverlap | None:
        for a, b in pairs:
            verdict, _ = binary(self.x, self.y, int(self.classes[b]), int(self.classes[a]), limits)
            if isinstance(verdict, Overlap):
                return from_pair(verdict, self.y)
        return None

    def separation(
        self, weight: np.ndarray, bias: np.ndarray, found: Clearance, low: np.ndarray | None
    ) -> JointSeparation:
        return JointSeparation(
            self.n, self.d, self.classes, weight, bias, found.margin, found.robustness, found.tightest, low
        )

    def undecided(self, best: Candidate, reason: str) -> Undecided:
        wrong = argmax_clearance(self.x, self.code, best.weight, best.bias, None).wrong
        return Undecided(None, None, self.n, self.d, reason, best.weight, best.bias, wrong, float("nan"), self.classes)


def from_pair(overlap: Overlap, y: Int64[np.ndarray, "n"]) -> JointOverlap:
    """An overlap of two classes as a circulation between them."""
    negative = overlap.negative if overlap.negative is not None else -1
    rivals = np.where(y[overlap.rows] == overlap.positive, negative, overlap.positive)
    return JointOverlap(len(y), overlap.d, overlap.rows, rivals, overlap.weights, overlap.robustness)
