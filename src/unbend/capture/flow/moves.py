"""Layout rules of what moves values: reshapes, views, copies, cats, reductions, element-wise steps.

In: a step and one of the tensors it put out. Out: the axes of that tensor, made of those of the arguments.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from unbend.capture.flow.axes import (
    Axis,
    Factor,
    Layout,
    Variable,
    axis,
    broadcast,
    common,
    fresh,
    length,
    resize,
)  # fmt: skip
from unbend.capture.flow.steps import Operand, TorchCall


def reshape(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """The factors in the order of memory, split and merged to the new sizes."""
    operand = step.first
    if operand is None or not out.numel():
        return None
    regrouped = _regroup(operand, out.shape)
    return None if regrouped is None else Layout(regrouped, operand.layout.unit)


def _regroup(operand: Operand, shape: Sequence[int]) -> tuple[Axis, ...] | None:
    todo = list(reversed(_groups(operand)))
    out = []
    for size in shape:
        got: list[Factor] = []
        need = size
        while need > 1:
            group, has = todo.pop()
            if need % has == 0:
                got += group
                need //= has
            elif has % need == 0 and len(group) == 1:
                first, rest = (group[0].variable.piece() for _ in range(2))
                got.append(Factor(first, need))
                todo.append(((Factor(rest, has // need),), has // need))
                need = 1
            else:
                return None
        out.append(tuple(got))
    return tuple(out)


def _groups(operand: Operand) -> list[tuple[Axis, int]]:
    """What may be split and merged, with sizes: factors; a ragged axis only as a whole."""
    groups: list[tuple[Axis, int]] = []
    for one, size in zip(operand.layout.axes, operand.shape, strict=True):
        if length(one) == size:
            groups += [((factor,), factor.size) for factor in one]
        else:
            groups.append((one, size))
    return groups


def move(step: TorchCall, out: Tensor, index: int) -> Layout | None:
    """Where values are moved, left out or repeated, every new axis is seen to run along old ones."""
    operand = step.first
    if operand is None or not out.numel():
        return None
    if step.is_weight(operand.tensor) and step.name in {"__getitem__", "index_select"} and len(step.operands) > 1:
        return _looked_up(step, out)
    sources = _by_strides(operand, out)
    if sources is None:
        sources = _by_numbers(step, operand, out, index)
    axes = tuple(_gather(operand, along, size) for along, size in zip(sources, out.shape, strict=True))
    return Layout(axes, operand.layout.unit)


def _looked_up(step: TorchCall, out: Tensor) -> Layout | None:
    """Rows of a table: the axes of the numbers looked up, then units."""
    index = next((operand for key, operand in step.operands.items() if key != id(step.args[0])), None)
    if index is None or not index.is_data or len(index.shape) + 1 != out.ndim:
        return Layout(fresh(out.shape))
    made = Variable("unit")
    return Layout((*index.layout.axes, axis(made, out.shape[-1])), made)


def _by_strides(operand: Operand, out: Tensor) -> list[list[int]] | None:
    """For a view: the old axis with the largest stride that is not above the new one's; None if it is no view."""
    shares = out.untyped_storage()._cdata == operand.tensor.untyped_storage()._cdata
    strides = [(step, i) for i, (step, size) in enumerate(zip(operand.strides, operand.shape, strict=True)) if size > 1]
    ordered = sorted(strides)
    extents = all(low[0] * operand.shape[low[1]] <= high[0] for low, high in pairwise(ordered))
    if not shares or any(step == 0 for step, _ in strides) or not extents:
        return None
    found = []
    for new in out.stride():
        old = max(((step, i) for step, i in strides if 0 < step <= new), default=None)
        found.append([] if old is None or new == 0 else [old[1]])
    return found


def _by_numbers(step: TorchCall, operand: Operand, out: Tensor, index: int) -> list[list[int]]:
    """Move the numbers of the elements instead, and see which old coordinates change along two lines."""
    numbers = torch.arange(math.prod(operand.shape), device=operand.tensor.device).reshape(operand.shape)
    args = step.args[1:] if step.args else ()
    named = {key: value for key, value in step.kwargs.items() if key != "input"}
    moved = step.func(numbers, *args, **named)
    moved = moved[index] if isinstance(moved, (tuple, list)) else moved
    if tuple(moved.shape) != tuple(out.shape):
        raise ValueError(f"{step.name}: expected {tuple(out.shape)}, got {tuple(moved.shape)}.")
    return [_changing(moved, new, operand.shape) for new in range(out.ndim)]


