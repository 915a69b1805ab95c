"""How the values of a layer are distributed over many orders of magnitude.

In: a `Histogram` on the signed logarithmic grid. Out: bars on given axes, zero in the middle.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from unbend.chart.histogram import Bars, bars
from unbend.numerics.histogram import Histogram
from unbend.plot.style import BLUE, MUTED, VERMILION


def histogram(ax: Axes, result: Histogram) -> None:
    """Bars of equal width in log magnitude, negative values to the left, exact zeros as one bar between."""
    b = bars(result)
    gap = 0.12 * max(float((b.left + b.width).max(initial=1.0)), 1.0)
    x = np.where(b.negative, -gap - b.left - b.width, gap + b.left)
    right, floor = x + b.width, np.zeros_like(x)
    corners = np.array([[x, floor], [x, b.share], [right, b.share], [right, floor]]).transpose(2, 0, 1)
    ax.add_collection(PolyCollection(list(corners), facecolor=BLUE, linewidth=0), autolim=False)
    top = float(b.share.max(initial=0))
    middle = b.zero + b.near_zero
    if middle:
        height = min(middle, 1.15 * top) if top else middle
        ax.bar(0, height, gap, color=VERMILION if b.zero > b.near_zero else MUTED, lw=0)
        word = f"{100 * b.zero:.3g} % zero" if b.zero > b.near_zero else f"{100 * middle:.2g} % near 0"
        ax.annotate(word, (0, height), (0, 3), textcoords="offset points", ha="center", color=MUTED)
    ax.set_ylim(0, 1.4 * max(top, 1e-9) if top else 1.4 * middle or 1)
    _signed_ticks(ax, b, gap)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def _signed_ticks(ax: Axes, b: Bars, gap: float) -> None:
    reach = {s: float((b.left + b.width)[b.negative == s].max(initial=0)) for s in (True, False)}
    widest = max(reach.values())
    step = max(1, int(np.ceil(widest / 3)))
    places, words = [0.0], ["0"]
    first = int(np.ceil(np.log10(b.inner)))
    for power in range(first, first + int(widest) + 2, step):
        at = gap + power - np.log10(b.inner)
        for sign, word in ((-1, "−"), (1, "")):
            if at <= gap + reach[sign < 0] + 0.05:
                places.append(sign * at)
                words.append(f"{word}{_power(power)}")
    ax.set_xticks(places, words)
    ax.set_xlim(-gap * 1.3 - reach[True], gap * 1.3 + reach[False])


def _power(power: int) -> str:
    """A power of ten as people write it."""
    return f"{10.0**power:g}" if -4 < power < 5 else f"1e{power}"
