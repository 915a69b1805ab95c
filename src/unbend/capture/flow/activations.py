"""Element-wise non-linearities, whoever wrote them: seen by what is done to values, not by who calls it.

In: a step and a tensor it put out. Out: what that tensor is as a function of one earlier tensor, whether it is bent
here, and which comparisons gate it. `h * (h > 0)`, `where(h > 0, h, 0)`, `h[h < 0] = 0` and
`0.5 * h * (1 + erf(h / 2 ** .5))` are all functions of one tensor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unbend.capture.flow.curves import ElementwiseCurve, identity_curve
from unbend.capture.flow.operations import BENDING, CHOOSING, COMPARING, ELEMENTWISE, MULTIPLYING, STRAIGHT
from unbend.capture.flow.steps import Operand, TorchCall


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """What a step does to the values of one tensor, element by element.

    Attributes:
        is_bent: whether it is no affine function of what depends on the inputs.
        gates: the sites that a comparison was made of which decides here or in what is put out.
        curve: the function of one earlier tensor that is put out, if it is one.
    """

    is_bent: bool = False
    gates: frozenset[str] = frozenset()
    curve: ElementwiseCurve | None = None


def effect_of(step: TorchCall, out: Tensor, masks: frozenset[str]) -> Effect:
    """What a step does, element by element.

    Args:
        step: the call.
        out: what it put out, or wrote to.
        masks: names of inputs that tell which positions count: what is chosen or multiplied by them is not bent.
    """
    data = [operand for operand in step.sources() if _reads(operand) - masks]
    if not data or not is_elementwise(step, out):
        return Effect()
    gates = frozenset[str]().union(*(operand.note.gates - masks for operand in data if operand.note is not None))
    is_bent = _is_bent(step, data, gates)
    curve = _curve(step, out, data, is_bent=is_bent)
    if curve is not None and curve.functions and len(data) > 1 and step.name in STRAIGHT:
        is_bent = True  # such as h + h.abs()
    if step.name in COMPARING:
        return Effect(False, frozenset().union(*(_reads(operand) for operand in data)) - masks, curve)
    return Effect(is_bent, frozenset() if is_bent else gates, curve)


def is_elementwise(step: TorchCall, out: Tensor) -> bool:
    """Whether a step works element by element; `max` and `min` do on two tensors only."""
    if step.name in {"max", "min"}:
        return any(operand.shape == tuple(out.shape) for operand in step.operands.values())
    return step.name in ELEMENTWISE


def _reads(operand: Operand) -> frozenset[str]:
    return frozenset() if operand.note is None else operand.note.feeds | operand.note.gates


def _is_bent(step: TorchCall, data: list[Operand], gates: frozenset[str]) -> bool:
    if step.name in BENDING:
        return step.name != "pow" or step.arg(1, "exponent") != 1
    if step.name in CHOOSING:
        return bool(gates)
    if step.name in MULTIPLYING:
        return len(data) > 1 or (len(step.args) > 1 and step.args[0] is step.args[1])
    return False


def _curve(step: TorchCall, out: Tensor, data: list[Operand], *, is_bent: bool) -> ElementwiseCurve | None:
    """The step as a function of the one tensor that all its values are functions of."""
    curves: dict[int, ElementwiseCurve] = {}
    for operand in data:
        note = operand.note
        if note is None:
            return None
        if note.curve is None and operand.shape == tuple(out.shape):
            note.curve = identity_curve(operand.tensor, note.same)
        if note.curve is None:
            return None
        curves[id(operand.tensor)] = note.curve
    roots = {id(curve.root): curve.root for curve in curves.values()}
    (root, *others) = roots.values()
    if others or tuple(root.shape) != tuple(out.shape):
        return None
    bent = (step.name,) if is_bent or step.name in COMPARING else ()
    functions = tuple(dict.fromkeys(name for curve in curves.values() for name in curve.functions))
    return ElementwiseCurve(root, _replay(step, curves), (*functions, *bent))


def _replay(step: TorchCall, curves: Mapping[int, ElementwiseCurve]) -> Callable[[Tensor], Tensor]:
    """The step on other values of the root; it writes to copies only."""
    func, applies = step.func, {key: curve.apply for key, curve in curves.items()}
    args = tuple(_Hole(id(value)) if id(value) in applies else value for value in step.args)
    kwargs = {key: _Hole(id(value)) if id(value) in applies else value for key, value in step.kwargs.items()}
    holes = {hole.key for hole in (*args, *kwargs.values()) if isinstance(hole, _Hole)}
    nested = set(applies) - holes  # inside an index: x[x < 0] and x[..., x < 0]
    writes = step.name == "__setitem__"

    def fill(value: Any, values: Mapping[int, Tensor]) -> Any:
        if isinstance(value, _Hole):
            return values[value.key]
        if nested and isinstance(value, (tuple, list)):
            return type(value)(values[id(part)] if id(part) in nested else part for part in value)
        return value

    def apply(z: Tensor) -> Tensor:
        values = {key: one(z).clone() for key, one in applies.items()}
        given = [fill(value, values) for value in args]
        with torch.no_grad():
            result = func(*given, **{key: fill(value, values) for key, value in kwargs.items()})
        return given[0] if writes else result

    return apply


@dataclass(frozen=True, slots=True)
class _Hole:
    """The place of an argument that is a function of the root."""

    key: int
