"""The twin itself: a copy with every weight drawn again, or what the user's own factory builds."""

import copy
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from unbend.capture.quiet import accelerators, bare, kept_random
from unbend.capture.twin.renew import is_torchs, renew
from unbend.errors import ModelError, UnbendError

Untrained: TypeAlias = nn.Module | Callable[[], nn.Module]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_NO_VALUES = ("meta", "input_placeholders")
"""What an unflattened `torch.export` archive notes about its graph; not to be copied, and never written to."""


def twin(model: nn.Module, *, seed: int, untrained: Untrained | None = None) -> nn.Module:
    """A copy of a model as if it had never been trained.

    Given `untrained`, it is what that builds under the seed: the user's own initialisation. Otherwise modules draw
    their weights as their own `reset_parameters` or `init_weights` does, those of a Hugging Face model (and of any
    with an `_init_weights(module)`) as the model says. Parameters without such a rule keep their size and lose their
    arrangement, and a gain stays a gain. What is zero throughout stays zero, as a branch that starts closed;
    what is far smaller than its layer's usual draw is drawn that small. Parametrized weights are drawn through their
    parametrization; tied weights stay tied. Hooks are left behind, except torch's own. Buffers other than running
    statistics stay: see `calibrate` for those.

    Args:
        model: any module; it is left as it is.
        seed: fixes the draw; the global random states are left as they are.
        untrained: the untrained network, or a function that builds it.

    Raises:
        ModelError: the model cannot be copied or drawn again, or `untrained` gives another network.

    Cost:
        A second copy of the parameters.
    """
    with kept_random(model), torch.inference_mode(mode=False), torch.no_grad():
        _seed(model, seed)
        if untrained is not None:
            return _in_state_of(untrained, model)
        copied = _copy_of(model)
        renew(copied)
    return copied


def _seed(model: nn.Module, seed: int) -> None:
    """Seed the generators that may be drawn from, and no others."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  a user's initialisation may draw from it; the caller puts it back
    torch.default_generator.manual_seed(seed)
    for kind, devices in accelerators(model).items():
        for device in devices:
            getattr(torch, kind).default_generators[device].manual_seed(seed)


def _copy_of(model: nn.Module) -> nn.Module:
    return duplicate(model, "there is no untrained twin", with_hooks=False)


def duplicate(model: nn.Module, lack: str, *, with_hooks: bool) -> nn.Module:
    """A deep copy of a model.

    Args:
        model: left as it is.
        lack: what there is not where it cannot be copied.
        with_hooks: whether the user's hooks are copied too; torch's own are.

    Raises:
        ModelError: it cannot be copied.
    """
    memo = _history(model) if with_hooks else _hooks(model) | _history(model)
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        raise ModelError(f"model: it cannot be copied, so {lack} ({_reason(error)}).") from error


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _hooks(model: nn.Module) -> dict[int, Any]:
    """Hooks as a deep copy without the user's has them."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for name in _HOOKS:
            hooks = getattr(module, name)
            memo[id(hooks)] = OrderedDict((key, hook) for key, hook in hooks.items() if is_torchs(hook))
    return memo


def _history(model: nn.Module) -> dict[int, Any]:
    """What a deep copy takes over because it cannot copy it: graphs' notes, tensors with a history."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        if type(module).__module__ == "torch.export.unflatten":
            memo |= {id(vars(module)[name]): vars(module)[name] for name in _NO_VALUES if name in vars(module)}
        for value in vars(module).values():
            if isinstance(value, Tensor) and value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    return memo


def _in_state_of(untrained: Untrained, model: nn.Module) -> nn.Module:
    """The user's untrained network in the state of the trained one: mode, device, precision, what is frozen."""
    try:
        with torch.enable_grad():
            made = untrained if isinstance(untrained, nn.Module) else untrained()
        fresh = bare(made)
    except UnbendError:
        raise
    except Exception as error:
        raise ModelError(f"untrained: it raised {type(error).__name__} ({_reason(error)}). Mend it.") from error
    _refuse_another(fresh, model)
    fresh = _copy_of(fresh)
    theirs = dict(model.named_modules())
    for path, module in fresh.named_modules():
        module.training = theirs[path].training if path in theirs else model.training
    values = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, value in (*fresh.named_parameters(), *fresh.named_buffers()):
        if name in values:  # a buffer that is no state may be missing
            value.data = value.data.to(values[name].device, values[name].dtype)
            value.requires_grad_(values[name].requires_grad)
    return fresh


def _refuse_another(fresh: nn.Module, model: nn.Module) -> None:
    if {id(p) for p in fresh.parameters()} & {id(p) for p in model.parameters()}:
        raise ModelError(
            "untrained: it gives the trained model itself, or parts of it. Build the network anew, such as "
            "untrained=lambda: Net(width=32)."
        )
    mine, theirs = ({name: tuple(p.shape) for name, p in net.named_parameters()} for net in (fresh, model))
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            wanted, got = (f"of shape {s[name]}" if name in s else "no such parameter" for s in (theirs, mine))
            raise ModelError(
                f"untrained: expected the same network as the model, with {name!r} {wanted}, got {got}. Build it with "
                "the arguments the model was built with."
            )
