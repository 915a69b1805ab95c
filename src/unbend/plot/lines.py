"""Lines of the plane: where units are zero, with their positive side, and grids wherever a layer took them.

In: weights, or a network of two inputs. Out: marks on given axes, figures, frames.
"""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor, nn

from unbend.explain.lines import UnitLines, first_lines
from unbend.plot.film import image_of
from unbend.plot.scatter import Number, scatter
from unbend.plot.style import GREY, INK, PAPER, RC, class_color

_TICKS = 48
_SIDED = 24
"""Up to this many lines get strokes on their positive side, and a colour each."""
_INCHES = 2.7
_ROOM = 0.15
"""Room around the rows on each side, as a share of their extent."""

State: TypeAlias = Mapping[str, Tensor] | str | PathLike[str] | None
"""Weights: a state dict, a file of one, or None for those that the network has now."""


def hidden_lines(
    net: nn.Module,
    x: Any = None,
    y: Any = None,
    *,
    ax: Axes | None = None,
    weights: State = None,
    colors: Sequence[str] | None = None,
) -> Axes:
    """Where each unit of the first layer is zero, with strokes on the side on which it is positive.

    Args:
        net: a network of two inputs.
        x: rows to draw with the lines [n, 2]; None for none.
        y: their classes; None for one class.
        ax: where to draw; None for axes of a new figure. Limits that were set stay; else they hold the rows.
        weights: a state dict of `net`, or a file of one, to draw instead of what it holds now: before the training,
            or during it.
        colors: of the lines; None for those of classes up to 24 units, and ink beyond.

    Raises:
        ModelError: the first layer is no Linear layer of two inputs.
        LoadError: the file holds no weights of this network.

    Example:
        >>> import unbend
        >>> net = unbend.zoo.mlp([2, 3, 1], seed=0)
        >>> len(unbend.plot.hidden_lines(net).lines) <= 3
        True
    """
    lines = first_lines(net, weights)
    with rc_context(RC):
        if ax is None:
            ax = Figure((4.0, 4.0), facecolor=PAPER, layout="constrained").subplots()
        _lines(ax, lines, _points(x), _classes(x, y), colors)
    return ax


def hidden_lines_grid(
    net: nn.Module, at: Mapping[str, State], x: Any = None, y: Any = None, *, colors: Sequence[str] | None = None
) -> Figure:
    """The lines of the first layer at several times, side by side: before, during and after the training.

    Args:
        net: a network of two inputs.
        at: what stands above each picture, and the weights then: state dicts, files of them, None for those of now.
        x: rows to draw with the lines; None for none.
        y: their classes.
        colors: as in `hidden_lines`.
    """
    with rc_context(RC):
        figure = Figure((_INCHES * len(at), _INCHES + 0.25), facecolor=PAPER, layout="constrained")
        all_axes = figure.subplots(1, len(at), squeeze=False)[0]
        for ax, (words, weights) in zip(all_axes, at.items(), strict=True):
            _lines(ax, first_lines(net, weights), _points(x), _classes(x, y), colors)
            ax.set_title(words, loc="left", parse_math=False)
    return figure


def hidden_lines_film(
    net: nn.Module, at: Mapping[str, State], x: Any = None, y: Any = None, *, colors: Sequence[str] | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The same one after the other, as the frames of a film; `unbend.plot.film.gif` writes them.

    Args:
        net: a network of two inputs.
        at: the words and the weights of each frame.
        x: rows to draw with the lines; None for none.
        y: their classes.
        colors: as in `hidden_lines`.
    """
    for words, weights in at.items():
        with rc_context(RC):
            figure = Figure((4.2, 4.4), dpi=110, facecolor=PAPER)
            ax = figure.add_axes((0.12, 0.1, 0.85, 0.82))
            _lines(ax, first_lines(net, weights), _points(x), _classes(x, y), colors)
            ax.set_title(words, loc="left", parse_math=False)
            yield image_of(figure)


def _lines(
    ax: Axes, lines: UnitLines, x: Float[np.ndarray, "n 2"] | None, y: Shaped[np.ndarray, "n"] | None,
    colors: Sequence[str] | None,
) -> None:  # fmt: skip
    """Rows, and the lines over a window that holds them."""
    points = np.array([[-1.0, -1.0], [1.0, 1.0]]) if x is None else x
    if ax.get_autoscale_on():
        middle = (points.min(0) + points.max(0)) / 2
        reach = (0.5 + _ROOM) * max(float(np.ptp(points, axis=0).max()), 1e-9)
        ax.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
    ax.set(xlabel="x1", ylabel="x2")
    ax.set_aspect("equal", adjustable="box")
    n = len(lines.weight)
    shades = colors or ([class_color(i) for i in range(n)] if n <= _SIDED else None)
    if x is not None and y is not None:
        scatter(ax, x, y, alpha=0.45, size=3.0)
    plane_lines(ax, lines.weight, lines.bias, colors=shades, sides=n <= _SIDED, width=1.4 if n <= _SIDED else 0.6)


def _points(x: Any) -> Float[np.ndarray, "n 2"] | None:
    if x is None:
        return None
    return np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, np.float64)


def _classes(x: Any, y: Any) -> Shaped[np.ndarray, "n"] | None:
    if x is None:
        return None
    if y is None:
        return np.zeros(len(x), np.int64)
    return np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)


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


def _strokes(
    ends: Float[np.ndarray, "..."], normal: Float[np.ndarray, "..."], diagonal: float
) -> Float[np.ndarray, "..."]:
    """Short strokes from the line along its normal, evenly spaced whatever the length of the line."""
    length = float(np.linalg.norm(ends[1] - ends[0]))
    n = max(2, round(_TICKS * length / diagonal))
    feet = ends[0] + (np.arange(n)[:, None] + 0.5) / n * (ends[1] - ends[0])
    return np.stack([feet, feet + 0.018 * diagonal * normal], axis=1)


def warped_grid(
    axes: Axes, lines: Float[np.ndarray, "m p 2"], *, color: str = GREY, width: Number = 0.6, alpha: Number = 0.75
) -> None:
    """The lines of a grid wherever a layer has taken them; they do not move the axes' limits."""
    drawn = LineCollection(list(lines), colors=color, linewidths=width, alpha=alpha, zorder=-1)
    axes.add_collection(drawn, autolim=False)
