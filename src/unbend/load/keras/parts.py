"""Parts of a translated layer that hold no weights: moves of axes, activations, and what merges branches.

Vectors and sequences [n, t, c] stay as Keras has them; maps [n, h, w, c] are [n, c, h, w] inside of a translated net.
A part is a module, which gets the layer's name, or a plain function, which gets none.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from unbend.errors import UnsupportedError

Part: TypeAlias = Callable[..., Any]
Shape: TypeAlias = tuple[int | None, ...]
"""A symbolic tensor's shape in Keras, the batch included; None for a free size."""
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "elu": nn.ELU, "selu": nn.SELU,
    "silu": nn.SiLU, "softplus": nn.Softplus, "softsign": nn.Softsign, "relu6": nn.ReLU6, "mish": nn.Mish,
    "hard_sigmoid": nn.Hardsigmoid, "hard_silu": nn.Hardswish, "hard_tanh": nn.Hardtanh,
    "log_sigmoid": nn.LogSigmoid, "leaky_relu": lambda: nn.LeakyReLU(0.2),
}  # fmt: skip


def to_first(x: Tensor) -> Tensor:
    """[n, h, w, c] as [n, c, h, w]; anything else as it is."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def to_last(x: Tensor) -> Tensor:
    """[n, c, h, w] as [n, h, w, c]; anything else as it is."""
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def swap(x: Tensor) -> Tensor:
    """[n, t, c] as [n, c, t], and back."""
    return x.transpose(1, 2)


def on_last(parts: Sequence[Part], shape: Shape) -> list[Part]:
    """Parts that work on the last axis, made to work on that of Keras."""
    return [to_last, *parts, to_first] if len(shape) == 4 else list(parts)


def on_channels(parts: Sequence[Part], shape: Shape) -> list[Part]:
    """Parts that work on the axis 1, made to work on the last axis of Keras."""
    return [swap, *parts, swap] if len(shape) == 3 else list(parts)


def axis_of(axis: int, shape: Shape) -> int:
    """Where an axis of Keras lies inside of a translated network."""
    axis %= len(shape)
    return (0, 2, 3, 1)[axis] if len(shape) == 4 else axis


def refuse(layer: Any, why: str = "") -> UnsupportedError:
    """The error for a layer that torch has no equal of.

    Args:
        layer: of Keras.
        why: what is special in it; "" where the whole kind is not known.
    """
    kind = type(layer).__name__
    return UnsupportedError(
        f"keras: layer {layer.name!r} {f'({kind}) {why}' if why else f'is a {kind}'}, which unbend does not translate "
        "to torch. Study the part before it: keras.Model(model.input, model.get_layer(NAME).output)."
    )


def activation(layer: Any, n_axes: int, chosen: Any = None) -> list[Part]:
    """The activation of a layer; none where it is linear.

    Args:
        layer: whose it is.
        n_axes: axes of its values inside of the translated network.
        chosen: what Keras holds; None for the layer's own.

    Raises:
        UnsupportedError: torch has no module for it.
    """
    chosen = layer.activation if chosen is None else chosen
    name = getattr(chosen, "__name__", type(chosen).__name__)
    if name == "linear":
        return []
    if name == "softmax":
        return [nn.Softmax(1 if n_axes == 4 else -1)]
    if name not in _ACTIVATIONS:
        raise refuse(layer, f"has the activation {name!r}")
    return [_ACTIVATIONS[name]()]


def rescale(x: Tensor, *, scale: float, offset: float) -> Tensor:
    """Values in other units."""
    return x * scale + offset


def reshape(x: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    """Each sample in another shape, in Keras's order of values."""
    return to_first(to_last(x).reshape(len(x), *shape))


def concatenate(*xs: Tensor, axis: int) -> Tensor:
    """Several tensors as one."""
    return torch.cat(xs, axis)


def _add(*xs: Tensor) -> Tensor:
    return reduce(torch.add, xs)


def _multiply(*xs: Tensor) -> Tensor:
    return reduce(torch.mul, xs)


def _average(*xs: Tensor) -> Tensor:
    return _add(*xs) / len(xs)


def _maximum(*xs: Tensor) -> Tensor:
    return reduce(torch.maximum, xs)


def _minimum(*xs: Tensor) -> Tensor:
    return reduce(torch.minimum, xs)


MERGES: dict[str, Callable[[Any, Shape], Part]] = {
    "Add": lambda _layer, _shape: _add,
    "Subtract": lambda _layer, _shape: torch.sub,
    "Multiply": lambda _layer, _shape: _multiply,
    "Average": lambda _layer, _shape: _average,
    "Maximum": lambda _layer, _shape: _maximum,
    "Minimum": lambda _layer, _shape: _minimum,
    "Concatenate": lambda layer, shape: partial(concatenate, axis=axis_of(layer.axis, shape)),
}
"""Layers that make one tensor of several, by class; operators such as `+` between layers have the names of some."""
