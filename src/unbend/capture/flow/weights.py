"""Layout rules of what has weights or attends: new unit axes are made here, and samples, positions and units are read.

In: a step and one of the tensors it put out. Out: the axes of that tensor; claims and joins on those of the arguments.
"""

from collections.abc import Sequence

from torch import Tensor

from unbend.capture.flow.axes import (
    MADE,
    Axis,
    Layout,
    Variable,
    axis,
    broadcast,
    claim,
    fresh,
    join,
    resize,
)  # fmt: skip
from unbend.capture.flow.steps import TorchCall


def linear(step: TorchCall, out: Tensor, _index: int) -> Layout:
    """Units are read from the last axis and new ones put there; what lies between is positions."""
    axes = step.layout(step.args[1] if step.name == "addmm" else step.arg(0, "input")).axes
    claim(axes[-1], "unit")
    for middle in axes[1:-1]:
        claim(middle, "position")
    made = Variable("unit")
    return Layout((*axes[:-1], axis(made, out.shape[-1])), made)


def convolution(step: TorchCall, out: Tensor, _index: int) -> Layout:
    """Channels stand before the axes that the kernel moves over."""
    axes, n_spatial = step.layout(step.arg(0, "input")).axes, step.arg(1, "weight").ndim - 2
    at = len(axes) - n_spatial - 1
    claim(axes[at], "unit")
    for spatial in axes[at + 1 :]:
        claim(spatial, "position", MADE)
    made = Variable("unit")
    moved = (resize(a, size) for a, size in zip(axes[at + 1 :], out.shape[at + 1 :], strict=True))
    return Layout((*axes[:at], axis(made, out.shape[at]), *moved), made)


def embedding(step: TorchCall, out: Tensor, _index: int) -> Layout:
    """A new unit axis behind those of the numbers looked up; an `embedding_bag` has summed the last of these."""
    axes = step.layout(step.arg(0, "input")).axes
    for numbers in axes[1:]:
        claim(numbers, "position")
    if step.name == "embedding_bag":
        axes = axes[: out.ndim - 1] if len(axes) >= out.ndim else fresh(out.shape[:-1])
    made = Variable("unit")
    return Layout((*axes, axis(made, out.shape[-1])), made)


