"""Inputs made to fit the model they go into: device, dtype, and the one reshape that is never in doubt."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def fitting(model: nn.Module, inputs: Any) -> tuple[Callable[[Any], Any], str]:
    """How inputs must be changed before the model sees them, and that change in words.

    Floating-point inputs take the dtype and device of the model's parameters. Images [n, h, w] become rows for
    a first layer that is linear and takes h·w features, or get a channel axis for a first layer that is a
    convolution with one channel. Nothing else is guessed.

    Args:
        model: the module.
        inputs: one batch.
    """
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    dtype, device = (torch.float32, torch.device("cpu")) if parameter is None else (parameter.dtype, parameter.device)
    shape, words = _reshape(model, inputs)

    def fit(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: fit(part) for key, part in value.items()}
        if isinstance(value, (tuple, list)):
            return tuple(fit(part) for part in value)
        if not isinstance(value, Tensor):
            return value
        whole = value.to(device, dtype if value.is_floating_point() or value.dtype == torch.uint8 else None)
        return shape(whole)

    return fit, words


def _reshape(model: nn.Module, inputs: Any) -> tuple[Callable[[Tensor], Tensor], str]:
    first = next((m for m in model.modules() if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd))), None)  # noqa: SLF001
    if isinstance(inputs, Tensor) and isinstance(first, nn.Linear):
        flat = math.prod(inputs.shape[1:])
        if inputs.ndim > 2 and inputs.shape[-1] != first.in_features == flat and _starts_with(model, first):
            return lambda x: x.flatten(
                1
            ), f"Samples of shape {tuple(inputs.shape[1:])} are flattened for the first layer."
    if isinstance(inputs, Tensor) and isinstance(first, nn.modules.conv._ConvNd):  # noqa: SLF001
        if inputs.ndim == first.weight.ndim - 1 and first.in_channels == 1:
            return lambda x: x.unsqueeze(1), "Samples get a channel axis for the first convolution."
    return lambda x: x, ""


def _starts_with(model: nn.Module, first: nn.Module) -> bool:
    """Whether no module flattens before the first linear one."""
    for module in model.modules():
        if module is first:
            return True
        if isinstance(module, nn.Flatten):
            return False
    return True
