"""Shades of square tables: what a read-out takes for what, and how alike the layers are."""

import numpy as np

from unbend._typing import Array, Float64
from unbend.numerics.similarity import Similarity

_FULL = 0.1


def mistake_share(confusion: Array) -> Float64[Array, "k k"]:
    """Share of each true class read as another; the right ones are left empty."""
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    np.fill_diagonal(share, 0.0)
    return share


def mistake_shade(share: Float64[Array, "k k"]) -> Float64[Array, "k k"]:
    """Full at the worst share, or at 10 % where all are smaller, so that a good layer looks good."""
    return np.sqrt(share / max(float(share.max(initial=0)), _FULL))


def likeness_shade(result: Similarity) -> Float64[Array, "l l"]:
    """The square of CKA: what is only half alike is a quarter full; NaN where there is none."""
    return np.where(np.isfinite(result.cka), np.clip(result.cka, 0, 1), np.nan) ** 2
