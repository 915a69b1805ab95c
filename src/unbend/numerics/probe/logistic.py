"""Multinomial logistic regression on standardised rows: one fit, a path of penalties, folds.

Solves that follow each other share what they can: the rows (folds are weights, not copies), the scores, and
the curvature. A path, five folds and a control then cost little more than one fit from nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from unbend.numerics.probe.certificate import certify
from unbend.numerics.probe.objective import Rows
from unbend.numerics.probe.precondition import Blocks
from unbend.numerics.probe.solve import Point, Solution, solve
from unbend.numerics.probe.values import Folds, Optimality, Path

_TIGHTEST = 0.01
"""Share of the wanted gap below which rounding, not the estimate, is what the certificate minds."""
_ROUGH = 3e-2
"""Paths and folds judge held-out loss. The estimated gap is some ten times the true one, so that this moves
the loss by a few thousandths, less than it differs between folds."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Weights on the standardised rows (bias in the last column), how near the optimum, and where it was.

    Attributes:
        weight: bias in the last column.
        optimality: how near the optimum.
        solution: where the solve ended.
    """

    weight: Float64[Tensor, "k e"]
    optimality: Optimality
    solution: Solution


def fit(
    rows: Rows,
    l2: float,
    gap: float = 1e-3,
    *,
    start: Point | None = None,
    known: Blocks | None = None,
    seed: int = 0,
    max_passes: int = 150,
) -> Fit:
    """The penalised fit, with a certificate that its objective is within a relative `gap` of the optimum.

    The solver stops by an estimate in the rows' precision; the certificate is float64. Where it refuses, the
    solver goes on to a tighter estimate. Where that does not help either, `is_converged` is False.
    """
    target, passes = 0.6 * gap, 0
    while True:
        solution = solve(rows, l2, target, start=start, known=known, seed=seed, max_passes=max_passes)
        passes += solution.passes
        optimality, weight = certify(rows, l2, solution.point.weight, gap, passes)
        if optimality.is_converged or passes >= max_passes or target < _TIGHTEST * gap:
            return Fit(weight, optimality, solution)
        start, known, target = solution.point, solution.blocks, target / 8


def path(
    rows: Rows, held_out: Bool[Tensor, " n"], l2s: Sequence[float], *, seed: int = 0
) -> tuple[Path, Solution | None]:
    """The path of penalties on the rows that are not held out, and the solution at the chosen one.

    Args:
        rows: standardised rows.
        held_out: rows that judge the penalties and are not fitted.
        l2s: penalties; they are fitted from strong to weak, each from the one before.
        seed: draws the rows of the preconditioner.
    """
    inside = rows.with_weights((~held_out).to(rows.z.dtype) * rows.weight)
    order = sorted(l2s, reverse=True)
    losses, accuracies = [], []
    best = solution = before = None
    for l2 in order:
        known = solution.blocks if solution else None
        start = _extrapolate(before, solution) if solution else None
        before, solution = solution, solve(inside, l2, _ROUGH, start=start, known=known, seed=seed)
        loss, accuracy = _judge(rows, solution.point, held_out)
        best = solution if best is None or loss < min(losses) else best
        losses.append(loss)
        accuracies.append(accuracy)
        if len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
            break
    fitted = np.array(order[: len(losses)])
    chosen = float(fitted[int(np.argmin(losses))])
    n = int(held_out.sum())
    return (
        Path(
            l2=fitted,
            loss=np.array(losses),
            accuracy=np.array(accuracies),
            chosen=chosen,
            n_held_out=n,
            is_complete=len(fitted) == len(order),
        ),
        best,
    )


def _extrapolate(before: Solution | None, last: Solution) -> Point:
    """A guess at the next point of a path, by the line through the last two: scores are linear, so it is free."""
    if before is None:
        return last.point
    a, b = before.point, last.point
    return Point(1.8 * b.weight - 0.8 * a.weight, 1.8 * b.scores - 0.8 * a.scores, b.p, b.objective)


def folds(rows: Rows, fold: Int64[Tensor, " n"], l2: float, *, near: Solution | None = None, seed: int = 0) -> Folds:
    """Cross-validated loss and accuracy: each fold is held out once, each fit starts from the last.

    Args:
        rows: standardised rows.
        fold: the fold of each row, from 0 on; a class must not lie in one fold alone.
        l2: the penalty.
        near: a solution on all rows, whose curvature serves every fold.
        seed: draws the rows of the preconditioner.
    """
    losses, accuracies, sizes = [], [], []
    for f in range(int(fold.max()) + 1):
        out = fold == f
        inside = rows.with_weights((~out).to(rows.z.dtype) * rows.weight)
        start, known = (near.point, near.blocks) if near else (None, None)
        solution = solve(inside, l2, _ROUGH, start=start, known=known, seed=seed)
        near = near or solution
        loss, accuracy = _judge(rows, solution.point, out)
        losses.append(loss)
        accuracies.append(accuracy)
        sizes.append(int(out.sum()))
    return Folds(loss=np.array(losses), accuracy=np.array(accuracies), n=np.array(sizes))


def _judge(rows: Rows, point: Point, chosen: Bool[Tensor, " n"]) -> tuple[float, float]:
    """Log-loss and accuracy on some rows, from the scores that the solver already has."""
    scores, y = point.scores[:, chosen].double(), rows.y[chosen]
    loss = torch.logsumexp(scores, 0) - scores.gather(0, y[None])[0]
    return float(loss.mean()), float((scores.argmax(0) == y).double().mean())
