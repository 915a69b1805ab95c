"""A square table of shares as a heat map: what `similarity` and `readout` have in common.

In: values in [0, 1] and names. Out: cells on given axes, the fuller the larger.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from unbend._typing import Array, Float64
from unbend.plot.style import INK, MUTED, PAPER, shorten, tint

_WRITTEN = 12
_NAMED = 40
_DARK = 0.55


def matrix(
    ax: Axes,
    values: Float64[Array, "r c"],
    names: Sequence[str],
    *,
    color: str,
    words: Sequence[Sequence[str]] = (),
) -> None:
    """Cells from empty at 0 to full colour at 1, a grey dot where there is no value; words while they fit."""
    n = len(values)
    ax.imshow(tint(color, values * 0.92), interpolation="none", aspect="equal")
    row, column = np.nonzero(~np.isfinite(values))
    ax.plot(column, row, ".", color=MUTED, ms=2)
    step = -(-n // _NAMED)
    short = [shorten(name, 16) for name in names]
    turn = 90 if max(map(len, short), default=0) > 2 else 0
    ax.set_xticks(range(0, n, step), short[::step], rotation=turn, parse_math=False)
    ax.set_yticks(range(0, n, step), short[::step], parse_math=False)
    ax.tick_params(length=0, labelsize=7.5 if n <= 24 else 6)
    for side in ax.spines.values():
        side.set_visible(False)
    for i, line in enumerate(words if n <= _WRITTEN else ()):
        for j, word in enumerate(line):
            ink = PAPER if values[i, j] > _DARK else INK
            ax.text(j, i, word, ha="center", va="center", color=ink, fontsize=6.5)
