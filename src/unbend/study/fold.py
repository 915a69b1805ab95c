"""The one loop over batches.

In: a model, where to look (`capture.Plan`), batches. Out: the sum of every State of every layer. A training
callback, a distributed run and a study all call this; nothing else iterates over a data set.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, final

import torch
from torch import Tensor, nn

from unbend.capture import Caught, Plan, Tap, call, tapped, token_mask
from unbend.errors import DataError
from unbend.numerics.batch import Samples
from unbend.numerics.streaming.choose import Chooser, Selection
from unbend.numerics.streaming.layer import LayerSums
from unbend.numerics.views import WIDEST, View
from unbend.study.reader import Minibatch

INPUT = "input"
_LEAST, _LARGEST = 1e-150, 1e37
"""Between these the square of a float64 number is one, and so is its float32, in which some references are fitted."""
States = dict[str, dict[str, Any]]


@final
class Fold:
    """The sums of every layer, batch after batch.

    Args:
        model: from `capture.bare`, already quiet.
        plan: where to look.
        kinds: State classes to add up.
        n_classes: as in `numerics.batch.samples`.
        fit: applied to the inputs of each batch.
        selection: which rows go into second moments and the row sample; left out, all do, or as many as it holds.
        with_input: whether the input is measured like a layer.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: Plan,
        kinds: Sequence[type[Any]],
        *,
        n_classes: int | None = None,
        fit: Callable[[Any], Any] = lambda inputs: inputs,
        selection: Selection | None = None,
        with_input: bool = True,
    ) -> None:
        self._model, self._plan, self._kinds, self._fit, self._with_input = model, plan, kinds, fit, with_input
        self._choose = Chooser(selection or Selection(), kinds, n_classes)
        self._sums: dict[str, LayerSums] = {}
        self._of: Samples | None = None
        self._mask: Tensor | None = None

    def listening(self) -> AbstractContextManager[None]:
        """Within it `add` hears the layers; the hooks are removed after it."""
        return tapped(self._model, self._plan.taps, self._receive)

    def add(self, minibatch: Minibatch) -> None:
        """Run the model on a batch and add it to all sums."""
        _refuse_extremes("labels", minibatch.y, minibatch)
        inputs = self._fit(minibatch.inputs)
        of = self._of = self._choose(minibatch.y, minibatch.ids)
        self._mask = inputs.get("attention_mask") if isinstance(inputs, dict) else None
        flat = input_rows(inputs, len(of.ids)) if self._with_input else None
        if flat is not None:
            if INPUT not in self._sums:
                self._sums[INPUT] = LayerSums(self._kinds, _input_view(flat), self._choose, INPUT)
            _refuse_holes(flat, minibatch)
            _refuse_extremes("values", flat, minibatch)
            self._sums[INPUT].add(flat, of)
        call(self._model, inputs)

    def _receive(self, tap: Tap, caught: Caught) -> None:
        assert self._of is not None  # noqa: S101  the model runs in `add` only
        mine = self._sums.get(tap.name)
        if mine is None:
            mine = self._sums[tap.name] = LayerSums(self._kinds, tap.view, self._choose, tap.name)
        is_token = tap.view.layout == "tokens"  # asked here too: in a hook every call runs cold
        mask = token_mask(tap, caught, self._mask) if is_token else None
        mine.add(caught.values, self._of, mask=mask, saturation=caught.saturation)

    def states(self) -> States:
        """Layer → State class name → State; the input, where it is numeric, comes first. Nothing can be added then."""
        return {name: self._sums.pop(name).states() for name in list(self._sums)}  # held no longer than need be


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
        model: as the next ones but `batches` and `tick`, see `Fold`.
        plan: where to look.
        batches: what to look at.
        kinds: State classes to add up.
        n_classes: as in `numerics.batch.samples`.
        fit: applied to the inputs of each batch.
        selection: which rows go where.
        tick: called with the number of rows after each batch.
        with_input: whether the input is measured like a layer.

    Returns:
        Layer → State class name → State; the input, where it is numeric, comes first as `input`.

    Cost:
        One forward pass per batch; memory independent of the number of batches.
    """
    made = Fold(model, plan, kinds, n_classes=n_classes, fit=fit, selection=selection, with_input=with_input)
    with made.listening():
        for minibatch in batches:
            made.add(minibatch)
            tick(len(minibatch.ids))
    return made.states()


def add_sums(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Two sums of States entry by entry, at any depth; a missing one is the sum of nothing."""
    out = {**b, **a}
    for name in a.keys() & b.keys():
        mine, other = a[name], b[name]
        out[name] = add_sums(mine, other) if isinstance(mine, dict) else mine + other
    return {name: out[name] for name in dict.fromkeys([*a, *b])}


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


def _refuse_extremes(what: str, found: Tensor, minibatch: Minibatch) -> None:
    """Refuse float64 numbers whose squares, or the sums of them, are none; narrower floats have no such numbers."""
    if found.dtype != torch.float64 or not found.numel():
        return
    size = found.abs().reshape(len(found), -1).amax(1)
    wild = size > _LARGEST if size.amax() >= _LEAST else size > 0
    if wild.any():
        first = int(wild.nonzero()[0])
        raise DataError(
            f"data: expected {what} between {_LEAST:g} and {_LARGEST:g}, got {float(size[first]):.3g} in row "
            f"{int(minibatch.ids[first])}: what is worked out from it is no number any more. Give them in another unit."
        )
