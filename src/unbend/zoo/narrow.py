"""A narrow layer put before the output of a network, so that what reaches the output can be looked at.

In: any module. Out: a copy of it with one more layer. It must not know what is looked at, nor find the output by
running the network: `unbend.bottleneck` does.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

from torch import nn

from unbend.errors import LayerError, ModelError
from unbend.zoo.activations import activation as as_activation
from unbend.zoo.networks import Bend
from unbend.zoo.randomness import seeded

_Pair: TypeAlias = tuple[nn.Module, nn.Module]
_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def narrow(
    model: nn.Module,
    width: int = 2,
    *,
    layer: str | None = None,
    activation: Bend | None = None,
    seed: int | None = None,
) -> tuple[nn.Module, str]:
    """A copy of `model` whose output layer reads `width` units only, and the path of those units' layer.

    The output layer becomes a small Sequential: `narrow`, a layer of its kind to `width` units; `bend`, if an
    activation is asked for; and `output`, a layer to the outputs there were. Of a convolution `narrow` has its kernel,
    and `output` reads one position at a time. Both layers are new and need training; all other weights are copies.

    Args:
        model: any module with a Linear output layer, or one that is named; it stays as it is.
        width: units of the narrow layer; two can be drawn.
        layer: path of the output layer, a Linear or a convolution; the last Linear of `named_modules()` when left out.
        activation: what stands between the narrow layer and the output; nothing when left out.
        seed: of the two new layers; None draws from torch's global generator.

    Raises:
        ModelError: a model without a Linear layer, or one that is itself a Linear.
        LayerError: a `layer` that is not there, or is neither a Linear nor a convolution.

    Example:
        >>> from unbend.zoo import mlp
        >>> narrow(mlp([64, 128, 10]), seed=0)[1]
        '2.narrow'
    """
    path = _output_of(model) if layer is None else layer
    result = copy.deepcopy(model)
    old, pair = _layer_at(result, path)
    bend = [] if activation is None else [("bend", as_activation(activation).module())]
    with seeded(seed):
        narrow, output = pair(width)
    head = nn.Sequential(OrderedDict([("narrow", narrow), *bend, ("output", output)]))
    parent, _, name = path.rpartition(".")
    setattr(result.get_submodule(parent), name, head.to(old.weight).train(old.training))
    return result, f"{path}.{'bend' if bend else 'narrow'}"


def _output_of(model: nn.Module) -> str:
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear or linear == [""]:
        message = f"model: expected a Linear output layer inside a module, got {type(model).__name__}."
        raise ModelError(message)
    return linear[-1]


def _layer_at(model: nn.Module, path: str) -> tuple[Any, Callable[[int], _Pair]]:
    """The output layer, and what makes the two layers that replace it."""
    found: Any = dict(model.named_modules()).get(path)
    if path and isinstance(found, nn.Linear):
        return found, lambda width: _two_linear(found.in_features, width, found.out_features, found.bias is not None)
    if path and isinstance(found, _CONV):
        return found, lambda width: _two_convolutions(found, width)
    if path and type(found).__name__ == "Conv1D":  # of transformers: a Linear that keeps its weight transposed
        return found, lambda width: _two_linear(found.weight.shape[0], width, found.weight.shape[1], bias=True)
    linear = [name for name, module in model.named_modules() if name and isinstance(module, nn.Linear)]
    message = (
        f"layer: no Linear layer or convolution named {path!r} in {type(model).__name__}. It has: {', '.join(linear)}."
    )
    raise LayerError(message)


def _two_linear(n_inputs: int, width: int, n_outputs: int, bias: bool) -> _Pair:  # noqa: FBT001  as torch takes it
    return nn.Linear(n_inputs, width), nn.Linear(width, n_outputs, bias=bias)


def _two_convolutions(old: Any, width: int) -> _Pair:
    """A convolution with the old kernel to `width` channels, and one of a single position to the outputs."""
    kind = type(old)
    narrow = kind(
        old.in_channels, width, old.kernel_size, old.stride, old.padding, old.dilation, padding_mode=old.padding_mode
    )
    return narrow, kind(width, old.out_channels, 1, bias=old.bias is not None)
