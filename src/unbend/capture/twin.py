"""The untrained twin: the same network with fresh weights, the baseline every trained layer is held against."""

import copy
import math

import torch
from torch import nn

from unbend.errors import ModelError


def twin(model: nn.Module, *, seed: int) -> nn.Module:
    """A copy of a model as if it had never been trained.

    Modules draw their weights as their own `reset_parameters` does. Parameters of modules without one are
    drawn uniformly within ±1/√fan-in if they are matrices; vectors become 1 for `weight` and 0 otherwise.

    Args:
        model: any module; it is left as it is.
        seed: fixes the draw; the global random state is left as it is.

    Raises:
        ModelError: the model cannot be copied.

    Cost:
        A second copy of the parameters.
    """
    try:
        copied = copy.deepcopy(model)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ModelError(f"model: it cannot be copied, so there is no untrained twin ({error}).") from error
    devices = sorted({p.device.index or 0 for p in copied.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.manual_seed(seed)
        for module in copied.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            else:
                _redraw(module)
    return copied


def _redraw(module: nn.Module) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.ndim > 1:
            bound = 1 / math.sqrt(max(parameter[0].numel(), 1))
            parameter.uniform_(-bound, bound)
        elif parameter.is_floating_point():
            parameter.fill_(1.0 if name == "weight" else 0.0)
