"""Words that the pictures of the lab share: points, lines with a positive side, warped grids, spreads.

In: plain arrays and axes. Out: marks on those axes. It must not know any claim. Colours are those of
`unbend.plot.style`, told apart with any kind of colour vision, and a class is always a mark as well as a colour.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from unbend.lab.claim import Number
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

Numbers: TypeAlias = Float[np.ndarray, "..."]

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
"""Marks of classes, in turn."""
_VECTOR_UP_TO = 5_000
_TICKS = 48


def scatter(
    axes: Axes,
    x: Float[np.ndarray, "n 2"],
    y: Shaped[np.ndarray, "n"],
    *,
    names: Sequence[str] | None = None,
    size: Number = 4.0,
    alpha: Number = 0.8,
) -> None:
    """Points by class, each class a colour and a mark; a cloud of over 5,000 points becomes an image.

    Args:
        axes: where to draw.
        x: the points.
        y: their classes, as indices.
        names: of the classes, for a legend; none when left out.
        size: of a mark, in printer's points.
        alpha: opacity of a mark.
    """
    for label in np.unique(y):
        index = int(label)
        points = x[y == label]
        axes.plot(
            *points.T,
            MARKS[index % len(MARKS)],
            color=class_color(index),
            markersize=size,
            markeredgewidth=0,
            alpha=alpha,
            label=None if names is None else names[index],
            rasterized=len(x) > _VECTOR_UP_TO,
        )


def window(axes: Axes, x: Float[np.ndarray, "n 2"], *, room: Number = 0.12, equal: bool = True) -> None:
    """Set limits around the points, with room beside them as a share of their extent."""
    low, high = x.min(axis=0), x.max(axis=0)
    pad = room * max(float((high - low).max()), 1e-9) if equal else room * np.maximum(high - low, 1e-9)
    (x0, y0), (x1, y1) = low - pad, high + pad
    axes.set(xlim=(x0, x1), ylim=(y0, y1))
    if equal:
        axes.set_aspect("equal", adjustable="box")


def line_within(
    weight: Float[np.ndarray, "2"], bias: float, low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "2 2"] | None:
    """The two ends of the line `weight @ x + bias = 0` within a box, positive side to the left; None outside of it.

    Example:
        >>> line_within(np.array([1.0, 0.0]), -0.5, np.zeros(2), np.ones(2))
        array([[0.5, 1. ],
               [0.5, 0. ]])
    """
    size = float(weight @ weight)
    if size == 0.0 or not np.isfinite(size):
        return None
    start = -bias * weight / size
    along = np.array([weight[1], -weight[0]]) / np.sqrt(size)
    first, last = -np.inf, np.inf
    for axis in range(2):
        if along[axis] == 0.0:
            if not low[axis] <= start[axis] <= high[axis]:
                return None
            continue
        ends = sorted(((low[axis] - start[axis]) / along[axis], (high[axis] - start[axis]) / along[axis]))
        first, last = max(first, ends[0]), min(last, ends[1])
    return None if first >= last else start + np.array([[first], [last]]) * along


def plane_lines(
    axes: Axes,
    weight: Float[np.ndarray, "d 2"],
    bias: Float[np.ndarray, "d"],
    *,
    colors: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    style: str = "-",
    width: Number = 1.4,
    sides: bool = True,
) -> None:
    """The lines where the units of a layer are zero, with short strokes towards the positive side.

    A line that misses the window is not drawn, so set the limits first.

    Args:
        axes: where to draw.
        weight: a row for each unit, as torch has them.
        bias: of the units.
        colors: of the lines; ink when left out.
        names: of the lines, for a legend.
        style: of the lines, as matplotlib spells it.
        width: of the lines, in printer's points.
        sides: whether to mark the positive side.
    """
    x_limits, y_limits = axes.get_xlim(), axes.get_ylim()
    low, high = np.array([min(x_limits), min(y_limits)]), np.array([max(x_limits), max(y_limits)])
    diagonal = float(np.linalg.norm(high - low))
    for unit, (row, offset) in enumerate(zip(weight, bias, strict=True)):
        ends = line_within(row, float(offset), low, high)
        if ends is None:
            continue
        color = INK if colors is None else colors[unit]
        name = None if names is None else names[unit]
        axes.plot(*ends.T, style, color=color, linewidth=width, label=name, scalex=False, scaley=False)
        if sides:
            strokes = _strokes(ends, row / np.linalg.norm(row), diagonal)
            axes.add_collection(LineCollection(list(strokes), colors=color, linewidths=0.55 * width), autolim=False)


def _strokes(ends: Numbers, normal: Numbers, diagonal: float) -> Numbers:
    """Short strokes from the line along its normal, evenly spaced whatever the length of the line."""
    length = float(np.linalg.norm(ends[1] - ends[0]))
    n = max(2, round(_TICKS * length / diagonal))
    feet = ends[0] + (np.arange(n)[:, None] + 0.5) / n * (ends[1] - ends[0])
    return np.stack([feet, feet + 0.018 * diagonal * normal], axis=1)


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


def grid(
    low: Sequence[Number], high: Sequence[Number], *, n_lines: int = 13, n_points: int = 49
) -> Float[np.ndarray, "m p 2"]:
    """The lines of a square grid over a box of the plane, `n_lines` each way, `n_points` on each.

    Example:
        >>> grid((0, 0), (1, 1), n_lines=3, n_points=5).shape
        (6, 5, 2)
    """
    along = np.linspace(0.0, 1.0, n_points)
    place = np.linspace(0.0, 1.0, n_lines)
    level = np.stack(np.meshgrid(along, place), axis=-1)
    lines = np.concatenate([level, level[..., ::-1]])
    return np.asarray(low, dtype=np.float64) + lines * (np.asarray(high, dtype=np.float64) - np.asarray(low))


def warped_grid(
    axes: Axes, lines: Float[np.ndarray, "m p 2"], *, color: str = GREY, width: Number = 0.6, alpha: Number = 0.75
) -> None:
    """The lines of a grid wherever a layer has taken them; they do not move the axes' limits."""
    drawn = LineCollection(list(lines), colors=color, linewidths=width, alpha=alpha, zorder=-1)
    axes.add_collection(drawn, autolim=False)


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


def legend(axes: Axes, *, place: str = "inside", **options: object) -> None:
    """A legend without a frame: inside, or "right" of or "above" the axes, where nothing is covered."""
    places: dict[str, dict[str, object]] = {
        "inside": {},
        "right": {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)},
        "above": {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 4},
    }
    axes.legend(**{"frameon": False, "fontsize": 7.5, **places[place], **options})  # type: ignore[arg-type]
