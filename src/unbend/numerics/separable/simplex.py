"""The simplex method in exact integers: the last resort, which always decides.

For integer vectors z_i it solves Σ λ_i z_i = 0, Σ λ_i = 1, λ ≥ 0. Either a vertex comes out (at most D + 1
vectors, the dual proof), or multipliers v with z_i·v > 0 for all i. Every tableau entry is an integer, a minor of
the input (Edmonds 1967; Bareiss 1968), so nothing is ever rounded. Bland's rule ends it.
"""

import time

import numpy as np
from jaxtyping import Int64, Shaped

from unbend.errors import UnbendError


class OutOfTimeError(UnbendError, TimeoutError):
    """The deadline passed before the method ended."""


def solve(
    vectors: Shaped[np.ndarray, "m D"], guess: Int64[np.ndarray, "m"], deadline: float
) -> tuple[dict[int, int], None] | tuple[None, list[int]]:
    """Decide exactly.

    Args:
        vectors: `[m, D]` Python integers.
        guess: vectors that are likely in the final basis, best first; only speed depends on it.
        deadline: `time.monotonic()` after which to give up.

    Returns:
        `(weights, None)` with the integer weight of each vector of a dual vertex, or `(None, v)` with integer
        multipliers.

    Raises:
        OutOfTimeError: past the deadline.
    """
    m, D = vectors.shape
    t, basis = _tableau(vectors)
    last = 1
    for column in guess[: 2 * D]:
        row = _ratio(t, int(column))
        if row is not None:
            t, last = _pivot(t, row, int(column), last, deadline)
            basis[row] = int(column)
    while True:
        costs = t[-1, :m]
        entering = next((j for j in range(m) if costs[j] < 0), None)
        if entering is None:
            break
        row = _ratio(t, entering, basis)
        if row is None:  # the weights add up to one, so no ray is free
            break
        t, last = _pivot(t, row, entering, last, deadline)
        basis[row] = entering
    if t[-1, -1] != 0:
        return None, [int(-a) for a in _multipliers(t, m, D, last)]
    return {b: int(t[i, -1]) for i, b in enumerate(basis) if b < m and t[i, -1] != 0}, None


def _tableau(vectors: Shaped[np.ndarray, "m D"]) -> tuple[Shaped[np.ndarray, "r c"], list[int]]:
    """Equations | artificial variables | right-hand side, and under them the sum of artificials as costs."""
    m, D = vectors.shape
    t = np.zeros((D + 2, m + D + 2), object)
    t[:D, :m] = vectors.T
    t[D, :m] = 1
    t[np.arange(D + 1), m + np.arange(D + 1)] = 1
    t[D, -1] = 1
    t[-1] = -t[:-1].sum(axis=0)
    t[-1, m : m + D + 1] = 0
    return t, list(range(m, m + D + 1))


def _ratio(t: Shaped[np.ndarray, "r c"], column: int, basis: list[int] | None = None) -> int | None:
    """The row that leaves when `column` enters: the least ratio, ties by Bland's rule."""
    best = None
    for i in range(len(t) - 1):
        a = t[i, column]
        if a <= 0:
            continue
        if best is None:
            best = i
            continue
        gap = t[i, -1] * t[best, column] - t[best, -1] * a
        if gap < 0 or (gap == 0 and basis is not None and basis[i] < basis[best]):
            best = i
    return best


def _pivot(
    t: Shaped[np.ndarray, "r c"], row: int, column: int, last: int, deadline: float
) -> tuple[Shaped[np.ndarray, "r c"], int]:
    if time.monotonic() > deadline:
        raise OutOfTimeError("The exact simplex method ran out of time.")
    pivot, line = t[row, column], t[row].copy()
    t = (pivot * t - np.outer(t[:, column], line)) // last
    t[row] = line
    return t, pivot


def _multipliers(t: Shaped[np.ndarray, "r c"], m: int, D: int, last: int) -> Shaped[np.ndarray, "D"]:
    """The dual values of the first D equations, from the costs of their artificial variables."""
    return last - t[-1, m : m + D]
