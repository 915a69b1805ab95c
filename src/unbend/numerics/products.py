"""Means and centred products of rows and targets, summed in place.

In: rows and targets, some at a time. Out: their number, means and centred products, in float64. The room they need
does not grow with the number of rows.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from unbend._one_line import in_one_line
from unbend._typing import Array, Float64, Int64
from unbend.numerics import compiled
from unbend.numerics.sweep import has_kernel

BLOCK = 256
"""Rows are collected until there are this many: a product of fewer is bound by memory, one of more leaves the cache."""
_STRIP = 64
"""Columns of a strip of a symmetric product: a narrower one is slower by the value, a wider one has more below."""
_HUGE = 1e150
"""Values beyond this have squares that float64 cannot sum."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossProducts:
    """Means and centred products of rows x [n, d] and targets y [n, t].

    Attributes:
        n: how many rows.
        mean: mean row [d].
        gram: Σ (x - mean)(x - mean)ᵀ [d, d].
        y_mean: mean target [t].
        cross: Σ (x - mean)(y - y_mean)ᵀ [d, t].
        yy: Σ (y - y_mean)(y - y_mean)ᵀ [t, t].
    """

    n: int
    mean: Float64[Array, "d"]
    gram: Float64[Array, "d d"]
    y_mean: Float64[Array, "t"]
    cross: Float64[Array, "d t"]
    yy: Float64[Array, "t t"]

    __repr__ = in_one_line


@final
class Products:
    """Running products of rows and their targets.

    Rows with a value that is not finite, or a float64 one beyond 1e150, are left out and counted. Products are taken
    around the mean of the first block, so that no digits are lost.

    Args:
        width: columns of the rows.
        n_targets: columns of the targets.
        device: where the rows are.
    """

    __slots__ = ("_arrays", "_cross", "_fill", "_gram", "_n", "_pivot", "_room", "_total", "_yy", "lost")

    def __init__(self, width: int, n_targets: int, device: torch.device) -> None:
        place = torch.device("cpu") if device.type == "mps" else device  # which knows no float64

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=place)

        self._room = tuple(torch.empty(BLOCK, d, dtype=torch.float64, device=place) for d in (width, n_targets))
        self._gram, self._cross, self._yy = zeros(width, width), zeros(n_targets, width), zeros(n_targets, n_targets)
        self._total: tuple[Tensor, Tensor] = zeros(width), zeros(n_targets)
        self._pivot: tuple[Tensor, Tensor] | None = None
        self._arrays: tuple[Array, ...] | None = None  # pivots and room once more, for compiled code
        self._n = self._fill = 0
        self.lost: int = 0

    def add(self, rows: Tensor, targets: Tensor, chosen: Int64[Array, "m"] | None = None) -> None:
        """Add the chosen ones of some rows [n, d], or all, and their targets [m, t]."""
        chosen, targets = np.arange(len(rows)) if chosen is None else chosen, targets.to(self._gram.device)
        start = 0
        while start < len(chosen):
            end = min(start + BLOCK - self._fill, len(chosen))
            self._take(rows, targets[start:end], chosen[start:end])
            start = end

    def _take(self, rows: Tensor, targets: Tensor, chosen: Array) -> None:
        if self._is_collected(rows, targets, chosen):
            self._fill += len(chosen)
        else:
            some = rows.index_select(0, torch.from_numpy(chosen).to(rows.device)).to(self._gram.device)
            good = _finite(some)
            some, targets = some[good].double(), targets[good]
            self.lost += len(chosen) - len(some)
            if self._pivot is None and len(some):
                self._pivot = some.mean(0), targets.mean(0)
            for room, new, pivot in zip(self._room, (some, targets), self._pivot or self._total, strict=True):
                torch.sub(new, pivot, out=room[self._fill : self._fill + len(some)])
            self._fill += len(some)
        if self._fill == BLOCK:
            self._flush()

    def _is_collected(self, rows: Tensor, targets: Tensor, chosen: Array) -> bool:
        """Whether compiled code has put the chosen rows and their targets into the room, all of them finite."""
        if not has_kernel(rows):
            return False
        x, y = rows.contiguous().numpy(), targets.numpy()
        if self._pivot is None:
            mean = compiled.mean_of(x, chosen)
            if not np.isfinite(mean).all():
                return False
            self._pivot = torch.from_numpy(mean), targets.mean(0)
        if self._arrays is None:
            self._arrays = tuple(part.numpy() for part in (*self._pivot, *self._room))
        pivot, y_pivot, room, y_room = self._arrays
        return math.isfinite(compiled.collect(x, y, chosen, pivot, y_pivot, room, y_room, self._fill))

    def _flush(self) -> None:
        x, y = (room[: self._fill] for room in self._room)
        for total, part in zip(self._total, (x, y), strict=True):
            total.add_(part.sum(0))
        _add_upper(self._gram, x)
        torch.addmm(self._cross, y.T, x, out=self._cross)
        torch.addmm(self._yy, y.T, y, out=self._yy)
        self._n += self._fill
        self._fill = 0

    def sums(self) -> CrossProducts:
        """The sums of everything added."""
        if self._fill:
            self._flush()
        n = max(self._n, 1)
        (x, y), (mean, y_mean) = self._total, self._pivot or self._total
        gram = _whole(torch.addr(self._gram, x, x, alpha=-1 / n))
        cross, yy = torch.addr(self._cross, y, x, alpha=-1 / n).T, torch.addr(self._yy, y, y, alpha=-1 / n)
        parts = (mean + x / n, gram, y_mean + y / n, cross, yy)
        return CrossProducts(self._n, *(part.cpu().numpy() for part in parts))


def _finite(rows: Tensor) -> Tensor:
    """Which rows can be summed [n]."""
    if not rows.is_floating_point():
        return torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    return (rows.abs() < _HUGE if rows.dtype == torch.float64 else torch.isfinite(rows)).all(1)


def _whole(upper: Tensor) -> Tensor:
    """The symmetric matrix whose upper triangle this is; what lies below is overwritten."""
    if upper.is_cpu:
        compiled.mirror(upper.numpy())
        return upper
    return upper.triu() + upper.triu(1).T


def _add_upper(gram: Tensor, z: Tensor) -> None:
    """Add ZᵀZ to the upper triangle, in strips: torch has no product that knows the result is symmetric."""
    for start in range(0, len(gram), _STRIP):
        strip = gram[start : start + _STRIP, start:]
        torch.addmm(strip, z[:, start : start + _STRIP].T, z[:, start:], out=strip)
