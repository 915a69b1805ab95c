"""The one loop over batches.

In: a model, where to look (`capture.Plan`), batches. Out: the sum of every State of every layer. A training
callback, a distributed run and a study all call this; nothing else iterates over a data set.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array
from unbend.capture import Caught, Plan, Tap, call, tapped, tensor_of, token_mask
from unbend.errors import DataError
from unbend.numerics.batch import SIZE, Batch, Samples, batch, samples
from unbend.numerics.gradient import GradientState
from unbend.numerics.histogram import HistogramState
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.stream import KINDS as STREAMED
from unbend.numerics.stream import Stream, is_streamable
from unbend.numerics.table import TableState
from unbend.numerics.views import WIDEST, View
from unbend.study.reader import Minibatch

INPUT = "input"
ROWS_ONLY = (SecondState, SampleState, HistogramState, TableState)
"""States that need no sweep of the tensor."""
States = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows go where.

    Attributes:
        rate: share of rows that go into the second moments and histograms, chosen by hash.
        size: rows kept in the row sample.
    """

    rate: float = 1.0
    size: int = SIZE


def fold(
    model: nn.Module,
    plan: Plan,
    batches: Iterable[Minibatch],
    kinds: Sequence[type[Any]],
    *,
    n_classes: int | None = None,
    fit: Callable[[Any], Any] = lambda inputs: inputs,
    chooser: "Chooser | None" = None,
    tick: Callable[[int], None] = lambda _n: None,
    totals: States | None = None,
    with_input: bool = True,
) -> States:
    """Run the model over the batches and add up every State of every layer.

    Args:
        model: from `capture.bare`, already quiet.
        plan: where to look.
        batches: what to look at.
        kinds: State classes to add up.
        n_classes: as in `numerics.batch.samples`.
        fit: applied to the inputs of each batch.
        chooser: marks the rows that go into second moments and the row sample; left out, all do.
        tick: called with the number of rows after each batch.
        totals: sums to go on from; they are updated in place.
        with_input: whether the input is measured like a layer.

    Returns:
        Layer → State class name → State; the input, where it is numeric, comes first as `input`.

    Cost:
        One forward pass per batch; memory independent of the number of batches.
    """
    totals = {} if totals is None else totals
    chooser = chooser or Chooser(Selection())
    current: list[tuple[Samples, Tensor | None]] = []
    streams: dict[str, Stream] = {}
    cheap = tuple(kind for kind in kinds if kind in STREAMED)
    dear = tuple(kind for kind in kinds if kind not in STREAMED)

    def add(name: str, made: Batch, which: Sequence[type[Any]]) -> None:
        mine = totals.setdefault(name, {})
        for kind in which:
            state = kind.of(made)
            mine[kind.__name__] = mine[kind.__name__] + state if kind.__name__ in mine else state

    def streamed(name: str, view: View, caught: Caught, of: Samples) -> bool:
        if not cheap or not is_streamable(caught.values, view, caught.bend):
            return False
        if name not in streams:
            totals.setdefault(name, {})
            streams[name] = Stream(caught.values.shape[1], of.groups.n_classes, caught.bend)
        return streams[name].add(caught.values, of.groups)

    def receive(tap: Tap, caught: Caught) -> None:
        of, mask = current[0]
        left = dear if streamed(tap.name, tap.view, caught, of) else kinds
        if left:
            mine = token_mask(tap, caught, mask)
            swept = tap.view.layout != "features" or any(kind not in ROWS_ONLY for kind in left)
            made = batch(caught.values, of, view=tap.view, mask=mine, bend=caught.bend, swept=swept)
            add(tap.name, made, left)

    with tapped(model, plan.taps, receive):
        for minibatch in batches:
            inputs = fit(minibatch.inputs)
            of = chooser.choose(samples(minibatch.y, n_classes=n_classes, ids=minibatch.ids))
            current[:] = [(of, inputs.get("attention_mask") if isinstance(inputs, dict) else None)]
            flat = input_rows(inputs, len(of.ids)) if with_input else None
            if flat is not None:
                made = batch(flat, of, view=_input_view(flat))
                _refuse_holes(made, minibatch)
                add(INPUT, made, kinds)
            call(model, inputs)
            tick(len(of.ids))
    return _with_streams(totals, streams, kinds)


