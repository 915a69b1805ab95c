"""The solver of the softmax objective: rows and a penalty come in, near-optimal weights go out.

Each step takes the preconditioned gradient, looks up its image on all rows (half a pass), minimises the
quadratic model over the span of that direction and the last two steps, and takes the new gradient (the other
half). Because scores are linear in the weights, the step length costs no further pass over the rows. It is
preconditioned conjugate gradients that never works with a stale objective.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from unbend.numerics.probe.objective import Rows, curvature, gradient, image, softmax
from unbend.numerics.probe.precondition import Blocks, blocks

_HISTORY = 2
_EARLY = frozenset({1, 2, 4})
_PERIOD = 5
"""A solve from zero looks at the curvature after these steps, while the probabilities move; then every fifth."""
_SHORT = 0.15
"""A step this short along the preconditioned gradient tells of rows that the sampled curvature missed."""
_SLACK = 2e-7
"""Relative rise of the objective that counts as rounding."""
_PATIENCE = 12


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Weights with the bias as last column, their scores, and what they give.

    Attributes:
        weight: bias in the last column.
        scores: of each class for each row.
        p: probabilities of the same.
        objective: the loss with its penalty.
    """

    weight: Float64[Tensor, "k e"]
    scores: Float[Tensor, "k n"]
    p: Float[Tensor, "k n"]
    objective: float


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Where a solve ended, the curvature for the next solve, and the (objective, estimated gap) of each step.

    Attributes:
        point: where it ended.
        blocks: the curvature, for the next solve.
        passes: over the rows.
        trace: objective and estimated gap of each step.
    """

    point: Point
    blocks: Blocks
    passes: int
    trace: tuple[tuple[float, float], ...]


def penalty(weight: Float64[Tensor, "k e"], l2: float) -> float:
    """(μ/2) |W|², the bias left out."""
    return 0.5 * l2 * float(weight[:, :-1].square().sum())


def at(rows: Rows, l2: float, weight: Float64[Tensor, "k e"] | None = None) -> Point:
    """The point at some weights, or at zero, which needs no pass."""
    n, d = rows.z.shape
    if weight is None:
        weight = torch.zeros(rows.k, d + 1, dtype=torch.float64, device=rows.z.device)
        scores = torch.zeros(rows.k, n, dtype=rows.z.dtype, device=rows.z.device)
    else:
        scores = image(rows, weight)
    return _point(rows, l2, weight, scores)


def _point(rows: Rows, l2: float, weight: Float64[Tensor, "k e"], scores: Float[Tensor, "k n"]) -> Point:
    loss, p = softmax(rows, scores)
    return Point(weight, scores, p, loss + penalty(weight, l2))


def slope(rows: Rows, l2: float, point: Point) -> Float64[Tensor, "k e"]:
    """The gradient of the objective."""
    g = gradient(rows, point.p)
    g[:, :-1] += l2 * point.weight[:, :-1]
    return g


def solve(
    rows: Rows,
    l2: float,
    gap: float = 1e-3,
    *,
    start: Point | None = None,
    known: Blocks | None = None,
    max_passes: int = 150,
    seed: int = 0,
) -> Solution:
    """A point whose gap to the optimum, relative to the objective, is estimated to be below `gap`.

    Args:
        rows: standardised rows, classes and weights.
        l2: the penalty μ > 0.
        gap: relative gap at which to stop; the estimate is |∂F/∂W|² / 2μ, see `certify`.
        start: begin here; it must belong to these rows' matrix, not necessarily to their labels or weights.
        known: the curvature of an earlier solve nearby; it is looked at anew only if this one takes long.
        max_passes: stop after this many steps in any case.
        seed: draws the rows of the preconditioner.
    """
    generator = torch.Generator(device=rows.z.device).manual_seed(seed)
    here = at(rows, l2) if start is None else _point(rows, l2, start.weight, start.scores)
    model = known or blocks(rows, here.p, generator, shared=start is None)
    solver = model.solver(l2)
    g = slope(rows, l2, here)
    past: list[tuple[Tensor, Tensor]] = []
    trace, best, looked, since, reach = [], float("inf"), 0, 0, 1.0
    for step in range(max_passes):
        estimate = float(g[:, :-1].square().sum()) / (2 * l2)
        trace.append((here.objective, estimate))
        best, since = (estimate, 0) if estimate < 0.7 * best else (best, since + 1)
        if estimate <= gap * here.objective or since > _PATIENCE:
            break
        if (known is None and step in _EARLY) or step - looked >= (2 if reach < _SHORT else _PERIOD):
            model, looked = blocks(rows, here.p, generator), step
            solver = model.solver(l2)
        v = solver(g)
        new, reach = _step(rows, l2, here, g, [(v, image(rows, v)), *past])
        past = [(new.weight - here.weight, new.scores - here.scores), *past][:_HISTORY]
        here = new
        g = slope(rows, l2, here)
    return Solution(here, model, len(trace), tuple(trace))


def _step(
    rows: Rows, l2: float, here: Point, g: Float64[Tensor, "k e"], ways: list[tuple[Tensor, Tensor]]
) -> tuple[Point, float]:
    """The minimiser of the quadratic model over some directions, shortened until the objective falls.

    The second value is how far it went along the first direction: 1 where the curvature was known exactly.
    """
    flat = torch.stack([v.flatten() for v, _ in ways])
    inner = torch.stack([v[:, :-1].flatten() for v, _ in ways])
    hessian = curvature(rows, here.p, [s for _, s in ways]) + l2 * (inner @ inner.T)
    length = hessian.diagonal().clamp(min=1e-300).sqrt()
    scaled = hessian / length / length[:, None]
    scaled.diagonal().add_(1e-6)
    amount = torch.linalg.solve(scaled, -(flat @ g.flatten()) / length) / length
    for _ in range(12):
        weight = here.weight + (amount @ flat).view_as(g)
        scores = here.scores.clone()
        for a, (_, s) in zip(amount.tolist(), ways, strict=True):
            scores.add_(s, alpha=a)
        new = _point(rows, l2, weight, scores)
        if new.objective <= here.objective * (1 + _SLACK):
            return new, float(amount[0])
        amount = amount / 3
    return here, 0.0
