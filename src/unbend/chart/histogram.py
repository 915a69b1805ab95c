"""The bars of a `Histogram` that are worth drawing."""

from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Float64
from unbend.numerics.histogram import Histogram

_RARE = 2e-3
"""Share of the values whose magnitudes, the smallest, become one bar."""


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """A histogram folded to what can be seen.

    Attributes:
        left: log10 of the lower |edge| of each bar, in units of the least one shown [b].
        width: its width in decades [b].
        share: share of all values [b], the bars of the negative side first.
        negative: whether a bar is on the negative side [b].
        inner: magnitude below which values count as near zero.
        near_zero: their share.
        zero: share of values that are exactly zero.
    """

    left: Float64[Array, "b"]
    width: Float64[Array, "b"]
    share: Float64[Array, "b"]
    negative: Array
    inner: float
    near_zero: float
    zero: float


def bars(result: Histogram) -> Bars:
    """The bars that are worth drawing: the smallest magnitudes, 0.2 % of the values in all, become one."""
    total = max(int(result.counts.sum()) + result.zeros, 1)
    low, high, counts = result.edges[:-1], result.edges[1:], result.counts
    side = (counts > 0) & ((low >= 0) | (high <= 0))
    low, high, counts = low[side], high[side], counts[side]
    negative = high <= 0
    near, far = np.where(negative, -high, low), np.where(negative, -low, high)
    order = np.argsort(near, kind="stable")
    few = np.cumsum(counts[order]) <= _RARE * total
    inner = float(near[order][~few].min()) if (~few).any() else 1.0
    shown = near >= inner
    scale = np.log10(near[shown] / inner)
    width = np.log10(far[shown] / near[shown])
    return Bars(scale, width, counts[shown] / total, negative[shown], inner,
                float(counts[~shown].sum() / total), result.zeros / total)  # fmt: skip
