"""From many forces that balance to few: Carathéodory's reduction to at most r + 1 vectors (Kirchberger 1903).

In: vectors whose positive combination is nearly zero. Out: which of them to keep, and their weights. Floating point
only, residuals in two words; whether the result proves anything is for `dependency` to say.
"""

import math
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Float64, Int64
from scipy.linalg import get_lapack_funcs, qr, solve_triangular

from unbend.numerics.compiled.jit import entry
from unbend.numerics.separable.rounding import dot2

RANK_TOLERANCE = 1e-11
ZERO = 1e-12
POLISHES = 6
SETTLED = 1e-12
"""A last change below this part of the greatest weight."""


@entry({"reassoc", "contract", "nsz"})
@no_type_check
def _purify(inverse, basis, lam_basis, others, lam_others, first, zero):  # noqa: ANN001, ANN202, C901 (one loop nest)
    """Move the mass of the other vectors onto a basis, one vector at a time; `first` says in which order.

    `inverse` maps a vector to its coefficients on the basis vectors. When a basic weight would turn negative,
    the basis takes in the other vector instead. Writes the final basis into `basis` (numbers below r mean the
    first basis, r + j means the j-th of the others).
    """
    r = inverse.shape[0]
    alpha = np.empty(r)
    row = np.empty(r)
    for at in range(len(first) - 1):
        j = first[at]
        for i in range(r):
            s = 0.0
            for c in range(r):
                s += inverse[i, c] * others[j, c]
            alpha[i] = s
        leave = -1
        t = lam_others[j]
        for i in range(r):
            if alpha[i] < -zero and lam_basis[i] < -alpha[i] * t:
                t = lam_basis[i] / -alpha[i]
                leave = i
        for i in range(r):
            lam_basis[i] = max(lam_basis[i] + t * alpha[i], 0.0)
        if leave < 0:
            continue
        lam_basis[leave] = lam_others[j] - t
        basis[leave] = r + j
        for c in range(r):
            row[c] = inverse[leave, c] / alpha[leave]
        for i in range(r):
            if i != leave:
                for c in range(r):
                    inverse[i, c] -= alpha[i] * row[c]
        for c in range(r):
            inverse[leave, c] = row[c]


def reduce(
    Z: Float64[np.ndarray, "k r"], forces: Float64[np.ndarray, "k"]
) -> tuple[Int64[np.ndarray, "s"], Float64[np.ndarray, "s"]] | None:
    """At most r + 1 row numbers of `Z` and their weights, for Z of rank r, or None where Z is too flat.

    Cost:
        O(k r²) for k vectors.
    """
    lam = forces / forces.max()
    start = _start(Z, lam)
    if start is None:
        return None
    Z, order, inverse = start
    r = Z.shape[1]
    basis, others = np.arange(r), order[r:]
    lam_basis, lam_others = lam[order[:r]].copy(), lam[others]
    if len(others) == 0:
        return None
    first = np.argsort(lam_others, kind="stable")
    _purify(inverse, basis, lam_basis, np.ascontiguousarray(Z[others]), lam_others, first, ZERO)
    kept = np.append(order[basis], others[first[-1]])
    weights = np.append(lam_basis, lam_others[first[-1]])
    refined = _refine(Z[kept])
    if refined is not None and (refined > 0).all():
        weights = refined
    return kept, weights / weights.max()


def _start(
    Z: Float64[np.ndarray, "k r"], lam: Float64[np.ndarray, "k"]
) -> tuple[Float64[np.ndarray, "k q"], Int64[np.ndarray, "k"], Float64[np.ndarray, "q q"]] | None:
    """Independent columns of `Z`, an order of rows that begins with a basis, and the inverse of that basis."""
    k, r = Z.shape
    if k < r + 1:
        Z, r = _independent(Z, lam)
    root = np.sqrt(lam)[:, None]
    getrf: Any = get_lapack_funcs("getrf", dtype=np.float64)
    factor, swaps, _ = getrf(Z * root)
    pivots = np.abs(np.diagonal(factor))
    if not pivots.min() > RANK_TOLERANCE * pivots.max():
        Z, r = _independent(Z, lam)
        if k < r + 1 or r == 0:
            return None
        _, swaps, _ = getrf(Z * root)
    elif k < r + 1:
        return None
    order = np.arange(k)
    for i, j in enumerate(swaps):
        order[[i, j]] = order[[j, i]]
    try:
        inverse = np.linalg.inv(Z[order[:r]].T)
    except np.linalg.LinAlgError:
        return None
    return Z, order, np.ascontiguousarray(inverse)


def _independent(
    Z: Float64[np.ndarray, "k r"], lam: Float64[np.ndarray, "k"]
) -> tuple[Float64[np.ndarray, "k q"], int]:
    """Orthonormal coordinates of the space the vectors span."""
    factors = qr(Z * np.sqrt(lam)[:, None], mode="r", pivoting=True, check_finite=False)
    R, order = np.asarray(factors[0]), np.asarray(factors[1])
    size = np.abs(np.diagonal(R))
    r = int((size > RANK_TOLERANCE * size.max(initial=0.0)).sum())
    return Z[:, order[:r]] @ np.asarray(solve_triangular(R[:r, :r], np.eye(r))) * math.sqrt(len(Z)), r


def _refine(Z: Float64[np.ndarray, "k r"]) -> Float64[np.ndarray, "k"] | None:
    """The one dependency among r + 1 vectors, solved afresh with the last weight fixed."""
    try:
        head = np.linalg.solve(Z[:-1].T, -Z[-1])
    except np.linalg.LinAlgError:
        return None
    return np.append(head, 1.0) if np.isfinite(head).all() else None


def polish(equations: Float64[np.ndarray, "m q"], weights: Float64[np.ndarray, "m"]) -> Float64[np.ndarray, "m"] | None:
    """The weights moved onto the exact solution near them; None if that is clearly not positive.

    For one equation less than weights: Newton's iteration on residuals in two words of precision, right to the last
    bits while the condition of the witnesses stays below 1e15. Weights that it cannot improve come back as they are.
    """
    m, q = equations.shape
    if m != q + 1 or q == 0:
        return weights
    fixed = int(np.argmax(weights))
    other = np.delete(np.arange(m), fixed)
    _, exponent = np.frexp(np.abs(equations).max(axis=0))
    columns = np.ascontiguousarray(np.ldexp(equations, -exponent).T)
    try:
        inverse = np.linalg.inv(columns[:, other])
    except np.linalg.LinAlgError:
        return weights
    new, last = weights / weights[fixed], math.inf
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(POLISHES):
            change = inverse @ dot2(columns, new[None])[:, 0]
            size = float(np.abs(change).max() / np.abs(new).max())
            if not size < last:
                break
            new[other] -= change
            last = size
    if last > SETTLED:
        return weights
    return new / new.max() if (new > 0).all() else None
