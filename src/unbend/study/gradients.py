"""How large the loss gradient is at every layer.

In: a model, where to look, batches, a loss. Out: the sum of a `GradientState` per layer that gradients reach. They are
gradients with respect to the layers' outputs, so frozen parameters do not matter; the model is left as it was.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from unbend.capture import Caught, Plan, Tap, call, tapped, tensor_of
from unbend.errors import DataError
from unbend.numerics.gradient import GradientState
from unbend.study.loss import LabelForms, Loss, loss_value
from unbend.study.reader import Minibatch


def fold_gradients(
    model: nn.Module,
    plan: Plan,
    batches: Iterable[Minibatch],
    loss: Loss | str,
    *,
    n_classes: int = 0,
    fit: Callable[[Any], Any] = lambda inputs: inputs,
    tick: Callable[[int], None] = lambda _n: None,
) -> dict[str, GradientState]:
    """Size of the loss gradient at every layer; the model's parameters and their `.grad` are left as they are.

    Args:
        model: from `capture.bare`, already quiet, with gradients recorded.
        plan: where to look.
        batches: with coded labels.
        loss: as `loss_value` takes it.
        n_classes: number of classes; 0 for targets.
        fit: applied to the inputs of each batch.
        tick: called with the number of rows after each batch.

    Raises:
        DataError: the loss does not take the labels, or no gradient comes out of the model.
    """
    totals: dict[str, GradientState] = {}
    caught: list[tuple[str, Tensor]] = []

    def receive(tap: Tap, got: Caught) -> None:
        if got.values.requires_grad:
            caught.append((tap.name, got.values))

    with _unfrozen(model), tapped(model, plan.taps, receive):
        for minibatch in batches:
            caught.clear()
            found = tensor_of(call(model, fit(minibatch.inputs)))
            if found is None:
                break
            forms = LabelForms(minibatch.y, minibatch.raw, n_classes)
            value = loss_value(loss, found.tensor, forms)
            if not value.requires_grad:
                raise DataError(
                    "loss: no gradient comes out of the model, as its forward runs under torch.no_grad or detaches its "
                    "output. Leave the loss out, or let forward record gradients."
                )
            summed = value.sum() if value.ndim else value * len(minibatch.ids)
            grads = torch.autograd.grad(summed, [h for _, h in caught], allow_unused=True)
            for (name, h), grad in zip(caught, grads, strict=True):
                state = GradientState.of(torch.zeros_like(h) if grad is None else grad)
                totals[name] = totals.get(name, GradientState.empty()) + state
            tick(len(minibatch.ids))
    return totals


@contextmanager
def _unfrozen(model: nn.Module) -> Iterator[None]:
    """Let frozen parameters record gradients, so that every layer's output lies in the graph; freeze them again."""
    kinds = (p for p in model.parameters() if p.is_floating_point() or p.is_complex())
    frozen = [p for p in kinds if p.is_leaf and not p.requires_grad and not p.is_inference()]
    try:
        for parameter in frozen:
            parameter.requires_grad = True
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad = False
