"""Unregularised logistic regression by Newton's method: one computation that feeds both proofs.

For vectors z_i (a row with its sign) it minimises Σ log(1 + exp(-z_i·v)). Either some iterate has every margin
z_i·v > 0, or the method converges, and then the forces λ_i = σ(-z_i·v) > 0 satisfy Σ λ_i z_i = 0: an interior
point of the dual. Newton is affine-invariant, so small margins cost steps only logarithmically
(Albert and Anderson 1984; Candès and Sur 2020).
"""

import math
import time
from dataclasses import dataclass
from enum import Enum
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from scipy.linalg import get_blas_funcs, get_lapack_funcs, solve_triangular

from unbend.numerics.compiled.jit import entry

LOSS_OF_CHANCE = 0.6
"""A sum of losses below this tells of separable vectors: of those that are not, some err, and one that errs loses at
least log 2 = 0.69."""
SLIM = 32
"""Width up to which Hessians are summed by our own loop: BLAS gains nothing on so few columns."""
WIDE = 48
"""Width above which they are summed in float32, which halves the time; a step needs no more digits than that."""
NARROW = 64
"""Width up to which an orthogonal factor, which costs little there, is taken at the first sign of flat geometry."""
FEW_SLOW = 3
"""Slow steps on flat geometry after which wider vectors are factorised so, too."""
MANY_SLOW = 20
"""Slow steps on flat geometry after which the method gives up: some other coordinates will do better."""
FLAT = 1e-9
"""Square of the ratio of pivots below which a Cholesky factor in float64 has lost half its digits."""
NEGLIGIBLE = 1e-10
"""Curvature, as a part of the greatest, of vectors that are left out of a Hessian."""
NOISE = 1e-13
"""Added to the diagonal of a Hessian, as a part of its mean: some hundred units of float64 rounding."""
SINGLE_NOISE = 3e-6
"""The same where it was summed in float32."""
ROUNDING = 4e-16
"""Pivots of an orthogonal factor below this part of the greatest, times the width, are rounding."""
MAX_STRETCH = 8.0
"""A step is stretched up to this many times: along a separating direction the loss falls without end."""
BLOCK = 1024
"""Vectors summed at a time, so that two columns of them stay in the nearest cache."""
REFRESH = 8
"""Steps after which margins are computed afresh instead of added up, against the rounding of the additions."""


class Status(Enum):
    """How a descent ended."""

    SEPARATED = "every margin is positive"
    CONVERGED = "the forces balance"
    STALLED = "neither, and no step helps or the time is spent"


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """Where the method stopped.

    Attributes:
        status: how it ended.
        v: the last iterate.
        forces: λ_i = σ(-z_i·v) there.
        steps: steps begun.
    """

    status: Status
    v: Float64[np.ndarray, "D"]
    forces: Float64[np.ndarray, "m"]
    steps: int


@dataclass(frozen=True, slots=True)
class Effort:
    """When to stop.

    Attributes:
        extra: steps towards the middle after separation.
        steps: steps in all.
        tolerance: Newton decrement that counts as converged.
        is_exact: whether Hessians of wide vectors are summed in float64, too.
        deadline: `time.monotonic()` after which to stop.
    """

    extra: int = 3
    steps: int = 60
    tolerance: float = 1e-3
    is_exact: bool = False
    deadline: float = math.inf


@entry({"contract", "nsz"})
@no_type_check
def _pull(margins, slope, t, forces):  # noqa: ANN001, ANN202 (numba reads the types of the call)
    """Forces a step of length t further on; returns the slope of the loss there."""
    pull = 0.0
    for i in range(len(margins)):
        a = margins[i] + t * slope[i]
        e = np.exp(-abs(a))
        f = (e if a >= 0 else 1.0) / (1.0 + e)
        forces[i] = f
        pull -= f * slope[i]
    return pull


@entry({"reassoc", "contract", "nsz"})
@no_type_check
def _hessian(columns, forces, top, H):  # noqa: ANN001, ANN202  compiled
    """The lower triangle of Σ c_i z_i z_iᵀ / top into H, c = λ (1 - λ); returns how many vectors entered."""
    D, m = columns.shape
    c = np.empty(BLOCK)
    weighted = np.empty(BLOCK)
    n = 0
    for start in range(0, m, BLOCK):
        size = min(BLOCK, m - start)
        pull = forces[start : start + size]
        for i in range(size):
            t = pull[i] * (1.0 - pull[i]) / top
            n += t > NEGLIGIBLE
            c[i] = t if t > NEGLIGIBLE else 0.0
        for a in range(D):
            left = columns[a, start : start + size]
            for i in range(size):
                weighted[i] = c[i] * left[i]
            for b in range(a + 1):
                right = columns[b, start : start + size]
                s = 0.0
                for i in range(size):
                    s += weighted[i] * right[i]
                H[a, b] += s
    return n


