"""Mean and range of every unit, by rising mean; of wide layers, of groups of neighbours."""

from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.numerics.moments import Moments

_MOST = 300


@dataclass(frozen=True, slots=True, eq=False)
class UnitRanges:
    """Units by rising mean; with more than 300, neighbours share a place.

    Attributes:
        order: the units [d].
        place: from 1 to the number of units [g].
        mean: mean, averaged over the group [g].
        std: standard deviation, averaged [g].
        low: least value in the group [g].
        high: greatest value in the group [g].
    """

    order: Int64[Array, "d"]
    place: Float64[Array, "g"]
    mean: Float64[Array, "g"]
    std: Float64[Array, "g"]
    low: Float64[Array, "g"]
    high: Float64[Array, "g"]


def unit_ranges(result: Moments) -> UnitRanges:
    """The ranges; NaN for a group without a finite value."""
    order = np.argsort(result.mean)
    groups = np.array_split(order, min(len(order), _MOST))
    place = np.linspace(1, len(order), len(groups)) if len(groups) > 1 else np.ones(1)
    mean, std = (_group(v, groups, np.nanmean) for v in (result.mean, result.std))
    low, high = _group(result.low, groups, np.nanmin), _group(result.high, groups, np.nanmax)
    return UnitRanges(order, place, mean, std, low, high)


def _group(values: Array, groups: list[Array], how: object) -> Array:
    """One value per group; NaN for a group without a finite one."""
    if len(groups) == len(values):
        alone = values[np.concatenate(groups)] if groups else values
        return np.where(np.isfinite(alone), alone, np.nan)
    return np.array([how(values[g]) if np.isfinite(values[g]).any() else np.nan for g in groups])  # type: ignore[operator]
