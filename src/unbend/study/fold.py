"""The one loop over batches.

In: a model, where to look (`capture.Plan`), batches. Out: the sum of every State of every layer. A training
callback, a distributed run and a study all call this; nothing else iterates over a data set.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn

from unbend._names import INPUT
from unbend.capture import Caught, Plan, Tap, call, tapped, token_mask, token_masks
from unbend.capture.inputs import tensors_in
from unbend.capture.outputs import version_of
from unbend.errors import DataError, ModelError
from unbend.numerics.batch import Samples, Saturation
from unbend.numerics.streaming.choose import Chooser, Selection
from unbend.numerics.streaming.layer import LayerSums
from unbend.numerics.view import WIDEST, View
from unbend.study.positions import DrawnPositions, Positions
from unbend.study.reader import Minibatch
from unbend.study.values import States

_LEAST, _LARGEST = 1e-150, 1e37
"""Between these the square of a float64 number is one, and so is its float32, in which some references are fitted."""


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
        positions: how rows are drawn of labels per position; None for one label per row.
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
        positions: Positions | None = None,
    ) -> None:
        self._positions = positions
        self._drawn: DrawnPositions | None = None
        self._model, self._plan, self._kinds, self._fit, self._with_input = model, plan, kinds, fit, with_input
        self._masked = plan.taps if plan.end is None or positions is None else (*plan.taps, plan.end)
        self._choose = Chooser(selection or Selection(), kinds, n_classes)
        self._sums: dict[str, LayerSums] = {}
        self._of: Samples | None = None
        self._masks: dict[str, Tensor] = {}

    def listening(self) -> AbstractContextManager[None]:
        """Within it `add` hears the layers; the hooks are removed after it."""
        return tapped(self._model, self._plan.taps, self._receive)

    def add(self, minibatch: Minibatch) -> None:
        """Run the model on a batch and add it to all sums."""
        _refuse_extremes("labels", minibatch.y, minibatch)
        inputs = self._fit(minibatch.inputs)
        self._masks = token_masks(inputs, self._masked)
        if self._positions is None:
            of = self._of = self._choose(minibatch.y, minibatch.ids)
        else:
            drawn = self._drawn = self._positions.draw(minibatch.y, minibatch.ids, self._counts(minibatch.y))
            if not len(drawn.ids):
                return
            of = self._of = self._choose(drawn.y, drawn.ids)
        flat = input_rows(inputs, len(minibatch.ids), self._drawn) if self._with_input else None
        if flat is not None:
            if INPUT not in self._sums:
                self._sums[INPUT] = LayerSums(self._kinds, _input_view(flat), self._choose, INPUT)
            _refuse_holes(flat, minibatch)
            _refuse_extremes("values", flat, minibatch)
            self._sums[INPUT].add(flat, of)
        given = self._plan.protect(inputs)
        versions = [version_of(tensor) for tensor in tensors_in(given)]
        call(self._model, given)
        if not self._plan.writes and versions != [version_of(tensor) for tensor in tensors_in(given)]:
            raise ModelError(
                f"model: forward wrote into its inputs for rows from {int(minibatch.ids[0])} on, though not for the "
                "first ones, so that the data are no longer what they were. Let forward begin with x = x.clone()."
            )

    def _receive(self, tap: Tap, caught: Caught) -> None:
        assert self._of is not None  # noqa: S101  the model runs in `add` only
        mine = self._sums.get(tap.name)
        if mine is None:
            view = tap.view if self._drawn is None else self._drawn.view(tap)
            mine = self._sums[tap.name] = LayerSums(self._kinds, view, self._choose, tap.name)
        is_token = tap.view.layout == "tokens"  # asked here too: in a hook every call runs cold
        mask = token_mask(tap, caught, self._masks) if is_token else None
        if self._drawn is None:
            mine.add(caught.values, self._of, mask=mask, saturation=caught.saturation)
        else:
            at = self._drawn
            mine.add(at.of_layer(caught.values, tap, mask), self._of, saturation=_saturation(at, tap, caught))

    def _counts(self, y: Tensor) -> Tensor | None:
        """Where a token of the model's output counts, if a mask tells it of each position of the labels."""
        end, positions = self._plan.end, self._positions
        if end is None or end.mask is None or positions is None or positions.n_axes != 1:
            return None
        found = self._masks.get(end.mask.name)
        if found is not None and found.ndim == 1:
            found = torch.arange(y.shape[1], device=found.device) < found[:, None]
        return found if found is not None and found.shape == y.shape[:2] else None

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
    positions: Positions | None = None,
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
        positions: how rows are drawn of labels per position.

    Returns:
        Layer → State class name → State; the input, where it is numeric, comes first as `input`.

    Cost:
        One forward pass per batch; memory independent of the number of batches.
    """
    made = Fold(
        model, plan, kinds, n_classes=n_classes, fit=fit, selection=selection, with_input=with_input,
        positions=positions,
    )  # fmt: skip
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


def input_rows(inputs: Any, n: int, drawn: DrawnPositions | None = None) -> Tensor | None:
    """The input as rows, if it is one numeric tensor; token numbers are no representation.

    Args:
        inputs: of a batch.
        n: samples in it.
        drawn: for labels per position, those that are rows.
    """
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or inputs.ndim < 2 or len(inputs) != n:
        return None
    return inputs.flatten(1) if drawn is None else drawn.input_rows(inputs)


def _saturation(drawn: DrawnPositions, tap: Tap, caught: Caught) -> Saturation | None:
    """Where a layer is saturated, at the positions drawn."""
    found = caught.saturation
    return found if found is None or found.pre is None else replace(found, pre=drawn.of_layer(found.pre, tap))


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
    """Refuse float64 numbers whose squares, or the sums of them, are none; narrower floats have no such numbers.

    NaN and infinity are refused elsewhere, in words of their own.
    """
    if found.dtype != torch.float64 or not found.numel():
        return
    size = found.abs().reshape(len(found), -1).amax(1)
    if not torch.isfinite(size).all():
        return
    wild = size > _LARGEST if size.amax() >= _LEAST else size > 0
    if wild.any():
        first = int(wild.nonzero()[0])
        raise DataError(
            f"data: expected {what} between {_LEAST:g} and {_LARGEST:g}, got {float(size[first]):.3g} in row "
            f"{int(minibatch.ids[first])}: what is worked out from it is no number any more. Give them in another unit."
        )
