"""The input that a unit, channel, direction or class answers to most, beside the real rows it answers to most.

In: a `Maximisation`. Out: marks on given axes.
"""

import numpy as np
from matplotlib.axes import Axes

from unbend._names import column_word
from unbend._typing import Array
from unbend.chart.images import tiles
from unbend.explain.maximise.maximise import Maximisation
from unbend.plot.style import BLUE, FAINT, GREY, MUTED, VERMILION, shorten

COLUMNS = 10
"""Columns of a table that are drawn: those in which the input is furthest from the mean."""
NAME = 26
"""Letters of a column's name."""


def maximise(ax: Axes, result: Maximisation, target: int) -> None:
    """One target: of images the input and the real ones in a line; of columns their distance from the mean.

    Args:
        ax: where it is drawn.
        result: the inputs.
        target: which of them.
    """
    if result.form == "image":
        ax.imshow(tiles(result.x[target], real_rows(result, target)), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        for side in ax.spines.values():
            side.set_visible(False)
    else:
        _columns(ax, result, target)
    ax.set_title(shorten(result.names[target], 34), loc="left", color=VERMILION if result.is_noise[target] else MUTED)


def real_rows(result: Maximisation, target: int) -> Array:
    """The training rows that a target answers to most."""
    return result.examples.x[result.examples.at(result.real_ids[target])]


def column_name(result: Maximisation, j: int) -> str:
    """What a column is called at an axis."""
    return shorten(column_word(result.examples.column_names, j, is_alone=True), NAME)


def _columns(ax: Axes, result: Maximisation, target: int) -> None:
    size = np.where(result.row_spread > 0, result.row_spread, 1)
    own = (result.x[target] - result.row_mean) / size
    real = (real_rows(result, target) - result.row_mean) / size
    shown = np.sort(np.argsort(-np.abs(own))[:COLUMNS])
    y = np.arange(len(shown))
    ax.axvline(0, color=FAINT, lw=0.8, zorder=-1)
    for i, row in enumerate(real):
        ax.plot(row[shown], y, "o", color=GREY, ms=2.5, alpha=0.8, label=None if i else "strongest real rows")
    ax.plot(own[shown], y, "D", color=BLUE, ms=4, label="made")
    ax.set_yticks(y, [column_name(result, int(j)) for j in shown])
    ax.invert_yaxis()
    ax.set_xlabel("spreads from the mean of its column")
    ax.legend(frameon=False, fontsize=7, loc="best")
