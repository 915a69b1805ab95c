"""Every module of a network drawn again by its own rule, from the inside out as constructors do it."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from unbend.capture.kinds import original_class
from unbend.capture.twin.draw import draw, spread
from unbend.errors import ModelError

_RESETS = ("reset_parameters", "_reset_parameters")
_RULES = ("init_weights", "_init_weights", "initialize_weights", "_initialize_weights", "initialize_parameters")
"""What users call the method by which a network draws its weights."""
_CLOSED = frozenset({"lora_b", "lora_up", "lora_embedding_b"})
"""The factor of a low-rank adapter that starts at zero, in any spelling of its name."""
_SMALLER = 1 / 3
"""Of a usual draw: below, a parameter was made by another rule. Training hardly ever shrinks a whole weight so far."""
_ENOUGH = 8
"""Entries from which on a spread says something about how they were drawn."""
_SETTLING = 30
"""Power iterations after which a spectral norm of fresh weights is its largest singular value."""


def renew(model: nn.Module) -> None:
    """Draw all weights of a network again.

    Args:
        model: a copy; its parameters are written to.

    Raises:
        ModelError: a module's own rule raised.
    """
    before = {p: _Size.of(p) for p in model.parameters()}
    drawn: set[Tensor] = set()
    for path, module in _inside_out("", model, set()):
        own = list(module.parameters(recurse=False))
        tied = {p: p.clone() for p in own if p in drawn}
        with _naming(path, module):
            _renew(module)
        for parameter in own:
            before[parameter].restore(parameter, tied.get(parameter))
        drawn.update(own)
        with _naming(path, module):
            _by_own_rule(module)
    with _naming("", model):
        _as_models_say(model)
    for name, parameter in model.named_parameters():
        if _CLOSED & set(name.lower().split(".")):
            parameter.zero_()


@dataclass(frozen=True, slots=True)
class _Size:
    """How large a parameter was before it was drawn again.

    Attributes:
        spread: standard deviation of its entries.
        is_zero: every entry is 0.
    """

    spread: float
    is_zero: bool

    @classmethod
    def of(cls, parameter: Tensor) -> "_Size":
        return cls(spread(parameter), parameter.numel() > 0 and not bool(parameter.any()))

    def restore(self, parameter: Tensor, tied: Tensor | None) -> None:
        """Undo a draw that is not by the rule the parameter was made by.

        Of a tied parameter's two draws, the one whose spread is nearer to the one before stays.
        """
        if tied is not None and self._misses(tied) < self._misses(parameter):
            parameter.copy_(tied)
        if self.is_zero:
            parameter.zero_()
        elif 0 < self.spread < _SMALLER * spread(parameter) and parameter.numel() >= _ENOUGH:
            parameter.mul_(self.spread / spread(parameter))

    def _misses(self, other: Tensor) -> float:
        """By what factor a draw's spread is too large or too small."""
        a, b = self.spread, spread(other)
        return max(a, b) / min(a, b) if min(a, b) > 0 else float("inf")


