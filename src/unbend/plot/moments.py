"""Mean, spread and extremes of every unit.

In: a `Moments`. Out: units along x, sorted by mean; for wide layers, envelopes of neighbours.
"""

import numpy as np
from matplotlib.axes import Axes

from unbend._typing import Array
from unbend.numerics.moments import Moments
from unbend.plot.style import BLUE, FAINT, MUTED

_MOST = 300


def moments(ax: Axes, result: Moments) -> None:
    """Mean ± standard deviation within the least and greatest value, units sorted by mean.

    With more than 300 units neighbours share a place: their extremes are kept, means are averaged.
    """
    order = np.argsort(result.mean)
    groups = np.array_split(order, min(len(order), _MOST))
    x = np.linspace(1, len(order), len(groups)) if len(groups) > 1 else np.ones(1)
    mean, std = (_grouped(v, groups, np.nanmean) for v in (result.mean, result.std))
    low, high = _grouped(result.low, groups, np.nanmin), _grouped(result.high, groups, np.nanmax)
    ax.axhline(0, color=FAINT, lw=0.8)
    if len(groups) <= 40:
        ax.vlines(x, low, high, color=MUTED, lw=0.7)
        ax.vlines(x, mean - std, mean + std, color=BLUE, lw=3, alpha=0.45)
        ax.plot(x, mean, "o", color=BLUE, ms=3)
    else:
        ax.fill_between(x, low, high, color=MUTED, alpha=0.16, lw=0)
        ax.fill_between(x, mean - std, mean + std, color=BLUE, alpha=0.3, lw=0)
        ax.plot(x, mean, color=BLUE, lw=1.2)
    ax.set_xlim(0.5, len(order) + 0.5)
    ax.set_xlabel("unit, by rising mean")


def _grouped(values: Array, groups: list[Array], how: object) -> Array:
    """One value per group; NaN for a group without a finite one."""
    return np.array([how(values[g]) if np.isfinite(values[g]).any() else np.nan for g in groups])  # type: ignore[operator]