def _with_streams(totals: States, streams: dict[str, Stream], kinds: Sequence[type[Any]]) -> States:
    """The sums that were kept in place added to the others, each layer's States in the order of `kinds`."""
    for name, stream in streams.items():
        mine = totals.setdefault(name, {})
        for kind, state in stream.states().items():
            if kind in {k.__name__ for k in kinds}:
                mine[kind] = mine[kind] + state if kind in mine else state
        totals[name] = {k.__name__: mine[k.__name__] for k in kinds if k.__name__ in mine}
    return totals


def summed(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Two sums of States entry by entry, at any depth; a missing one is the sum of nothing."""
    out = {**b, **a}
    for name in a.keys() & b.keys():
        mine, other = a[name], b[name]
        out[name] = summed(mine, other) if isinstance(mine, dict) else mine + other
    return {name: out[name] for name in dict.fromkeys([*a, *b])}


def fold_gradients(
    model: nn.Module,
    plan: Plan,
    batches: Iterable[Minibatch],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    fit: Callable[[Any], Any] = lambda inputs: inputs,
    tick: Callable[[int], None] = lambda _n: None,
) -> dict[str, GradientState]:
    """Size of the loss gradient at every layer; the model's parameters and their `.grad` are left as they are."""
    totals: dict[str, GradientState] = {}
    caught: list[tuple[str, Tensor]] = []

    def receive(tap: Tap, got: Caught) -> None:
        if got.values.requires_grad:
            caught.append((tap.name, got.values))

    with tapped(model, plan.taps, receive):
        for minibatch in batches:
            caught.clear()
            found = tensor_of(call(model, fit(minibatch.inputs)))
            if found is None:
                break
            y = minibatch.y.to(found.tensor.device)
            y = y.to(found.tensor.dtype).reshape(found.tensor.shape) if y.is_floating_point() else y
            value = loss(found.tensor, y)
            summed = value.sum() if value.ndim else value * len(y)
            grads = torch.autograd.grad(summed, [h for _, h in caught], allow_unused=True)
            for (name, h), grad in zip(caught, grads, strict=True):
                state = GradientState.of(torch.zeros_like(h) if grad is None else grad)
                totals[name] = totals.get(name, GradientState.empty()) + state
            tick(len(y))
    return totals


def input_rows(inputs: Any, n: int) -> Tensor | None:
    """The input as rows, if it is one numeric tensor; token numbers are no representation."""
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or inputs.ndim < 2 or len(inputs) != n:
        return None
    return inputs.flatten(1)


def _input_view(flat: Tensor) -> View:
    d = flat.shape[1]
    return View("features", "none", d, WIDEST // 2 if d > WIDEST else 0)


def _refuse_holes(made: Batch, minibatch: Minibatch) -> None:
    if made.swept.nonfinite.any():
        bad = (~torch.isfinite(made.values).all(1)).nonzero().flatten()
        raise DataError(
            f"data: {int(made.swept.nonfinite.sum())} values are NaN or infinite, first in row "
            f"{int(minibatch.ids[int(bad[0])])}. Drop or fill those rows."
        )


class Chooser:
    """Marks the rows of each batch by their hash: those for second moments, those that may enter the sample."""

    def __init__(self, selection: Selection) -> None:
        self._limit = None if selection.rate >= 1 else np.uint64(int(selection.rate * 2**64))
        self._size = selection.size
        self._least: Array = np.zeros(0, np.uint64)

    def choose(self, of: Samples) -> Samples:
        """The same samples, marked."""
        dense = None if self._limit is None else np.flatnonzero(of.codes < self._limit)
        seen = np.concatenate([self._least, of.codes])
        if len(seen) <= self._size:
            self._least = seen
            return replace(of, dense=dense, keep=self._size)
        self._least = np.partition(seen, self._size - 1)[: self._size]
        return replace(of, dense=dense, keep=self._size, drawn=np.flatnonzero(of.codes <= self._least.max()))
