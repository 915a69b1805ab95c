"""Gradients and steps of a training run: norms before clipping and unscaled, and how far a step moves the weights.

In: the parameters of a model, whatever optimiser steps them. Out: norms per parameter as tensors on their device. In a
step that is reported, a hook on each parameter says that a backward pass runs; when all of it has ended, gradients of
all micro-batches and, in data-parallel training, of all ranks are summed, and nobody has clipped them yet. An optimiser
is heard through torch's hooks for all optimisers, so none has to be handed over.
"""

import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, final
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from unbend._typing import Array, Float64
from unbend.capture.live import Silent
from unbend.errors import ModelError
from unbend.study.watch.parameters import Listed, Norms, join, put

_DEEPEST = 32
_SHARDED = ("FSDP", "FullyShardedDataParallel")
"""Beginnings of the names of classes that spread parameters, which are whole tensors during a forward pass."""
_PATIENCE = 16
"""Steps of other optimisers after which the one that ended the steps of a run is thought to be done with."""
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

    Where several optimisers step it, the one that was heard of last ends a step of the run, and each gradient is the
    one that the optimiser of its parameter took.

    Args:
        model: whose parameters.
        on_step: called after every step of the run, with what was measured if the step was wanted.

    Attributes:
        is_on: whether the step that runs is wanted.
        is_listed_anew: set whenever parameters were listed, which says that modules may be others.
    """

    def __init__(self, model: nn.Module, on_step: Callable[[OptimiserStep | None], None]) -> None:
        self._model, self._on_step = model, on_step
        self.is_on: bool = False
        self.is_listed_anew: bool = False
        self._turns = _Turns()
        self._passes: set[int] = set()
        self._over = -1
        self._rate: Callable[[], float] | None = None
        self._scale: Callable[[], float] | None = None
        self._scaled = 1.0
        self._gradients: Norms | None = None
        self._others: list[tuple[list[int], Norms, Norms]] = []
        self._listed: Listed | None = None
        self._n_reported = 0
        self._is_first = True
        self._versions: list[tuple[int, int]] = []
        self._listening = ExitStack()
        self._before_hook = _Hook(self._before_step)
        self._taken: dict[str, Any] = {}

    def set(self) -> ExitStack:
        """Set the hooks; closing what comes back takes them off."""
        stack = ExitStack()
        stack.callback(self._listening.close)
        stack.callback(register_optimizer_step_post_hook(_outside(self._after_step)).remove)
        self._before_hook = _outside(self._before_step)
        self._is_first = True
        return stack

    def arm(self, *, is_on: bool) -> None:
        """Say whether the step that begins is wanted."""
        if not (is_on or self.is_on):
            return
        self._n_reported = self._n_reported + 1 if is_on and self.is_on else 0
        if not is_on or self._listed is None or self._n_reported % _LISTED == 0:
            self._list(is_on=is_on)
        self.is_on = is_on
        self._gradients = None
        self._passes.clear()  # one that failed says nothing of the next
        self._over = _pass_number()  # a loop may step inside of its backward pass
        self._others.clear()
        if self._listed is not None and (self._rate is not None or self._is_first):
            self._scaled = 1.0 if self._scale is None else self._scale()
            self._listed.keep()  # the first step may have begun already, where its closure runs the passes
        self._is_first = False

    @property
    def is_dropped(self) -> bool:
        """Whether the gradients of the passes so far were thrown away, as where a scaler skips a step."""
        listed = self._listed
        return self._gradients is not None and listed is not None and all(p.grad is None for p in listed.parameters)

    def look_again(self) -> None:
        """List the parameters anew if others are trained now, or they lie elsewhere: since the last step, say."""
        if self._listed is not None and not self._listed.is_current:
            self._list(is_on=True)

    def _list(self, *, is_on: bool) -> None:
        """Set hooks on the parameters that are trained now and before the optimiser, or take them off."""
        self._listening.close()
        self._listed = self._gradients = None
        self._others.clear()
        if is_on:
            check_whole(self._model)  # it may have been sharded in the meantime
            self.is_listed_anew = True
            self._listed = Listed(self._model)
            self._listening.callback(register_optimizer_step_pre_hook(self._before_hook).remove)
            hook = _Hook(self._backward)
            for p in self._listed.parameters:  # all, since a pass may reach any of them alone
                self._listening.callback(p.register_post_accumulate_grad_hook(hook).remove)

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
        gradients, flow = self._flows(listed, scale)
        return self._step_of(listed, gradients, flow)

    def _backward(self, _parameter: Tensor) -> None:
        """The first gradient of a backward pass: measure when all of it is over, after what others do at its end."""
        number = _pass_number()
        if self.is_on and number not in self._passes and number != self._over:
            self._passes.add(number)
            queue = torch.autograd.Variable._execution_engine.queue_callback  # noqa: SLF001  as data-parallel training does
            queue(lambda: queue(lambda: self._measure(number)))

    def _measure(self, number: int) -> None:
        if self._listed is not None and number in self._passes:
            self._passes.remove(number)
            gradients = [p.grad for p in self._listed.parameters]
            self._gradients = self._listed.of(gradients)
            self._versions = _versions(gradients)

    def _is_ours(self, optimiser: Optimizer) -> bool:
        """Whether it steps parameters of the model, which is asked anew whenever an optimiser or a group is new."""
        n, found = self._turns.heard.get(optimiser, (0, False))
        if n == len(optimiser.param_groups):
            return found
        held = {id(p) for group in optimiser.param_groups for p in group["params"]}
        trained = [p for p in self._model.parameters() if p.requires_grad]
        found = any(id(p) in held for p in trained)
        self._turns.heard[optimiser] = len(optimiser.param_groups), found
        if found and self._listed is not None and not self._listed.is_of(trained):
            self._list(is_on=True)  # a layer was replaced
        return found

    def _before_step(self, optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
        if self._listed is None or not self._is_ours(optimiser):
            return
        self.look_again()
        if not self._others:  # else they stepped before
            self._listed.keep()
        self._take(optimiser, self._listed)

    def _take(self, optimiser: Optimizer, listed: Listed) -> None:
        """Note what only the optimiser and its scaler know."""
        scaler = _scaler()
        self._taken = {
            "names": listed.names,
            "scale": None if scaler is None else scaler._scale,  # noqa: SLF001  `get_scale` would wait for the device
            "skipped": getattr(optimiser, "found_inf", None),
            "rate": _rate(optimiser),
        }

    def _after_step(self, optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
        if optimiser is not self._turns.last and not self._is_ours(optimiser):
            return
        if self._listed is not None and not self._taken and self._listed.is_kept:  # watched from the middle of it on
            self._take(optimiser, self._listed)
        is_last, listed = self._turns.is_over(optimiser), self._listed if self._taken else None
        if listed is None:
            if is_last:
                self._on_step(None)
            return
        gradients, flow = self._flows(listed, getattr(optimiser, "grad_scale", None))
        if is_last:
            only = listed.held_by(optimiser) if self._turns.is_first else None
            self._on_step(self._step_of(listed, gradients, flow, only=only))
        elif optimiser is self._turns.last:  # it belongs to the step before, which was thought to be over
            self._taken, self._gradients, listed.is_kept = {}, None, False
        else:
            self._others.append((sorted(listed.held_by(optimiser)), gradients, flow))

    def _flows(self, listed: Listed, scale: Tensor | None) -> tuple[Norms, Norms]:
        """Norms of gradients before clipping, and as the optimiser took them; a closure may have run the passes in it.

        Args:
            listed: the parameters.
            scale: what the optimiser itself divides gradients by, as fused ones do.
        """
        given = [p.grad for p in listed.parameters]
        before = self._gradients
        flow = listed.of(given) if before is None or _versions(given) != self._versions else before
        gradients = flow if before is None else before
        if scale is not None:
            flow = (torch.tensor(flow, dtype=torch.float32) if isinstance(flow, list) else flow) / scale
        elif before is None:
            self._taken["scale"] = None  # no pass was heard, and what the optimiser took is unscaled
        return gradients, flow

    def _step_of(
        self, listed: Listed, gradients: Norms, flow: Norms, *, only: Collection[int] | None = None
    ) -> OptimiserStep:
        """What was measured, now that the step is over.

        Args:
            listed: the parameters.
            gradients: their norms before clipping.
            flow: their norms as the optimiser took them.
            only: of which parameters it is known that they have stepped; None for all.
        """
        taken, self._taken, self._gradients = self._taken, {}, None
        norms = join((gradients, flow, listed.norms())).reshape(5, len(listed.names))
        for held, *theirs in self._others:
            for row, found in enumerate(theirs):
                put(norms[row], held, found)
        self._others.clear()
        if only is not None:
            norms[3, [i for i in range(len(listed.names)) if i not in only]] = torch.nan
        return OptimiserStep(norms=norms, **taken)


@final
class _Turns:
    """Which optimisers step a model, and which of them ends a step of the run: of several, the one heard of last.

    A copy knows none of them.

    Attributes:
        heard: of each optimiser, how many groups it had, and whether it steps parameters of the model.
        last: the one that ends a step.
    """

    def __init__(self) -> None:
        self.heard: WeakKeyDictionary[Optimizer, tuple[int, bool]] = WeakKeyDictionary()
        self.last: Optimizer | None = None
        self._led: WeakSet[Optimizer] = WeakSet()
        self._n_led = self._n_others = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return _Turns, ()

    @property
    def is_first(self) -> bool:
        """Whether the last one has ended one step so far, and others may step yet."""
        return self._n_led == 1

    def is_over(self, optimiser: Optimizer) -> bool:
        """Take in that one has stepped, and say whether a step of the run is over by that."""
        if optimiser is self.last:
            self._n_led, self._n_others = self._n_led + 1, 0
            return True
        is_new, is_second = optimiser not in self._led, self._n_led == 1
        self._n_others += 1
        if not is_new and self._n_others < _PATIENCE:
            return False
        self._led.add(optimiser)
        self.last, self._n_led, self._n_others = optimiser, 1, 0
        return not is_second


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
    """A hook whose copies are silent: optimisers and parameters may be copied and pickled meanwhile.

    Args:
        hear: what is called.
        outside: what is called where a step is compiled, which breaks its graph; None for a hook in no such place.
    """

    def __init__(self, hear: Callable[..., None], outside: Callable[..., None] | None = None) -> None:
        self._hear, self._outside = hear, outside

    def __call__(self, *given: Any) -> None:
        if self._outside is not None and torch.compiler.is_compiling():
            self._outside(*given)
        else:
            self._hear(*given)

    def __reduce__(self) -> tuple[Any, ...]:
        return Silent, ()

    def __deepcopy__(self, _memo: Any) -> Silent:
        return Silent()


def _outside(hear: Callable[..., None]) -> _Hook:
    """A hook that runs outside of graphs, where a loop compiles the step of its optimiser."""
    return _Hook(hear, torch.compiler.disable(hear, reason="unbend.watch counts steps outside of graphs"))


def _pass_number() -> int:
    """The number of the backward pass that runs; -1 outside of one."""
    found: int = torch._C._current_graph_task_id()  # noqa: SLF001  torch has no public name for it
    return found


def _versions(tensors: Sequence[Tensor | None]) -> list[tuple[int, int]]:
    """Which tensors these are, and how often each was written to."""
    return [(0, 0) if t is None else (id(t), t._version) for t in tensors]  # noqa: SLF001  torch has no public name for it


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
