"""One look at a layer's values in an eager pass: sums and extremes per unit, block by block.

In: values as they are read. Out: float32 sums and extremes per unit. A block stays in the cache while its sums are
made, and what is worked out on the way goes into a room that is used again: memory that is new costs more than sums.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from unbend.numerics.view import Layout

BLOCK = 1 << 17
"""Values of a block on the CPU, half a megabyte; a device reads all at once."""
_LONG = 16
"""Positions of a map from which each map is summed by itself first."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What is to be known of a layer.

    Attributes:
        layout: where its units are.
        is_judged: whether it is an activation: values that are not 0, magnitudes and flat values count too.
        is_rectifier: whether it is one whose values are their magnitudes, and whose zeros are flat.
        edges: least and greatest value that is not flat.
    """

    layout: Layout
    is_judged: bool = False
    is_rectifier: bool = False
    edges: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class SeenPass:
    """What one pass gave.

    Attributes:
        sums: total and squares per unit [d]; of an activation values other than 0, and but of a rectifier magnitude
            and flat values too.
        high: greatest value per unit [d].
        low: least value per unit [d]; None of a rectifier.
        n: samples.
        count: values per unit.
    """

    sums: tuple[Tensor, ...]
    high: Tensor
    low: Tensor | None
    n: int
    count: int


@final
class Room:
    """Memory for one block, used again and again."""

    def __init__(self) -> None:
        self._kept: Tensor = torch.empty(0, dtype=torch.float32)

    def like(self, block: Tensor) -> Tensor:
        """Room for values such as these."""
        if self._kept.numel() < block.numel() or self._kept.device != block.device:
            self._kept = torch.empty(block.numel(), dtype=torch.float32, device=block.device)
        return self._kept[: block.numel()].view(block.shape)


def look(values: Tensor, pre: Tensor | None, looks: Looks, room: Room) -> SeenPass:
    """Sums and extremes of one pass.

    Args:
        values: as they are read, samples first.
        pre: the activation's input, where its flat parts are about that.
        looks: what is to be known.
        room: for what is worked out on the way.

    Cost:
        One read of the values from memory, four to eight from the cache.
    """
    if pre is not None and pre.stride() != values.stride():
        values, pre = values.contiguous(), pre.contiguous()
    x, axis = _table(values, looks.layout)
    z = None if pre is None else _table(pre, looks.layout)[0]
    size = max(BLOCK // max(x[:1].numel(), 1), 1) if x.is_cpu else max(len(x), 1)
    parts = [_block(part.float(), other, looks, room, axis) for part, other in _blocks(x, z, size)]
    columns = [part[0] if len(part) == 1 else torch.cat(part) for part in zip(*parts, strict=True)]
    n_sums = len(columns) - (1 if looks.is_rectifier else 2)
    sums = tuple(column[0] if len(column) == 1 else column.sum(0) for column in columns[:n_sums])
    low = None if looks.is_rectifier else columns[-1].amin(0)
    return SeenPass(sums, columns[n_sums].amax(0), low, len(values), values.numel() // max(len(sums[0]), 1))


def _table(values: Tensor, layout: Layout) -> tuple[Tensor, int]:
    """Rows of units to be summed over the first axis, or maps [n, d, p] to be summed over the last, and which axis."""
    if layout != "maps":
        return values.reshape(-1, values.shape[-1]), 0
    if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
        return values.permute(0, 2, 3, 1).reshape(-1, values.shape[1]), 0
    maps = values.flatten(2)
    return (maps, 2) if maps.shape[2] >= _LONG else (maps.transpose(1, 2).reshape(-1, maps.shape[1]), 0)


def _blocks(x: Tensor, z: Tensor | None, size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    for start in range(0, len(x), size):
        yield x[start : start + size], None if z is None else z[start : start + size].float()


def _block(x: Tensor, z: Tensor | None, looks: Looks, room: Room, axis: int) -> list[Tensor]:
    """Sums, greatest and least values of one block, one row a sample or one for all.

    Values are counted by signs: comparing takes five times as long, because sums of booleans are not vectorised.
    """
    free = room.like(x)

    def add(values: Tensor) -> Tensor:
        return values.sum(axis, keepdim=axis == 0)

    out = [add(x), add(torch.mul(x, x, out=free))]
    if looks.is_judged:
        torch.sign(x, out=free)
        if looks.is_rectifier:
            out.append(add(free))
        else:
            out += [add(free.square_()), add(torch.abs(x, out=free))]
            bent = x if z is None else z
            torch.clamp(bent, *looks.edges, out=free)
            out.append(add(torch.sub(bent, free, out=free).sign_().square_()))
    out.append(x.amax(axis, keepdim=axis == 0))
    return out if looks.is_rectifier else [*out, x.amin(axis, keepdim=axis == 0)]
