"""Which rows the row sample keeps: those of least hash, chosen batch after batch.

In: the row numbers, hashes and labels of a batch. Out: which rows enter, and at which places; at the end, the States of
rows that lie at those places. Must not know how layers put their rows there.
"""

import math
from typing import final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Int64, Shaped
from unbend.numerics import compiled
from unbend.numerics.batch import targets_of
from unbend.numerics.products import Products
from unbend.numerics.sample import SampleState, in_order
from unbend.numerics.second import SecondState

ALL = 2**64 - 1
"""The greatest hash."""
_SIGMAS = 6


def highest(share: float) -> int:
    """The hash that this share of all rows does not exceed."""
    return ALL if share >= 1 else int(share * 2**64) - 1


@final
class BottomK:
    """Which rows of a batch may be among those of least hash: the same for all layers, so it is decided once.

    Where it is known how many rows will come, those whose hash is too high to be among the `size` least are passed
    over from the start; six standard deviations are spared, in the hash and in the room.

    Args:
        size: rows of the sample.
        n: rows that will come; None where that is not known.
    """

    __slots__ = ("_codes", "_ids", "_known", "_n", "_n_classes", "_note", "_order", "_places", "_size", "_y",
                 "most", "room")  # fmt: skip

    def __init__(self, size: int, n: int | None) -> None:
        self._note = compiled.note
        spare = 0 if n is None else math.ceil(_SIGMAS * math.sqrt(size))
        self._size, self._n = size, 0
        self.room: int = size + 2 * spare if n is None else min(size + 2 * spare, max(n, 1))
        self.most: int = ALL if n is None else highest((size + spare) / max(n, 1))
        self._places, self._ids = np.arange(self.room), np.empty(self.room, np.int64)
        self._codes = np.empty(self.room, np.uint64)
        self._y: Array | None = None
        self._n_classes = 0
        self._order: Array | None = None
        self._known: list[tuple[Array, Tensor]] = []

    def draw(
        self, ids: Int64[Array, "n"], codes: Shaped[Array, "n"], y: Shaped[Array, "n *t"], n_classes: int,
        low: Int64[Array, "m"], table: Array,
    ) -> tuple[Int64[Array, "s"], Int64[Array, "s"]]:  # fmt: skip
        """Which rows of a batch are held, of those whose hash is at most `most` (`low`), and in which places.

        Their labels or targets y are kept, and they are entered in the batch's `table`.
        """
        n, end, labels = self._n, self._n + len(low), y.reshape(len(y), -1)
        chosen, places = (low, self._places[n:end]) if end <= self.room else self._replace(codes, low)
        self._n, self._order, self._known = min(end, self.room), None, []
        if self._y is None:
            self._y, self._n_classes = np.empty((self.room, labels.shape[1]), labels.dtype), n_classes
        self._note(ids, codes, labels, chosen, places, table, self._ids, self._codes, self._y)
        return chosen, places

    def _replace(self, codes: Shaped[Array, "n"], low: Array) -> tuple[Array, Array]:
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
        loose = ((rows.numpy()[there],), (self._targets(there).numpy(),)) if len(there) else ((), ())
        return SampleState(self._size, self._ids[there], self._codes[there], *loose)

    def second(self, ids: Int64[Array, "r"], rows: Tensor, most: int, device: torch.device) -> SecondState:
        """Second moments of such a layer's rows whose hash is at most `most`."""
        there = np.flatnonzero((ids[: self._n] == self._ids[: self._n]) & (self._codes[: self._n] <= np.uint64(most)))
        targets = self._targets(there)
        products = Products(rows.shape[1], targets.shape[1], device)
        products.add(rows.to(device), targets, there)
        return SecondState.from_products(products)

    def _targets(self, there: Array) -> Tensor:
        """The targets at some places, one tensor for all layers that ask for the same: it can be as large as theirs."""
        assert self._y is not None  # noqa: S101  rows were drawn
        known = next((targets for places, targets in self._known if np.array_equal(places, there)), None)
        if known is None:
            y = torch.from_numpy(self._y[there])
            known = targets_of(y[:, 0] if self._n_classes else y, self._n_classes)
            self._known = [*self._known[-1:], (there, known)]  # of the sample, of second moments
        return known
