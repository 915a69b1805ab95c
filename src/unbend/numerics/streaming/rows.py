"""Sums of the rows of one layer: the row sample, and second moments.

In: batch after batch. Out: the `SampleState` and `SecondState` that `of` and `+` would give, up to rounding. The room
they need is taken once and does not grow with the number of batches.
"""

from typing import TypeAlias, final

import numpy as np
import torch

from unbend._typing import Array
from unbend.numerics import compiled
from unbend.numerics.batch import Batch
from unbend.numerics.products import Products
from unbend.numerics.sample import take
from unbend.numerics.second import SecondState
from unbend.numerics.state import State
from unbend.numerics.streaming.bottom_k import BottomK
from unbend.numerics.sweep import has_kernel

Room: TypeAlias = tuple[Array, Array]
"""Where rows are put aside: the rows [r, d], float32, and their numbers [r]."""
NO_ROOM: Room = (np.zeros((0, 0), np.float32), np.zeros(0, np.int64))


@final
class SecondSums:
    """Second moments of the chosen rows of one layer."""

    __slots__ = ("_products",)

    def __init__(self) -> None:
        self._products: Products | None = None

    def add(self, batch: Batch) -> None:
        """Add the chosen rows of a batch."""
        rows, of = batch.rows, batch.samples
        if self._products is None:
            self._products = Products(rows.shape[1], of.n_targets, rows.device)
        self._products.add(rows, of.dense_targets(), of.dense)

    def states(self) -> tuple[State, ...]:
        """Second moments of everything added; none where nothing was."""
        return () if self._products is None else (SecondState.from_products(self._products),)


@final
class SampleRows:
    """The rows of one layer that may be in the row sample.

    Args:
        bottom_k: which ones.
        most_dense: highest hash of a row of the second moments, where these are of rows of the sample; else None.
    """

    __slots__ = ("_bottom_k", "_device", "_ids", "_most_dense", "_out", "_rows")

    def __init__(self, bottom_k: BottomK, most_dense: int | None = None) -> None:
        self._bottom_k, self._most_dense = bottom_k, most_dense
        self._ids, self._rows = np.full(bottom_k.room, -1, np.int64), torch.empty(0)
        self._out: Array = np.zeros((0, 0), np.float32)
        self._device = torch.device("cpu")

    def room(self, width: int) -> Room | None:
        """Where compiled code can put rows of float32; None where other rows have been put."""
        if not len(self._rows):
            self._make(width, np.float32, torch.device("cpu"))
        is_fit = self._out.dtype == np.float32 and self._out.shape[1] == width
        return (self._out, self._ids) if is_fit else None

    def add(self, batch: Batch) -> None:
        """Put the rows of a batch that enter into their places."""
        rows, of = batch.rows, batch.samples
        assert of.drawn is not None  # noqa: S101  the chooser draws wherever there is a sample
        assert of.places is not None  # noqa: S101  likewise
        chosen, places = of.drawn, of.places
        if not len(self._rows):
            self._make(rows.shape[1], np.float64 if rows.dtype == torch.float64 else np.float32, rows.device)
        if not len(chosen):
            return
        if has_kernel(rows):
            compiled.put(rows.contiguous().numpy(), of.ids, chosen, places, self._out, self._ids)
        else:
            self._rows.index_copy_(0, torch.from_numpy(places), take(rows, chosen).to(self._rows.dtype))
            self._ids[places] = of.ids[chosen]

    def _make(self, width: int, dtype: type[np.floating], device: torch.device) -> None:
        self._out = np.empty((len(self._ids), width), dtype)  # numpy asks for large pages, torch does not
        self._rows = torch.from_numpy(self._out)
        self._device = torch.device("cpu") if device.type == "mps" else device  # which has no float64

    def states(self) -> tuple[State, ...]:
        """The sample of everything added, and second moments where they are of its rows."""
        sample = self._bottom_k.sample(self._ids, self._rows)
        if self._most_dense is None:
            return (sample,)
        return sample, self._bottom_k.second(self._ids, self._rows, self._most_dense, self._device)
