"""Maps of every layer: side by side, and as a film in which the rows move from layer to layer.

In: `LayerMaps` and a method. Out: figures, marks on given axes, frames.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unbend._shares import percent
from unbend._typing import Array, Float64
from unbend.explain.maps.maps import LayerMaps
from unbend.plot.film import image_of, kept_frames, moment, n_moments
from unbend.plot.style import BLUE, INK, MUTED, PAPER, RC, VERMILION, class_color, distinct, shorten

_NAMED = 24
"""Up to this many classes are named."""
_SIDE, _GAP, _HEAD, _MOST_ACROSS = 1.9, 0.12, 0.36, 5
"""Inches of a map, between two, and above each; maps in a line."""
_FIFTHS = (BLUE, BLUE, MUTED, VERMILION, VERMILION)
_OUTSIDE = 0.998
"""Share of the distances from the middle that a window holds."""


def reach(points: Float64[Array, "*l n 2"]) -> float:
    """Half the side of a square window that holds the maps of all layers, a few far rows left out."""
    return 1.08 * float(np.quantile(np.abs(points), _OUTSIDE)) or 1.0


def layer_map(ax: Axes, result: LayerMaps, method: str, layer: str) -> None:
    """One layer's map: dots for training rows, open diamonds for held-out rows, names at the middles of classes.

    Args:
        ax: where to draw.
        result: the maps.
        method: one of its methods.
        layer: one of its layers.
    """
    series = result[method]
    _rows(ax, result, series.points[result.layers.index(layer)], reach(series.points))


def map_grid(result: LayerMaps, method: str) -> Figure:
    """The maps of all layers side by side: the evolution of the data through the network, in one picture.

    Args:
        result: the maps.
        method: one of its methods.
    """
    series = result[method]
    n = len(result.layers)
    across = min(n, _MOST_ACROSS)
    down = -(-n // across)
    with rc_context(RC):
        figure = Figure(
            (across * (_SIDE + _GAP) + _GAP, down * (_SIDE + _HEAD) + _GAP), facecolor=PAPER, layout=None
        )  # fmt: skip
        width, height = figure.get_size_inches()
        for i in range(n):
            left = _GAP + (i % across) * (_SIDE + _GAP)
            low = height - (i // across + 1) * (_SIDE + _HEAD)
            ax = figure.add_axes((left / width, low / height, _SIDE / width, _SIDE / height))
            _rows(ax, result, series.points[i], reach(series.points), size=2.0)
            ax.set_title(_words(result, method, i), loc="left", fontsize=7)
    return figure


def map_frame(ax: Axes, result: LayerMaps, method: str, i: int) -> None:
    """Frame `i` of the film, from 0 to `n_map_frames(result) - 1`: rows on their way from one layer to the next."""
    points = result[method].points
    step, share = moment(i, len(points) - 1) if len(points) > 1 else (0, 0.0)
    last = min(step + 1, len(points) - 1)
    _rows(ax, result, (1 - share) * points[step] + share * points[last], reach(points))
    ax.set_title(_words(result, method, step if share == 0 else last), loc="left")


def n_map_frames(result: LayerMaps) -> int:
    """Frames of the film: a rest at the first layer, then a move and a rest for every other."""
    return n_moments(len(result.layers) - 1)


def map_film(result: LayerMaps, method: str) -> Iterator[UInt8[Array, "h w 3"]]:
    """The frames of the film as images, at most 240 of them; `unbend.plot.gif` writes them.

    Args:
        result: from `unbend.maps`.
        method: one of its methods, such as "tsne".

    Raises:
        DataError: it is not among them.
    """
    with rc_context(RC):
        for i in kept_frames(n_map_frames(result)):
            figure = Figure((4.6, 4.8), dpi=110, facecolor=PAPER)
            map_frame(figure.add_axes((0.03, 0.03, 0.94, 0.9)), result, method, i)
            yield image_of(figure)


def _words(result: LayerMaps, method: str, i: int) -> str:
    """A layer with how far its map can be trusted."""
    series = result[method]
    told = f"{shorten(result.labels[i])}: trust {series.trustworthiness[i]:.2f}"
    return told + (f", kNN {percent(series.accuracy[i])}" if np.isfinite(series.accuracy[i]) else "")


def _rows(ax: Axes, result: LayerMaps, points: Float64[Array, "n 2"], around: float, *, size: float = 3.0) -> None:
    """The rows by class in a square window of `around` on each side of the middle."""
    ax.set(xticks=[], yticks=[], xlim=(-around, around), ylim=(-around, around))
    for side in ax.spines.values():
        side.set(visible=True, color=MUTED, linewidth=0.4)
    is_classes = bool(result.class_names)
    for label in np.unique(result.y):
        color = class_color(int(label)) if is_classes else _FIFTHS[label]
        mine = result.y == label
        dots, diamonds = points[mine & ~result.held_out], points[mine & result.held_out]
        ax.plot(*dots.T, "o", color=color, ms=size, mew=0, alpha=0.55)
        ax.plot(*diamonds.T, "D", mfc="none", mec=color, ms=0.9 * size, mew=0.55, alpha=0.9)
    if is_classes and len(result.class_names) <= _NAMED:
        for label, word in enumerate(distinct(result.class_names)):
            if (result.y == label).any():
                x, y = np.median(points[result.y == label], axis=0)
                ax.text(x, y, shorten(word, 12), color=INK, ha="center", va="center", fontweight="bold",
                        fontsize=2.4 * size, clip_on=True, parse_math=False)  # fmt: skip
