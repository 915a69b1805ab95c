"""Flat views of a layer's rows: which group each is in, and the window they are seen through."""

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.numerics.planes import Projections

_OUTSIDE = 0.005
_PAD = 0.08
_FIFTHS = (0.2, 0.4, 0.6, 0.8)


def groups(result: Projections, good: Array, *, is_classes: bool) -> Int64[Array, "s"]:
    """The class of each row; of a regression, from 0 for the least to 4 for the greatest fifth of the targets.

    Args:
        result: the rows.
        good: which of them can be drawn [s].
        is_classes: whether their labels are classes.
    """
    if is_classes:
        return result.label.astype(np.int64)
    edges = np.quantile(result.label[good], _FIFTHS) if good.any() else np.zeros(len(_FIFTHS))
    return np.searchsorted(edges, result.label)


def window(points: Float64[Array, "s 2"]) -> tuple[Float64[Array, "2"], Float64[Array, "2"]]:
    """Room for all points but the farthest 0.5 % on a side, so that one outlier does not shrink the rest."""
    if not len(points):
        return np.full(2, -1.0), np.ones(2)
    low, high = np.quantile(points, [_OUTSIDE, 1 - _OUTSIDE], axis=0)
    pad = _PAD * np.maximum(high - low, 1e-9)
    return low - pad, high + pad
