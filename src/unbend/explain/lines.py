"""The lines of a network's first layer: where each of its units is zero in the plane of two inputs.

In: a network of two inputs, and on request weights of another time. Out: `UnitLines`.
"""

from collections.abc import Mapping
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unbend._typing import Array, Float64
from unbend.capture import bare
from unbend.capture.plan import plan
from unbend.errors import LoadError, ModelError
from unbend.load.weights import fill
from unbend.numerics.result import result


@result
class UnitLines:
    """The units of the first layer as lines `weight @ x + bias = 0`.

    Attributes:
        layer: its path.
        weight: a row for each unit [d, 2].
        bias: of the units [d].
    """

    layer: str
    weight: Float64[Array, "d 2"]
    bias: Float64[Array, "d"]


def first_lines(net: nn.Module, weights: Mapping[str, Tensor] | str | PathLike[str] | None = None) -> UnitLines:
    """The lines of the layer that reads the input, which is found by running the network.

    Args:
        net: a network of two inputs; it stays as it is.
        weights: a state dict of it, or a file of one; None for those that it has now.

    Raises:
        ModelError: no Linear layer reads two inputs.
        LoadError: weights of another network, no weights, or a file that holds none.

    Example:
        >>> from unbend import zoo
        >>> first_lines(zoo.xor_relu()).weight
        array([[1., 1.],
               [1., 1.]])
    """
    module = bare(net)
    layer = _first(module)
    held = module if weights is None else _with(module, weights)
    first: Any = held.get_submodule(layer)
    bias = torch.zeros(len(first.weight)) if first.bias is None else first.bias
    return UnitLines(
        layer=layer, weight=first.weight.detach().double().cpu().numpy(), bias=bias.detach().double().cpu().numpy()
    )


def _first(module: nn.Module) -> str:
    """Path of the Linear layer that reads two inputs."""
    linear = {name for name, part in module.named_modules() if isinstance(part, nn.Linear) and part.in_features == 2}
    if linear:
        kind = next(p.dtype for p in module.parameters() if p.is_floating_point())
        found = plan(module, torch.zeros(4, 2, dtype=kind), 4, layers=sorted(linear))
        for tap in found.taps:
            if tap.fed_by is None or tap.feeders == ("input",):
                return tap.path
    raise ModelError("net: expected a network of two inputs that a Linear layer reads, got none. Give such a one.")


def _with(module: nn.Module, weights: Mapping[str, Tensor] | str | PathLike[str]) -> nn.Module:
    """A copy with other weights."""
    copy = deepcopy(module)
    if isinstance(weights, str | PathLike):
        return fill(copy, Path(weights))
    if not isinstance(weights, Mapping):
        raise LoadError(
            f"weights: expected a state dict, a file of one, or None, got {type(weights).__name__}. "
            "Pass net.state_dict()."
        )
    try:
        copy.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise LoadError(f"weights: do not fit {type(module).__name__}. Give a state dict of this network.") from error
    return copy
