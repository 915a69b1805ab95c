"""One torch function that ran: how it was called, and what was known of its arguments before it did."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unbend.capture.flow.axes import Layout, fresh, unseen
from unbend.capture.flow.notes import Note, Notebook
from unbend.capture.flow.operations import FORM_ONLY, name_of
from unbend.capture.inputs import tensors_in
from unbend.capture.outputs import version_of


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """A tensor among the arguments, as it was before the call.

    Attributes:
        tensor: the tensor.
        shape: its shape, which the call may change.
        strides: its strides; empty if it has none.
        version: how often it had been written to.
        note: what was known of it; None for weights, constants and what was made where nobody looked.
        layout: its axes, unknown ones if there is no note.
    """

    tensor: Tensor
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    version: int
    note: Note | None
    layout: Layout

    @property
    def is_data(self) -> bool:
        """Whether its values depend on the inputs."""
        return self.note is not None and bool(self.note.feeds or self.note.gates)


@dataclass(frozen=True, slots=True, eq=False)
class TorchCall:
    """A call.

    Attributes:
        name: plain name of the function.
        func: the function.
        args: its arguments.
        kwargs: its arguments by name.
        operands: tensors among them by id, in order.
        weights: ids of the model's own tensors.
        number: which call of that function by the module that is running.
    """

    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    operands: Mapping[int, Operand]
    weights: Collection[int]
    number: int = 0

    def arg(self, i: int, key: str, default: Any = None) -> Any:
        """An argument by place or name."""
        return self.args[i] if len(self.args) > i else self.kwargs.get(key, default)

    def operand(self, value: Any) -> Operand | None:
        """What was known of a tensor among the arguments; None if it is none of them."""
        return self.operands.get(id(value))

    @property
    def first(self) -> Operand | None:
        """The first argument, if it is a tensor."""
        return self.operand(self.args[0] if self.args else self.kwargs.get("input"))

    def layout(self, value: Any) -> Layout:
        """The axes of a tensor among the arguments."""
        operand = self.operand(value)
        return Layout() if operand is None else operand.layout

    def is_weight(self, value: Any) -> bool:
        """Whether a tensor is the model's own, or a constant: nothing that depends on the inputs."""
        operand = self.operand(value)
        return id(value) in self.weights or operand is None or operand.note is None or not operand.is_data

    def sources(self) -> Iterator[Operand]:
        """Those whose values, and not only whose form, count."""
        form = {id(value) for value in self.args[1:]} if self.name in FORM_ONLY else set()
        return (operand for key, operand in self.operands.items() if key not in form)


def step_of(
    func: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    notes: Notebook,
    weights: Collection[int],
    n: int,
    number: int,
) -> TorchCall:
    """What is known of a call before it is made."""
    operands = {}
    for tensor in tensors_in((args, kwargs)):
        note = notes.find(tensor)
        shape = tuple(tensor.shape)
        strides = tuple(tensor.stride()) if tensor.layout == torch.strided else ()
        if note is not None:
            layout = note.layout
        else:
            layout = Layout(fresh(shape) if id(tensor) in weights else unseen(shape, n))
        operands[id(tensor)] = Operand(tensor, shape, strides, version_of(tensor), note, layout)
    return TorchCall(name_of(func), func, args, kwargs, operands, weights, number)
