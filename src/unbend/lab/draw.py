"""Words that the pictures of the lab share: those of `unbend.plot` for points, lines and grids; fields and spreads.

In: plain arrays and axes. Out: marks on those axes. It must not know any claim. Colours are those of
`unbend.plot.style`, told apart with any kind of colour vision, and a class is always a mark as well as a colour.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Shaped
from matplotlib.axes import Axes

from unbend.explain.flow import grid
from unbend.lab.claim import Number
from unbend.plot.lines import line_within, plane_lines, warped_grid
from unbend.plot.scatter import MARKS, legend, scatter
from unbend.plot.style import (
    BLUE,
    CLASSES,
    FAINT,
    GREEN,
    GREY,
    INDIGO,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PINK,
    SKY,
    VERMILION,
    WINE,
    YELLOW,
    class_color,
    tint,
)

__all__ = [
    "BLUE", "CLASSES", "FAINT", "GREEN", "GREY", "INDIGO", "INK", "MARKS", "MUTED", "ORANGE", "PAPER", "PINK", "SKY",
    "VERMILION", "WINE", "YELLOW", "band", "class_color", "field", "grid", "legend", "line_within", "plane_lines",
    "scatter", "tint", "warped_grid", "window",
]  # fmt: skip


def window(axes: Axes, x: Float[np.ndarray, "n 2"], *, room: Number = 0.12, equal: bool = True) -> None:
    """Set limits around the points, with room beside them as a share of their extent."""
    low, high = x.min(axis=0), x.max(axis=0)
    pad = room * max(float((high - low).max()), 1e-9) if equal else room * np.maximum(high - low, 1e-9)
    (x0, y0), (x1, y1) = low - pad, high + pad
    axes.set(xlim=(x0, x1), ylim=(y0, y1))
    if equal:
        axes.set_aspect("equal", adjustable="box")


def field(
    axes: Axes,
    f: Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n"]],
    *,
    level: Number | None = 0.5,
    low: Number = 0.0,
    high: Number = 1.0,
    n: int = 121,
) -> None:
    """A number over the plane as a tint, class 0's colour at `low` and class 1's at `high`, in the axes' limits.

    Args:
        axes: where to draw; set the limits first.
        f: from rows of points to one number each.
        level: where to draw the boundary as a line; None for none.
        low: the number that gets the full colour of class 0.
        high: the number that gets the full colour of class 1.
        n: points along each side.
    """
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    # The middles of n pixels a side, so that the image covers the window exactly.
    across, up = (a + (np.arange(n) + 0.5) / n * (b - a) for a, b in ((x0, x1), (y0, y1)))
    points = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    value = np.asarray(f(points), dtype=np.float64).reshape(n, n)
    share = np.clip(2 * (value - low) / (high - low) - 1, -1, 1)
    rgba = np.where((share > 0)[..., None], tint(class_color(1), 0.45 * share), tint(class_color(0), -0.45 * share))
    axes.imshow(rgba, extent=(x0, x1, y0, y1), origin="lower", interpolation="bilinear",
                aspect=axes.get_aspect(), zorder=-2)  # fmt: skip
    if level is not None and value.min() < level < value.max():
        axes.contour(across, up, value, levels=[level], colors=[INK], linewidths=1.2)


def band(
    axes: Axes,
    x: Shaped[np.ndarray, "n"],
    values: Float[np.ndarray, "s n"],
    *,
    color: str = BLUE,
    label: str | None = None,
    mark: str = "o",
    style: str = "-",
    keep: Bool[np.ndarray, "n"] | None = None,
) -> None:
    """The median over rows (seeds, nets, …) as a line, and the span from the lowest to the highest as a band.

    Args:
        axes: where to draw.
        x: places along the axis.
        values: a row for each seed.
        color: of line and band.
        label: for the legend.
        mark: at the medians.
        style: of the line.
        keep: which places to draw; all when left out.
    """
    chosen = np.ones(len(x), dtype=bool) if keep is None else keep
    at, rows = x[chosen], values[:, chosen]
    if len(rows) > 1:
        axes.fill_between(at, rows.min(axis=0), rows.max(axis=0), color=color, alpha=0.18, linewidth=0)
    axes.plot(at, np.median(rows, axis=0), mark + style, color=color, markersize=3.5, label=label)
