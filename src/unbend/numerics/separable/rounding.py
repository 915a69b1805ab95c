"""Rigorous bounds on sums of products in floating point. For the checkers: knows nothing of the solver.

A float64 sum of k products in any order, with or without fused multiply-add, is off by at most
γ_k Σ|a_j b_j| plus underflow, with γ_k = k u / (1 - k u) and u = 2⁻⁵³ (Higham 2002, §3.1). `dot2` gains a second
word of accuracy (Ogita, Rump and Oishi, SIAM J. Sci. Comput. 26 (2005) 1955, algorithm Dot2).
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Float64
from numba import njit

from unbend.errors import UnsupportedError

UNIT = 2.0**-53
# Covers flushed results too: each operation loses less than the least normal number.
UNDERFLOW = 2.0**-1021
SPLIT = 134217729.0
"""2**27 + 1, Veltkamp's constant for float64."""


def gamma(k: int) -> float:
    """A little more than k u / (1 - k u), so that the bound itself may be computed in floating point."""
    return 1.01 * k * UNIT


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
@no_type_check
def _sums(x, w, total, size):  # noqa: ANN001, ANN202 (numba reads the types of the call)
    for i in range(x.shape[0]):
        s = 0.0
        a = 0.0
        for j in range(x.shape[1]):
            t = np.float64(x[i, j]) * w[j]
            s += t
            a += abs(t)
        total[i] = s
        size[i] = a


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
@no_type_check
def _margins(x, sign, w, b, wide, least, part, low, size):  # noqa: ANN001, ANN202
    """One pass: lower bounds of the signed scores, nan where the sign is open; returns how many are."""
    n_open = 0
    for i in range(x.shape[0]):
        s = b
        a = 0.0
        for j in range(x.shape[1]):
            t = np.float64(x[i, j]) * w[j]
            s += t
            a += abs(t)
        a = a * wide + least
        error = (a + abs(b)) * part + least
        s = s * sign[i]
        size[i] = a
        if abs(s) > error:
            s = s - error
            low[i] = s - abs(s) * 4e-16
        else:
            low[i] = np.nan
            n_open += 1
    return n_open


def require_gradual_underflow() -> None:
    """Refuse to check anything on a thread that reads denormal numbers as zero."""
    tiny = np.array([5e-324])
    small = np.array([1e-45], np.float32)
    if float((tiny * 1.0)[0]) == 0.0 or float(small.astype(np.float64)[0]) == 0.0:
        raise UnsupportedError(
            "verify: this thread treats denormal numbers as zero, so rounding bounds do not hold. "
            "Call torch.set_flush_denormal(False)."
        )


def scores(
    x: Float[np.ndarray, "n d"], weight: Float64[np.ndarray, "d"], bias: float
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """One pass over all rows: `x·w + b`, a bound on its rounding error, and `Σ|x_j w_j|` rounded up."""
    total, size = np.empty(len(x)), np.empty(len(x))
    d = x.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        _sums(x, np.ascontiguousarray(weight, np.float64), total, size)
        total += bias
        size *= 1 + gamma(d + 2)
        size += (d + 2) * UNDERFLOW
        error = (size + abs(bias)) * gamma(d + 3) + (d + 2) * UNDERFLOW
    return total, error, size


def margins(
    x: Float[np.ndarray, "n d"], sign: Float64[np.ndarray, "n"], weight: Float64[np.ndarray, "d"], bias: float
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"], int]:
    """One pass over all rows: lower bounds of `sign * (x·w + b)`, `Σ|x_j w_j|` rounded up, and how many are open.

    A bound is nan where the rounding error leaves the sign open.
    """
    low, size = np.empty(len(x)), np.empty(len(x))
    d, w = x.shape[1], np.ascontiguousarray(weight, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        n_open = _margins(x, sign, w, bias, 1 + gamma(d + 2), (d + 2) * UNDERFLOW, gamma(d + 3), low, size)
    return low, size, n_open


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _dot2(a, b, out):  # noqa: ANN001, ANN202
    """Row i of `a` against row k of `b`, accurate as if summed in twice the working precision."""
    for i in range(a.shape[0]):
        for k in range(b.shape[0]):
            s = 0.0
            c = 0.0
            for j in range(a.shape[1]):
                u = a[i, j]
                v = b[k, j]
                p = u * v
                q = SPLIT * u
                uh = q - (q - u)
                ul = u - uh
                q = SPLIT * v
                vh = q - (q - v)
                vl = v - vh
                e = ul * vl - (((p - uh * vh) - ul * vh) - uh * vl)
                t = s + p
                z = t - s
                c += ((s - (t - z)) + (p - z)) + e
                s = t
            out[i, k] = s + c


def dot2(a: Float64[np.ndarray, "n k"], b: Float64[np.ndarray, "m k"]) -> Float64[np.ndarray, "n m"]:
    """`a @ b.T` to about twice the working precision."""
    out = np.empty((len(a), len(b)))
    with np.errstate(over="ignore", invalid="ignore"):
        _dot2(np.ascontiguousarray(a, np.float64), np.ascontiguousarray(b, np.float64), out)
    return out


def dot2_error(
    result: Float64[np.ndarray, "*s"], magnitude: Float64[np.ndarray, "*s"], k: int
) -> Float64[np.ndarray, "*s"]:
    """A bound on the error of `dot2`, from its result and `magnitude >= |a| @ |b|.T` over k products."""
    return 1.01 * (UNIT * np.abs(result) + gamma(2 * k + 2) ** 2 * magnitude) + 8 * (k + 1) * UNDERFLOW
