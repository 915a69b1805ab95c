"""One rung of the ladder: a layer's verdict, the frame around it, and the rows that carry the proof."""

import math
import time
from typing import cast

import numpy as np
from jaxtyping import Float, Int64

from unbend.errors import ShapeError
from unbend.numerics.floating import as_shipped
from unbend.numerics.separable.binary import binary, check_plane
from unbend.numerics.separable.clearance import Hyperplane, argmax_clearance
from unbend.numerics.separable.decide import blas
from unbend.numerics.separable.frame import Decision, frame, unit_roundoff
from unbend.numerics.separable.hinge import fewest_errors
from unbend.numerics.separable.joint import joint
from unbend.numerics.separable.question import JointQuestion
from unbend.numerics.separable.rows import ArrayLike, rows, values
from unbend.numerics.separable.search import Limits
from unbend.numerics.separable.step import LadderStep
from unbend.numerics.separable.verdicts import (
    JointOverlap,
    JointSeparation,
    Overlap,
    Separation,
    Undecided,
    Verdict,
)

N_WITNESSES = 8
"""Rows to look at."""
SHARES = (0.6, 0.25, 0.15)
"""Of the budget: verdict, permuted labels, disjoint overlaps."""


@as_shipped()
def ladder_step(
    x: ArrayLike,
    y: ArrayLike,
    *,
    held_out: tuple[ArrayLike, ArrayLike] | None = None,
    head: tuple[ArrayLike, ArrayLike] | None = None,
    budget: float | None = 60.0,
    shuffles: int = 20,
    seed: int = 0,
) -> LadderStep:
    """Decide one layer and frame the answer.

    Args:
        x: the layer's outputs for the training rows [n, d].
        y: their labels [n].
        held_out: outputs and labels of rows that the read-out has not seen.
        head: weight [k, d] and bias [k] of the network's own last layer, if `x` is what it reads. Where it is right
            in every row, it is the proof.
        budget: seconds for verdict, permuted labels and lower bound together; None for no limit.
        shuffles: label permutations of the control; fewer if the time is spent.
        seed: of working sets and permutations.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((20, 30))
        >>> step = ladder_step(x, rng.integers(0, 2, 20))
        >>> type(step.verdict).__name__, step.frame.is_worthless
        ('Separation', True)
    """
    unit = unit_roundoff(x)
    x, y = rows(x, y)
    unseen = None if held_out is None else rows(*held_out)
    ends = [math.inf if budget is None else time.monotonic() + budget * sum(SHARES[: i + 1]) for i in range(3)]
    with blas(x.shape[1]):
        given = None if head is None else _by_head(x, y, head)
        by_head = given is not None and not isinstance(given.verdict, Undecided)
        decision = given if given is not None and by_head else _decide(x, y, Limits(ends[0], seed), given)
        around, found_packing = frame(
            x, y, decision, unseen, unit, shuffles, (Limits(ends[1], seed), Limits(ends[2], seed))
        )
    return LadderStep(
        verdict=decision.verdict,
        frame=around,
        witnesses=_witnesses(decision.verdict),
        packing=found_packing,
        by_head=by_head,
    )


@as_shipped()
def separate_with(
    x: ArrayLike, y: ArrayLike, weight: ArrayLike, bias: ArrayLike
) -> Separation | JointSeparation | Undecided:
    """A given linear read-out, such as a network's own head, as a candidate proof.

    Args:
        x: samples [n, d], what the head reads.
        y: integer labels [n], classes 0..k-1.
        weight: [k, d], or [1, d] or [d] for one score that is positive for class 1.
        bias: [k], or one number.

    Returns:
        `JointSeparation` (or `Separation` for one score) if the read-out is strictly right in every row, exactly;
        else `Undecided` with the number of rows it gets wrong.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0]])
        >>> head = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, -0.5, -2.0])
        >>> round(separate_with(x, np.array([0, 1, 2]), *head).margin, 6)
        0.5
    """
    x, y = rows(x, y)
    verdict = _by_head(x, y, (weight, bias)).verdict
    return cast("Separation | JointSeparation | Undecided", verdict)


def _by_head(x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], head: tuple[ArrayLike, ArrayLike]) -> Decision:
    """The head as a candidate proof."""
    given, offset = head
    weight = values(given.reshape(1, -1) if given.ndim == 1 else given).astype(np.float64)
    bias = np.atleast_1d(values(offset.reshape(-1, 1))[:, 0].astype(np.float64))
    if weight.shape != (len(bias), x.shape[1]):
        raise ShapeError(
            f"head: expected weight [k, {x.shape[1]}] and bias [k], got {weight.shape} and {bias.shape}. "
            "x must be what the head reads."
        )
    if len(bias) == 1:
        _check_labels(y, 2)
        verdict = check_plane(x, y, 1, 0, Hyperplane(weight[0], float(bias[0])))
        return Decision(verdict, weight, bias, np.array([0, 1]))
    _check_labels(y, len(bias))
    question = JointQuestion(x, y, np.arange(len(bias)), y)
    found = argmax_clearance(x, y, weight, bias, None)
    if found.wrong == 0:
        verdict = question.separation((weight, bias), found)
    else:
        verdict = question.undecided((weight, bias), "the given read-out errs", found.wrong)
    return Decision(verdict, weight, bias, question.classes)


def _check_labels(y: Int64[np.ndarray, "n"], k: int) -> None:
    if y.min() < 0 or y.max() >= k:
        raise ShapeError(f"head: expected labels in [0, {k}) for {k} outputs, got {y.min()} to {y.max()}.")


def _decide(x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], limits: Limits, head: Decision | None) -> Decision:
    classes, code = np.unique(y, return_inverse=True)
    start = None
    if head is not None and np.array_equal(head.classes, classes):
        start = head.weight, head.bias
    if len(classes) > 2:
        verdict, weight, bias = joint(x, y, limits, start)
    else:
        positive, negative = int(classes[-1]), int(classes[0]) if len(classes) == 2 else None
        verdict, planes = binary(x, y, positive, negative, limits)
        weight, bias = planes.weight, planes.bias
    if isinstance(verdict, (Overlap, JointOverlap)) and not weight.any():
        best = fewest_errors(x, code, len(classes), limits.deadline)
        weight, bias = best.weight, best.bias
        if len(classes) == 2:
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    return Decision(verdict, weight, bias, classes)


def _witnesses(verdict: Verdict) -> Int64[np.ndarray, "s"]:
    if isinstance(verdict, (Overlap, JointOverlap)):
        heavy = np.argsort(-verdict.weights, kind="stable")
        numbers = verdict.rows[heavy]
        _, first = np.unique(numbers, return_index=True)
        return numbers[np.sort(first)][:N_WITNESSES].astype(np.int64)
    if isinstance(verdict, (Separation, JointSeparation)):
        return verdict.tightest[:N_WITNESSES].astype(np.int64)
    return np.zeros(0, np.int64)
