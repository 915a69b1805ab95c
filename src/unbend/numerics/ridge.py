"""Which ridge a closed-form read-out takes: the one with the least error on rows left out of its fit.

In: second moments, their eigenvalues, rows that were summed. Out: a ridge, in units of the mean eigenvalue. With many
rows per direction, generalised cross-validation knows that error from the sums alone. With few it does not: it takes
all rows for equally hard to leave out, and where there are about as many rows as directions it ends at the lightest
ridge. There each row's own error without it is computed, which is exact and costs one product with the eigenvectors.
"""

import numpy as np

from unbend._typing import Array, Float64, Shaped
from unbend.numerics.second import Eigen, SecondState

RIDGES = 10.0 ** np.arange(-6.0, 3.5, 0.5)
"""Ridges tried, in units of the mean eigenvalue of the correlation-scaled scatter; with the heaviest, classes are told
apart by their nearest mean."""
_FEW = 4
"""Rows per direction below which rows are left out one by one."""
_MOST = 1024
"""Rows left out at most: their mean error is known to 5 % then, and neighbouring ridges share its noise."""
_NONE_LEFT = 1e-9


def best_ridge(second: SecondState, basis: Eigen, rows: Shaped[Array, "m d"], targets: Shaped[Array, "m t"]) -> float:
    """The ridge with the least squared error of the linear regression on rows that were left out of it.

    Of ridges that are equally good, the greatest.

    Args:
        second: the sums the read-out is fitted to.
        basis: their eigenvalues.
        rows: finite rows among those summed [s, d].
        targets: theirs [s, t].

    Cost:
        O(r·t) for many rows. For fewer than four per direction, O(s·d·r) once and O(s·r·t) per ridge, s at most 1,024.
    """
    if not basis.rank or second.n < 3:
        return 1.0
    if second.n >= _FEW * basis.rank or len(rows) < 2:
        errors = _gcv_errors(second, basis)
    else:
        errors = _left_out(second, basis, rows[:_MOST], targets[:_MOST])
    return float(RIDGES[np.flatnonzero(errors <= errors.min() * (1 + 1e-9))[-1]])


def _gcv_errors(second: SecondState, basis: Eigen) -> Float64[Array, "_"]:
    """Generalised cross-validation error of each ridge.

    Residual and free dimensions are written as what is left without a ridge plus what the ridge adds, so that
    neither is a difference of near equals when there are fewer rows than directions.
    """
    projected = basis.vectors.T @ (second.cross * basis.scale[:, None])
    explained = (projected**2).sum(1)
    left = second.n - 1 - basis.rank
    least = max(float(np.trace(second.yy)) - float((explained / basis.values).sum()), 0.0) if left > 0 else 0.0
    strength = RIDGES[:, None] * basis.values.mean()
    shrunk = basis.values + strength
    residual = least + (explained * strength**2 / (basis.values * shrunk**2)).sum(1)
    free = max(left, 0) + (strength / shrunk).sum(1)
    return residual / free**2


def _left_out(
    second: SecondState, basis: Eigen, rows: Shaped[Array, "m d"], targets: Shaped[Array, "m t"]
) -> Float64[Array, "_"]:
    """Mean squared error of each ridge on rows that are left out one by one.

    A row's error without it is its residual over 1 - h, with h its leverage, 1/n + Σ u² v / (v + ridge). As above,
    both are what is left without a ridge plus what the ridge adds: they tend to 0 together where rows are fewer than
    directions.
    """
    root = np.sqrt(basis.values)
    u = ((rows.astype(np.float64) - second.mean) * basis.scale) @ (basis.vectors / root)
    projected = basis.vectors.T @ (second.cross * basis.scale[:, None]) / root[:, None]
    y = targets.astype(np.float64) - second.y_mean
    squares = u**2
    left = 1 - 1 / second.n - squares.sum(1)
    is_free = left > _NONE_LEFT
    least, left = np.where(is_free[:, None], y - u @ projected, 0.0), np.where(is_free, left, 0.0)
    errors = np.empty(len(RIDGES))
    for i, strength in enumerate(RIDGES * basis.values.mean()):
        kept_back = strength / (basis.values + strength)
        residual = least + u @ (projected * kept_back[:, None])
        errors[i] = ((residual / (left + squares @ kept_back)[:, None]) ** 2).sum(1).mean()
    return errors