def _inside_out(path: str, module: nn.Module, seen: set[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Modules after their parts, each once: the order in which constructors draw."""
    seen.add(module)
    for name, child in module.named_children():
        if child not in seen:
            yield from _inside_out(f"{path}.{name}" if path else name, child, seen)
    yield path, module


@contextmanager
def _naming(path: str, module: nn.Module) -> Iterator[None]:
    """Tell what a module's own rule raised, and where."""
    try:
        yield
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"model: {f'layer {path!r}' if path else f'the {type(module).__name__}'} cannot draw its weights again, so "
            f"there is no untrained twin ({type(error).__name__}{f': {said}' if said else ''})."
        ) from error


def _renew(module: nn.Module) -> None:
    """Draw a module's own parameters again."""
    if isinstance(module, parametrize.ParametrizationList):
        return  # with the module it belongs to
    if parametrize.is_parametrized(module):
        _renew_parametrized(module)
        return
    _reset(module)
    for hook in module._forward_pre_hooks.values():  # noqa: SLF001  torch's older weight norm, spectral norm, pruning
        name = getattr(hook, "name", None) or getattr(hook, "_tensor_name", None)
        if is_torchs(hook) and isinstance(name, str):
            _store(module, name, hook)


def is_torchs(hook: Any) -> bool:
    """Whether a hook is part of what torch makes of a module, such as an older weight norm."""
    home = getattr(hook, "__module__", "") or type(hook).__module__
    return home.startswith("torch.nn.utils")


def _reset(module: nn.Module) -> None:
    reset = next((getattr(module, name) for name in _RESETS if hasattr(module, name)), None)
    made_as = original_class(module)
    if reset is None and made_as is not type(module) and hasattr(made_as, "reset_parameters"):
        reset = made_as.reset_parameters.__get__(module)
    if callable(reset) and _did(reset):
        return
    for name, parameter in module.named_parameters(recurse=False):
        draw(name, parameter)
    for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
        buffer = getattr(module, name, None)
        if isinstance(buffer, Tensor):
            buffer.fill_(value)


def _did(reset: Callable[[], object]) -> bool:
    """Whether a module could draw its own weights."""
    if not _takes(reset, 0):
        return False
    try:
        reset()
    except (TypeError, AttributeError):  # it is a stand-in without the attributes
        return False
    return True


def _takes(function: Callable[..., object], n: int) -> bool:
    """Whether a function can be called with `n` arguments."""
    try:
        inspect.signature(function).bind(*[None] * n)
    except (TypeError, ValueError):
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
            _take_as_original(lists[name], value)
        _settle(module, name, lists[name])


def _take_as_original(parts: nn.Module, value: Tensor) -> None:
    """The plain draw as what a parametrization starts from; where that has another form, a draw of its own."""
    for label, parameter in parts.named_parameters(recurse=False):
        if parameter.shape == value.shape:
            parameter.copy_(value)
        else:
            draw(label, parameter)


def _settle(module: nn.Module, name: str, parts: nn.Module) -> None:
    """Run a parametrization that goes on with every call in training, as a spectral norm does, to its end."""
    if not any(True for _ in parts.buffers()):
        return
    modes = {part: part.training for part in parts.modules()}
    parts.train()
    for _ in range(_SETTLING):
        getattr(module, name)
    for part, mode in modes.items():
        part.training = mode


def _store(module: nn.Module, name: str, hook: Any) -> None:
    """Write a weight that was drawn back to the parameters it is computed from before each forward pass."""
    weight, whole = getattr(module, name), getattr(module, f"{name}_orig", None)
    if isinstance(whole, Tensor):
        whole.copy_(weight)
    elif isinstance(getattr(module, f"{name}_g", None), Tensor):
        getattr(module, f"{name}_v").copy_(weight)
        getattr(module, f"{name}_g").copy_(torch.norm_except_dim(weight, 2, hook.dim))
    if hasattr(hook, "n_power_iterations"):
        for _ in range(_SETTLING):
            hook.compute_weight(module, do_power_iteration=True)


def _by_own_rule(module: nn.Module) -> None:
    """Draw a module's weights by its author's method, where it has one that takes no arguments."""
    if _is_pretrained(module):
        return
    for name in _RULES:
        rule = getattr(module, name, None)
        if inspect.ismethod(rule) and _takes(rule, 0) and _did(rule):
            return


def _as_models_say(model: nn.Module) -> None:
    """Draw the weights of models that have a rule for each of their modules, as those of Hugging Face have."""
    for part in _ruling(model):
        for value in (*part.modules(), *part.parameters(), *part.buffers()):
            if hasattr(value, "_is_hf_initialized"):
                delattr(value, "_is_hf_initialized")
        for _, module in _inside_out("", part, set()):
            part._init_weights(module)  # type: ignore[operator]  # noqa: SLF001  the way of transformers, under this name


def _ruling(model: nn.Module) -> Iterator[nn.Module]:
    """The outermost models with a rule for each module."""
    if _is_pretrained(model):
        yield model
        return
    for child in model.children():
        yield from _ruling(child)


def _is_pretrained(module: nn.Module) -> bool:
    rule = getattr(module, "_init_weights", None)
    return callable(rule) and _takes(rule, 1) and not _takes(rule, 0)
