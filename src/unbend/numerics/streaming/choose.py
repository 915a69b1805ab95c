"""Which rows of a batch go where: decided once per batch, for all layers.

In: labels and row numbers of a batch. Out: its `Samples`. Must not know what the rows are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Int64
from unbend.numerics import compiled
from unbend.numerics.batch import SIZE, Samples, samples, targets_of
from unbend.numerics.compiled.team import team
from unbend.numerics.hashing import shift
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.streaming.bottom_k import ALL, BottomK, highest
from unbend.numerics.streaming.in_place import KINDS
from unbend.numerics.sweep import Segments

_SHIFT = shift()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows go where.

    Attributes:
        rate: share of rows that go into the second moments and histograms, chosen by hash.
        size: rows kept in the row sample.
        n: rows that will come, those of all ranks; None where that is not known.
    """

    rate: float = 1.0
    size: int = SIZE
    n: int | None = None


@final
class Chooser:
    """What all layers share of a batch: labels grouped, row numbers hashed, and which rows go where.

    Args:
        selection: how many rows go where.
        kinds: State classes that are added up.
        n_classes: as in `numerics.batch.samples`.

    Attributes:
        bottom_k: which rows may be in the row sample; None where there is none.
        most_dense: the highest hash of a row that goes into second moments and histograms.
        holds_second: second moments are wanted, and their rows, which have the least hashes too, are among those of the
            row sample.
    """

    def __init__(self, selection: Selection, kinds: Sequence[type[Any]], n_classes: int | None) -> None:
        self._prepared, self._table_of = compiled.prepare, compiled.batch_table
        self._n_classes, self._size, self._team = n_classes, selection.size, team()
        self.most_dense: int = highest(selection.rate)
        self.bottom_k: BottomK | None = BottomK(selection.size, selection.n) if SampleState in kinds else None
        fits = selection.n is not None and selection.n * selection.rate <= selection.size
        self.holds_second: bool = SecondState in kinds and self.bottom_k is not None and fits
        of_all = {*KINDS, SampleState} | ({SecondState} if self.holds_second else set())
        self._marks_dense = self.most_dense < ALL and not of_all.issuperset(kinds)
        self._fits = SecondState in kinds and not self.holds_second
        self._most = np.uint64(ALL if self.bottom_k is None else self.bottom_k.most)

    def __call__(self, y: Tensor, ids: Int64[Array, "n"]) -> Samples:
        """The samples of a batch with labels or targets y [n], as in `numerics.batch.samples`."""
        y, ids, codes, n_classes, groups, low, table = self._group(y, np.ascontiguousarray(ids))
        dense = np.flatnonzero(codes <= np.uint64(self.most_dense)) if self._marks_dense else None
        fitted = None
        if self._fits:
            fitted = targets_of(y if dense is None else y[torch.from_numpy(dense)], n_classes)
        drawn, places = None, None
        if self.bottom_k is not None:
            targets = groups.label if n_classes else y.numpy()
            drawn, places = self.bottom_k.draw(ids, codes, targets, n_classes, low, table[0])
        return Samples(y, ids, codes, n_classes, groups, dense, drawn, places, self._size, fitted, table)

    def _group(self, y: Tensor, ids: Array) -> tuple[Tensor, Array, Array, int, Segments, Array, tuple[Array, int]]:
        """Labels grouped, ids hashed, which rows can be drawn, where all that is: one compiled call for classes."""
        k = self._n_classes
        if k and y.dtype == torch.int64 and y.is_cpu and y.is_contiguous() and ids.shape == y.shape:
            label = y.numpy()
            order, starts, codes, low, *table = self._prepared(label, ids, _SHIFT, k, self._most, self._team)
            if len(order) == len(label):
                return y, ids, codes, k, Segments(label, order, starts), low, tuple(table)
        of = samples(y, n_classes=k, ids=ids)
        low = np.flatnonzero(of.codes <= self._most)
        table = self._table_of(of.groups.order, of.groups.starts, of.ids, low[:0], low[:0], self._team)
        return of.y, of.ids, of.codes, of.n_classes, of.groups, low, table
