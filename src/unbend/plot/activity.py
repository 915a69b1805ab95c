"""Every unit of a layer as one cell of a strip: how active it is, and which units are silent.

In: an `Activity`. Out: a grid of cells on given axes, in the order of the units, row after row.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from unbend._typing import Array
from unbend.numerics.activity import Activity
from unbend.plot.style import BLUE, INK, MUTED, ORANGE, VERMILION, tint

_SPAN = 2.0
_LEAST = 1e-12
_CROWDED = 60

VERDICTS = (
    ("silent", VERMILION, "x"),
    ("saturated", INK, "s"),
    ("dormant", ORANGE, "v"),
    ("always_on", INK, "o"),
)
"""What a unit can be, its colour and its mark; a unit takes the first that holds."""


def activity(ax: Axes, result: Activity) -> None:
    """Units as cells: the fuller the blue, the larger the mean magnitude, on a log scale of two decades.

    A silent unit is a crossed vermilion cell, a saturated one carries a square, a dormant one a triangle and
    one that is always on a ring. In wide layers the marks shrink to a colour, never below a visible size.
    """
    d = len(result.score)
    columns = grid_width(d, ratio=6.0)
    rows = -(-d // columns)
    with np.errstate(divide="ignore"):
        share = 1 + np.log10(np.maximum(result.score, 1e-12) / max(result.score.max(initial=0), 1e-12)) / _SPAN
    cells = np.full(rows * columns, np.nan)
    cells[:d] = 0.06 + 0.94 * np.clip(share, 0, 1)
    picture = tint(BLUE, cells.reshape(rows, columns))
    taken = np.zeros(d, dtype=bool)
    for name, color, mark in VERDICTS:
        units = np.flatnonzero(getattr(result, name) & ~taken)
        taken[units] = True
        if name == "silent":
            picture.reshape(-1, 4)[units] = tint(color, np.full(len(units), 0.9))
        _marks(ax, units, columns, color, mark)
    ax.imshow(picture, aspect="auto", interpolation="none", extent=(-0.5, columns - 0.5, rows - 0.5, -0.5))
    _rules(ax, d, columns)
    ax.set_axis_off()


def grid_width(d: int, *, ratio: float) -> int:
    """Cells in a row, so that a grid `ratio` times as wide as high has about square cells; up to 16 in one row."""
    if d <= 16:
        return max(d, 1)
    return max(int(np.ceil(np.sqrt(d * ratio))), 1)


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
