"""Separability through the layers: the first thing a reader sees.

In: a `Depth`. Out: curves on given axes: the linear read-out with its baselines, the Fisher staircase, the
law of equi-separation.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from unbend._typing import Array
from unbend.plot.style import BENDS, BLUE, FAINT, GREEN, INK, MUTED, ORANGE, layer_axis, spread
from unbend.study.depth import Depth

_TICKS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)
_WIDE_RANGE = 20.0
_CROWD = 40
_LOOK = {
    "held-out": (BLUE, "-", 2.0, 3),
    "training rows": (BLUE, (0, (4, 2)), 1.1, 2),
    "untrained twin": (ORANGE, "-", 1.1, 2),
    "permuted labels": (MUTED, (0, (1, 1.5)), 1.1, 2),
}


def readouts(
    ax: Axes, depth: Depth, *, labels: Sequence[str] | None = None, accuracy: bool = True, most: int = 26
) -> None:
    """What a straight cut reads from every layer, beside its baselines.

    The axis counts errors: every equal step up divides the errors by the same number, so .98 and .99 are as
    far apart as .5 and .75. R² of a regression stands on a plain axis.

    Args:
        ax: where to draw.
        depth: the curve.
        labels: what to call the layers; their names when left out.
        accuracy: whether the values are accuracies; else they are R².
        most: how many names of layers there is room for.
    """
    x = np.arange(len(depth.layers))
    curves = dict(zip(_LOOK, (depth.held_out, depth.train, depth.twin, depth.control), strict=True))
    shown = {name: y for name, y in curves.items() if np.isfinite(y).any()}
    _accuracy_scale(ax, np.concatenate([*shown.values(), depth.low])) if accuracy else _plain_scale(ax, shown)
    ax.grid(visible=True, axis="y", color=FAINT, lw=0.5)
    ax.fill_between(x, depth.low, depth.high, color=BLUE, alpha=0.14, lw=0)
    for name, y in shown.items():
        color, dashes, width, above = _LOOK[name]
        for strand in _strands(depth):
            ax.plot(x[strand], y[strand], color=color, ls=dashes, lw=width, label=name, zorder=above)
    bends = np.array([kind in BENDS for kind in depth.kinds], dtype=bool)
    size = 4.0 if len(x) <= _CROWD else 1.8
    ax.plot(x[bends], depth.held_out[bends], "o", color=BLUE, ms=size + 0.5, zorder=4)
    ax.plot(x[~bends], depth.held_out[~bends], "o", mec=BLUE, mfc="none", mew=1.1, ms=size, zorder=4)
    layer_axis(ax, labels or depth.layers, most=most)
    _name_lines(ax, x, shown)


def fisher(ax: Axes, depth: Depth, *, labels: Sequence[str] | None = None) -> None:
    """The debiased Fisher value as a staircase: between flat layers an affine one cannot climb it, an activation can.

    Treads and risers that end at an activation are coloured, all others grey. There is no riser between layers that do
    not feed each other.
    """
    y = depth.fisher
    for i, kind in enumerate(depth.kinds):
        bend = kind in BENDS
        color, width = (GREEN, 2.2) if bend else (MUTED, 1.2)
        if i and np.isfinite(y[i - 1 : i + 1]).all() and (not depth.feeders or i - 1 in depth.feeders[i]):
            ax.plot([i - 0.5, i - 0.5], y[i - 1 : i + 1], color=color, lw=width, solid_capstyle="butt")
        ax.plot([i - 0.5, i + 0.5], [y[i], y[i]], color=color, lw=width, solid_capstyle="projecting")
    good = y[np.isfinite(y) & (y > 0)]
    if len(good) and good.max() > _WIDE_RANGE * good.min():
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.grid(visible=True, axis="y", color=FAINT, lw=0.5)
    layer_axis(ax, labels or depth.layers, most=14)


def _strands(depth: Depth) -> list[list[int]]:
    """Positions along which lines are drawn: from every layer to those it feeds, in as few lines as that takes."""
    if not any(depth.feeders):
        return [list(range(len(depth.layers)))]
    strands: list[list[int]] = []
    for i, fed in enumerate(depth.feeders):
        for before in fed:
            going_on = next((strand for strand in strands if strand[-1] == before), None)
            if going_on is None:
                strands.append([before, i])
            else:
                going_on.append(i)
    return strands


def separation(ax: Axes, depth: Depth, *, labels: Sequence[str] | None = None) -> None:
    """Spread within classes over that between them, with the line of He & Su over the activations."""
    x, y = np.arange(len(depth.layers)), depth.separation
    bends = np.array([name in depth.line_layers for name in depth.layers], dtype=bool)
    ax.plot(x, y, color=FAINT, lw=1)
    ax.plot(x[~bends], y[~bends], "o", mec=MUTED, mfc="none", mew=1, ms=3.5)
    ax.plot(x[bends], y[bends], "o", color=INK, ms=4)
    good = bends & np.isfinite(y) & (y > 0)
    if np.isfinite(depth.line_slope) and good.any():
        step = np.arange(good.sum())
        fit = np.exp(depth.line_slope * (step - step.mean()) + np.log(y[good]).mean())
        ax.plot(x[good], fit, color=GREEN, lw=1.4)
    if (y[np.isfinite(y)] > 0).any():
        ax.set_yscale("log")
        ax.yaxis.set_minor_locator(NullLocator())
    ax.grid(visible=True, axis="y", color=FAINT, lw=0.5)
    layer_axis(ax, labels or depth.layers, most=14)


def _accuracy_scale(ax: Axes, values: Array) -> None:
    """An axis of accuracies on which equal steps divide the errors by equal factors."""
    errors = 1 - values[np.isfinite(values)]
    positive = errors[errors > 0]
    floor = max(float(positive.min()) / 2, 1e-5) if len(positive) else 1e-3
    ax.set_yscale("function", functions=(
        lambda a: -np.log2(np.maximum(1 - np.asarray(a), 0) + floor),
        lambda s: 1 + floor - np.exp2(-np.asarray(s)),
    ))  # fmt: skip
    low = max(0.0, float(np.nanmin(values)) - 0.03) if len(errors) else 0.0
    ax.set_ylim(low, 1.0)
    ticks = [t for t in _TICKS if low <= t <= 1 - 1.5 * floor] + [1.0]
    if ticks[0] > low + 0.1 and ticks[0] != 1:
        ticks.insert(0, round(low + 0.04, 1))
    ax.yaxis.set_major_locator(FixedLocator(_apart(ticks, floor, low)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda a, _: f"{100 * a:.4g} %"))


def _apart(ticks: list[float], floor: float, low: float) -> list[float]:
    """The ticks that are far enough from their neighbours to be read, 100 % first."""
    place = {t: -np.log2(1 - t + floor) for t in ticks}
    room = 0.075 * (place[1.0] + np.log2(1 - low + floor))
    kept = [1.0]
    for tick in reversed(ticks[:-1]):
        if place[kept[-1]] - place[tick] >= room:
            kept.append(tick)
    return kept


def _plain_scale(ax: Axes, shown: dict[str, Array]) -> None:
    """R² from 0, or from the least value where that is not far below, to 1."""
    values = np.concatenate([v[np.isfinite(v)] for v in shown.values()]) if shown else np.zeros(1)
    ax.set_ylim(max(min(float(values.min()), 0.0), -1.0), 1.0)


def _name_lines(ax: Axes, x: Array, shown: dict[str, Array]) -> None:
    """Names at the right ends of the lines, moved apart where they would overlap."""
    to_axes = ax.transScale + ax.transLimits
    ends = {}
    for name, y in shown.items():
        last = np.flatnonzero(np.isfinite(y))[-1]
        ends[name] = float(to_axes.transform((x[last], y[last]))[1])
    box = ax.get_window_extent()
    gap = 11.0 / 72 * ax.figure.get_dpi() / max(box.height, 1)
    places = spread(list(ends.values()), gap)
    lift = min(0.0, 1.02 - max(places, default=0))
    for name, place in zip(ends, places, strict=True):
        weight = "bold" if name == "held-out" else "normal"
        ax.text(1.02, place + lift, name, transform=ax.transAxes, color=_LOOK[name][0], va="center", weight=weight)
