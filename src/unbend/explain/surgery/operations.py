"""What is done to a layer: skipped, replaced by one matrix, by its mean, or freed of what tells the classes apart.

In: a layer, what is known of it. Out: a `Change` of its output, or the reason why there is none.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Bool, Float64
from unbend.capture import Tap
from unbend.explain.defaults import Operation
from unbend.explain.surgery.fit import AffineMap, LayerFit
from unbend.explain.surgery.replay import Change
from unbend.numerics.erasure import Eraser

MEANINGS: dict[Operation, str] = {
    "skip": "its input handed on (of an activation: the identity in its place)",
    "affine": "its best affine map in its place",
    "mean": "its mean over the training rows in its place",
    "resample": "its output for another row of the batch in its place",
    "erase": "without what a linear read-out can use of the classes",
    "control": "without as many directions drawn at random",
}
"""What each operation does to a layer, in words."""


def change_of(operation: Operation, tap: Tap, known: LayerFit) -> Change | str:
    """What an operation does to the layer's output, or why it cannot be done.

    Args:
        operation: which.
        tap: the layer.
        known: what is known of it.
    """
    if tap.order or tap.n_merged > 1:
        return "its units lie on more than one axis"
    if tap.alias_of is not None and operation in {"mean", "resample", "erase", "control"}:
        return f"its values are those of `{tap.alias_of}`"
    if operation == "skip":
        return hand_on if known.takes_its_shape else "its input has another shape than its output"
    if operation == "affine":
        found = known.affine
        where = "it is a function inside `forward`" if tap.function else "it has no input at the same positions"
        return where if found is None else affine_change(tap, found)
    if operation in {"mean", "resample"}:
        every = np.ones(len(known.mean), bool)
        return ablate(tap, known.mean, every) if operation == "mean" else resample(tap, every, 0)
    eraser = known.eraser if operation == "erase" else known.control
    return "it is too wide, or read by its greatest value" if eraser is None else _erasing(tap, eraser)


def _erasing(tap: Tap, eraser: Eraser) -> Change:
    if tap.view.rule == "flatten":
        return lambda out, _given: eraser(out.flatten(1)).reshape(out.shape)
    return lambda out, _given: _at_units(tap, out, out, eraser)


def hand_on(out: Tensor, given: Tensor | None) -> Tensor:
    """The layer's input in place of its output."""
    return out if given is None else given.to(out.dtype)


def affine_change(tap: Tap, found: AffineMap) -> Change:
    """An affine map of the layer's input in place of its output, at every position."""
    return lambda out, given: _at_units(tap, out, given, lambda x: found(x.to(out.dtype)))


def add(tap: Tap, vector: Float64[Array, "d"]) -> Change:
    """A vector added at every position."""
    values = torch.from_numpy(vector)
    return lambda out, _given: _at_units(tap, out, out, lambda h: h + values.to(h))


def resample(tap: Tap, dropped: Bool[Array, "d"], seed: int) -> Change:
    """Some units of the layer as they are for another row of the batch: what they say goes, their spread stays."""
    which = torch.from_numpy(dropped)

    def change(out: Tensor, _given: Tensor | None) -> Tensor:
        order = torch.randperm(len(out), generator=torch.Generator().manual_seed(seed)).to(out.device)
        shape = [1] * out.ndim
        shape[1 if tap.view.layout == "maps" else -1] = len(which)
        return torch.where(which.to(out.device).reshape(shape), out[order], out)

    return change


def ablate(tap: Tap, mean: Float64[Array, "d"], dropped: Bool[Array, "d"]) -> Change:
    """Some units of the layer at their mean over the training rows."""
    values, which = torch.from_numpy(mean), torch.from_numpy(dropped)
    return lambda out, _given: _at_units(tap, out, out, lambda h: torch.where(which.to(h.device), values.to(h), h))


def _at_units(tap: Tap, out: Tensor, given: Tensor | None, change: Callable[[Tensor], Tensor]) -> Tensor:
    """A change along the axis of the units, at every position."""
    x = out if given is None else given
    if tap.view.layout == "maps":
        return change(x.movedim(1, -1)).movedim(-1, 1).contiguous()
    return change(x)
