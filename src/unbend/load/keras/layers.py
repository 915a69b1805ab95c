"""Keras layers as modules of torch, one function a kind: the same numbers, the weights as torch lays them out.

In: a Keras layer and the shape of what it takes. Out: its parts, in the order in which they are called. Networks are
translated for evaluation: what a layer does in training only (dropout, noise) is translated where torch has it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unbend.load.keras.parts import (
    Part,
    Shape,
    activation,
    axis_of,
    on_channels,
    on_last,
    refuse,
    rescale,
    reshape,
    to_last,
)  # fmt: skip
from unbend.load.keras.recurrent import RECURRENT, weight


def _fill(parameter: Tensor | None, value: Tensor) -> None:
    with torch.no_grad():
        if parameter is not None:
            parameter.copy_(value)


def _dense(layer: Any, shape: Shape) -> list[Part]:
    kernel = weight(layer.kernel)
    linear = nn.Linear(kernel.shape[0], kernel.shape[1], bias=layer.use_bias)
    _fill(linear.weight, kernel.T)
    if layer.use_bias:
        _fill(linear.bias, weight(layer.bias))
    return on_last([linear, *activation(layer, 2)], shape)


def _convolution(layer: Any, shape: Shape) -> list[Part]:
    n_axes = len(shape) - 2
    kernel = weight(layer.kernel)  # [*window, inputs of a group, outputs]
    return _convolve(layer, shape, kernel.permute(-1, -2, *range(n_axes)), layer.groups)


def _depthwise(layer: Any, shape: Shape) -> list[Part]:
    kernel = weight(layer.kernel)  # [h, w, inputs, multiples], outputs of one input side by side
    return _convolve(layer, shape, kernel.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1), kernel.shape[2])


def _convolve(layer: Any, shape: Shape, kernel: Tensor, groups: int) -> list[Part]:
    """A convolution with a kernel as torch has it [outputs, inputs of a group, *window]."""
    window, strides, dilation = tuple(kernel.shape[2:]), tuple(layer.strides), tuple(layer.dilation_rate)
    reach = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    before, padding = _padding(layer, shape, reach, strides, 0.0)
    kind: Any = nn.Conv1d if len(window) == 1 else nn.Conv2d
    conv = kind(
        kernel.shape[1] * groups, len(kernel), window, strides, padding, dilation, groups, bias=layer.use_bias
    )  # fmt: skip
    _fill(conv.weight, kernel)
    if layer.use_bias:
        _fill(conv.bias, weight(layer.bias))
    return on_channels([*before, conv, *activation(layer, 4)], shape)


def _transpose(layer: Any, shape: Shape) -> list[Part]:
    """A transposed convolution; Keras leaves out at the edges what "same" does not want."""
    kernel = weight(layer.kernel)  # [*window, outputs, inputs]
    kernel = kernel.permute(-1, -2, *range(len(shape) - 2))
    window, strides, dilation = tuple(kernel.shape[2:]), tuple(layer.strides), tuple(layer.dilation_rate)
    over = [(size - 1) * step + 1 - stride for size, step, stride in zip(window, dilation, strides, strict=True)]
    if layer.data_format != "channels_last" or layer.output_padding is not None or min(over) < 0:
        raise refuse(layer, "has channels first, a padding of its output, or strides wider than its window")
    cut = [n if layer.padding == "same" else 0 for n in over]
    kind: Any = nn.ConvTranspose1d if len(window) == 1 else nn.ConvTranspose2d
    conv = kind(
        kernel.shape[0], kernel.shape[1], window, strides, tuple(n // 2 for n in cut), bias=layer.use_bias,
        dilation=dilation,
    )  # fmt: skip
    _fill(conv.weight, kernel)
    if layer.use_bias:
        _fill(conv.bias, weight(layer.bias))
    rest = [partial(shorten, by=tuple(n % 2 for n in cut))] if any(n % 2 for n in cut) else []
    return on_channels([conv, *rest, *activation(layer, 4)], shape)


def shorten(x: Tensor, *, by: tuple[int, ...]) -> Tensor:
    """Positions without the last ones along each axis: torch leaves out as many on both sides."""
    return x[(..., *(slice(0, size - n) for size, n in zip(x.shape[2:], by, strict=True)))]


def _padding(
    layer: Any, shape: Shape, reach: Sequence[int], strides: Sequence[int], value: float
) -> tuple[list[Part], tuple[int, ...]]:
    """Padding as Keras does it: what pads before, and what the window's module can pad itself, alike on both sides."""
    if layer.data_format != "channels_last":
        raise refuse(layer, f"has {layer.data_format}")
    if layer.padding == "valid":
        return [], (0,) * len(reach)
    sides = []
    for size, far, stride in zip(shape[1:], reach, strides, strict=False):
        if layer.padding == "causal":
            sides.append((far - 1, 0))
            continue
        if size is None and stride > 1:
            raise refuse(layer, "pads images of any size to whole strides")
        over = stride if size is None or size % stride == 0 else size % stride
        total = max(far - over, 0)
        sides.append((total // 2, total - total // 2))
    if all(one == other for one, other in sides) and value == 0:
        return [], tuple(one for one, _ in sides)
    flat = [n for pair in reversed(sides) for n in pair]
    return [partial(F.pad, pad=flat, value=value)], (0,) * len(reach)


def _batch_norm(layer: Any, shape: Shape) -> list[Part]:
    if layer.axis % len(shape) != len(shape) - 1:
        raise refuse(layer, f"has axis {layer.axis}")
    width = layer.moving_mean.shape[0]
    norm = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(width, layer.epsilon, 1 - layer.momentum)
    for mine, its in ((norm.weight, layer.gamma), (norm.bias, layer.beta), (norm.running_mean, layer.moving_mean),
                      (norm.running_var, layer.moving_variance)):  # fmt: skip
        if its is not None:
            _fill(mine, weight(its))
    return on_channels([norm], shape)


def _layer_norm(layer: Any, shape: Shape) -> list[Part]:
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if [axis % len(shape) for axis in axes] != [len(shape) - 1] or getattr(layer, "rms_scaling", False):
        raise refuse(layer, f"has axes {list(axes)}")
    norm = nn.LayerNorm(int(shape[-1] or 0), layer.epsilon)
    for mine, its in ((norm.weight, layer.gamma), (norm.bias, layer.beta)):
        if its is not None:
            _fill(mine, weight(its))
    return on_last([norm], shape)


def _normalization(layer: Any, shape: Shape) -> list[Part]:
    """Units minus means over deviations that were learnt from data; a depthwise affine map."""
    if layer.invert or tuple(axis % len(shape) for axis in layer.axis or ()) not in ((), (len(shape) - 1,)):
        raise refuse(layer, "is inverted, or has axes other than the last")
    mean, deviation = (torch.as_tensor(v.detach().cpu()).float() for v in (layer.mean, layer.variance.sqrt()))
    scale = deviation.clamp_min(1e-7).reciprocal()  # the least deviation that Keras divides by
    return on_last([Standardize(mean.flatten(), scale.flatten())], shape)


class Standardize(nn.Module):
    """Units minus their means, times a scale each, both as they were learnt before."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("scale", scale.clone())

    def forward(self, x: Tensor) -> Tensor:
        """The same units in their own scale."""
        return (x - self.mean) * self.scale


def attention(layer: Any, shapes: Sequence[Shape]) -> list[Part]:
    """Attention of several heads, where the heads together are as wide as what it takes and gives, as in torch.

    Args:
        layer: of Keras.
        shapes: of query, key and value.
    """
    query, key, value, out = (weight(dense.kernel) for dense in (
        layer.query_dense, layer.key_dense, layer.value_dense, layer.output_dense))  # fmt: skip
    width, heads = query.shape[0], query.shape[1]
    sizes = {heads * query.shape[2], heads * value.shape[2], out.shape[-1], width}
    if sizes != {width} or any(len(shape) != 3 for shape in shapes):
        raise refuse(layer, "has heads that are not together as wide as what it takes and gives")
    made = nn.MultiheadAttention(
        width, heads, layer.dropout, bias=layer.use_bias, kdim=key.shape[0], vdim=value.shape[0], batch_first=True
    )
    each = [kernel.flatten(1).T for kernel in (query, key, value)]
    if made.in_proj_weight is not None:
        _fill(made.in_proj_weight, torch.cat(each))
    else:
        for mine, its in zip((made.q_proj_weight, made.k_proj_weight, made.v_proj_weight), each, strict=True):
            _fill(mine, its)
    _fill(made.out_proj.weight, out.flatten(0, 1).T)
    if layer.use_bias:
        its = [weight(dense.bias).flatten() for dense in (layer.query_dense, layer.key_dense, layer.value_dense)]
        _fill(made.in_proj_bias, torch.cat(its))
        _fill(made.out_proj.bias, weight(layer.output_dense.bias))
    return [made, first]


def first(out: tuple[Tensor, Any]) -> Tensor:
    """What was attended to, without the shares of attention."""
    return out[0]


def _max_pool(layer: Any, shape: Shape) -> list[Part]:
    window, strides = tuple(layer.pool_size), tuple(layer.strides)
    before, _ = _padding(layer, shape, window, strides, -torch.inf)
    kind: Any = nn.MaxPool1d if len(window) == 1 else nn.MaxPool2d
    return on_channels([*before, kind(window, strides)], shape)


def _average_pool(layer: Any, shape: Shape) -> list[Part]:
    window, strides = tuple(layer.pool_size), tuple(layer.strides)
    before, padding = _padding(layer, shape, window, strides, 0.0)
    if before:
        raise refuse(layer, "pads one side more than the other")
    kind: Any = nn.AvgPool1d if len(window) == 1 else nn.AvgPool2d
    return on_channels([kind(window, strides, padding, count_include_pad=False)], shape)


def _global_pool(kinds: dict[int, Callable[[int], nn.Module]]) -> Callable[[Any, Shape], list[Part]]:
    def translate(layer: Any, shape: Shape) -> list[Part]:
        if layer.keepdims or layer.data_format != "channels_last":
            raise refuse(layer, "keeps its axes, or has channels first")
        pool = kinds[len(shape)](1)
        return [*on_channels([pool], shape)[:-1], pool_end] if len(shape) == 3 else [pool, pool_end]

    return translate


def pool_end(x: Tensor) -> Tensor:
    """[n, c, 1] or [n, c, 1, 1] as [n, c]."""
    return x.flatten(1)


def _embedding(layer: Any, _shape: Shape) -> list[Part]:
    if layer.mask_zero:
        raise refuse(layer, "masks zeros")
    table = weight(layer.embeddings)
    embedding = nn.Embedding(table.shape[0], table.shape[1])
    _fill(embedding.weight, table)
    return [Tensor.long, embedding]


def _rectifier(layer: Any, _shape: Shape) -> list[Part]:
    slope, highest, threshold = layer.negative_slope, layer.max_value, layer.threshold
    if threshold or (highest is not None and (slope or highest != 6)):
        raise refuse(layer, "has a threshold or a greatest value")
    return [nn.ReLU6() if highest == 6 else nn.LeakyReLU(slope) if slope else nn.ReLU()]


def _rescaling(layer: Any, _shape: Shape) -> list[Part]:
    try:
        return [partial(rescale, scale=float(layer.scale), offset=float(layer.offset))]
    except TypeError as error:
        raise refuse(layer, "has a scale by channel") from error


def _nothing(_layer: Any, _shape: Shape) -> list[Part]:
    return []


LAYERS: dict[str, Callable[[Any, Shape], list[Part]]] = {
    "Dense": _dense,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "Conv1DTranspose": _transpose,
    "Conv2DTranspose": _transpose,
    "Normalization": _normalization,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "MaxPooling1D": _max_pool,
    "MaxPooling2D": _max_pool,
    "AveragePooling1D": _average_pool,
    "AveragePooling2D": _average_pool,
    "GlobalAveragePooling1D": _global_pool({3: nn.AdaptiveAvgPool1d}),
    "GlobalAveragePooling2D": _global_pool({4: nn.AdaptiveAvgPool2d}),
    "GlobalMaxPooling1D": _global_pool({3: nn.AdaptiveMaxPool1d}),
    "GlobalMaxPooling2D": _global_pool({4: nn.AdaptiveMaxPool2d}),
    "Embedding": _embedding,
    "Flatten": lambda _layer, _shape: [to_last, nn.Flatten()],
    "Reshape": lambda layer, _shape: [partial(reshape, shape=tuple(layer.target_shape))],
    "Rescaling": _rescaling,
    "Dropout": lambda layer, _shape: [nn.Dropout(layer.rate)],
    "SpatialDropout2D": lambda layer, _shape: [nn.Dropout2d(layer.rate)],
    "GaussianNoise": _nothing,
    "GaussianDropout": _nothing,
    "ActivityRegularization": _nothing,
    "Identity": _nothing,
    "Activation": lambda layer, shape: activation(layer, len(shape)),
    "ReLU": _rectifier,
    "LeakyReLU": lambda layer, _shape: [nn.LeakyReLU(float(layer.negative_slope))],
    "ELU": lambda layer, _shape: [nn.ELU(float(layer.alpha))],
    "Softmax": lambda layer, shape: [nn.Softmax(axis_of(layer.axis, shape))],
    **RECURRENT,
}
"""Layers that take one tensor, by class."""
