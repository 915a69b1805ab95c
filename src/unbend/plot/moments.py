"""Mean, spread and extremes of every unit.

In: a `Moments`. Out: units along x, sorted by mean; for wide layers, envelopes of neighbours.
"""

from matplotlib.axes import Axes

from unbend.chart.moments import unit_ranges
from unbend.numerics.moments import Moments
from unbend.plot.style import BLUE, FAINT, MUTED

_SINGLE = 40
"""Up to this many groups are drawn one by one."""


def moments(ax: Axes, result: Moments) -> None:
    """Mean ± standard deviation within the least and greatest value, units sorted by mean.

    With more than 300 units neighbours share a place: their extremes are kept, means are averaged.
    """
    units = unit_ranges(result)
    x, mean, std, low, high = units.place, units.mean, units.std, units.low, units.high
    ax.axhline(0, color=FAINT, lw=0.8)
    if len(x) <= _SINGLE:
        ax.vlines(x, low, high, color=MUTED, lw=0.7)
        ax.vlines(x, mean - std, mean + std, color=BLUE, lw=3, alpha=0.45)
        ax.plot(x, mean, "o", color=BLUE, ms=3)
    else:
        ax.fill_between(x, low, high, color=MUTED, alpha=0.16, lw=0)
        ax.fill_between(x, mean - std, mean + std, color=BLUE, alpha=0.3, lw=0)
        ax.plot(x, mean, color=BLUE, lw=1.2)
    ax.set_xlim(0.5, len(units.order) + 0.5)
    ax.set_xlabel("unit, by rising mean")
