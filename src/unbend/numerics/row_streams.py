"""Running sums of a layer's rows, updated in place: second moments, and the row sample.

In: rows and their samples, batch after batch. Out: the `SecondState` and `SampleState` that `of` and `+` would
give, up to rounding. The room they need is taken once and does not grow with the number of batches.
"""

from dataclasses import replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Int64
from unbend.numerics.batch import Samples
from unbend.numerics.products import Products
from unbend.numerics.sample import SampleState, in_order, sampled
from unbend.numerics.second import SecondState, from_products
from unbend.numerics.sweep import has_kernel


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
    """Which rows are in the row sample: the same for all layers, so it is decided once per batch.

    Args:
        size: rows kept.
    """

    __slots__ = ("_codes", "_ids", "_size", "_targets")

    def __init__(self, size: int) -> None:
        self._size = size
        self._ids, self._codes = np.zeros(0, np.int64), np.zeros(0, np.uint64)
        self._targets = torch.empty(0)

    def draw(self, of: Samples) -> Samples:
        """The same samples; those that enter are marked, and each has a place."""
        n = len(self._codes)
        is_full = n >= self._size
        entering = np.flatnonzero(of.codes < self._codes.max()) if is_full else np.arange(len(of.codes))
        places = np.arange(n, n + len(entering))
        if n + len(entering) > self._size:
            order = np.argpartition(np.concatenate([self._codes, of.codes[entering]]), self._size - 1)
            stay, go = order[: self._size], order[self._size :]
            entering = entering[stay[stay >= n] - n]
            places = np.concatenate([go[go < n], np.arange(n, self._size)])
        if len(entering):
            self._put(of, entering, places)
        return replace(of, keep=self._size, drawn=entering, places=places)

    def _put(self, of: Samples, entering: Array, places: Array) -> None:
        new = max(int(places.max()) + 1 - len(self._ids), 0)
        self._ids = np.concatenate([self._ids, np.zeros(new, np.int64)])
        self._codes = np.concatenate([self._codes, np.zeros(new, np.uint64)])
        self._ids[places], self._codes[places] = of.ids[entering], of.codes[entering]
        if not len(self._targets):
            self._targets = torch.empty(self._size, of.n_targets, dtype=torch.float64)
        self._targets[torch.from_numpy(places)] = of.targets(entering)

    def sample(self, ids: Int64[Array, "s"], rows: Tensor) -> SampleState:
        """The sample of a layer whose rows lie in their places; what it did not put out (other `ids`) is left out."""
        there = np.flatnonzero(ids[: len(self._ids)] == self._ids)
        there = there[in_order(self._ids[there], self._codes[there])]
        index = torch.from_numpy(there)
        loose = ((rows.index_select(0, index),), (self._targets[index],)) if len(there) else ((), ())
        return SampleState(self._size, self._ids[there], self._codes[there], *loose)


@final
class SampleStream:
    """The rows of one layer that are in the row sample.

    Args:
        size: rows kept.
    """

    __slots__ = ("_ids", "_rows")

    def __init__(self, size: int) -> None:
        self._ids, self._rows = np.full(size, -1, np.int64), torch.empty(0)

    def add(self, rows: Tensor, of: Samples) -> None:
        """Put the rows of a batch that enter into their places."""
        if of.drawn is None or of.places is None or not len(of.drawn):
            return
        if not len(self._rows):
            kind = torch.float64 if rows.dtype == torch.float64 else torch.float32
            self._rows = torch.empty(len(self._ids), rows.shape[1], dtype=kind)
        if has_kernel(rows):
            from unbend.numerics import kernels  # noqa: PLC0415  compiled code loads when it is first needed

            kernels.put(rows.contiguous().numpy(), of.ids, of.drawn, of.places, self._rows.numpy(), self._ids)
        else:
            self._rows.index_copy_(0, torch.from_numpy(of.places), sampled(rows, of.drawn))
            self._ids[of.places] = of.ids[of.drawn]

    def state(self, drawn: Drawn) -> SampleState:
        """The state of everything added."""
        return drawn.sample(self._ids, self._rows)
