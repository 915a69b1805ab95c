"""Flat views of a layer's rows: points by class, held-out rows by shape.

In: `Projections` and class names. Out: points on given axes. Each class is one group `class-i`, so that a page
can bring one forward; names stand at the middle of their class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from unbend._typing import Array, Float64
from unbend.chart.planes import groups, window
from unbend.numerics.planes import Projections
from unbend.plot.style import BLUE, CLASSES, INK, MUTED, VERMILION, class_color, distinct, shorten

GROUPED = 40
"""Up to this many classes are groups of their own: each costs 2 ms and 0.5 kB a picture."""
_ALL_NAMED = 16
_LINE = 0.048
_STEPS = (0.0, 0.05, -0.05, 0.1, -0.1)


def pca(ax: Axes, result: Projections, *, class_names: Sequence[str] = ()) -> None:
    """The two directions of most variance."""
    _scatter(ax, result, result.pca, class_names)


def discriminant(ax: Axes, result: Projections, *, class_names: Sequence[str] = ()) -> None:
    """The two directions that best tell the classes apart, in units of the spread within them."""
    points = result.pca * np.nan if result.discriminant is None else result.discriminant
    _scatter(ax, result, points, class_names)


def _scatter(ax: Axes, result: Projections, points: Float64[Array, "s 2"], class_names: Sequence[str]) -> None:
    ax.set(xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set_visible(False)
    good = np.asarray(np.isfinite(points).all(1))
    low, high = window(points[good])
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    if class_names:
        _classes(ax, result, points, good, class_names)
    else:
        _targets(ax, result, points, good)


def _classes(ax: Axes, result: Projections, points: Array, good: Array, names: Sequence[str]) -> None:
    """One group of points per class, or per colour where the classes are too many to be drawn one by one."""
    own = len(names) <= GROUPED
    group = result.label if own else result.label % len(CLASSES)
    for part in (False, True):
        for index in range(len(names) if own else len(CLASSES)):
            mine = good & (group == index) & (result.held_out == part)
            if mine.any():
                gid = f"class-{index}" if own else None
                _dots(ax, points[mine], class_color(index), held_out=part, gid=gid)
    _names(ax, result, points, good, names)


def _dots(ax: Axes, points: Array, color: str, *, held_out: bool, gid: str | None = None, alpha: float = 0.55) -> None:
    """Training rows as dots, held-out rows as open diamonds; `Line2D` itself is a third the cost of `plot`."""
    look: dict[str, Any] = (
        {"marker": "D", "markersize": 3.2, "mfc": "none", "mec": color, "mew": 0.75, "alpha": min(1.0, alpha + 0.35)}
        if held_out
        else {"marker": "o", "markersize": 2.8, "mfc": color, "mew": 0, "alpha": alpha}
    )
    ax.add_artist(Line2D(*points.T, ls="none", gid=gid, **look))


def _names(ax: Axes, result: Projections, points: Array, good: Array, names: Sequence[str]) -> None:
    """Class names at the medians, moved up or down to a free place; left out where a crowd has none."""
    members = {i: points[good & (result.label == i)] for i in range(len(names))}
    words = [shorten(word, 12) for word in distinct(names)]
    taken: list[tuple[float, float, float]] = []
    for i in sorted((i for i in members if len(members[i])), key=lambda i: -len(members[i])):
        x, y = ax.transLimits.transform(np.median(members[i], axis=0))
        reach = 0.013 * len(words[i]) + 0.01
        free = [
            step for step in _STEPS
            if not any(abs(x - u) < reach + r and abs(y + step - v) < _LINE for u, v, r in taken)
        ]  # fmt: skip
        if free or len(members) <= _ALL_NAMED:
            y += free[0] if free else 0.0
            taken.append((x, y, reach))
            ax.text(x, y, words[i], transform=ax.transAxes, color=INK, ha="center", va="center",
                    fontweight="bold", gid=f"class-{i}", parse_math=False)  # fmt: skip


def _targets(ax: Axes, result: Projections, points: Array, good: Array) -> None:
    """A regression: five steps from the least to the greatest fifth of the targets."""
    step = groups(result, good, is_classes=False)
    for fifth, color in enumerate((BLUE, BLUE, MUTED, VERMILION, VERMILION)):
        for part in (False, True):
            mine = good & (step == fifth) & (result.held_out == part)
            _dots(ax, points[mine], color, held_out=part, alpha=0.3 + 0.15 * abs(fifth - 2))
