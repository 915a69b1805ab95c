"""Every unit of a layer as one cell: how full it is, and what its verdict is."""

from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Float64, Shaped
from unbend.numerics.activity import Activity

VERDICTS = ("silent", "saturated", "dormant", "always_on")
"""What a unit can be; it takes the first that holds."""
RATIO = 6.0
"""How many times as wide as high a strip of units is."""
_SPAN = 2.0
_LEAST = 1e-12
_FAINTEST = 0.06
_IN_A_ROW = 16


@dataclass(frozen=True, slots=True, eq=False)
class UnitStrip:
    """Units in their order, row after row.

    Attributes:
        shade: the fuller, the larger the mean magnitude, on a log scale of two decades: from .06 to 1 [d].
        verdict: position in `VERDICTS` plus one; 0 for none [d].
        columns: units in a row.
    """

    shade: Float64[Array, "d"]
    verdict: Shaped[Array, "d"]
    columns: int


def unit_strip(result: Activity) -> UnitStrip:
    """The strip of a layer."""
    top = max(result.score.max(initial=0), _LEAST)
    share = 1 + np.log10(np.maximum(result.score, _LEAST) / top) / _SPAN
    verdict = np.zeros(len(result.score), np.uint8)
    for place, name in reversed(list(enumerate(VERDICTS, 1))):
        verdict[getattr(result, name)] = place
    return UnitStrip(_FAINTEST + (1 - _FAINTEST) * np.clip(share, 0, 1), verdict, grid_width(len(verdict), ratio=RATIO))


def grid_width(d: int, *, ratio: float) -> int:
    """Cells in a row, so that a grid `ratio` times as wide as high has about square cells; up to 16 in one row."""
    if d <= _IN_A_ROW:
        return max(d, 1)
    return max(int(np.ceil(np.sqrt(d * ratio))), 1)
