"""Inputs and what their scores hang on, row by row, each method beside the same map of random weights.

In: a `Saliency` of images or columns. Out: marks on given axes.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unbend._typing import Array
from unbend.explain.saliency import Saliency
from unbend.plot.style import GREEN, MUTED, VERMILION

_MAP, _SIGNED = "magma_r", "RdBu"


def saliency(figure: Figure, result: Saliency) -> None:
    """A line for each sample: the input, then for each method its map and that of random weights.

    Args:
        figure: an empty one.
        result: of images or of columns.
    """
    n, names = len(result.ids), list(result.maps)
    grid = figure.subplots(n, 1 + 2 * len(names), squeeze=False)
    for i in range(n):
        _input(grid[i, 0], result, i)
        for k, name in enumerate(names):
            for j, maps in enumerate((result.maps, result.random_maps)):
                _map(grid[i, 1 + 2 * k + j], maps[name][i])
    grid[0, 0].set_title("input", fontsize=8)
    for k, name in enumerate(names):
        is_good = result.passes[name]
        r = float(np.mean(result.similarity[name]))
        grid[0, 1 + 2 * k].set_title(name.replace(" ", "\n"), fontsize=8)
        grid[0, 2 + 2 * k].set_title("random\nweights", fontsize=8, color=MUTED)
        grid[-1, 1 + 2 * k].set_xlabel(f"{'passes' if is_good else 'fails'}: r = {r:.2f}".replace("-0.00", "0.00"),
                                       fontsize=8,
                                       color=GREEN if is_good else VERMILION)  # fmt: skip


def _input(ax: Axes, result: Saliency, i: int) -> None:
    x = result.x[i]
    if result.form == "image":
        low, high = float(x.min()), float(x.max())
        shade = (x - low) / max(high - low, 1e-12)
        ax.imshow(1 - shade[..., 0] if x.shape[2] == 1 else shade, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    elif x.size:
        ax.imshow(_strip(x), cmap="gray_r", aspect="auto", interpolation="nearest")
    name = result.output_names[result.target[i]]
    ax.set_ylabel(f"{name}", fontsize=8, rotation=0, ha="right", va="center", parse_math=False)
    _bare(ax)


def _map(ax: Axes, values: Array) -> None:
    shown = values if values.ndim == 2 else _strip(values)
    most = float(np.abs(values).max()) or 1.0
    is_signed = bool((values < 0).any())
    ax.imshow(shown, cmap=_SIGNED if is_signed else _MAP, vmin=-most if is_signed else 0, vmax=most,
              aspect="equal" if values.ndim == 2 else "auto", interpolation="nearest")  # fmt: skip
    _bare(ax)


def _strip(values: Array) -> Array:
    """Columns as one line of cells."""
    return values.reshape(1, -1)


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set_visible(False)
