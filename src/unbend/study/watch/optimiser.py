"""Gradients and steps of a training run: norms before clipping and unscaled, and how far a step moves the weights.

In: the parameters of a model, whatever optimiser steps them. Out: norms per parameter as tensors on their device. In a
step that is reported, a hook on each parameter says that a backward pass runs; when all of it has ended, gradients of
all micro-batches and, in data-parallel training, of all ranks are summed, and nobody has clipped them yet. An optimiser
is heard through torch's hooks for all optimisers, so none has to be handed over.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import sqrt
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from unbend._typing import Array, Float64
from unbend.capture.live import Silent
from unbend.errors import ModelError

LARGEST = 4096
"""Values of one parameter whose movement is measured; of larger ones, evenly spaced ones, which tells the ratio to
some two per cent."""
_LINE = 16
_DEEPEST = 32
_SHARDED = ("FSDP", "FullyShardedDataParallel")
"""Beginnings of the names of classes that spread parameters, which are whole tensors during a forward pass."""
_LISTED = 16
"""Reported steps in a row after which parameters are listed anew: walking through the modules costs more than norms."""


@dataclass(frozen=True, slots=True, eq=False)
class OptimiserStep:
    """One step of the optimiser, as tensors that no one has waited for.

    Attributes:
        names: of the parameters.
        norms: of each parameter, by row: of its gradient, scaled as the loss was; of its gradient as the optimiser
            took it, unscaled and clipped; of itself after the step; of how far it moved, of a large one over some
            values; of those values before [5, p].
        scale: what the loss was multiplied by; None for nothing.
        skipped: 1 where the optimiser itself found an infinite gradient and stayed where it was; None where it does
            not look.
        rate: learning rate of the first group.
    """

    names: tuple[str, ...]
    norms: Tensor | Float64[Array, "5 p"]
    scale: Tensor | None
    skipped: Tensor | None
    rate: float


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
        self._scale: Callable[[], float] | None = None
        self._scaled = 1.0
        self._gradients: Tensor | list[float] | None = None
        self._listed: _Listed | None = None
        self._n_reported = 0
        self._is_first = True
        self._versions: list[tuple[int, int]] = []
        self._listening = ExitStack()
        self._taken: dict[str, Any] = {}
        self._ids = frozenset(id(p) for p in model.parameters())

    def set(self) -> ExitStack:
        """Set the hooks; closing what comes back takes them off."""
        stack = ExitStack()
        stack.callback(self._listening.close)
        stack.callback(register_optimizer_step_post_hook(_Hook(self._after_step)).remove)
        self._is_first = True
        return stack

    def arm(self, *, is_on: bool) -> None:
        """Say whether the step that begins is wanted."""
        if not (is_on or self.is_on):
            return
        self._n_reported = self._n_reported + 1 if is_on and self.is_on else 0
        if not is_on or self._listed is None or not self._listed.is_current or self._n_reported % _LISTED == 0:
            self._list(is_on=is_on)
        self.is_on = is_on
        self._gradients = None
        if self._listed is not None and (self._rate is not None or self._is_first):
            self._scaled = 1.0 if self._scale is None else self._scale()
            self._listed.keep()  # the first step may have begun already, where its closure runs the passes
        self._is_first = False

    def _list(self, *, is_on: bool) -> None:
        """Set hooks on the parameters that are trained now and before the optimiser, or take them off."""
        self._listening.close()
        self._listed = None
        if is_on:
            check_whole(self._model)  # it may have been sharded in the meantime
            found = {name: p for name, p in self._model.named_parameters() if p.requires_grad}
            self._listed = _Listed(tuple(found), list(found.values()))
            self._listening.callback(register_optimizer_step_pre_hook(_Hook(self._before_step)).remove)
            for p in {name.rpartition(".")[0]: p for name, p in found.items()}.values():  # one of each module tells
                self._listening.callback(p.register_post_accumulate_grad_hook(_Hook(self._backward)).remove)

    def count_by_hand(self, rate: Callable[[], float], scale: Callable[[], float] | None = None) -> None:
        """Say that `take_step` will be called after every step, since no hook of torch is."""
        self._rate, self._scale = rate, scale

    def take_step(self) -> OptimiserStep | None:
        """What was measured of the step that is over; None where it is not wanted, or nothing was armed before it."""
        listed = self._listed
        if listed is None or self._rate is None or not listed.is_kept:
            self.arm(is_on=self.is_on)
            return None
        scale = None if self._scale is None else torch.tensor(self._scaled, dtype=torch.float64)
        self._taken = {"names": listed.names, "scale": scale, "skipped": None, "rate": self._rate()}
        return self._step_of(listed, scale)

    def _backward(self, _parameter: Tensor) -> None:
        """The first gradient of a backward pass: measure when all of it is over, after what others do at its end."""
        if self.is_on and not self._pending:
            self._pending = True
            queue = torch.autograd.Variable._execution_engine.queue_callback  # noqa: SLF001  as data-parallel training does
            queue(lambda: queue(self._measure))

    def _measure(self) -> None:
        self._pending = False
        if self._listed is not None:
            gradients = [p.grad for p in self._listed.parameters]
            self._gradients = self._listed.of(gradients)
            self._versions = _versions(gradients)

    def _is_ours(self, optimiser: Optimizer) -> bool:
        if self._optimiser is None:
            mine = any(id(p) in self._ids for group in optimiser.param_groups for p in group["params"])
            self._optimiser = optimiser if mine else None
            return mine
        return optimiser is self._optimiser

    def _before_step(self, optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
        if self._listed is None or not self._is_ours(optimiser):
            return
        self._listed.keep()
        self._take(optimiser, self._listed)

    def _take(self, optimiser: Optimizer, listed: "_Listed") -> None:
        """Note what only the optimiser and its scaler know."""
        scaler = _scaler()
        self._taken = {
            "names": listed.names,
            "scale": None if scaler is None else scaler._scale,  # noqa: SLF001  `get_scale` would wait for the device
            "skipped": getattr(optimiser, "found_inf", None),
            "rate": _rate(optimiser),
        }

    def _after_step(self, optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
        if optimiser is not self._optimiser and not self._is_ours(optimiser):
            return
        if self._listed is not None and not self._taken and self._listed.is_kept:  # watched from the middle of it on
            self._take(optimiser, self._listed)
        scale = getattr(optimiser, "grad_scale", None)
        self._on_step(self._step_of(self._listed, scale) if self._taken and self._listed is not None else None)

    def _step_of(self, listed: "_Listed", scale: Tensor | None = None) -> OptimiserStep:
        """What was measured, now that the step is over: a closure may have run the passes inside of it.

        Args:
            listed: the parameters.
            scale: what the optimiser itself divides gradients by, as fused ones do.
        """
        given = [p.grad for p in listed.parameters]
        before = self._gradients
        flow = listed.of(given) if before is None or _versions(given) != self._versions else before
        gradients = flow if before is None else before
        taken, self._taken, self._gradients = self._taken, {}, None
        if scale is not None:
            flow = (torch.tensor(flow, dtype=torch.float32) if isinstance(flow, list) else flow) / scale
        norms = _join((gradients, flow, listed.norms()))
        return OptimiserStep(norms=norms.reshape(5, len(listed.names)), **taken)


@final
class _Listed:
    """The parameters that are trained, and room for what some of their values were before a step.

    Args:
        names: of the parameters.
        parameters: as they are now.
    """

    def __init__(self, names: tuple[str, ...], parameters: list[Tensor]) -> None:
        self.names, self.parameters = names, parameters
        self.is_kept: bool = False
        self._places = [p.data_ptr() for p in parameters]
        self._now: list[Tensor] = [p.detach() for p in parameters]
        self._some: list[Tensor] = [_some(p) for p in self._now]
        self._before: list[Tensor] = [torch.empty_like(some) for some in self._some]
        self._room = _HostRoom(self._now, self._some) if all(_is_plain(p) for p in self._now) else None

    @property
    def is_current(self) -> bool:
        """Whether they are trained still, and are where they were."""
        return all(p.requires_grad for p in self.parameters) and [p.data_ptr() for p in self.parameters] == self._places

    def of(self, gradients: Sequence[Tensor | None]) -> "Tensor | list[float]":
        """The norm of each gradient, 0 for none."""
        if self._room is not None and all(g is None or _is_plain(g) for g in gradients):
            with np.errstate(invalid="ignore", over="ignore"):
                return [0.0 if g is None else _norm(g.detach().numpy()) for g in gradients]
        return _norms(gradients)

    def keep(self) -> None:
        """Keep the values from before a step."""
        if self._room is not None:
            self._room.keep()
        else:
            torch._foreach_copy_(self._before, self._some)
        self.is_kept = True

    def norms(self) -> "Tensor | list[float]":
        """After the step: of each parameter, of how far its values moved, and of those before [3 p]."""
        self.is_kept = False
        if self._room is not None:
            return self._room.norms()
        old = _norms(self._before)
        torch._foreach_sub_(self._before, self._some)
        return torch.cat((_norms([*self._now, *self._before]), old))


@final
class _HostRoom:
    """The same for parameters on the CPU: numpy's short calls take a third of torch's, and they run cold.

    Args:
        now: the parameters.
        some: those of their values whose movement is measured.
    """

    def __init__(self, now: Sequence[Tensor], some: Sequence[Tensor]) -> None:
        self._now = [p.numpy() for p in now]
        self._some = [part.numpy() for part in some]
        ends = np.cumsum([part.size for part in self._some], dtype=np.int64).tolist()
        self._before, self._after = (np.empty(ends[-1] if ends else 0, np.float32) for _ in range(2))
        parts = list(zip([0, *ends], ends, self._some, strict=False))
        self._each = [[room[start:end] for start, end, _ in parts] for room in (self._after, self._before)]
        self._kept = [self._before[start:end].reshape(part.shape) for start, end, part in parts]
        self._moved = [self._after[start:end].reshape(part.shape) for start, end, part in parts]

    def keep(self) -> None:
        """Keep the values from before a step."""
        for room, part in zip(self._kept, self._some, strict=True):
            np.copyto(room, part)

    def norms(self) -> list[float]:
        """As `_Listed.norms`."""
        for room, part in zip(self._moved, self._some, strict=True):
            np.copyto(room, part)
        with np.errstate(invalid="ignore", over="ignore"):  # values may not be finite
            np.subtract(self._after, self._before, out=self._after)
            return [_norm(x) for x in (*self._now, *self._each[0], *self._each[1])]


def _norm(x: Array) -> float:
    """The norm of values that are dense in memory, read where they lie."""
    flat = x if x.ndim == 1 else x.ravel("K")
    return sqrt(np.dot(flat, flat))


def _is_plain(tensor: Tensor) -> bool:
    """Whether numpy can read it where it lies."""
    return tensor.is_cpu and tensor.dtype is torch.float32 and tensor.layout is torch.strided


def _join(parts: "Sequence[Tensor | list[float]]") -> Tensor | Array:
    """Norms side by side, on the host if all are there."""
    if all(isinstance(part, list) for part in parts):
        return np.array([norm for part in parts for norm in part])
    return torch.cat([torch.tensor(part, dtype=torch.float32) if isinstance(part, list) else part for part in parts])


def _in_memory(tensor: Tensor) -> Tensor:
    """A view with its axes in the order in which they lie in memory."""
    return tensor.permute(sorted(range(tensor.ndim), key=tensor.stride, reverse=True))


def check_whole(model: nn.Module) -> None:
    """Refuse a model of which this process holds a part.

    Raises:
        ModelError: its parameters are spread over ranks.
    """
    is_spread = any(hasattr(p, "to_local") for p in model.parameters())
    if is_spread or any(type(module).__name__.startswith(_SHARDED) for module in model.modules()):
        raise ModelError(
            "model: its parameters are spread over ranks (fully_shard, tensor parallel), and no layer can be looked at "
            "before they are gathered. Watch a run of DistributedDataParallel, or a smaller one on one process."
        )


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
    """The norm of each tensor, 0 for none, as one vector: float32, or float64 where any of them is."""
    there = [_dense(t) for t in tensors if t is not None and t.numel()]
    if not there:
        return torch.zeros(len(tensors), dtype=torch.float32)
    dtype = torch.float64 if any(t.dtype is torch.float64 for t in there) else torch.float32
    found = torch._foreach_norm(there, 2, dtype)  # noqa: SLF001  one kernel for all
    device = there[0].device
    if len(there) < len(tensors) or any(norm.device != device for norm in found):  # a model may lie on several devices
        each = iter(found)
        none = torch.zeros((), dtype=dtype, device=device)
        found = [next(each).to(device) if t is not None and t.numel() else none for t in tensors]
    return torch.stack(found)


def _dense(tensor: Tensor) -> Tensor:
    """A gradient without its graph; a sparse one as its values, a complex one as its parts."""
    plain = tensor.detach().coalesce().values() if tensor.is_sparse else tensor.detach()
    return torch.view_as_real(plain) if plain.is_complex() else plain


def _some(p: Tensor) -> Tensor:
    """A parameter's values, of a large one some that are evenly spaced, as many side by side as a cache line holds."""
    p = _in_memory(p)  # what comes back is a view
    if p.numel() <= LARGEST or not p.is_contiguous():
        return p
    flat = p.view(-1)
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