def _changing(moved: Tensor, new: int, shape: Sequence[int]) -> list[int]:
    """The old coordinates that change along one new axis."""
    hit: set[int] = set()
    for at in ([size // 2 for size in moved.shape], [size - 1 for size in moved.shape]):
        line = moved[tuple(slice(None) if k == new else i for k, i in enumerate(at))]
        step = math.prod(shape)
        for i, size in enumerate(shape):
            step //= size
            if line.div(step, rounding_mode="floor").remainder(size).unique().numel() > 1:
                hit.add(i)
    return sorted(hit)


def _gather(operand: Operand, along: Sequence[int], size: int) -> Axis:
    """One new axis that runs along old ones; where it runs along one of its own length only that one counts."""
    axes = operand.layout.axes
    factors = tuple(factor for i in along for factor in axes[i])
    if size == 1 or not factors:
        return axis(Variable(), size)
    if length(factors) == size or len(along) == 1:
        return resize(factors, size)
    return next((axes[i] for i in along if operand.shape[i] == size), factors)


def stack(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """A new axis; the others are joined."""
    parts, dim = step.arg(0, "tensors"), step.arg(1, "dim", 0)
    dim %= out.ndim
    shape = (*out.shape[:dim], *out.shape[dim + 1 :])
    layouts = [step.layout(part) for part in parts]
    axes = broadcast(shape, _data_first(step, parts))
    unit = common(layout.unit for layout in layouts)
    return Layout((*axes[:dim], axis(Variable(), out.shape[dim]), *axes[dim:]), unit)


def cat(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """All axes are joined, the one along which the parts lie too."""
    if step.name not in {"cat", "concat", "concatenate"}:
        return None
    parts = [part for part in step.arg(0, "tensors") if part.ndim == out.ndim]
    columns = list(zip(*_data_first(step, parts), strict=True))
    axes = []
    for column, size in zip(columns, out.shape, strict=True):
        known = [one for one in column if one]
        for other in known[1:]:
            if len(known[0]) == len(other) == 1:
                known[0][0].variable.unify(other[0].variable)
        axes.append(resize(known[0], size) if known else axis(Variable(), size))
    return Layout(tuple(axes), common(step.layout(part).unit for part in parts))


def _data_first(step: TorchCall, parts: Sequence[Tensor]) -> list[tuple[Axis, ...]]:
    """The axes of what depends on the inputs; of the rest too only if nothing does.

    Constants pass nothing on: a table of positions added to two sequences does not make their tokens one.
    """
    data = [step.layout(part).axes for part in parts if (known := step.operand(part)) is not None and known.is_data]
    return data or [step.layout(part).axes for part in parts]


def reduction(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """Axes are dropped."""
    operand = step.first
    if operand is None or len(operand.shape) <= out.ndim:
        return None
    dim = step.arg(1, "dim", step.kwargs.get("axis"))
    if step.name in {"norm", "vector_norm"}:
        dim = step.arg(2, "dim")
    n_axes = len(operand.shape)
    dims = range(n_axes) if dim is None else [dim] if isinstance(dim, int) else dim
    dropped = {d % n_axes for d in dims}
    kept = tuple(one for i, one in enumerate(operand.layout.axes) if i not in dropped)
    return Layout(kept, operand.layout.unit) if len(kept) == out.ndim else None


def elementwise(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """What is broadcast together has the same axes."""
    shape = tuple(out.shape)
    fitting = [operand for operand in step.operands.values() if _fits(operand.shape, shape)]
    if not fitting or np.broadcast_shapes(*(operand.shape for operand in fitting)) != shape:
        return None
    data = [operand for operand in fitting if operand.is_data] or fitting
    axes = broadcast(shape, [operand.layout.axes for operand in data])
    full = (operand.layout.unit for operand in data if operand.tensor.numel() == out.numel())
    return Layout(axes, common(full))


def _fits(shape: Sequence[int], whole: Sequence[int]) -> bool:
    return len(shape) <= len(whole) and all(a in {1, b} for a, b in zip(shape[::-1], whole[::-1], strict=False))


def same_axes(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """An unknown operation that keeps the number of axes keeps what they are, at new lengths."""
    operand = step.first
    if operand is None or len(operand.shape) != out.ndim:
        return None
    axes = (resize(one, size) for one, size in zip(operand.layout.axes, out.shape, strict=True))
    return Layout(tuple(axes), operand.layout.unit)


def join_written(step: TorchCall) -> None:
    """`y[...] = x`: the axes of the part that is written to are those of what is written."""
    target, value = step.first, step.operand(step.args[-1])
    if target is None or value is None or len(step.args) < 3 or not value.is_data:
        return
    numbers = torch.arange(math.prod(target.shape), device=target.tensor.device).reshape(target.shape)
    part = numbers[step.args[1]]
    if not part.numel():
        return
    along = [_changing(part, new, target.shape) for new in range(part.ndim)]
    axes = [_gather(target, one, size) for one, size in zip(along, part.shape, strict=True)]
    broadcast(part.shape, [axes, value.layout.axes])
