"""Running sums of a layer's rows, updated in place: second moments, and the row sample.

In: rows and their samples, batch after batch. Out: the `SecondState` and `SampleState` that `of` and `+` would
give, up to rounding. The room they need is taken once and does not grow with the number of batches.
"""

import math
from typing import final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Int64, Shaped
from unbend.numerics import compiled
from unbend.numerics.batch import Samples, targets_of
from unbend.numerics.products import Products
from unbend.numerics.sample import SampleState, in_order, sampled
from unbend.numerics.second import SecondState, from_products
from unbend.numerics.streaming.in_place import Room
from unbend.numerics.sweep import has_kernel

ALL = 2**64 - 1
"""The greatest hash."""
_SIGMAS = 6


def highest(share: float) -> int:
    """The hash that this share of all rows does not exceed."""
    return ALL if share >= 1 else int(share * 2**64) - 1


@final
class SecondStream:
    """Running second moments of the chosen rows of one layer.

    Args:
        width: columns of the rows.
        n_targets: columns of the targets.
        device: where the rows are.
    """

    __slots__ = ("_products",)

    def __init__(self, width: int, n_targets: int, device: torch.device) -> None:
        self._products = Products(width, n_targets, device)

    def add(self, rows: Tensor, of: Samples) -> None:
        """Add the chosen rows of a batch [n, d]."""
        self._products.add(rows, of.dense_targets(), of.dense)

    def state(self) -> SecondState:
        """The state of everything added."""
        return from_products(self._products)


@final
class Drawn:
    """Which rows are held for the row sample: the same for all layers, so it is decided once per batch.

    Where it is known how many rows will come, those whose hash is too high to be among the `size` least are passed
    over from the start; six standard deviations are spared, in the hash and in the room.

    Args:
        size: rows of the sample.
        n: rows that will come; None where that is not known.
    """

    __slots__ = ("_codes", "_ids", "_n", "_n_classes", "_note", "_order", "_places", "_size", "_y", "most", "room")

    def __init__(self, size: int, n: int | None) -> None:
        self._note = compiled.note
        spare = 0 if n is None else math.ceil(_SIGMAS * math.sqrt(size))
        self._size, self._n = size, 0
        self.room = size + 2 * spare if n is None else min(size + 2 * spare, max(n, 1))
        self.most = ALL if n is None else highest((size + spare) / max(n, 1))
        self._places, self._ids = np.arange(self.room), np.empty(self.room, np.int64)
        self._codes = np.empty(self.room, np.uint64)
        self._y: Array | None = None
        self._n_classes = 0
        self._order: Array | None = None

    def draw(
        self, ids: Int64[Array, "n"], codes: Shaped[Array, "n"], y: Shaped[Array, "n *t"], n_classes: int,
        low: Int64[Array, "m"], table: Array,
    ) -> tuple[Int64[Array, "s"], Int64[Array, "s"]]:  # fmt: skip
        """Which rows of a batch are held, of those whose hash is at most `most` (`low`), and in which places.

        Their labels or targets y are kept, and they are entered in the batch's `table`.
        """
        n, end, labels = self._n, self._n + len(low), y.reshape(len(y), -1)
        chosen, places = (low, self._places[n:end]) if end <= self.room else self._replaced(codes, low)
        self._n, self._order = min(end, self.room), None
        if self._y is None:
            self._y, self._n_classes = np.empty((self.room, labels.shape[1]), labels.dtype), n_classes
        self._note(ids, codes, labels, chosen, places, table, self._ids, self._codes, self._y)
        return chosen, places

    def _replaced(self, codes: Shaped[Array, "n"], low: Array) -> tuple[Array, Array]:
        """The same where there is no room for all: what has the highest hash goes."""
        n = self._n
        entering = low[codes[low] < self._codes.max()] if n == self.room else low
        places = np.arange(n, n + len(entering))
        if len(places) and places[-1] >= self.room:
            order = np.argpartition(np.concatenate([self._codes[:n], codes[entering]]), self.room - 1)
            stay, go = order[: self.room], order[self.room :]
            entering = entering[stay[stay >= n] - n]
            places = np.concatenate([go[go < n], np.arange(n, self.room)])
        return entering, places

    def sample(self, ids: Int64[Array, "r"], rows: Tensor) -> SampleState:
        """The sample of a layer whose rows lie in their places; what it did not put out (other `ids`) is left out."""
        if self._order is None:  # that of the first layer, and of every other that puts out the same rows
            self._order = in_order(self._ids[: self._n], self._codes[: self._n])
        there = self._order[ids[self._order] == self._ids[self._order]][: self._size]
        taken = torch.from_numpy(rows.numpy()[there])
        loose = ((taken,), (self._targets(there),)) if len(there) else ((), ())
        return SampleState(self._size, self._ids[there], self._codes[there], *loose)

    def second(self, ids: Int64[Array, "r"], rows: Tensor, most: int, device: torch.device) -> SecondState:
        """Second moments of such a layer's rows whose hash is at most `most`."""
        there = np.flatnonzero((ids[: self._n] == self._ids[: self._n]) & (self._codes[: self._n] <= np.uint64(most)))
        targets = self._targets(there)
        products = Products(rows.shape[1], targets.shape[1], device)
        products.add(rows.to(device), targets, there)
        return from_products(products)

    def _targets(self, there: Array) -> Tensor:
        assert self._y is not None  # noqa: S101  rows were drawn
        y = torch.from_numpy(self._y[there])
        return targets_of(y[:, 0] if self._n_classes else y, self._n_classes)


@final
class Held:
    """The rows of one layer that are held for the row sample.

    Args:
        drawn: which ones.
    """

    __slots__ = ("_device", "_drawn", "_ids", "_out", "_rows")

    def __init__(self, drawn: Drawn) -> None:
        self._drawn = drawn
        self._ids, self._rows = np.full(drawn.room, -1, np.int64), torch.empty(0)
        self._out: Array = np.zeros((0, 0), np.float32)
        self._device = torch.device("cpu")

    def room(self, width: int) -> Room | None:
        """Where compiled code can put rows of float32; None where other rows have been put."""
        if not len(self._rows):
            self._make(width, np.float32, torch.device("cpu"))
        is_fit = self._out.dtype == np.float32 and self._out.shape[1] == width
        return (self._out, self._ids) if is_fit else None

    def add(self, rows: Tensor, of: Samples) -> None:
        """Put the rows of a batch that are drawn into their places."""
        assert of.drawn is not None  # noqa: S101  the chooser draws wherever there is a sample
        assert of.places is not None  # noqa: S101
        chosen, places = of.drawn, of.places
        if not len(self._rows):
            self._make(rows.shape[1], np.float64 if rows.dtype == torch.float64 else np.float32, rows.device)
        if not len(chosen):
            return
        if has_kernel(rows):
            compiled.put(rows.contiguous().numpy(), of.ids, chosen, places, self._out, self._ids)
        else:
            self._rows.index_copy_(0, torch.from_numpy(places), sampled(rows, chosen))
            self._ids[places] = of.ids[chosen]

    def _make(self, width: int, kind: type[np.floating], device: torch.device) -> None:
        self._out = np.empty((len(self._ids), width), kind)  # numpy asks for large pages, torch does not
        self._rows = torch.from_numpy(self._out)
        self._device = torch.device("cpu") if device.type == "mps" else device

    def sample(self) -> SampleState:
        """The sample of everything added."""
        return self._drawn.sample(self._ids, self._rows)

    def second(self, most: int) -> SecondState:
        """Second moments of the rows whose hash is at most `most`."""
        return self._drawn.second(self._ids, self._rows, most, self._device)
