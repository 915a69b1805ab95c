"""Unregularised logistic regression by Newton's method: one computation that feeds both proofs.

For vectors z_i (a row with its sign) it minimises Σ log(1 + exp(-z_i·v)). Either some iterate has every margin
z_i·v > 0, or the method converges, and then the forces λ_i = σ(-z_i·v) > 0 satisfy Σ λ_i z_i = 0: an interior
point of the dual. Newton is affine-invariant, so small margins cost steps only logarithmically
(Albert and Anderson 1984; Candès and Sur 2020).
"""

import math
import time
from dataclasses import dataclass

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs, solve_triangular

LOSS_OF_CHANCE = 0.6  # an inseparable sum of losses is at least log 2 = 0.69
WIDE = 48  # width from which Hessians are summed in float32
NARROW = 64  # width up to which an orthogonal factorisation is taken at the first sign of flat geometry
FEW_SLOW, MANY_SLOW = 3, 20  # slow steps on flat geometry before factorising so, and before giving up
MAX_STRETCH = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """Where the method stopped.

    `status` is "separated" (every margin positive), "converged" (the forces balance) or "stalled".
    """

    status: str
    v: np.ndarray
    forces: np.ndarray
    steps: int


@dataclass(frozen=True, slots=True)
class Effort:
    """When to stop: centring steps after separation, steps in all, decrement that counts as converged."""

    extra: int = 3
    steps: int = 60
    tolerance: float = 1e-3
    is_exact: bool = False
    deadline: float = math.inf


def sigmoid(a: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-a)) without overflow."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, e) / (1 + e)


def descend(Z: np.ndarray, v: np.ndarray, effort: Effort | None = None) -> Descent:
    """Newton's method from `v`, until separated, converged or stalled."""
    effort = effort or Effort()
    single = Z.astype(np.float32) if Z.shape[1] > WIDE and not effort.is_exact else None
    margins = Z @ v
    forces = sigmoid(-margins)
    n_separated, n_slow, last, status = 0, 0, math.inf, "stalled"
    is_flat = False
    for step in range(effort.steps):
        if margins.min() > 0:
            n_separated += 1
            if n_separated > effort.extra:
                break
        gradient = Z.T @ forces
        p, is_hard = _direction(Z, single, forces, gradient, use_qr=is_flat)
        if p is None:
            break
        decrement = float(gradient @ p)
        if not math.isfinite(decrement) or time.monotonic() > effort.deadline:
            break
        slope = Z @ p
        t, new_forces = _line(margins, slope, decrement)
        if decrement > last and not _loss(margins + t * slope) < _loss(margins):
            break
        loss_is_high = decrement < effort.tolerance and margins.min() <= 0 and _loss(margins) > LOSS_OF_CHANCE
        v = v + t * p
        margins = margins + t * slope if step & 7 else Z @ v
        forces = new_forces if step & 7 else sigmoid(-margins)
        if loss_is_high:
            status = "converged"
            break
        n_slow += is_hard and decrement > 0.5 * last
        last = decrement
        if n_slow > MANY_SLOW:
            break
        is_flat = is_hard and (is_flat or Z.shape[1] <= NARROW or n_slow >= FEW_SLOW)
    if margins.min() > 0:
        status = "separated"
    return Descent(status, v, forces, step + 1)


def _loss(margins: np.ndarray) -> float:
    return float(np.logaddexp(0, -margins).sum())


def _line(margins: np.ndarray, slope: np.ndarray, decrement: float) -> tuple[float, np.ndarray]:
    """A step length by the sign of the derivative (the loss is convex), and the forces there."""
    t, best = 1.0, None
    for _ in range(14):
        forces = sigmoid(-(margins + t * slope))
        derivative = -float(forces @ slope)
        if derivative <= 0.1 * decrement:
            best = t, forces
            if derivative > -0.5 * decrement or t >= MAX_STRETCH:
                break
            t *= 2
        elif best is not None:
            break
        else:
            t *= 0.5
    return best if best is not None else (t, forces)


def _direction(
    Z: np.ndarray, single: np.ndarray | None, forces: np.ndarray, gradient: np.ndarray, *, use_qr: bool
) -> tuple[np.ndarray | None, bool]:
    """The Newton direction, and whether the geometry was too flat for a Cholesky factor to be trusted."""
    curvature = forces * (1 - forces)
    top = curvature.max(initial=0.0)
    if not top > 1e-200:
        return None, False
    keep = np.flatnonzero(curvature > top * 1e-10)
    root = np.sqrt(curvature[keep] / top)
    if not use_qr:
        p, is_hard = _by_cholesky(Z, single, keep, root, gradient / top)
        if p is not None:
            return p, is_hard
    if len(keep) < Z.shape[1]:
        keep = np.argsort(-curvature)[: 4 * Z.shape[1]]
        root = np.sqrt(curvature[keep] / top)
    return _by_qr(Z[keep] * root[:, None], gradient / top), True


def _by_cholesky(
    Z: np.ndarray, single: np.ndarray | None, keep: np.ndarray, root: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray | None, bool]:
    D = Z.shape[1]
    is_single = single is not None and len(keep) > D
    if is_single:
        A = (single[keep] * root.astype(np.float32)[:, None]).T
        H = get_blas_funcs("syrk", dtype=np.float32)(1.0, A, lower=1).astype(np.float64)
    else:
        A = (Z if len(keep) == len(Z) else Z[keep]) * root[:, None]
        H = A.T @ A
    diagonal = np.arange(D)
    ridge = (3e-6 if is_single else 1e-13) * np.trace(H) / D
    if not math.isfinite(ridge):
        return None, True
    H[diagonal, diagonal] += ridge
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), dtype=np.float64)  # pyrefly: ignore
    factor, failed = potrf(H, lower=1, overwrite_a=1, clean=0)
    if failed:
        return None, True
    pivots = np.diagonal(factor)
    is_hard = not is_single and len(keep) >= D and bool((pivots.min() / pivots.max()) ** 2 < 1e-9)
    if is_hard and D <= NARROW:
        return None, True
    return np.asarray(potrs(factor, gradient, lower=1)[0]), is_hard


def _by_qr(A: np.ndarray, gradient: np.ndarray) -> np.ndarray | None:
    """Semi-normal equations with one step of refinement: for geometry that is nearly flat."""
    D = A.shape[1]
    R = np.linalg.qr(A, mode="r")
    R = np.vstack([R, np.zeros((D - len(R), D))])
    top = np.abs(np.diagonal(R)).max()
    if not (math.isfinite(top) and top > 0):
        return None
    flat = np.flatnonzero(np.abs(np.diagonal(R)) < top * 4e-16 * D)
    R[flat, flat] = top * 1e20

    def solve(g: np.ndarray) -> np.ndarray:
        half = solve_triangular(R, g, trans="T", check_finite=False)
        return np.asarray(solve_triangular(R, half, check_finite=False))

    p = solve(gradient)
    return p + solve(gradient - A.T @ (A @ p))
