"""The sums of one layer in a pass over the data, and which rows of a batch go where.

In: tensors, batch after batch. Out: States. A State that has a stream is summed in place; any other is made of each
batch and added.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Int64
from unbend.errors import ShapeError
from unbend.numerics import compiled
from unbend.numerics.batch import SIZE, Bend, Samples, batch, samples, targets_of
from unbend.numerics.compiled.team import team
from unbend.numerics.hashing import shift
from unbend.numerics.histogram import HistogramState
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.streaming.in_place import KINDS as OF_UNITS
from unbend.numerics.streaming.in_place import Stream, is_streamable
from unbend.numerics.streaming.rows import ALL, Drawn, Held, SecondStream, highest
from unbend.numerics.sweep import Segments
from unbend.numerics.table import TableState
from unbend.numerics.views import View, reduce

ROWS_ONLY = (SecondState, SampleState, HistogramState, TableState)
"""States that need no sweep of the tensor."""
_SHIFT = shift()


def warm_up() -> None:
    """Compile what sums tensors, or load it from the disk: up to half a minute for the first study on a machine."""
    kinds = (*OF_UNITS, SecondState, SampleState)
    choose = Chooser(Selection(), kinds, 2)
    for shape, layout in (((2, 2), "features"), ((2, 2, 2), "maps"), ((2, 2, 512), "maps"), ((2, 2, 2), "tokens")):
        width = shape[1] if layout == "maps" else shape[-1]
        rule = "none" if layout == "features" else "mean"
        sums = LayerSums(kinds, View(layout, rule, width), choose)
        for bend in (Bend(-1.0, 1.0), Bend(0.0, np.inf)):
            of = choose(torch.tensor([0, 1]), np.arange(2))
            sums.add(torch.linspace(-1, 1, math.prod(shape)).reshape(shape), of, bend=bend)
        sums.states()


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
        drawn: which rows are held for the row sample; None where there is none.
        most_dense: the highest hash of a row that goes into second moments and histograms.
        holds_second: the rows of second moments, which have the least hashes too, are among those held.
    """

    def __init__(self, selection: Selection, kinds: Sequence[type[Any]], n_classes: int | None) -> None:
        self._prepared, self._table_of = compiled.prepared, compiled.batch_table
        self._n_classes, self._size, self._team = n_classes, selection.size, team()
        self.most_dense = highest(selection.rate)
        self.drawn = Drawn(selection.size, selection.n) if SampleState in kinds else None
        fits = selection.n is not None and selection.n * selection.rate <= selection.size
        self.holds_second = self.drawn is not None and fits
        held = {SampleState, SecondState} if self.holds_second else {SampleState}
        self._marks_dense = self.most_dense < ALL and any(kind not in held for kind in kinds if kind not in OF_UNITS)
        self._fits = SecondState in kinds and not self.holds_second
        self._most = np.uint64(ALL if self.drawn is None else self.drawn.most)

    def __call__(self, y: Tensor, ids: Int64[Array, "n"]) -> Samples:
        """The samples of a batch with labels or targets y [n], as in `numerics.batch.samples`."""
        y, ids, codes, n_classes, groups, low, table = self._grouped(y, np.ascontiguousarray(ids))
        dense = np.flatnonzero(codes <= np.uint64(self.most_dense)) if self._marks_dense else None
        fitted = None
        if self._fits:
            fitted = targets_of(y if dense is None else y[torch.from_numpy(dense)], n_classes)
        drawn, places = None, None
        if self.drawn is not None:
            targets = groups.label if n_classes else y.numpy()
            drawn, places = self.drawn.draw(ids, codes, targets, n_classes, low, table[0])
        return Samples(y, ids, codes, n_classes, groups, dense, drawn, places, self._size, fitted, table)

    def _grouped(self, y: Tensor, ids: Array) -> tuple[Tensor, Array, Array, int, Segments, Array, tuple[Array, int]]:
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


