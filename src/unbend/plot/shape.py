"""The shape of each layer: its dimension, how much of a matrix it is, and how alike layers are.

In: a `LayerShapes`. Out: marks on given axes.
"""

import numpy as np
from matplotlib.axes import Axes

from unbend.explain.shape import LayerShapes
from unbend.plot.style import BLUE, GREEN, GREY, class_color, layer_axis, shorten, tint


def dimensions(ax: Axes, result: LayerShapes) -> None:
    """The intrinsic dimension of each layer with its interval, and at a coarser scale."""
    found = [(i, one) for i, one in enumerate(result.dimensions) if one is not None]
    at = [i for i, _ in found]
    ax.vlines(at, [one.low for _, one in found], [one.high for _, one in found], color=BLUE, lw=1.2)
    ax.plot(at, [one.value for _, one in found], "o-", color=BLUE, ms=4, label="all rows")
    coarse = [(i, one.curve[2]) for i, one in found if len(one.curve) > 2]
    if coarse:
        ax.plot(*zip(*coarse, strict=True), "s--", color=GREY, ms=3, lw=1.0, label="a quarter of them: coarser")
    ax.set(ylabel="dimension", ylim=(0, None))
    ax.legend(frameon=False, fontsize=7)
    layer_axis(ax, result.layers)


def scales(ax: Axes, result: LayerShapes, *, most: int = 6) -> None:
    """The intrinsic dimension against the number of rows it is taken of: the fewer, the coarser the scale.

    Args:
        ax: where to draw.
        result: the shapes.
        most: layers that are drawn in colour and named, evenly spaced; the others are grey.
    """
    found = [(name, one) for name, one in zip(result.layers, result.dimensions, strict=True) if one is not None]
    named = set(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int).tolist())
    for i, (name, one) in enumerate(found):
        if i not in named:
            ax.plot(one.curve_n, one.curve, color=GREY, lw=0.7, alpha=0.5)
            continue
        color = class_color(sorted(named).index(i))
        ax.plot(one.curve_n, one.curve, "o-", color=color, ms=2.5, lw=1.2, label=shorten(name))
    ax.set(xlabel="rows (fewer: coarser)", ylabel="dimension", xscale="log", ylim=(0, None))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.set_minor_formatter("")
    if found:
        ax.legend(frameon=False, fontsize=6.5)


def affineness(ax: Axes, result: LayerShapes) -> None:
    """How much of each layer's held-out output the best affine map of its input gives."""
    known = np.flatnonzero(np.isfinite(result.affine_r2))
    ax.bar(known, np.clip(result.affine_r2[known], 0, 1), color=GREEN, width=0.65)
    ax.set(ylabel="R² of the best matrix", ylim=(0, 1.02))
    layer_axis(ax, result.layers)


def alike(ax: Axes, result: LayerShapes, *, between: bool = False) -> None:
    """Debiased CKA within the model, or with the layers of the other.

    Args:
        ax: where to draw.
        result: the shapes.
        between: whether with the other model.
    """
    table = result.cka_between if between else result.cka
    names = result.others if between else result.layers
    ax.imshow(tint(BLUE, np.clip(table, 0, 1)), interpolation="nearest", aspect="auto")
    step = max(1, -(-len(names) // 20))
    ax.set_xticks(range(0, len(names), step), [shorten(names[i], 12) for i in range(0, len(names), step)],
                  rotation=90, parse_math=False)  # fmt: skip
    step = max(1, -(-len(result.layers) // 20))
    at = range(0, len(result.layers), step)
    ax.set_yticks(list(at), [shorten(result.layers[i], 16) for i in at], parse_math=False)
