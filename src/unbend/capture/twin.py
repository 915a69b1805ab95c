"""The untrained twin: the same network with fresh weights, the baseline every trained layer is held against."""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from unbend.capture.kinds import original_class
from unbend.capture.quiet import accelerators, kept_random
from unbend.errors import ModelError

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_NO_VALUES = ("meta", "input_placeholders")
"""What an unflattened `torch.export` archive notes about its graph; not to be copied, and never written to."""


def twin(model: nn.Module, *, seed: int) -> nn.Module:
    """A copy of a model as if it had never been trained.

    Modules draw their weights as their own `reset_parameters` does, those of a Hugging Face model as the model
    says. Parameters of modules without one are drawn uniformly within ±1/√fan-in if they are matrices; vectors
    become 1 for `weight` and 0 otherwise. Parametrized weights (weight norm, spectral norm, pruning) are drawn
    through their parametrization; tied weights stay tied. Hooks are left behind, except torch's own.

    Args:
        model: any module; it is left as it is.
        seed: fixes the draw; the global random state is left as it is.

    Raises:
        ModelError: the model cannot be copied.

    Cost:
        A second copy of the parameters.
    """
    memo = _memo(model)
    try:
        with torch.inference_mode(mode=False):
            copied = copy.deepcopy(model, memo)
    except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"model: it cannot be copied, so there is no untrained twin ({reason}).") from error
    with kept_random(copied), torch.inference_mode(mode=False), torch.no_grad():
        _seed(copied, seed)
        for module in copied.modules():
            if not isinstance(module, parametrize.ParametrizationList):
                _renew(module)
        _as_the_model_says(copied)
    return copied


def _memo(model: nn.Module) -> dict[int, Any]:
    """What a deep copy takes over or leaves behind: the user's hooks, graphs' notes, tensors with a history."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for name in _HOOKS:
            hooks = getattr(module, name)
            memo[id(hooks)] = OrderedDict((key, hook) for key, hook in hooks.items() if _is_torchs(hook))
        if type(module).__module__ == "torch.export.unflatten":
            memo |= {id(vars(module)[name]): vars(module)[name] for name in _NO_VALUES if name in vars(module)}
        for value in vars(module).values():
            if isinstance(value, Tensor) and value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    return memo


def _is_torchs(hook: Any) -> bool:
    home = getattr(hook, "__module__", "") or type(hook).__module__
    return home.startswith("torch.nn.utils")


def _seed(model: nn.Module, seed: int) -> None:
    """Seed the generators that may be drawn from, and no others."""
    torch.default_generator.manual_seed(seed)
    for kind, devices in accelerators(model).items():
        for device in devices:
            getattr(torch, kind).default_generators[device].manual_seed(seed)


def _renew(module: nn.Module) -> None:
    """Draw a module's own parameters again."""
    if parametrize.is_parametrized(module):
        _renew_parametrized(module)
        return
    _reset(module)
    for hook in module._forward_pre_hooks.values():  # noqa: SLF001  torch's older weight norm, spectral norm, pruning
        name = getattr(hook, "name", None) or getattr(hook, "_tensor_name", None)
        if _is_torchs(hook) and isinstance(name, str):
            _store(module, name, hook)


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    made_as = original_class(module)
    if reset is None and made_as is not type(module) and hasattr(made_as, "reset_parameters"):
        reset = made_as.reset_parameters.__get__(module)
    if callable(reset) and _did(reset):
        return
    for name, parameter in module.named_parameters(recurse=False):
        _redraw(name, parameter)
    for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
        buffer = getattr(module, name, None)
        if isinstance(buffer, Tensor):
            buffer.fill_(value)


def _did(reset: Callable[[], object]) -> bool:
    """Whether a module could draw its own weights."""
    try:
        reset()
    except (TypeError, AttributeError):  # it takes arguments, or it is a stand-in without the attributes
        return False
    return True


def _renew_parametrized(module: nn.Module) -> None:
    """Draw the weights as the plain module would, and let each parametrization take them apart again."""
    lists: nn.ModuleDict = module.parametrizations  # type: ignore[assignment]
    with parametrize.cached():
        shown = {name: getattr(module, name) for name in lists}
        _reset(module)
        fresh = {name: value.clone() for name, value in shown.items()}
    for name, value in fresh.items():
        try:
            setattr(module, name, value)
        except (NotImplementedError, RuntimeError, ValueError, TypeError):  # no right inverse
            for label, parameter in lists[name].named_parameters(recurse=False):
                _redraw(label, parameter)


def _store(module: nn.Module, name: str, hook: Any) -> None:
    """Write a weight that was drawn back to the parameters it is computed from before each forward pass."""
    weight, whole = getattr(module, name), getattr(module, f"{name}_orig", None)
    if isinstance(whole, Tensor):
        whole.copy_(weight)
    elif isinstance(getattr(module, f"{name}_g", None), Tensor):
        getattr(module, f"{name}_v").copy_(weight)
        getattr(module, f"{name}_g").copy_(torch.norm_except_dim(weight, 2, hook.dim))


def _redraw(name: str, parameter: Tensor) -> None:
    if not parameter.is_floating_point() or not parameter.numel():
        return
    if parameter.ndim > 1:
        bound = 1 / math.sqrt(parameter[0].numel())
        parameter.uniform_(-bound, bound)
    else:
        parameter.fill_(1.0 if name == "weight" else 0.0)


def _as_the_model_says(model: nn.Module) -> None:
    """Draw the weights of Hugging Face models by their own rule, which is written per model and not per module."""
    for part in _pretrained(model):
        for value in (*part.modules(), *part.parameters(), *part.buffers()):
            if hasattr(value, "_is_hf_initialized"):
                delattr(value, "_is_hf_initialized")
        for module in part.modules():
            part._init_weights(module)  # type: ignore[operator]  # noqa: SLF001


def _pretrained(model: nn.Module) -> Iterator[nn.Module]:
    """The outermost Hugging Face models within a module."""
    if hasattr(model, "config") and callable(getattr(model, "_init_weights", None)):
        yield model
        return
    for child in model.children():
        yield from _pretrained(child)