def _forces(margins: Float64[np.ndarray, "m"]) -> Float64[np.ndarray, "m"]:
    """1 / (1 + exp(margin)) without overflow."""
    out = np.empty(len(margins))
    _pull(margins, margins, 0.0, out)
    return out


@dataclass(slots=True)
class _State:
    """What one step hands to the next.

    Attributes:
        v: the iterate.
        margins: z_i·v.
        forces: σ(-z_i·v).
        decrement: Newton decrement of the last step.
        n_slow: slow steps on flat geometry.
        is_flat: whether the next step takes an orthogonal factor.
    """

    v: Float64[np.ndarray, "D"]
    margins: Float64[np.ndarray, "m"]
    forces: Float64[np.ndarray, "m"]
    decrement: float = math.inf
    n_slow: int = 0
    is_flat: bool = False


def descend(Z: Float64[np.ndarray, "m D"], v: Float64[np.ndarray, "D"], effort: Effort | None = None) -> Descent:
    """Newton's method from `v`, until separated, converged or stalled."""
    effort = effort or Effort()
    fast = _second_form(Z, effort)
    margins = Z @ v
    state = _State(v, margins, _forces(margins))
    status, step, n_separated = Status.STALLED, 0, 0
    for step in range(effort.steps):
        n_separated += state.margins.min() > 0
        if n_separated > effort.extra:
            break
        moved = _step(Z, fast, state, effort, is_refreshed=step % REFRESH == 0)
        if moved is not None:
            status = moved
            break
    if state.margins.min() > 0:
        status = Status.SEPARATED
    return Descent(status, state.v, state.forces, step + 1)


def _second_form(Z: Float64[np.ndarray, "m D"], effort: Effort) -> Float[np.ndarray, "..."] | None:
    """The vectors once more: as columns where they are narrow, else in float32 where that is enough."""
    if Z.shape[1] <= SLIM:
        return np.ascontiguousarray(Z.T)
    return Z.astype(np.float32) if Z.shape[1] > WIDE and not effort.is_exact else None


def _step(
    Z: Float64[np.ndarray, "m D"],
    fast: Float[np.ndarray, "..."] | None,
    state: _State,
    effort: Effort,
    *,
    is_refreshed: bool,
) -> Status | None:
    """Move the state by one step; how the descent ended, or None to go on."""
    gradient = Z.T @ state.forces
    p, is_hard = _direction(Z, fast, state.forces, gradient, use_qr=state.is_flat)
    if p is None:
        return Status.STALLED
    decrement = float(gradient @ p)
    if not math.isfinite(decrement) or time.monotonic() > effort.deadline:
        return Status.STALLED
    slope, margins = Z @ p, state.margins
    t, forces = _line(margins, slope, decrement)
    if decrement > state.decrement and not _loss(margins + t * slope) < _loss(margins):
        return Status.STALLED
    is_converged = decrement < effort.tolerance and margins.min() <= 0 and _loss(margins) > LOSS_OF_CHANCE
    state.v = state.v + t * p
    state.margins = Z @ state.v if is_refreshed else margins + t * slope
    state.forces = _forces(state.margins) if is_refreshed else forces
    if is_converged:
        return Status.CONVERGED
    state.n_slow += is_hard and decrement > 0.5 * state.decrement
    if state.n_slow > MANY_SLOW:
        return Status.STALLED
    state.decrement = decrement
    state.is_flat = is_hard and (state.is_flat or Z.shape[1] <= NARROW or state.n_slow >= FEW_SLOW)
    return None


def _loss(margins: Float64[np.ndarray, "m"]) -> float:
    return float(np.logaddexp(0, -margins).sum())


