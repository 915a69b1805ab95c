"""Rigorous bounds on sums of products in floating point. For the checkers: knows nothing of the solver.

A float64 sum of k products in any order, with or without fused multiply-add, is off by at most
γ_k Σ|a_j b_j| plus underflow, with γ_k = k u / (1 - k u) and u = 2⁻⁵³ (Higham 2002, §3.1). `dot2` gains a second
word of accuracy (Ogita, Rump and Oishi, SIAM J. Sci. Comput. 26 (2005) 1955, algorithm Dot2).
"""

import numpy as np
from jaxtyping import Float, Float64

from unbend.errors import UnsupportedError
from unbend.numerics import compiled

UNIT = 2.0**-53
# Covers flushed results too: each operation loses less than the least normal number.
UNDERFLOW = 2.0**-1021


def gamma(k: int) -> float:
    """A little more than k u / (1 - k u), so that the bound itself may be computed in floating point."""
    return 1.01 * k * UNIT


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
        compiled.row_sums(x, np.ascontiguousarray(weight, np.float64), total, size)
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
        n_open = compiled.row_margins(x, sign, w, bias, 1 + gamma(d + 2), (d + 2) * UNDERFLOW, gamma(d + 3), low, size)
    return low, size, n_open


def dot2(a: Float64[np.ndarray, "n k"], b: Float64[np.ndarray, "m k"]) -> Float64[np.ndarray, "n m"]:
    """`a @ b.T` to about twice the working precision."""
    out = np.empty((len(a), len(b)))
    with np.errstate(over="ignore", invalid="ignore"):
        compiled.dot_twice(np.ascontiguousarray(a, np.float64), np.ascontiguousarray(b, np.float64), out)
    return out


def dot2_error(
    result: Float64[np.ndarray, "*s"], magnitude: Float64[np.ndarray, "*s"], k: int
) -> Float64[np.ndarray, "*s"]:
    """A bound on the error of `dot2`, from its result and `magnitude >= |a| @ |b|.T` over k products."""
    return 1.01 * (UNIT * np.abs(result) + gamma(2 * k + 2) ** 2 * magnitude) + 8 * (k + 1) * UNDERFLOW
