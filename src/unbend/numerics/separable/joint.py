"""The joint question about k classes: is there one linear read-out that is right in every row?

In this order: equal rows with two labels; the full cone of rows and rivals where it is small; else
read-outs of less and less squared hinge loss as candidates, and the pairs of classes they confuse as places to look
for an overlap. An overlap of one pair is an overlap of all classes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Int64

from unbend.numerics.separable.binary import binary
from unbend.numerics.separable.clearance import argmax_clearance
from unbend.numerics.separable.cone import KeslerCone, chart_of
from unbend.numerics.separable.duplicates import contradictions, groups
from unbend.numerics.separable.hinge import Candidate, readouts
from unbend.numerics.separable.question import JointQuestion, JointVerdict, Readout, confusions
from unbend.numerics.separable.search import Limits, Overlapping, Separated, search
from unbend.numerics.separable.verdicts import JointOverlap, JointSeparation, Overlap

SMALL_CONE = 400
"""(k - 1)(d + 1) up to which the full cone is searched first: a step there costs less than a pass of read-outs."""
LARGE_CONE = 2600
"""And up to which it is searched at all: a factor of its Hessian takes some seconds."""
HASHED_AT_ONCE = 50_000_000
"""Entries up to which equal rows are looked for: half a second."""
MANY_ERRORS = 20
"""Confusions of one pair that make an overlap likely, once a read-out is ripe."""
LIKELY = (0.06, 0.04, 0.02)
"""Part of a pair's rows that, confused by one of the first three read-outs, makes an overlap likely."""
RIPE = (5, 9, 15, 21)
"""Steps of the read-out after which the pair it confuses most is asked: rarer and rarer, as each question costs more
than a step."""
MOST_PAIRS = 6
"""Pairs asked after the last read-out."""


def joint(
    x: Float[np.ndarray, "n d"],
    y: Int64[np.ndarray, "n"],
    limits: Limits,
    start: tuple[Float64[np.ndarray, "k d"], Float64[np.ndarray, "k"]] | None = None,
    *,
    pairs_first: bool = False,
) -> tuple[JointVerdict, Float64[np.ndarray, "k d"], Float64[np.ndarray, "k"]]:
    """The verdict, and the best read-out met on the way (weight and bias, classes in sorted order)."""
    question = JointQuestion.of(x, y)
    if x.size <= HASHED_AT_ONCE:
        pairs = contradictions(groups(x), question.code)
        if len(pairs):
            return question.overlap(pairs[0], y[pairs[0][::-1]], np.ones(2)), *question.flat()
    if question.dim <= SMALL_CONE:
        return _by_cone(question, limits)
    if len(x) <= 2 * x.shape[1]:
        found = _by_interpolation(question)
        if found is not None:
            return found, found.weight, found.bias
    if pairs_first:
        overlap = _by_pairs(question, question.pairs(), limits)
        if overlap is not None:
            return overlap, *question.flat()
    return _by_candidates(question, limits, start)


def _by_interpolation(question: JointQuestion) -> JointSeparation | None:
    """The flattest read-out through one-hot targets, which exists where rows are no more than columns."""
    x = question.x
    chart = chart_of(x)
    Z = chart.apply(x)
    gram = Z @ Z.T
    gram[np.diag_indices_from(gram)] += 1e-12 * np.trace(gram)
    try:
        V = (Z.T @ np.linalg.solve(gram, np.eye(question.k)[question.code] - 0.5)).T
    except np.linalg.LinAlgError:
        return None
    weight = np.zeros((question.k, x.shape[1]))
    weight[:, chart.columns] = V[:, :-1] / chart.scale
    bias = V[:, -1] - weight[:, chart.columns] @ chart.mean
    found = argmax_clearance(x, question.code, weight, bias, None)
    return None if found.wrong else question.separation((weight, bias), found)


def _by_cone(
    question: JointQuestion, limits: Limits
) -> tuple[JointVerdict, Float64[np.ndarray, "k d"], Float64[np.ndarray, "k"]]:
    cone = KeslerCone(question.x, question.code, question.k)
    outcome = search(cone, limits)
    weight, bias, low = cone.readout(outcome.planes or cone.flat())
    if isinstance(outcome, Overlapping):
        row, rival = cone.transfer(outcome.index)
        overlap = question.overlap(row, question.classes[rival], outcome.weights, outcome.robustness)
        return overlap, weight, bias
    if isinstance(outcome, Separated):
        return question.separation((weight, bias), outcome.clearance, low), weight, bias
    return question.undecided((weight, bias), outcome.reason), weight, bias


def _by_candidates(
    question: JointQuestion, limits: Limits, start: Readout | None
) -> tuple[JointVerdict, Float64[np.ndarray, "k d"], Float64[np.ndarray, "k"]]:
    """Read-outs, then the pairs they confuse, then the full cone where it is not too large."""
    verdict, best, asked = _by_readouts(question, limits, start)
    if verdict is None and not limits.is_over:
        pairs = [pair for pair, _ in confusions(best.confusion) if pair not in asked]
        verdict = _by_pairs(question, pairs[:MOST_PAIRS], limits)
    if verdict is None and question.dim <= LARGE_CONE and not limits.is_over:
        return _by_cone(question, limits)
    if verdict is None:
        reason = "out of time" if limits.is_over else "no pair overlaps, no read-out is right"
        verdict = question.undecided((best.weight, best.bias), reason)
    return verdict, best.weight, best.bias


def _by_readouts(
    question: JointQuestion, limits: Limits, start: Readout | None
) -> tuple[JointVerdict | None, Candidate, list[tuple[int, int]]]:
    """Sharper and sharper read-outs; a pair they keep confusing is asked on the side."""
    x, code, k = question.x, question.code, question.k
    best = Candidate(*question.flat(), len(x), np.zeros((k, k), np.int64))
    asked: list[tuple[int, int]] = []
    for at, candidate in enumerate(readouts(x, code, k, limits.deadline, start)):
        if candidate.errors <= best.errors:
            best = candidate
        if candidate.errors == 0:
            found = argmax_clearance(x, code, candidate.weight, candidate.bias, None)
            if found.wrong == 0:
                return question.separation((candidate.weight, candidate.bias), found), candidate, asked
        pair, count = next(iter(confusions(candidate.confusion)), ((0, 0), 0))
        if count and pair not in asked and _is_ripe(at, count, int(np.isin(code, pair).sum())):
            asked.append(pair)
            overlap = _by_pairs(question, [pair], limits)
            if overlap is not None:
                return overlap, best, asked
    return None, best, asked


def _is_ripe(at: int, count: int, n: int) -> bool:
    """Whether a pair of n rows is confused so often, so late, that it is worth asking whether it overlaps."""
    return count > LIKELY[at] * n if at < len(LIKELY) else at in RIPE and count > MANY_ERRORS


def _by_pairs(question: JointQuestion, pairs: Sequence[tuple[int, int]], limits: Limits) -> JointOverlap | None:
    for a, b in pairs:
        labels = int(question.classes[b]), int(question.classes[a])
        verdict, _ = binary(question.x, question.y, *labels, limits)
        if isinstance(verdict, Overlap):
            return question.of_pair(verdict)
    return None
