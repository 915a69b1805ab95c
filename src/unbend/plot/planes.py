"""Flat views of a layer's rows: points by class, held-out rows by shape.

In: `Planes` and class names. Out: points on given axes. Each class is one group `class-i`, so that a page
can bring one forward; names stand at the middle of their class.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from unbend._typing import Array, Float64
from unbend.numerics.planes import Planes
from unbend.plot.style import BLUE, INK, MUTED, PAPER, VERMILION, class_color, shortened

_NAMED = 30


def pca(ax: Axes, result: Planes, *, class_names: Sequence[str] = ()) -> None:
    """The two directions of most variance."""
    _scattered(ax, result, result.pca, class_names)


def discriminant(ax: Axes, result: Planes, *, class_names: Sequence[str] = ()) -> None:
    """The two directions that best tell the classes apart, in units of the spread within them."""
    points = result.pca * np.nan if result.discriminant is None else result.discriminant
    _scattered(ax, result, points, class_names)


def _scattered(ax: Axes, result: Planes, points: Float64[Array, "s 2"], class_names: Sequence[str]) -> None:
    ax.set(xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set_visible(False)
    good = np.isfinite(points).all(1)
    _window(ax, points[good])
    if class_names:
        _classes(ax, result, points, good, class_names)
    else:
        _targets(ax, result, points, good)


def _classes(ax: Axes, result: Planes, points: Array, good: Array, names: Sequence[str]) -> None:
    size = 2.6 if len(points) > 400 else 3.6
    for index in range(len(names)):
        color = class_color(index)
        for part, shape, scale in ((False, "o", 1.0), (True, "D", 1.05)):
            mine = good & (result.label == index) & (result.held_out == part)
            ax.plot(*points[mine].T, shape, color=color, ms=size * scale, gid=f"class-{index}",
                    mew=0 if not part else 0.7, mfc=color if not part else "none", mec=color if part else "none",
                    alpha=0.55 if not part else 0.9)  # fmt: skip
    _names(ax, result, points, good, names)


def _names(ax: Axes, result: Planes, points: Array, good: Array, names: Sequence[str]) -> None:
    """Class names at the medians; in crowds, those that have room, the largest classes first."""
    present = [i for i in range(len(names)) if (good & (result.label == i)).any()]
    sizes = {i: int((good & (result.label == i)).sum()) for i in present}
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    taken: list[tuple[float, float, float]] = []
    for i in sorted(present, key=lambda i: -sizes[i]):
        word = shortened(names[i], 12)
        at = np.median(points[good & (result.label == i)], axis=0)
        place = ((at[0] - x0) / (x1 - x0), (at[1] - y0) / (y1 - y0))
        reach = 0.014 * len(word) + 0.01
        if len(present) > _NAMED // 2 and any(
            abs(place[0] - u) < reach + r and abs(place[1] - v) < 0.05 for u, v, r in taken
        ):
            continue
        taken.append((*place, reach))
        ax.text(*at, word, color=INK, ha="center", va="center", fontweight="bold", gid=f"class-{i}",
                path_effects=[withStroke(linewidth=2.2, foreground=PAPER)])  # fmt: skip


def _targets(ax: Axes, result: Planes, points: Array, good: Array) -> None:
    """A regression: five steps from the least to the greatest fifth of the targets."""
    edges = np.quantile(result.label[good], [0.2, 0.4, 0.6, 0.8]) if good.any() else np.zeros(4)
    step = np.searchsorted(edges, result.label)
    for fifth in range(5):
        color = BLUE if fifth < 2 else VERMILION if fifth > 2 else MUTED
        alpha = 0.3 + 0.3 * abs(fifth - 2)
        for part, shape in ((False, "o"), (True, "D")):
            mine = good & (step == fifth) & (result.held_out == part)
            ax.plot(*points[mine].T, shape, color=color, ms=2.8, mew=0.7 if part else 0,
                    mfc="none" if part else color, alpha=alpha)  # fmt: skip


def _window(ax: Axes, points: Array) -> None:
    """Room for all points but the farthest 0.5 % on a side, which are drawn at its edge or left outside."""
    if not len(points):
        ax.set(xlim=(-1, 1), ylim=(-1, 1))
        return
    low, high = np.quantile(points, [0.005, 0.995], axis=0)
    pad = 0.08 * np.maximum(high - low, 1e-9)
    ax.set(xlim=(low[0] - pad[0], high[0] + pad[0]), ylim=(low[1] - pad[1], high[1] + pad[1]))
