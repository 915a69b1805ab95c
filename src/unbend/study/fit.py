"""Inputs made to fit the model they go into: device, dtype, and the few reshapes that are never in doubt."""

import math
from collections.abc import Callable
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from unbend.capture import call, quiet, tensor_of
from unbend.capture.inputs import copy_of, map_tensors
from unbend.capture.kinds import original_class
from unbend.errors import ModelError

Change: TypeAlias = tuple[Callable[[Tensor], Tensor], str]
_CONV = nn.modules.conv._ConvNd  # noqa: SLF001  the base of Conv1d, Conv2d, Conv3d


def fit_inputs(model: nn.Module, inputs: Any) -> tuple[Callable[[Any], Any], str]:
    """How inputs must be changed before the model sees them, and that change in words.

    Floating-point inputs take the dtype and device of the model's parameters. Integers stay integers for a model
    with an embedding, and become floating-point numbers for any other. Then the model is tried on them as they are.
    Only if it refuses, samples [h, w] become rows for a first layer that is linear and takes h·w features; for a first
    layer that is a convolution they get the channel axis it wants, or have it moved from the last place to the first.
    Nothing else is guessed.

    Args:
        model: the module.
        inputs: one batch.

    Cost:
        A forward pass where a reshape is in question.
    """
    values = (t for t in chain(model.parameters(), model.buffers()) if t.is_floating_point())
    first = next(values, None)
    dtype, device = (None, None) if first is None else (first.dtype, first.device)
    embeds = any(issubclass(original_class(m), (nn.Embedding, nn.EmbeddingBag)) for m in model.modules())
    convert = not embeds and isinstance(inputs, Tensor)

    def to_dtype(tensor: Tensor) -> Tensor:
        return tensor.to(device, _dtype(tensor, dtype, convert=convert))

    def fit(value: Any) -> Any:
        return map_tensors(value, to_dtype)

    shape, words = _reshape(model, inputs)
    if not words or _takes(model, fit(inputs)):
        return fit, ""
    return (lambda value: map_tensors(value, lambda tensor: shape(to_dtype(tensor)))), words


def _takes(model: nn.Module, inputs: Tensor) -> bool:
    """Whether a model runs on a batch as it is, and puts out one row per sample."""
    try:
        with quiet(model):
            found = tensor_of(call(model, copy_of(inputs)))
    except ModelError:
        return False
    return found is not None and found.tensor.ndim > 0 and len(found.tensor) == len(inputs)


def _dtype(value: Tensor, dtype: torch.dtype | None, *, convert: bool) -> torch.dtype | None:
    """What a tensor becomes; None to stay as it is."""
    if value.is_floating_point():
        return dtype
    if convert and not value.is_complex():
        return dtype or torch.get_default_dtype()
    return torch.int64 if value.dtype == torch.uint8 else None


def _same(x: Tensor) -> Tensor:
    return x


def _reshape(model: nn.Module, inputs: Any) -> Change:
    """The reshape the model's first layer asks for, if there is one."""
    shapes = ((original_class(m), getattr(m, "weight", None), m) for m in model.modules())
    made_as, weight, first = next(
        ((c, w, m) for c, w, m in shapes if issubclass(c, (nn.Linear, _CONV)) and isinstance(w, Tensor)),
        (type(None), None, model),
    )
    if not isinstance(inputs, Tensor) or weight is None or weight.ndim < 2:
        return _same, ""
    if issubclass(made_as, nn.Linear):
        return _for_linear(model, first, weight.shape[1], inputs)
    if issubclass(made_as, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return _for_convolution(weight, getattr(first, "groups", 1), inputs)
    return _same, ""


def _for_linear(model: nn.Module, first: nn.Module, features: int, inputs: Tensor) -> Change:
    sample = tuple(inputs.shape[1:])
    if len(sample) > 1 and sample[-1] != features == math.prod(sample) and _starts_with(model, first):
        return lambda x: x.flatten(1), f"Samples of shape {sample} are flattened for the first layer."
    return _same, ""


def _for_convolution(weight: Tensor, groups: int, inputs: Tensor) -> Change:
    channels = weight.shape[1] * groups
    if inputs.ndim == weight.ndim - 1 and channels == 1:
        return lambda x: x.unsqueeze(1), "Samples get a channel axis for the first convolution."
    if inputs.ndim == weight.ndim and inputs.shape[1] != channels == inputs.shape[-1]:
        words = f"Samples of shape {tuple(inputs.shape[1:])} have their channels moved first for the first convolution."
        return lambda x: x.movedim(-1, 1).contiguous(), words
    return _same, ""


def _starts_with(model: nn.Module, first: nn.Module) -> bool:
    """Whether no module flattens before the first linear one."""
    for module in model.modules():
        if module is first:
            return True
        if issubclass(original_class(module), nn.Flatten):
            return False
    return True
