"""How many directions a layer really uses."""

import numpy as np

from unbend._typing import Array, Float64
from unbend.numerics.result import result
from unbend.numerics.second import SecondState, without_constants
from unbend.numerics.state import measure


@result
class Spectrum:
    """Eigenvalues of the covariance of a layer's rows, and what they amount to.

    Attributes:
        n: rows it was measured on.
        values: covariance eigenvalues, falling [d].
        effective_rank: exp of the entropy of the eigenvalue shares (Roy & Vetterli 2007, on variances).
        participation_ratio: (Σλ)² / Σλ², as it comes; biased low when n is not much larger than d.
        participation_unbiased: the same with the sample bias of both sums removed; NaN when n < 3.
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

    The unbiased ratio is that of two estimates which are exact in expectation for Gaussian rows:
    tr(Σ²) ≈ c·[tr(S²) - (tr S)²/m] and (tr Σ)² ≈ c·[(tr S)²·(m+1)/m - tr(S²)·2/m], with m = n-1 and
    c = m²/((m-1)(m+2)). A constant layer has no directions: 0.

    Cost:
        O(d³).

    Source:
        Roy & Vetterli 2007 (effective rank); Srivastava 2005 (unbiased tr Σ²).
    """
    second = state.settle()
    n, d = second.n, len(second.mean)
    gram = without_constants(second)
    if n < 2 or not gram.any():
        return Spectrum(
            n=n, values=np.zeros(d), effective_rank=0.0, participation_ratio=0.0, participation_unbiased=np.nan,
            for_95=0, rows_per_unit=n / max(d, 1),
        )  # fmt: skip
    import torch

    covariance = gram / (n - 1)
    values = np.maximum(torch.linalg.eigvalsh(torch.from_numpy(covariance)).numpy()[::-1], 0.0)
    total = float(values.sum())
    share = values / total
    alive = share[share > 0]
    rank = float(np.exp(-(alive * np.log(alive)).sum()))
    for_95 = int(np.searchsorted(np.cumsum(share), 0.95) + 1)
    square = float((share**2).sum())
    return Spectrum(
        n=n, values=values, effective_rank=rank, participation_ratio=1 / square,
        participation_unbiased=_unbiased_ratio(square, n), for_95=min(for_95, d), rows_per_unit=n / d,
    )  # fmt: skip


def _unbiased_ratio(square: float, n: int) -> float:
    """Participation ratio from tr(S²) / (tr S)², both sums freed of their bias."""
    if n < 3:
        return float("nan")
    m = n - 1
    above, below = (m + 1) / m - 2 / m * square, square - 1 / m
    return above / below if below > 1e-12 else float("nan")
