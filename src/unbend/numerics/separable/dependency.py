"""The check behind "overlap": do a few vectors admit an exact, strictly positive combination that is zero.

In: the vectors as stored and float weights near the exact ones. Out: whether an exact solution provably exists
there, and how much change of the numbers it survives. By integers where the weights are exact, by an interval
argument for square systems, by the exact null vector for the rest. Nothing of the solver is used.
"""

import math
from fractions import Fraction

import numpy as np
from jaxtyping import Float64, Shaped

from unbend.numerics.separable.nullspace import null_vector
from unbend.numerics.separable.rounding import (
    UNDERFLOW,
    dot2,
    dot2_error,
    gamma,
    require_gradual_underflow,
)

WEIGHT_TOLERANCE = 1e-6
"""A stated weight may differ from the exact one by this fraction of it."""
EXACT_RESIDUAL_SIZE = 20_000
"""Entries up to which a sum is tried in integers before elimination."""
EXACT_ROWS = 260
"""Witnesses up to which a dependency is solved in integers: some seconds for so many."""


def dependency(
    vectors: Float64[np.ndarray, "m b d1"], weights: Float64[np.ndarray, "m"], deadline: float = math.inf
) -> float | None:
    """Prove that some exact, strictly positive combination of the vectors is zero, within rounding of `weights`.

    Args:
        vectors: `[m, blocks, d + 1]`, exact; the last entry of a block is ±1 where the vector touches the block,
            else the whole block is 0. With several blocks, the blocks of each vector add up to zero.
        weights: `[m]`, the claim.
        deadline: `time.monotonic()` after which exact arithmetic is given up and nothing is proved.

    Returns:
        The relative change of every stored number that the dependency provably survives (0.0 where none is
        proved), or None if the claim is not proved.
    """
    if len(weights) != len(vectors) or not (np.isfinite(weights).all() and (weights > 0).all()):
        return None
    require_gradual_underflow()
    equations, is_generic = balance(vectors)
    scaled = _scale(equations)
    robustness = None
    if scaled is not None and len(weights) == scaled.shape[1] + 1:
        robustness = _square(scaled, weights / weights.max())
    if robustness is not None:
        return robustness if is_generic else 0.0
    if _is_zero_sum(equations, weights) or _matches_null_vector(equations, weights, deadline):
        return 0.0
    return None


def balance(vectors: Float64[np.ndarray, "m b d1"]) -> tuple[Float64[np.ndarray, "m q"], bool]:
    """The columns that must add up to zero, without those that follow from others.

    A column that is constant where its block is touched is a multiple of the block's last column. The last
    touched block follows from the others. Returns whether only zero columns were left out.
    """
    m, n_blocks, _ = vectors.shape
    touched = [c for c in range(n_blocks) if vectors[:, c, -1].any()]
    if n_blocks > 1:
        touched = touched[:-1]
    columns, is_generic = [], True
    for c in touched:
        mark = vectors[:, c, -1]
        features = vectors[mark != 0, c, :-1] * mark[mark != 0][:, None]
        varies = (features != features[:1]).any(axis=0)
        is_generic &= not features[0, ~varies].any()
        columns += [vectors[:, c, :-1][:, varies], mark[:, None]]
    equations = np.hstack(columns) if columns else np.zeros((m, 0))
    if equations.shape[1] > m - 1:
        return np.unique(equations, axis=1), False
    return equations, is_generic


def _scale(equations: Float64[np.ndarray, "m q"]) -> Float64[np.ndarray, "m q"] | None:
    """Each equation times a power of two, so that its largest entry is about one; None if that would round."""
    _, exponent = np.frexp(np.abs(equations).max(axis=0, initial=0.0))
    scaled = np.ldexp(equations, -exponent)
    return scaled if np.array_equal(np.ldexp(scaled, exponent), equations) else None


