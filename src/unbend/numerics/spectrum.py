"""How many directions a layer really uses."""

from dataclasses import dataclass

import numpy as np
import torch

from unbend._typing import Array, Float64
from unbend.numerics.second import SecondState
from unbend.numerics.state import measure


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Eigenvalues of the covariance of a layer's rows, and what they amount to.

    Attributes:
        n: rows it was measured on.
        values: covariance eigenvalues, falling [d].
        effective_rank: exp of the entropy of the eigenvalue shares (Roy & Vetterli 2007, on variances).
        participation_ratio: (Σλ)² / Σλ², as it comes; biased low when n is not much larger than d.
        participation_unbiased: the same with the sample bias removed; NaN when n < 3.
        for_95: directions that hold 95 % of the variance.
        rows_per_unit: n / d; below 10 every figure here but the unbiased one is too small.
    """

    n: int
    values: Float64[Array, "d"]
    effective_rank: float
    participation_ratio: float
    participation_unbiased: float
    for_95: int
    rows_per_unit: float


@measure(SecondState)
def spectrum(state: SecondState) -> Spectrum:
    """Eigenvalues and effective dimensions of a layer.

    The unbiased ratio uses tr(Σ²) ≈ [tr(S²) - (tr S)²/(n-1)]·(n-1)²/((n-2)(n+1)), exact in expectation for
    Gaussian rows.

    Cost:
        O(d³).

    Source:
        Roy & Vetterli 2007 (effective rank); Srivastava 2005 (unbiased tr Σ²).
    """
    second = state.settled()
    n, d = second.n, len(second.mean)
    if n < 2 or not second.gram.any():  # noqa: PLR2004
        return Spectrum(n, np.zeros(d), 0.0, 0.0, np.nan, 0, n / max(d, 1))
    covariance = second.gram / (n - 1)
    values = np.maximum(torch.linalg.eigvalsh(torch.from_numpy(covariance)).numpy()[::-1], 0.0)
    total, square = float(values.sum()), float((values**2).sum())
    share = values[values > 0] / total
    rank = float(np.exp(-(share * np.log(share)).sum()))
    for_95 = int(np.searchsorted(np.cumsum(values), 0.95 * total) + 1)
    return Spectrum(n, values, rank, total**2 / square, _unbiased(total, square, n), for_95, n / d)


def _unbiased(total: float, square: float, n: int) -> float:
    if n < 4:  # noqa: PLR2004
        return float("nan")
    m = n - 1
    factor = m**2 / ((m - 1) * (m + 2))
    square_hat = factor * (square - total**2 / m)
    total_squared_hat = factor * ((m + 1) / m * total**2 - 2 / m * square)
    return total_squared_hat / square_hat if square_hat > 0 else float("nan")