def matmul(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """The contracted axes are one; a factor that is a weight makes units."""
    a, b = step.args[1::-1] if step.name == "__rmatmul__" else (step.arg(0, "input"), step.args[-1])
    left, right = step.layout(a).axes, step.layout(b).axes
    if out.ndim < 2 or min(len(left), len(right)) < 2:
        return None
    join(left[-1], right[-2])
    heads = broadcast(out.shape[:-2], [left[:-2], right[:-2]])
    if step.is_weight(b):
        claim(left[-1], "unit")
        made = Variable("unit")
        return Layout((*heads, left[-2], axis(made, out.shape[-1])), made)
    if step.is_weight(a):
        made = Variable("unit")
        return Layout((*heads, axis(made, out.shape[-2]), right[-1]), made)
    return Layout((*heads, left[-2], right[-1]))


def einsum(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """A letter is an axis; a letter that stands in weights only makes units."""
    words = step.args[0].replace(" ", "")
    if "." in words or "->" not in words:
        return None
    left, _, right = words.partition("->")
    factors = step.args[1] if isinstance(step.args[1], (list, tuple)) else step.args[1:]
    found: dict[str, Axis] = {}
    data: set[str] = set()
    for letters, factor in zip(left.split(","), factors, strict=True):
        is_weight = step.is_weight(factor)
        for letter, its in zip(letters, step.layout(factor).axes, strict=True):
            join(found.setdefault(letter, its), its)
            data |= set() if is_weight else {letter}
    unit = None
    for letter, size in zip(right, out.shape, strict=True):
        if letter not in data:
            unit = Variable("unit")
            found[letter] = axis(unit, size)
    return Layout(tuple(found[letter] for letter in right), unit)


def attention(step: TorchCall, out: Tensor, _index: int) -> Layout:
    """The tokens of the queries, the units of the values. The mask's last axis is the tokens of the keys."""
    query, key, value = (step.layout(step.arg(i, name)).axes for i, name in enumerate(("query", "key", "value")))
    join(key[-2], value[-2])
    broadcast(out.shape[:-2], [query[:-2], key[:-2], value[:-2]])
    mask = step.arg(3, "attn_mask")
    if isinstance(mask, Tensor) and not step.is_weight(mask):
        join(key[-2], step.layout(mask).axes[-1])
    return Layout((*query[:-1], value[-1]))


def module_attention(step: TorchCall, out: Tensor, index: int) -> Layout:
    """`nn.MultiheadAttention`: tokens first, then samples, then units."""
    query, key, mask = (
        step.layout(step.args[0]).axes,
        step.layout(step.args[1]).axes,
        step.kwargs.get("key_padding_mask"),
    )
    for batch in zip(query[1:-1], key[1:-1], strict=False):
        join(*batch)
    for one in (query, key):
        claim(one[-1], "unit")
        claim(one[0], "position")
    if isinstance(mask, Tensor):
        join(key[0], step.layout(mask).axes[-1])
    if index:
        batch = query[1:2] if len(query) > 2 else ()
        heads = fresh(out.shape[1:2]) if out.ndim > 3 else ()
        return Layout((*batch, *heads, query[0], key[0]))
    made = Variable("unit")
    return Layout((*query[:-1], axis(made, out.shape[-1])), made)


def recurrent(step: TorchCall, out: Tensor, index: int) -> Layout:
    """Units last; the states that come out second and third are [layers, samples, units]."""
    axes, made = step.layout(step.args[0]).axes, Variable("unit")
    claim(axes[-1], "unit")
    if index == 0:
        for other in axes[:-1]:
            claim(other, "position", MADE)
        return Layout((*axes[:-1], axis(made, out.shape[-1])), made)
    samples = _samples(axes[:-1], out.shape[1:-1])
    return Layout((*fresh(out.shape[:1]), *samples, axis(made, out.shape[-1])), made)


def _samples(axes: Sequence[Axis], shape: Sequence[int]) -> Sequence[Axis]:
    """The axis of the samples among those of a sequence, also where it is packed."""
    found = [f for a in axes for f in a if f.variable.role == "sample" and tuple(shape) == (f.size,)]
    return [(found[0],)] if found else fresh(shape)


def cell(step: TorchCall, out: Tensor, _index: int) -> Layout:
    """One step of a recurrent layer."""
    axes, made = step.layout(step.args[0]).axes, Variable("unit")
    claim(axes[-1], "unit")
    return Layout((*axes[:-1], axis(made, out.shape[-1])), made)


def pack(step: TorchCall, out: Tensor, index: int) -> Layout | None:
    """Positions, then samples, in one axis whose length is the sum of the lengths."""
    axes = step.layout(step.args[0]).axes
    if index or out.ndim + 1 != len(axes):
        return None
    time, samples = axes[1::-1] if step.arg(2, "batch_first") else axes[:2]
    claim(time, "position")
    return Layout(((*time, *samples), *axes[2:]), None if step.first is None else step.first.layout.unit)


def unpack(step: TorchCall, out: Tensor, index: int) -> Layout | None:
    """The two axes again."""
    axes = step.layout(step.args[0]).axes
    if index:
        return None
    time, samples = Variable("position"), Variable("sample")
    if len(axes[0]) == 2:
        time, samples = (factor.variable for factor in axes[0])
    pair = (samples, time) if step.arg(2, "batch_first") else (time, samples)
    unit = None if step.first is None else step.first.layout.unit
    return Layout((*(axis(v, size) for v, size in zip(pair, out.shape, strict=False)), *axes[1:]), unit)


def norm(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """Batch, group and instance norms read channels from the second axis, layer norms from the last."""
    axes = step.layout(step.arg(0, "input")).axes
    if step.name in {"batch_norm", "group_norm", "instance_norm"}:
        if len(axes) > 1:
            claim(axes[1], "unit")
        for spatial in axes[2:]:
            claim(spatial, "position")
    elif len(step.arg(1, "normalized_shape", ())) == 1:
        claim(axes[-1], "unit")
    return Layout(axes, None if step.first is None else step.first.layout.unit) if len(axes) == out.ndim else None


def pooling(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """Pooling and interpolation move over the last axes."""
    operand = step.first
    if operand is None or len(operand.shape) != out.ndim:
        return None
    n_spatial = next((k for k in (1, 2, 3) if f"{k}d" in step.name), out.ndim - 2)
    axes = operand.layout.axes
    for spatial in axes[-n_spatial:]:
        claim(spatial, "position", MADE)
    return Layout(tuple(resize(a, size) for a, size in zip(axes, out.shape, strict=True)), operand.layout.unit)


def shuffle(step: TorchCall, out: Tensor, _index: int) -> Layout | None:
    """Pixel shuffles: channels stay the third axis from the right, pixels the last two."""
    operand = step.first
    if operand is None:
        return None
    axes = operand.layout.axes
    claim(axes[-3], "unit")
    for spatial in axes[-2:]:
        claim(spatial, "position", MADE)
    return Layout(tuple(resize(a, size) for a, size in zip(axes, out.shape, strict=True)), operand.layout.unit)


def one_hot(step: TorchCall, out: Tensor, _index: int) -> Layout:
    """A new last axis."""
    made = Variable("unit")
    return Layout((*step.layout(step.args[0]).axes, axis(made, out.shape[-1])), made)
