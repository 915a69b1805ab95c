"""What is maximised: weighted sums of a layer's units, over rows of numbers that gradients can flow back to.

In: a model on data, a layer, its units or directions in it. Out: `Targets`, and what they answer to any input.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbend.capture import Caught, Tap, call, tapped
from unbend.capture.inputs import map_tensors, named_tensors
from unbend.errors import DataError, LayerError, ModelError
from unbend.explain.setup import Setup
from unbend.numerics.direction import Direction

MOST = 256
"""Units that are maximised where none are named."""
_NUMBERS = 1 << 24
"""Answers at positions that are held at once."""
_TRIED = 4
"""Rows that show whether a model takes images in another layout,"""
_SAME = 1e-4
"""and how far answers may then differ, relative to the greatest: several times what summing in another order does."""


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Weighted sums of one layer's units.

    Attributes:
        tap: the layer.
        names: of each, in words.
        units: their numbers; -1 for a direction.
        weight: of every unit [m, d].
        shift: added to each [m].
        is_greatest: read at the position where it is greatest, not as the mean over positions.
    """

    tap: Tap
    names: tuple[str, ...]
    units: tuple[int, ...]
    weight: Float[Tensor, "m d"]
    shift: Float[Tensor, "m"]
    is_greatest: bool

    @property
    def reading(self) -> str:
        """How positions are read; empty where the layer has none."""
        if self.tap.view.layout == "features":
            return ""
        return "the greatest over positions" if self.is_greatest else "the mean over positions"

    def of(self, index: Tensor) -> "Targets":
        """Some of them."""
        at = index.tolist()
        return Targets(self.tap, tuple(self.names[i] for i in at), tuple(self.units[i] for i in at),
                       self.weight[index], self.shift[index], self.is_greatest)  # fmt: skip

    def own(self, values: Float[Tensor, "m p d"]) -> Float[Tensor, "m"]:
        """What each answers to the row in its own place."""
        if self.is_greatest:
            return torch.einsum("npd,nd->np", values, self.weight.to(values)).amax(1) + self.shift.to(values)
        return (values.mean(1) * self.weight.to(values)).sum(1) + self.shift.to(values)

    def all(self, values: Float[Tensor, "n p d"]) -> Float[Tensor, "n m"]:
        """What each answers to every row."""
        weight, shift = self.weight.to(values), self.shift.to(values)
        if not self.is_greatest:
            return values.mean(1) @ weight.T + shift
        step = max(1, _NUMBERS // (values.shape[1] * len(weight)))
        return torch.cat([(part @ weight.T).amax(1) for part in values.split(step)]) + shift


def targets(
    made: Setup, layer: str | None, units: Sequence[int] | None, ways: Sequence[Direction], *, is_greatest: bool
) -> Targets:
    """What is asked for.

    Args:
        made: the model on data.
        layer: a layer; None for the classes of the output.
        units: of the layer; None for the first 256.
        ways: directions in it, instead of units.
        is_greatest: read positions at the greatest, not by their mean.

    Raises:
        LayerError: no such layer or unit, or a layer whose units lie on more than one axis.
        DataError: no such class.
    """
    tap = _tap(made, layer)
    d = tap.view.width
    if ways:
        weight = torch.stack([torch.from_numpy(way.vector / way.length) for way in ways])
        shift = torch.tensor([-float(way.origin @ way.vector) / way.length for way in ways])
        if weight.shape[1] != d:
            raise LayerError(f"layer: {tap.name} has {d} units, the direction is among {weight.shape[1]}.")
        return Targets(
            tap,
            tuple(f"direction to {way.name}" for way in ways),
            (-1,) * len(ways),
            weight.float(),
            shift,
            is_greatest,
        )
    n_classes = made.work.n_classes if layer is None else 0
    count = n_classes or d
    chosen = list(range(min(count, MOST))) if units is None else list(units)
    lost = [unit for unit in chosen if not 0 <= unit < count]
    if lost:
        word = "classes" if n_classes else f"units of {tap.name}"
        raise (DataError if layer is None else LayerError)(
            f"units: expected numbers from 0 to {count - 1}, the {word}, got {lost[0]}."
        )
    # one score is high for class 1 and low for class 0
    is_one_score = n_classes == 2 and d == 1
    weight = torch.tensor([[2.0 * unit - 1] for unit in chosen]) if is_one_score else torch.eye(d)[chosen]
    return Targets(
        tap,
        tuple(_name(made, tap, layer, unit) for unit in chosen),
        tuple(chosen),
        weight,
        torch.zeros(len(chosen)),
        is_greatest,
    )


def _name(made: Setup, tap: Tap, layer: str | None, unit: int) -> str:
    """What a target is called: a class, a label of several, or a unit."""
    if layer is not None:
        return f"{'channel' if tap.view.layout == 'maps' else 'unit'} {unit}"
    return f"class {made.class_names[unit]}" if made.class_names else made.output_names[unit]


def _tap(made: Setup, layer: str | None) -> Tap:
    plan = made.work.plan
    name = plan.head or plan.output if layer is None else layer
    found = next((tap for tap in plan.taps if tap.name == name), None)
    if found is None or not found.view.width:
        raise LayerError(f"layer: expected the name of one layer, got {layer!r}. It has: "
                         f"{', '.join(tap.name for tap in plan.taps[:40])}.")  # fmt: skip
    if found.n_merged > 1:
        raise LayerError(f"layer: the units of {found.name} lie on more than one axis. Name another layer.")
    return found


class _Reached(BaseException):
    """The layer has put its values out: no error, so no model's own `except Exception` may stop it."""


class Answering:
    """A model up to one layer, as a function of its one tensor of numbers.

    Images reach convolutions on a processor with their channels side by side in memory, where the model allows it: a
    step of a small CNN over images of 28 x 28 takes two thirds of the time, its max pools a tenth.

    Args:
        made: the model on data.
        tap: the layer.
    """

    def __init__(self, made: Setup, tap: Tap) -> None:
        self._made, self._tap = made, tap
        self._values: Tensor | None = None
        self._is_channels_last = False

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n p d"]:
        """The layer's values at every position, units last; inside `running`."""
        if self._is_channels_last:
            x = _channels_last(x)
        inputs = map_tensors(self._made.subject.train.inputs, lambda old: x.to(old.dtype))
        self._values = None
        with suppress(_Reached):
            call(self._made.model, self._made.work.plan.protect(inputs))
        if self._values is None:
            raise LayerError(f"layer: {self._tap.name} did not run.")
        if self._tap.view.layout == "maps":
            return self._values.flatten(2).movedim(1, -1)
        return self._values.flatten(1, -2) if self._values.ndim > 2 else self._values.unsqueeze(1)

    @contextmanager
    def running(self) -> Iterator["Answering"]:
        """The layer is listened to."""

        def receive(_tap: Tap, one: Caught) -> None:
            self._values = one.values
            raise _Reached

        with tapped(self._made.model, [self._tap], receive):
            self._is_channels_last = self._allows_channels_last()
            yield self

    @torch.no_grad()
    def _allows_channels_last(self) -> bool:
        """Whether some rows get the same answers so; `view`, for one, refuses what `flatten` takes."""
        x = numbers_of(self._made.subject.train.inputs)[:_TRIED]
        if (
            x.ndim != 4
            or x.device.type != "cpu"
            or not any(isinstance(m, nn.Conv2d) for m in self._made.model.modules())
        ):
            return False
        plain = self(x)
        try:
            found = self(_channels_last(x))
        except ModelError:
            return False
        return found.shape == plain.shape and torch.allclose(found, plain, _SAME, _SAME * float(plain.abs().amax()))


def _channels_last(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The same images, channels side by side in memory; by a copy, since strides of one channel do not tell."""
    return x.movedim(1, -1).clone(memory_format=torch.contiguous_format).movedim(-1, 1)


def numbers_of(inputs: Any) -> Float[Tensor, "n ..."]:
    """The one tensor of numbers that is the input.

    Raises:
        DataError: token numbers, or several tensors.
    """
    found = [tensor for _, tensor in named_tensors(inputs)]
    if found and not any(tensor.is_floating_point() for tensor in found):
        raise DataError(
            "data: token numbers cannot be changed a little, so no gradient leads to them. `unbend.units` shows the "
            "texts that a unit answers to most."
        )
    if len(found) != 1 or found[0].ndim < 2:
        raise DataError(
            f"data: expected one tensor of numbers [n, ...] as the input, got {len(found)}. Give a module of one "
            "input, which holds the others fixed."
        )
    return found[0]