@final
class LayerSums:
    """The sums of one layer.

    Args:
        kinds: State classes to add up.
        view: how the layer's tensor is read.
        choose: what chooses the rows of each batch.
        name: of the layer, for the sentence of an error.
        before: for a ReLU, the sums of the layer whose output it takes.
    """

    def __init__(
        self,
        kinds: Sequence[type[Any]],
        view: View,
        choose: Chooser,
        name: str = "",
        before: "LayerSums | None" = None,
    ) -> None:
        self._kinds, self._view, self._choose, self._name = kinds, view, choose, name
        self._before = before
        self._width = 0
        self._other = tuple(kind for kind in kinds if kind not in {SecondState, SampleState})
        self._rest = tuple(kind for kind in self._other if kind not in OF_UNITS)
        self._units: Stream | None = None
        self._is_all = self._puts = False
        self._held = None if choose.drawn is None else Held(choose.drawn)
        self._streams_second = SecondState in kinds and not choose.holds_second
        self._second: SecondStream | None = None
        self._made: dict[str, Any] = {}

    def add(
        self,
        values: Tensor,
        of: Samples,
        *,
        mask: Tensor | None = None,
        bend: Bend | None = None,
        source: Tensor | None = None,
    ) -> None:
        """Add the layer's tensor for one batch; `source` is what it was made of, where that is known."""
        summed = self._units is not None and self._units.add(values, of, source)
        if summed and self._is_all:
            return
        values = values.detach()
        if self._units is None and len(self._rest) < len(self._other) and is_streamable(values, self._view, bend):
            self._units = self._begun(values, of, bend)
            summed = self._units.add(values, of)
        left, held = (self._rest, None if self._puts else self._held) if summed else (self._other, self._held)
        if left or held is not None or self._streams_second:
            self._add_rows(self._rows(values, of, left, mask, bend), of, held)

    def _begun(self, values: Tensor, of: Samples, bend: Bend | None) -> Stream:
        """Sums that are updated in place from now on, wherever a batch allows it."""
        width, is_folded = values.shape[1], bool(self._view.fold)
        room = None if self._held is None or is_folded else self._held.room(width)
        self._puts = room is not None
        self._is_all = not self._rest and not self._streams_second and (self._puts or self._held is None)
        self._width = 0 if is_folded else width
        made = Stream(width, of.groups.n_classes, bend, room)
        if self._before is not None:
            self._before.feed(made)
        return made

    def feed(self, after: Stream) -> None:
        """Sweep the ReLU after this layer, whose sums these are, together with it where that can be."""
        if self._units is not None:
            self._units.feed(after)

    def _rows(
        self, values: Tensor, of: Samples, left: Sequence[type[Any]], mask: Tensor | None, bend: Bend | None
    ) -> Tensor:
        """One row per sample; the States left are made on the way."""
        if not left and self._view.layout == "features":
            return self._fitting(reduce(values, self._view))
        is_swept = self._view.layout != "features" or any(kind not in ROWS_ONLY for kind in left)
        made = batch(values, of, view=self._view, mask=mask, bend=bend, swept=is_swept)
        rows = self._fitting(made.rows)
        for kind in left:
            self._keep(kind, kind.of(made))
        return rows

    def _fitting(self, rows: Tensor) -> Tensor:
        """The rows, if they are as wide as those before."""
        width = rows.shape[1]
        if self._width not in {0, width}:
            raise ShapeError(
                f"layer {self._name!r}: its rows have {self._width} numbers in one batch and {width} in another. "
                "Reduce it over positions (reduce='mean'), make all batches alike, or leave it out (layers=)."
            )
        self._width = width
        return rows

    def _add_rows(self, rows: Tensor, of: Samples, held: Held | None) -> None:
        if held is not None:
            held.add(rows, of)
        if self._streams_second:
            if self._second is None:
                self._second = SecondStream(rows.shape[1], of.n_targets, rows.device)
            self._second.add(rows, of)

    def _keep(self, kind: type[Any], state: Any) -> None:
        name = kind.__name__
        self._made[name] = self._made[name] + state if name in self._made else state

    def states(self) -> dict[str, Any]:
        """The State of each kind, by class name, in the order of the kinds; nothing more can be added then."""
        of_units = {} if self._units is None else self._units.states()
        for kind in self._kinds:
            if kind.__name__ in of_units:
                self._keep(kind, of_units[kind.__name__])
        if self._second is not None:
            self._keep(SecondState, self._second.state())
        if self._held is not None:
            self._keep(SampleState, self._held.sample())
            if SecondState in self._kinds and not self._streams_second:
                self._keep(SecondState, self._held.second(self._choose.most_dense))
        return {kind.__name__: self._made[kind.__name__] for kind in self._kinds}
