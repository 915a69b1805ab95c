"""Every unit of a layer as one cell of a strip: how active it is, and which units are silent.

In: an `Activity`. Out: a grid of cells on given axes, in the order of the units, row after row.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from unbend._typing import Array
from unbend.chart.activity import VERDICTS, unit_strip
from unbend.numerics.activity import Activity
from unbend.plot.style import BLUE, INK, MUTED, ORANGE, VERMILION, tint

_CROWDED = 60

_LOOKS = ((VERMILION, "x"), (INK, "s"), (ORANGE, "v"), (INK, "o"))
"""Colour and mark of each of `VERDICTS`."""


def activity(ax: Axes, result: Activity) -> None:
    """Units as cells: the fuller the blue, the larger the mean magnitude, on a log scale of two decades.

    A silent unit is a crossed vermilion cell, a saturated one carries a square, a dormant one a triangle and
    one that is always on a ring. In wide layers the marks shrink to a colour, never below a visible size.
    """
    strip = unit_strip(result)
    d, columns = len(strip.shade), strip.columns
    rows = -(-d // columns)
    cells = np.full(rows * columns, np.nan)
    cells[:d] = strip.shade
    picture = tint(BLUE, cells.reshape(rows, columns))
    for place, (name, (color, mark)) in enumerate(zip(VERDICTS, _LOOKS, strict=True), 1):
        units = np.flatnonzero(strip.verdict == place)
        if name == "silent":
            picture.reshape(-1, 4)[units] = tint(color, np.full(len(units), 0.9))
        _marks(ax, units, columns, color, mark)
    ax.imshow(picture, aspect="auto", interpolation="none", extent=(-0.5, columns - 0.5, rows - 0.5, -0.5))
    _rules(ax, d, columns)
    ax.set_axis_off()


def _marks(ax: Axes, units: Array, columns: int, color: str, mark: str) -> None:
    """Marks over cells; in a crowd only silent units keep one, a square that is never too small to see."""
    crowded = columns > _CROWDED
    if not len(units) or (crowded and mark != "x"):
        return
    size = float(np.clip(110 / columns, 1.2, 7))
    edge = max(size / 5, 0.6)
    looks: dict[str, dict[str, Any]] = {
        "x": {"marker": "s", "mfc": color, "mec": "none"} if crowded else {"marker": "x", "mec": INK, "mew": edge},
        "o": {"marker": "o", "mfc": "none", "mec": color, "mew": edge},
    }
    look = looks.get(mark, {"marker": mark, "mfc": color, "mec": "none"})
    ax.plot(units % columns, units // columns, ls="none", ms=size, **look)


def _rules(ax: Axes, d: int, columns: int) -> None:
    """Hair lines between cells while there is room for them."""
    if columns > _CROWDED:
        return
    rows, last = -(-d // columns), (d - 1) % columns + 1
    place = np.arange(columns + 1)
    ax.vlines(place - 0.5, -0.5, np.where(place <= last, rows, rows - 1) - 0.5, color=MUTED, lw=0.25)
    ends = np.where(np.arange(rows + 1) < rows, columns, last) - 0.5
    ax.hlines(np.arange(rows + 1) - 0.5, -0.5, ends, color=MUTED, lw=0.25)