def _line(
    margins: Float64[np.ndarray, "m"], slope: Float64[np.ndarray, "m"], decrement: float
) -> tuple[float, Float64[np.ndarray, "m"]]:
    """A step length by the sign of the derivative (the loss is convex), and the forces there."""
    t, best = 1.0, None
    for _ in range(14):
        forces = np.empty(len(margins))
        derivative = float(_pull(margins, slope, t, forces))
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
    Z: Float64[np.ndarray, "m D"],
    fast: Float[np.ndarray, "..."] | None,
    forces: Float64[np.ndarray, "m"],
    gradient: Float64[np.ndarray, "D"],
    *,
    use_qr: bool,
) -> tuple[Float64[np.ndarray, "D"] | None, bool]:
    """The Newton direction, and whether the geometry was too flat for a Cholesky factor to be trusted.

    `fast` holds the vectors once more: as columns where they are narrow, else in float32 where that is enough.
    """
    top = _most_curved(forces)
    if not top > 1e-200:
        return None, False
    if not use_qr and Z.shape[1] <= SLIM and fast is not None:
        H = np.zeros((Z.shape[1], Z.shape[1]))
        n_kept = _hessian(fast, forces, top, H)
        p, is_hard = _by_factor(H, n_kept, gradient / top, NOISE, is_single=False)
        if p is not None:
            return p, is_hard
    curvature = forces * (1 - forces)
    keep = np.flatnonzero(curvature > top * NEGLIGIBLE)
    root = np.sqrt(curvature[keep] / top)
    if not use_qr and Z.shape[1] > SLIM:
        p, is_hard = _by_cholesky(Z, fast, keep, root, gradient / top)
        if p is not None:
            return p, is_hard
    if len(keep) < Z.shape[1]:
        keep = np.argsort(-curvature)[: 4 * Z.shape[1]]
        root = np.sqrt(curvature[keep] / top)
    return _by_qr(Z[keep] * root[:, None], gradient / top), True


def _by_cholesky(
    Z: Float64[np.ndarray, "m D"],
    single: Float32[np.ndarray, "m D"] | None,
    keep: Int64[np.ndarray, "s"],
    root: Float64[np.ndarray, "s"],
    gradient: Float64[np.ndarray, "D"],
) -> tuple[Float64[np.ndarray, "D"] | None, bool]:
    D = Z.shape[1]
    is_single = single is not None and len(keep) > D
    if is_single:
        A = (single[keep] * root.astype(np.float32)[:, None]).T
        H = get_blas_funcs("syrk", dtype=np.float32)(1.0, A, lower=1).astype(np.float64)
    else:
        A = (Z if len(keep) == len(Z) else Z[keep]) * root[:, None]
        H = A.T @ A
    return _by_factor(H, len(keep), gradient, SINGLE_NOISE if is_single else NOISE, is_single=is_single)


def _by_factor(
    H: Float64[np.ndarray, "D D"], n_kept: int, gradient: Float64[np.ndarray, "D"], noise: float, *, is_single: bool
) -> tuple[Float64[np.ndarray, "D"] | None, bool]:
    """Solve with the lower triangle of a Hessian summed over `n_kept` rows."""
    D = len(H)
    diagonal = np.arange(D)
    ridge = noise * H[diagonal, diagonal].sum() / D
    if not math.isfinite(ridge):
        return None, True
    H[diagonal, diagonal] += ridge
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), dtype=np.float64)  # pyrefly: ignore
    factor, failed = potrf(H, lower=1, overwrite_a=1, clean=0)
    if failed:
        return None, True
    pivots = np.diagonal(factor)
    is_hard = not is_single and n_kept >= D and bool((pivots.min() / pivots.max()) ** 2 < FLAT)
    if is_hard and D <= NARROW:
        return None, True
    return np.asarray(potrs(factor, gradient, lower=1)[0]), is_hard


def _most_curved(forces: Float64[np.ndarray, "m"]) -> float:
    """The greatest λ (1 - λ): that of the force nearest to one half."""
    nearest = forces[np.argmin(np.abs(forces - 0.5))]
    return float(nearest * (1 - nearest))


def _by_qr(A: Float64[np.ndarray, "s D"], gradient: Float64[np.ndarray, "D"]) -> Float64[np.ndarray, "D"] | None:
    """Semi-normal equations with one step of refinement: for geometry that is nearly flat."""
    D = A.shape[1]
    R = np.linalg.qr(A, mode="r")
    R = np.vstack([R, np.zeros((D - len(R), D))])
    top = np.abs(np.diagonal(R)).max()
    if not (math.isfinite(top) and top > 0):
        return None
    flat = np.flatnonzero(np.abs(np.diagonal(R)) < top * ROUNDING * D)
    R[flat, flat] = top * 1e20

    def solve(g: Float64[np.ndarray, "D"]) -> Float64[np.ndarray, "D"]:
        half = solve_triangular(R, g, trans="T", check_finite=False)
        return np.asarray(solve_triangular(R, half, check_finite=False))

    p = solve(gradient)
    return p + solve(gradient - A.T @ (A @ p))
