"""Sums of moments, activity and class means of one layer, updated in place, and its row sample put aside.

In: batch after batch. Out: the States that `of` and `+` would give. Where the forward pass of a batch takes
milliseconds, making three States per layer and adding them costs more than the sums themselves. Plain rows, which are
contiguous float32 on the CPU, cost one compiled call here. It is told addresses: what it would cost to look at every
array again is more than small sums cost.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.numerics import compiled
from unbend.numerics.activity import ActivityState
from unbend.numerics.batch import Batch, Samples, Saturation
from unbend.numerics.centroids import CentroidState
from unbend.numerics.compiled.team import team
from unbend.numerics.moments import MomentState
from unbend.numerics.state import State
from unbend.numerics.streaming.accumulator import Accumulator, StateSum
from unbend.numerics.streaming.rows import NO_ROOM, Room, SampleRows
from unbend.numerics.sweep import has_kernel

KINDS: tuple[type[Any], ...] = (MomentState, ActivityState, CentroidState)
"""What can be summed in place."""
_NONE = np.zeros(0, np.int64)


@final
class InPlaceSums:
    """Sums of plain rows in place; any other batch goes, whole, to sums of States.

    A batch is plain if its tensor is rows of contiguous float32 on the CPU, all of them finite, of no activation or of
    one that is never negative and saturated at 0 (ReLU and its kin), and as wide as the first plain one.

    Args:
        kinds: State classes to add up, of `KINDS`.
        sample_rows: where rows of the row sample go; None where there is none, or where it is of other rows.
    """

    __slots__ = ("_others", "_plain", "_sample_rows", "_saturation")

    def __init__(self, kinds: Sequence[type[Any]], sample_rows: SampleRows | None = None) -> None:
        self._sample_rows = sample_rows
        self._plain: _PlainSums | None = None
        self._saturation: Saturation | None = None
        self._others: list[Accumulator] = [StateSum(kind) for kind in kinds]
        if sample_rows is not None:
            self._others.append(sample_rows)

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        if not self._is_added(batch):
            for other in self._others:
                other.add(batch)

    def _is_added(self, batch: Batch) -> bool:
        """Whether the batch was plain, and has been added in place."""
        values, of = batch.values, batch.samples
        if self._plain is None:
            is_rectified = batch.saturation is None or batch.saturation.is_rectifier
            if not (is_rectified and values.ndim == 2 and has_kernel(values)):
                return False
            room = NO_ROOM if self._sample_rows is None else self._sample_rows.room(values.shape[1])
            if room is None:
                return False
            self._saturation = batch.saturation
            self._plain = _PlainSums(values.shape[1], of.groups.n_classes, batch.saturation, room)
        is_alike = batch.saturation is self._saturation or _is_alike(batch.saturation, self._saturation)
        return is_alike and self._plain.add(values, of)

    def states(self) -> Iterator[State]:
        """The States of everything added, what was plain and what was not apart."""
        yield from chain.from_iterable(other.states() for other in self._others)
        if self._plain is not None:
            kinds = {other.kind for other in self._others if isinstance(other, StateSum)}
            yield from (state for state in self._plain.states() if type(state) in kinds)


@final
class _PlainSums:
    """The arrays of the sums of plain rows, and the table that tells compiled code where they are.

    Args:
        width: units.
        n_classes: segments of the samples.
        saturation: of a rectifier; None for a layer that is no activation.
        room: where rows of the row sample are put.
    """

    __slots__ = ("_address", "_counts", "_ends", "_room", "_run", "_saturation", "_seen", "_sums", "_table", "_width")

    def __init__(self, width: int, n_classes: int, saturation: Saturation | None, room: Room) -> None:
        self._run, self._width, self._saturation, self._room = compiled.run_at, width, saturation, room
        self._sums = np.zeros((2, n_classes + 1, width))
        self._ends = np.full((2, 2, width), np.inf, np.float32)
        self._ends[:, 1] = -np.inf
        self._counts = np.zeros((2, 2, width), np.int64)
        self._seen = np.zeros((2, n_classes), np.int64)
        table = self._table = np.zeros(1, compiled.LAYER)
        arrays = {"sums": self._sums, "ends": self._ends, "counts": self._counts, "seen": self._seen}
        for name, array in {**arrays, "out": room[0], "out_ids": room[1]}.items():
            table[name] = array.ctypes.data
        table["width"], table["n_segments"], table["room"] = width, n_classes, len(room[0])
        table["is_rectifier"], table["high"] = saturation is not None, np.inf if saturation is None else saturation.high
        self._address = table.ctypes.data

    def add(self, values: Tensor, of: Samples) -> bool:
        """Add a batch; False, with nothing added and no row put, if it is not plain."""
        if not (  # `has_kernel` and more, without another call that runs cold
            type(values) is Tensor
            and values.dtype is torch.float32
            and values.is_cpu
            and values.is_contiguous()
            and values.shape == (len(of.ids), self._width)
            and len(of.ids)
        ):
            return False
        table = of.table or compiled.batch_table(of.groups.order, of.groups.starts, of.ids, *_places(of), team())
        return self._run(values.data_ptr(), self._address, table[1])

    def states(self) -> tuple[State, ...]:
        """The States of everything added; none where nothing was."""
        seen, totals, squares = self._seen[0].copy(), self._sums[0, :-1].copy(), self._sums[0, -1]
        n, total = int(seen.sum()), totals.sum(0)
        if not n:
            return ()
        low, high = self._ends[0].astype(np.float64)
        if self._saturation is None:
            activity = ActivityState.from_extremes(n, low, high)
        else:
            zeros, above = self._counts[0].copy()
            activity = ActivityState.from_sums(n, total, zeros, zeros + above, low, high)
        moments = MomentState.from_sums(n, total, squares, low, high)
        return moments, activity, CentroidState.from_sums(seen, totals)


def _is_alike(a: Saturation | None, b: Saturation | None) -> bool:
    """Whether two layers are the same kind of rectifier."""
    return a is not None and b is not None and a.is_rectifier and b.is_rectifier and a.high == b.high


def _places(of: Samples) -> tuple[Array, Array]:
    """Which rows have a place, and where."""
    return (_NONE, _NONE) if of.drawn is None or of.places is None else (of.drawn, of.places)
