"""The sums of one layer in a pass over the data: the accumulators that its kinds of States need.

In: the layer's tensor, batch after batch. Out: States. Must not know hooks, nor how an accumulator adds.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from unbend.errors import ShapeError
from unbend.numerics.batch import Samples, Saturation, batch
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.streaming.accumulator import Accumulator, StateSum, add_states
from unbend.numerics.streaming.choose import Chooser, Selection
from unbend.numerics.streaming.in_place import KINDS, InPlaceSums
from unbend.numerics.streaming.rows import SampleRows, SecondSums
from unbend.numerics.units import UnitState, UnitSums
from unbend.numerics.view import Layout, View

_TINY: dict[Layout, tuple[tuple[int, ...], ...]] = {
    "features": ((2, 2),), "maps": ((2, 2, 2), (2, 2, 512)), "tokens": ((2, 2, 2),),
}  # fmt: skip
"""Shapes of outputs that go through all code of a layout."""
OF_KIND: dict[type[Any], Callable[[], Accumulator]] = {SecondState: SecondSums, UnitState: UnitSums}
"""Kinds of States that have an accumulator of their own, which `accumulators` makes for each layer."""


def warm_up(layouts: Iterable[Layout]) -> None:
    """Compile what sums outputs of these layouts, or load it from the disk: some seconds the first time on a machine.

    What it leaves out, as the code for activations that are no ReLU, is compiled when a batch asks for it.
    """
    kinds = (*KINDS, SecondState, SampleState)
    choose = Chooser(Selection(), kinds, 2)
    for layout in dict.fromkeys(layouts):
        for shape in _TINY[layout]:
            width = shape[1] if layout == "maps" else shape[-1]
            rule = "none" if layout == "features" else "mean"
            sums = LayerSums(kinds, View(layout, rule, width), choose)
            of = choose(torch.tensor([0, 1]), np.arange(2))
            sums.add(torch.linspace(0, 1, math.prod(shape)).reshape(shape), of, saturation=Saturation(0.0, np.inf))
            sums.states()


@final
class LayerSums:
    """The sums of one layer.

    Args:
        kinds: State classes to add up.
        view: how the layer's tensor is read.
        choose: what chooses the rows of each batch.
        name: of the layer, for the sentence of an error.
    """

    __slots__ = ("_kinds", "_name", "_parts", "_shape", "_view")

    def __init__(self, kinds: Sequence[type[Any]], view: View, choose: Chooser, name: str = "") -> None:
        self._kinds, self._view, self._name = kinds, view, name
        self._parts = tuple(accumulators(kinds, view, choose))
        self._shape: torch.Size | None = None

    def add(
        self, values: Tensor, of: Samples, *, mask: Tensor | None = None, saturation: Saturation | None = None
    ) -> None:
        """Add the layer's tensor for one batch, which may be overwritten afterwards.

        Raises:
            ShapeError: it has other units, or its rows another width, than the batch before.
        """
        shape = values.shape[1:]
        if shape != self._shape:
            self._refuse_change(shape)
            self._shape = shape
        now = batch(values, of, view=self._view, mask=mask, saturation=saturation)
        for part in self._parts:
            part.add(now)

    def _refuse_change(self, shape: torch.Size) -> None:
        if self._shape is None:
            return
        # Positions may change where they are reduced, or where what they are flattened to is sketched to one width.
        is_whole = self._view.rule == "flatten" and not self._view.sketch
        units, others = (form[:1] if self._view.layout == "maps" else form[-1:] for form in (self._shape, shape))
        if units != others or (is_whole and math.prod(self._shape) != math.prod(shape)):
            before, now = (
                math.prod(form) if self._view.rule == "flatten" else math.prod(width)
                for form, width in ((self._shape, units), (shape, others))
            )
            raise ShapeError(
                f"layer {self._name!r}: its rows have {before} numbers in one batch and {now} in another. "
                "Reduce it over positions (reduce='mean'), make all batches alike, or leave it out (layers=)."
            )

    def states(self) -> dict[str, Any]:
        """The State of each kind, by class name, in the order of the kinds."""
        found = add_states(chain.from_iterable(part.states() for part in self._parts))
        return {kind.__name__: found[kind.__name__] for kind in self._kinds}


def accumulators(kinds: Sequence[type[Any]], view: View, choose: Chooser) -> Iterator[Accumulator]:
    """What adds up States of these kinds, for a layer that is read so."""
    most_dense = choose.most_dense if choose.holds_second else None
    sample_rows = None if choose.bottom_k is None else SampleRows(choose.bottom_k, most_dense)
    in_place = [kind for kind in kinds if kind in KINDS and view.layout == "features"]
    if in_place:
        yield InPlaceSums(in_place, None if view.sketch else sample_rows)
    if sample_rows is not None and (view.sketch or not in_place):
        yield sample_rows
    summed = {SampleState, *in_place} | ({SecondState} if choose.holds_second else set())
    yield from (OF_KIND[kind]() if kind in OF_KIND else StateSum(kind) for kind in kinds if kind not in summed)
