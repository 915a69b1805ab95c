"""The curve of a `Spectrum`."""

from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.numerics.spectrum import Spectrum

LEAST = 1e-8
"""Directions with a smaller share of the variance are left out."""
_POINTS = 120


@dataclass(frozen=True, slots=True, eq=False)
class SpectrumCurve:
    """Share of the variance over the principal directions.

    Attributes:
        direction: which ones, from 1 on, evenly spaced on a logarithmic axis [p]; none for a constant layer.
        share: their shares of the variance [p].
        n_directions: how many there are.
        effective_rank: directions in use.
        for_95: how many hold 95 % of the variance.
    """

    direction: Int64[Array, "p"]
    share: Float64[Array, "p"]
    n_directions: int
    effective_rank: float
    for_95: int


def spectrum_curve(result: Spectrum) -> SpectrumCurve:
    """At most 120 points of the curve."""
    total = result.values.sum()
    share = result.values / total if total > 0 else result.values[:0]
    kept = np.flatnonzero(share > LEAST)
    at = np.unique(np.round(np.geomspace(1, len(kept), _POINTS)).astype(np.int64)) - 1 if len(kept) else kept
    return SpectrumCurve(at + 1, share[kept][at], len(result.values), float(result.effective_rank), int(result.for_95))
