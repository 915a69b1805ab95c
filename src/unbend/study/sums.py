"""The sums of one layer in a pass over the data, and which rows of a batch go where.

In: tensors, batch after batch. Out: States. A State that has a stream is summed in place; any other is made of each
batch and added.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from unbend.numerics.batch import SIZE, Bend, Samples, batch, samples
from unbend.numerics.histogram import HistogramState
from unbend.numerics.row_streams import Drawn, SampleStream, SecondStream
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.stream import KINDS as OF_UNITS
from unbend.numerics.stream import Stream, is_streamable
from unbend.numerics.table import TableState
from unbend.numerics.views import View, reduce

ROWS_ONLY = (SecondState, SampleState, HistogramState, TableState)
"""States that need no sweep of the tensor."""


def warm_up() -> None:
    """Compile what sums tensors, or load it from the disk: up to half a minute for the first study on a machine."""
    of = samples(torch.tensor([0, 1]))
    for shape, layout in (((2, 2), "features"), ((2, 2, 2), "maps"), ((2, 2, 512), "maps"), ((2, 2, 2), "tokens")):
        width = shape[1] if layout == "maps" else shape[-1]
        rule = "none" if layout == "features" else "mean"
        sums = LayerSums((*OF_UNITS, SecondState, SampleState), View(layout, rule, width))
        choose = Chooser(Selection(), (SecondState, SampleState))
        for bend in (Bend(-1.0, 1.0), Bend(0.0, np.inf)):
            sums.add(torch.linspace(-1, 1, math.prod(shape)).reshape(shape), choose(of), bend=bend)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows go where.

    Attributes:
        rate: share of rows that go into the second moments and histograms, chosen by hash.
        size: rows kept in the row sample.
    """

    rate: float = 1.0
    size: int = SIZE


@final
class Chooser:
    """Marks the rows of each batch by their hash: those for second moments, those that enter the sample.

    Args:
        selection: how many.
        kinds: State classes that are added up.
    """

    def __init__(self, selection: Selection, kinds: Sequence[type[Any]]) -> None:
        self._limit = None if selection.rate >= 1 else np.uint64(int(selection.rate * 2**64))
        self._has_targets = SecondState in kinds
        self.drawn = Drawn(selection.size) if SampleState in kinds else None

    def __call__(self, of: Samples) -> Samples:
        """The same samples, marked."""
        if self._limit is not None:
            of = replace(of, dense=np.flatnonzero(of.codes < self._limit))
        if self._has_targets:
            of = replace(of, fitted=of.targets(of.dense))
        return of if self.drawn is None else self.drawn.draw(of)


@final
class LayerSums:
    """The sums of one layer.

    Args:
        kinds: State classes to add up.
        view: how the layer's tensor is read.
    """

    def __init__(self, kinds: Sequence[type[Any]], view: View) -> None:
        self._kinds, self._view = kinds, view
        self._units: Stream | None = None
        self._second: SecondStream | None = None
        self._sample: SampleStream | None = None
        self._made: dict[str, Any] = {}
        self._other = tuple(kind for kind in kinds if kind not in {SecondState, SampleState})
        self._has_rows = SecondState in kinds or SampleState in kinds
        self._rest = tuple(kind for kind in self._other if kind not in OF_UNITS)

    def add(self, values: Tensor, of: Samples, *, mask: Tensor | None = None, bend: Bend | None = None) -> None:
        """Add the layer's tensor for one batch."""
        values = values.detach() if values.requires_grad else values
        left = self._rest if self._is_streamed(values, of, bend) else self._other
        if left or self._view.layout != "features":
            is_swept = self._view.layout != "features" or any(kind not in ROWS_ONLY for kind in left)
            made = batch(values, of, view=self._view, mask=mask, bend=bend, swept=is_swept)
            for kind in left:
                self._keep(kind, kind.of(made))
            rows = made.rows
        elif self._has_rows:
            rows = reduce(values, self._view)
        else:
            return
        if SecondState in self._kinds:
            if self._second is None:
                self._second = SecondStream(rows.shape[1], of.n_targets, rows.device)
            self._second.add(rows, of)
        if SampleState in self._kinds:
            if self._sample is None:
                self._sample = SampleStream(of.keep)
            self._sample.add(rows, of)

    def _is_streamed(self, values: Tensor, of: Samples, bend: Bend | None) -> bool:
        """Whether the states of units were summed in place."""
        if len(self._rest) == len(self._other) or not is_streamable(values, self._view, bend):
            return False
        if self._units is None:
            self._units = Stream(values.shape[1], of.groups.n_classes, bend)
        return self._units.add(values, of.groups)

    def _keep(self, kind: type[Any], state: Any) -> None:
        name = kind.__name__
        self._made[name] = self._made[name] + state if name in self._made else state

    def states(self, drawn: Drawn | None) -> dict[str, Any]:
        """The State of each kind, by class name, in the order of the kinds; nothing more can be added then."""
        of_units = {} if self._units is None else self._units.states()
        for kind in self._kinds:
            if kind.__name__ in of_units:
                self._keep(kind, of_units[kind.__name__])
        if self._second is not None:
            self._keep(SecondState, self._second.state())
        if self._sample is not None and drawn is not None:
            self._keep(SampleState, self._sample.state(drawn))
        return {kind.__name__: self._made[kind.__name__] for kind in self._kinds}
