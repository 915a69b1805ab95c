"""How far from the optimum: rows, weights and a penalty come in, a bound on the optimality gap goes out.

The penalised softmax objective has the Fenchel dual (m = Σ w_i, A = (1/m) Σ w_i a_i z_iᵀ)

    D(a) = (1/m) Σ w_i H(a_i + e_y(i)) - |A|² / 2μ       over  a_i + e_y(i) in the simplex,  Σ w_i a_i = 0,

with H the entropy. D is below the optimum for every feasible a. At a_i = p_i - e_y(i) the difference F - D is
|∂F/∂W|² / 2μ + b·∂F/∂b: the gradient norm *is* the certificate once the bias is solved exactly, which needs no
pass over the rows. What is left of ∂F/∂b after that, rounding, is made good by mixing a little of one constant
distribution into every p_i. All in float64, independent of the solver.
"""

import torch
from jaxtyping import Float64
from torch import Tensor

from unbend.numerics.probe.objective import Rows, gradient, image, softmax
from unbend.numerics.probe.values import Optimality

_BIAS_STEPS = 25
_FLOOR = 1e-12
"""Added to the curvature, which vanishes where every probability has rounded to 0 or 1."""
_FARTHEST = 30.0
"""A bias moves no farther in a step: that takes a probability of 1e-13 to a half."""


def certify(
    rows: Rows, l2: float, weight: Float64[Tensor, "k e"], tolerance: float, passes: int = 0
) -> tuple[Optimality, Float64[Tensor, "k e"]]:
    """A rigorous bound on the gap of some weights, up to float64 rounding, and the weights with their best bias.

    Cost:
        One float64 pass over the rows.
    """
    scores = image(rows, weight, torch.float64)
    weight = weight.clone()
    shift, loss, p = _bias(rows, scores)
    weight[:, -1] += shift
    g = gradient(rows, p)
    w, a, lean = weight[:, :-1], g[:, :-1], g[:, -1]
    entropy = loss - float((w * a).sum()) - float(weight[:, -1] @ lean)
    mean_p = (p * rows.weight).sum(1) / rows.total
    mixed = max(float((lean / mean_p.clamp(min=1e-300)).max()), 0.0)
    if mixed:
        constant = mean_p - lean / mixed
        ones = torch.zeros_like(weight)
        ones[:, -1] = 1
        uniform = constant[:, None].expand(-1, p.shape[1])
        a = (1 - mixed) * a + mixed * gradient(rows, uniform)[:, :-1]
        entropy = (1 - mixed) * entropy + mixed * float(torch.special.entr(constant.clamp(min=0)).sum())
    objective = loss + 0.5 * l2 * float(w.square().sum())
    gap = max(objective - entropy + float(a.square().sum()) / (2 * l2), 0.0)
    norm = float((g[:, :-1] + l2 * w).square().sum().sqrt())
    optimality = Optimality(
        objective=objective,
        gap=gap,
        gradient_norm=norm,
        tolerance=tolerance,
        is_converged=gap <= tolerance * objective,
        passes=passes,
    )
    return optimality, weight


def _bias(rows: Rows, scores: Float64[Tensor, "k n"]) -> tuple[Float64[Tensor, " k"], float, Tensor]:
    """The shift of the bias that minimises the loss for given scores, by Newton's method in k dimensions."""
    k = rows.k
    target = torch.zeros(k, dtype=torch.float64).index_add_(0, rows.y, rows.weight.double()) / rows.total
    shift = torch.zeros(k, dtype=torch.float64)
    loss, p = softmax(rows, scores)
    for _ in range(_BIAS_STEPS):
        w = p * rows.weight
        lean = w.sum(1) / rows.total - target
        if float(lean.abs().max()) < 1e-14:
            break
        hessian = torch.diag(w.sum(1) + _FLOOR * rows.total) - w @ p.T
        step = torch.linalg.solve(hessian / rows.total + 1.0 / k, -lean)
        step = step * min(1.0, _FARTHEST / float(step.abs().max()))
        for _ in range(8):
            new_loss, new_p = softmax(rows, scores + (shift + step)[:, None])
            if new_loss <= loss + 1e-15 * abs(loss):
                break
            step = step / 4
        else:
            break
        shift, loss, p = shift + step, new_loss, new_p
    return shift, loss, p
