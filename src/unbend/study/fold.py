"""The one loop over batches.

In: a model, where to look (`capture.Plan`), batches. Out: the sum of every State of every layer. A training
callback, a distributed run and a study all call this; nothing else iterates over a data set.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unbend.capture import Caught, Plan, Tap, call, tapped, tensor_of, token_mask
from unbend.errors import DataError
from unbend.numerics.batch import Samples
from unbend.numerics.gradient import GradientState
from unbend.numerics.views import WIDEST, View
from unbend.study.reader import Minibatch
from unbend.study.sums import Chooser, LayerSums, Selection

INPUT = "input"
States = dict[str, dict[str, Any]]


def fold(
    model: nn.Module,
    plan: Plan,
    batches: Iterable[Minibatch],
    kinds: Sequence[type[Any]],
    *,
    n_classes: int | None = None,
    fit: Callable[[Any], Any] = lambda inputs: inputs,
    selection: Selection | None = None,
    tick: Callable[[int], None] = lambda _n: None,
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
        selection: which rows go into second moments and the row sample; left out, all do, or as many as it holds.
        tick: called with the number of rows after each batch.
        with_input: whether the input is measured like a layer.

    Returns:
        Layer → State class name → State; the input, where it is numeric, comes first as `input`.

    Cost:
        One forward pass per batch; memory independent of the number of batches.
    """
    choose = Chooser(selection or Selection(), kinds, n_classes)
    sums: dict[str, LayerSums] = {}
    current: list[tuple[Samples, Tensor | None]] = []

    def receive(tap: Tap, caught: Caught) -> None:
        of, mask = current[0]
        mine = sums.get(tap.name)
        if mine is None:
            before = sums.get(tap.fed_by or "") if tap.rectifies else None
            mine = sums[tap.name] = LayerSums(kinds, tap.view, choose, tap.name, before)
        mask = token_mask(tap, caught, mask)
        mine.add(caught.values, of, mask=mask, bend=caught.bend, source=caught.source)

    with tapped(model, plan.taps, receive):
        for minibatch in batches:
            inputs = fit(minibatch.inputs)
            of = choose(minibatch.y, minibatch.ids)
            current[:] = [(of, inputs.get("attention_mask") if isinstance(inputs, dict) else None)]
            flat = input_rows(inputs, len(of.ids)) if with_input else None
            if flat is not None:
                if INPUT not in sums:
                    sums[INPUT] = LayerSums(kinds, _input_view(flat), choose, INPUT)
                _refuse_holes(flat, minibatch)
                sums[INPUT].add(flat, of)
            call(model, inputs)
            tick(len(of.ids))
    return {name: sums.pop(name).states() for name in list(sums)}  # what one layer held is free before the next


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


def _refuse_holes(flat: Tensor, minibatch: Minibatch) -> None:
    if torch.isfinite(flat.sum()):
        return
    good = torch.isfinite(flat)
    if not good.all():
        bad = (~good.all(1)).nonzero().flatten()
        raise DataError(
            f"data: {int((~good).sum())} values are NaN or infinite, first in row "
            f"{int(minibatch.ids[int(bad[0])])}. Drop or fill those rows."
        )
