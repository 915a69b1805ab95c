"""Gradients and steps of a training run: norms before clipping and unscaled, and how far a step moves the weights.

In: the parameters of a model, whatever optimiser steps them. Out: norms per parameter as tensors on their device. In a
step that is reported, a hook on each parameter says that a backward pass runs; when all of it has ended, gradients of
all micro-batches and, in data-parallel training, of all ranks are summed, and nobody has clipped them yet. An optimiser
is heard through torch's hooks for all optimisers, so none has to be handed over.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from unbend.capture.live import Silent

LARGEST = 16_384
"""Values of one parameter whose movement is measured; of larger ones, evenly spaced ones, which tells the ratio to
one per cent."""
_LINE = 16
_DEEPEST = 32


@dataclass(frozen=True, slots=True, eq=False)
class OptimiserStep:
    """One step of the optimiser, as tensors that no one has waited for.

    Attributes:
        names: of the parameters.
        gradients: norm of each gradient, scaled as the loss was [p].
        weights: norm of each parameter after the step [p].
        moved: how far each parameter moved, of large ones over some values [p].
        before: norm of those values before [p].
        scale: what the loss was multiplied by; None for nothing.
        skipped: 1 where the optimiser itself found an infinite gradient and stayed where it was; None where it does
            not look.
        rate: learning rate of the first group.
        flow: norm of each gradient as the optimiser took it, unscaled and clipped [p].
        sharded: whether this rank holds only a part of a parameter, by parameter.
    """

    names: tuple[str, ...]
    gradients: Tensor
    weights: Tensor
    moved: Tensor
    before: Tensor
    scale: Tensor | None
    skipped: Tensor | None
    rate: float
    flow: Tensor
    sharded: tuple[bool, ...]


@final
class StepWatcher:
    """Hears backward passes and optimiser steps of one model.

    Args:
        model: whose parameters.
        on_step: called after every step of the optimiser, with what was measured if the step was wanted.
    """

    def __init__(self, model: nn.Module, on_step: Callable[[OptimiserStep | None], None]) -> None:
        self._model, self._on_step = model, on_step
        self.is_on: bool = False
        self._optimiser: Any = None
        self._pending = False
        self._rate: Callable[[], float] | None = None
        self._gradients: Tensor | None = None
        self._watched: list[tuple[str, Tensor]] = []
        self._versions: list[tuple[int, int]] = []
        self._listening = ExitStack()
        self._before: list[Tensor] = []
        self._taken: dict[str, Any] = {}
        self._ids = frozenset(id(p) for p in model.parameters())

    def set(self) -> ExitStack:
        """Set the hooks; closing what comes back takes them off."""
        stack = ExitStack()
        stack.callback(self._listening.close)
        stack.callback(register_optimizer_step_pre_hook(_Hook(self._before_step)).remove)
        stack.callback(register_optimizer_step_post_hook(_Hook(self._after_step)).remove)
        return stack

    def arm(self, *, is_on: bool) -> None:
        """Say whether the step that begins is wanted."""
        self._watched = list(self._named()) if is_on else []
        if is_on and not self.is_on:
            for p in self._parameters():
                self._listening.callback(p.register_post_accumulate_grad_hook(_Hook(self._backward)).remove)
        elif not is_on:
            self._listening.close()
        self.is_on = is_on
        self._gradients = None
        if is_on and self._rate is not None:
            self._before = [_some(p).clone() for p in self._parameters()]

    def count_by_hand(self, rate: Callable[[], float]) -> None:
        """Say that `take_step` will be called after every step, since no hook of torch is."""
        self._rate = rate

    def take_step(self) -> OptimiserStep | None:
        """What was measured of the step that is over; None where it is not wanted, or nothing was armed before it."""
        if not self.is_on or self._rate is None or not self._before:
            self.arm(is_on=self.is_on)
            return None
        names, parameters = zip(*self._watched, strict=True)
        self._taken = {
            "names": names, "scale": None, "skipped": None, "rate": self._rate(),
            "sharded": tuple(hasattr(p, "to_local") for p in parameters),
        }  # fmt: skip
        return self._measured()

    def _parameters(self) -> list[Tensor]:
        """The parameters that were trained when the step began."""
        return [p for _, p in self._watched]

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        return ((name, p) for name, p in self._model.named_parameters() if p.requires_grad)

    def _backward(self, _parameter: Tensor) -> None:
        """The first gradient of a backward pass: measure when all of it is over, after what others do at its end."""
        if self.is_on and not self._pending:
            self._pending = True
            queue = torch.autograd.Variable._execution_engine.queue_callback  # noqa: SLF001  as data-parallel training does
            queue(lambda: queue(self._measure))

    def _measure(self) -> None:
        self._pending = False
        if self.is_on:
            gradients = [p.grad for p in self._parameters()]
            self._gradients = _norms([_local(g) for g in gradients])
            self._versions = _versions(gradients)

    def _is_ours(self, optimiser: Optimizer) -> bool:
        if self._optimiser is None:
            mine = any(id(p) in self._ids for group in optimiser.param_groups for p in group["params"])
            self._optimiser = optimiser if mine else None
            return mine
        return optimiser is self._optimiser

    def _before_step(self, optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
        if not self.is_on or not self._is_ours(optimiser):
            return
        names, parameters = zip(*self._watched, strict=True)
        self._before = [_some(p).clone() for p in parameters]
        scaler = _scaler()
        self._taken = {
            "names": names,
            "scale": None if scaler is None else scaler._scale,  # noqa: SLF001  `get_scale` would wait for the device
            "skipped": getattr(optimiser, "found_inf", None),
            "rate": _rate(optimiser),
            "sharded": tuple(hasattr(p, "to_local") for p in parameters),
        }

    def _after_step(self, optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
        if not self._is_ours(optimiser):
            return
        self._on_step(self._measured(getattr(optimiser, "grad_scale", None)) if self._taken else None)

    def _measured(self, scale: Tensor | None = None) -> OptimiserStep:
        """What was measured, now that the step is over: a closure may have run the passes inside of it.

        Args:
            scale: what the optimiser itself divides gradients by, as fused ones do.
        """
        parameters = self._parameters()
        given = [p.grad for p in parameters]
        before = self._gradients
        is_clipped = before is None or _versions(given) != self._versions
        flow = _norms([_local(g) for g in given]) if before is None or is_clipped else before
        gradients = flow if before is None else before
        change = torch._foreach_sub([_some(p) for p in parameters], self._before)  # noqa: SLF001  one kernel for all
        now = [_local(p.detach()) for p in parameters]
        weights, old, moved = _norms([*now, *self._before, *change]).split(len(parameters))
        taken, self._taken, self._gradients, self._before = self._taken, {}, None, []
        return OptimiserStep(
            gradients=gradients, flow=flow if scale is None else flow / scale, weights=weights, moved=moved, before=old,
            **taken,
        )  # fmt: skip


class _Hook:
    """A hook whose copies are silent: optimisers and parameters may be copied and pickled meanwhile."""

    def __init__(self, hear: Callable[..., None]) -> None:
        self._hear = hear

    def __call__(self, *given: Any) -> None:
        self._hear(*given)

    def __reduce__(self) -> tuple[Any, ...]:
        return Silent, ()

    def __deepcopy__(self, _memo: Any) -> Silent:
        return Silent()


def _versions(tensors: Sequence[Tensor | None]) -> list[tuple[int, int]]:
    """Which tensors these are, and how often each was written to."""
    return [(0, 0) if t is None else (id(t), t._version) for t in tensors]  # noqa: SLF001  torch has no public name for it


def _norms(tensors: Sequence[Tensor | None]) -> Tensor:
    """The norm of each tensor, 0 for none, as one float32 vector."""
    there = [t for t in tensors if t is not None and t.numel()]
    if not there:
        return torch.zeros(len(tensors))
    found = iter(torch._foreach_norm(there, 2, torch.float32))  # noqa: SLF001  one kernel for all
    device = there[0].device
    return torch.stack([
        next(found).to(device) if t is not None and t.numel() else torch.zeros((), device=device) for t in tensors
    ])  # fmt: skip


def _local(tensor: Tensor | None) -> Tensor | None:
    """This rank's part of a tensor; a sparse one as its values."""
    if tensor is None:
        return None
    tensor = tensor.detach()
    if hasattr(tensor, "to_local"):
        tensor = tensor.to_local()
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def _some(p: Tensor) -> Tensor:
    """A parameter's values, of a large one some that are evenly spaced, as many side by side as a cache line holds."""
    local = _local(p)
    flat = torch.zeros(0) if local is None else local.reshape(-1)
    if flat.numel() <= LARGEST:
        return flat
    every = -(-flat.numel() // LARGEST)
    whole = flat.numel() // (_LINE * every)
    return flat[: whole * _LINE * every].view(whole, every, _LINE)[:, 0]


def _scaler() -> GradScaler | None:
    """The scaler whose `step` this is called from; None if there is none."""
    frame = sys._getframe(1)  # noqa: SLF001  a scaler leaves no other trace with the optimiser
    for _ in range(_DEEPEST):
        if frame.f_code is GradScaler.step.__code__:
            found = frame.f_locals.get("self")
            return found if isinstance(found, GradScaler) and found.is_enabled() else None
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None


def _rate(optimiser: Optimizer) -> float:
    """The learning rate of the first group; NaN for an optimiser without one, or with one on a device."""
    rate = optimiser.param_groups[0].get("lr", float("nan"))
    if isinstance(rate, Tensor):
        return float(rate) if rate.device.type == "cpu" else float("nan")
    return float(rate)
