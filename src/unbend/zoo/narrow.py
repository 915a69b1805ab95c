"""A narrow layer put before the output of a network, so that what reaches the output can be looked at.

In: any module. Out: a copy of it with one more layer. This module must not know what is looked at.
"""

import copy
from collections import OrderedDict

from torch import nn

from unbend.errors import LayerError, ModelError
from unbend.zoo.activations import activation as as_activation
from unbend.zoo.networks import Bend
from unbend.zoo.randomness import seeded


def narrowed(
    model: nn.Module,
    width: int = 2,
    *,
    layer: str | None = None,
    activation: Bend | None = None,
    seed: int | None = None,
) -> tuple[nn.Module, str]:
    """A copy of `model` whose output layer reads `width` units only, and the path of those units' layer.

    The output layer, a Linear, becomes a small Sequential: `narrow`, a Linear to `width` units; `bend`, if an
    activation is asked for; and `output`, a Linear to the outputs there were. Both Linear layers are new and
    need training; all other weights are copies.

    Args:
        model: any module with a Linear output layer; it stays as it is.
        width: units of the narrow layer; two can be drawn.
        layer: path of the output layer; the last Linear of `named_modules()` when left out.
        activation: what stands between the narrow layer and the output; nothing when left out.
        seed: of the two new layers; None draws from torch's global generator.

    Raises:
        ModelError: a model without a Linear layer, or one that is itself a Linear.
        LayerError: a `layer` that is not there or is no Linear.

    Example:
        >>> from unbend.zoo import mlp
        >>> narrowed(mlp([64, 128, 10]), seed=0)[1]
        '2.narrow'
    """
    path = _output_of(model) if layer is None else layer
    result = copy.deepcopy(model)
    old = _linear_at(result, path)
    bend = [] if activation is None else [("bend", as_activation(activation).module())]
    with seeded(seed):
        narrow = nn.Linear(old.in_features, width)
        output = nn.Linear(width, old.out_features, bias=old.bias is not None)
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


def _linear_at(model: nn.Module, path: str) -> nn.Linear:
    found = dict(model.named_modules()).get(path)
    if not path or not isinstance(found, nn.Linear):
        linear = [name for name, module in model.named_modules() if name and isinstance(module, nn.Linear)]
        message = f"layer: no Linear layer named {path!r} in {type(model).__name__}. It has: {', '.join(linear)}."
        raise LayerError(message)
    return found