def _square(equations: Float64[np.ndarray, "m q"], weights: Float64[np.ndarray, "m"]) -> float | None:
    """Existence of an exact solution near `weights`, for one equation fewer than weights.

    With the heaviest weight fixed, A λ = r has as many equations as unknowns. If |R A - I| λ <= g λ with g < 1,
    then A is invertible and the exact solution lies within max(|R (r - A λ)| / λ) / (1 - g), relative to λ.
    """
    q = len(weights) - 1
    fixed = int(np.argmax(weights > (1 - 1e-9) * weights.max()))  # ties must not turn on a last bit
    other = np.delete(np.arange(q + 1), fixed)
    A, lam = equations[other].T, weights[other]
    if q == 0:
        return None
    try:
        R = np.linalg.inv(A)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(R).all():
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        gap = _identity_gap(R, A, lam)
        if not gap < 0.5:
            return None
        size = np.abs(equations).T @ weights * (1 + gamma(q + 3)) + q * UNDERFLOW
        residual = dot2(equations.T, weights[None])[:, 0]
        slack = dot2_error(residual, size, q + 1)
        shift = dot2(R, residual[None])[:, 0]
        R_size = np.abs(R)
        off = np.abs(shift) + dot2_error(shift, R_size @ np.abs(residual) * (1 + gamma(q + 2)), q)
        off += R_size @ slack * (1 + gamma(q + 2)) + q * UNDERFLOW
        if not (off / lam).max() * 1.01 / (1 - gap) <= WEIGHT_TOLERANCE:
            return None
        swing = ((R_size @ size) / lam).max() * 1.01 / (1 - gap)
    return float(0.49 / swing) if swing > 0 else 0.0


def _identity_gap(R: Float64[np.ndarray, "q q"], A: Float64[np.ndarray, "q q"], lam: Float64[np.ndarray, "q"]) -> float:
    """An upper bound of `max (|R A - I| λ / λ)`; a second word of precision where one is not enough."""
    q = len(A)
    magnitude = (np.abs(R) @ np.abs(A)) * (1 + gamma(q + 2)) + q * UNDERFLOW
    product = R @ A
    gap = _worst_row(product, gamma(q + 1) * magnitude + q * UNDERFLOW, lam)
    if not gap < 0.5:
        product = dot2(R, A.T)
        gap = _worst_row(product, dot2_error(product, magnitude, q), lam)
    return gap


def _worst_row(
    product: Float64[np.ndarray, "q q"], error: Float64[np.ndarray, "q q"], lam: Float64[np.ndarray, "q"]
) -> float:
    off = np.abs(product - np.eye(len(product))) * (1 + 1e-15) + error
    return float(((off @ lam) / lam).max() * (1 + gamma(len(lam) + 3)))


def _integers(equations: Float64[np.ndarray, "m q"]) -> Shaped[np.ndarray, "q m"]:
    """Each equation times the power of two that makes it integral, as Python integers `[q, m]`."""
    out = np.empty(equations.T.shape, object)
    for j, column in enumerate(equations.T):
        ratios = [float(a).as_integer_ratio() for a in column]
        denominator = max(b for _, b in ratios)
        out[j] = [a * (denominator // b) for a, b in ratios]
    return out


def _is_zero_sum(equations: Float64[np.ndarray, "m q"], weights: Float64[np.ndarray, "m"]) -> bool:
    """Whether the weights as stored solve every equation exactly."""
    if equations.size > EXACT_RESIDUAL_SIZE:
        return False
    exact = _integers(weights[:, None])[0]
    return not any((_integers(equations) * exact).sum(axis=1)) if equations.size else True


def _matches_null_vector(
    equations: Float64[np.ndarray, "m q"], weights: Float64[np.ndarray, "m"], deadline: float
) -> bool:
    """Whether the exact solution is unique, positive, and the stated weights up to rounding."""
    exact = _exact_weights(equations, deadline)
    if exact is None:
        return False
    stated = weights / weights[np.argmax(exact)]
    return bool((np.abs(stated - exact) <= WEIGHT_TOLERANCE * exact).all())


def _exact_weights(equations: Float64[np.ndarray, "m q"], deadline: float) -> Float64[np.ndarray, "m"] | None:
    if len(equations) > EXACT_ROWS:
        return None
    solution = null_vector(_integers(equations), deadline)
    if solution is None or min(solution) <= 0:
        return None
    top = max(solution)
    return np.array([float(Fraction(a, top)) for a in solution])
