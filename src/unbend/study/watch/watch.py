"""Watching a training run: a sequence of small studies, taken while it goes on and without changing it.

In: a model that trains in a loop of anybody's. Out: a `RunHistory`, and whatever sinks make of it. Hooks come off when
the block ends, however it ends.
"""

import platform
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import sqrt
from types import TracebackType
from typing import Any, final

import torch
from torch import Tensor, nn

import unbend
from unbend.capture import bare
from unbend.capture.live import PassTrail, Spot, Switch, named_arguments, set_around, set_hooks, spots
from unbend.errors import DataError, UnbendError
from unbend.study.history.evidence import Occurrence
from unbend.study.history.rules import judge
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot, WatchedLayer, numbers
from unbend.study.ranks import share
from unbend.study.watch.optimiser import OptimiserStep, StepWatcher, check_whole
from unbend.study.watch.report import Reporter, SeenStep
from unbend.study.watch.schedule import Schedule, share_of
from unbend.study.watch.settings import WatchSettings
from unbend.study.watch.sink import Audience, Sink
from unbend.study.watch.sums import CHECKED

_REPORTS = 0.5
"""Part of the budget that snapshots may take; the rest is what the steps between them cost."""
_MOST_WAITING = 16
"""Steps that were looked at and wait for their snapshots, at most, where no file and no tracker waits: made one by one
between two products, in a processor whose caches hold other things, each snapshot takes three times as long."""
_UNSEEN = (
    "watch: nothing was seen of the layers in a step of the optimiser, because {why}. Gradients and weights are "
    "watched all the same."
)


class NonFiniteError(UnbendError, ArithmeticError):
    """A value of a training run that is NaN or infinite, where the run was to stop at one."""


@final
class Watch:
    """A training run that is watched, inside its `with` block.

    Args:
        model: the module that the loop calls: as it is, compiled, or in a parallel wrapper.
        how: what the caller chose.
        sinks: what is told of snapshots, events and findings.
    """

    def __init__(self, model: nn.Module, how: WatchSettings, sinks: tuple[Sink, ...] = ()) -> None:
        how.check_values()
        self._outer, self._model, self._how = model, _watchable(model), how
        self._sinks = Audience(sinks if share().rank == 0 or not how.ranks else ())
        self._switch = Switch()
        self._schedule = Schedule(how.every, _REPORTS * share_of(how.budget))
        self._steps = StepWatcher(self._model, self._on_step)
        self._reporter: Reporter | None = None
        self._hooks = ExitStack()
        self._snapshots: list[Snapshot] = []
        self._waiting: deque[tuple[int, float, SeenStep]] = deque()
        self._events: list[RunEvent] = []
        self._findings: list[Occurrence] = []
        self._listeners: list[Callable[[Occurrence], None]] = []
        self._logged: dict[str, list[Tensor | float]] = {}
        self._y: Any = None
        self._unseen = ""
        self._step = self._n_passes = self._since = 0
        self._started = self._last = time.perf_counter()
        self._cost = self._offset = 0.0
        self._about = _about(self._model, how)
        self.is_inside: bool = False
        self._is_planned = self._has_told = False

    # What a loop calls

    def label(self, y: Tensor) -> None:
        """Say which labels the samples of this step have; of several micro-batches, those of the last."""
        self._y = y

    def label_if_known(self, y: Any) -> None:
        """The same for labels that may be none."""
        if isinstance(y, Tensor):
            self._y = y

    def log(self, **values: Tensor | float) -> None:
        """Note numbers of this step, such as `loss=loss`; of those on a device a copy waits for the next snapshot.

        Names that begin with `validation_` are taken for held-out numbers by the findings.

        Raises:
            DataError: a tensor of more or fewer values than one.
        """
        for name, value in values.items():
            kept = self._logged.setdefault(name, [])
            kept.append(_number(name, value) if isinstance(value, Tensor) else float(value))
            if len(kept) > CHECKED:
                del kept[0]

    def event(self, what: str, text: str = "") -> None:
        """Note that something happened, such as a checkpoint."""
        self._add_event(RunEvent(self._step, self._seconds, what, text))

    def on_finding(self, callback: Callable[[Occurrence], None]) -> Callable[[Occurrence], None]:
        """Call a function with every finding when it is first made; also a decorator."""
        self._listeners.append(callback)
        return callback

    def step(self) -> None:
        """Say that a step is over, for optimisers that are none of torch's."""
        self._on_step(self._steps.take_step())

    def by_hand(self, rate: Callable[[], float], scale: Callable[[], float] | None = None, *, unseen: str = "") -> None:
        """Say that `step` will be called, because the optimiser is none of torch's.

        Args:
            rate: its learning rate now.
            scale: what it multiplies the loss by now; None for nothing.
            unseen: why no layer will be seen, as a note of the history; "" where they will be.
        """
        self._unseen = unseen
        self._steps.count_by_hand(rate, scale)

    @property
    def history(self) -> RunHistory:
        """What is known of the run so far."""
        self._take_snapshots()
        return RunHistory(self._about, tuple(self._snapshots), tuple(self._events))

    @property
    def findings(self) -> tuple[Occurrence, ...]:
        """What was found so far, in the order in which it was found."""
        return tuple(self._findings)

    def continue_from(self, past: RunHistory) -> None:
        """Count on from a run that was interrupted."""
        if past.snapshots:
            self._step, self._offset = past.snapshots[-1].step, past.snapshots[-1].seconds
            self._schedule.next = self._step + 1

    def __enter__(self) -> "Watch":
        """Begin to watch.

        Raises:
            DataError: this watch was used before.
            ModelError: the parameters were spread over ranks since it was made.
        """
        _watchable(self._outer)  # it may have been sharded since
        if self.is_inside or self._snapshots:
            raise DataError("watch: expected a watch that was not used yet. Make another for another run.")
        self.is_inside = True
        self._started = self._last = time.perf_counter()
        self._hooks.enter_context(self._steps.set())
        self._hooks.enter_context(set_around(self._outer, self._model, self.begin))
        if self._how.example is not None:
            self._plan(self._how.example)
        self._arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._switch.set(is_on=False, is_checking=False)
        self._steps.is_on = False
        self._hooks.close()
        self.is_inside = False
        self._flush_checks()
        self._add_late()
        self._judge()
        if kind is not None:
            self.event("exception", kind.__name__)
        self._sinks.end(self.history)

    def close(self, error: BaseException | None = None) -> None:
        """Leave the block, where it was entered without one, as callbacks do.

        Args:
            error: what ended the run; None where it came to its end, or nobody told.
        """
        if self.is_inside:
            self.__exit__(None if error is None else type(error), error, None)

    # What hooks call

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._started + self._offset

    @property
    def _spend(self) -> float:
        """Share of the run's time that reports have taken."""
        return self._cost / max(self._seconds - self._offset, 1e-9)

    def _arm(self) -> None:
        """Decide whether the step that begins is reported."""
        is_on = self._step + 1 >= self._schedule.next
        if is_on or self._steps.is_on:  # in most steps a call less
            self._steps.arm(is_on=is_on)
        if is_on and self._reporter is not None:
            self._reporter.reset(self._schedule.share_spent())
        self._switch.set(is_on=is_on, is_checking=self._how.check)
        self._n_passes = 0

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """A forward pass of the whole model begins; hooks say so, and integrations that begin in the middle of one."""
        if not torch.is_grad_enabled():
            self._switch.pause()
            return
        if not self._is_planned:
            self._plan(named_arguments(self._model, args, kwargs))
        if self._switch.paused is not None:
            self._switch.set(is_on=self._steps.is_on, is_checking=self._how.check)
        self._switch.begin()
        if self._steps.is_on:
            self._n_passes += 1
            labels = self._how.labels
            y = kwargs.get(labels) if isinstance(labels, str) else labels(args, kwargs)
            self._y = self._y if y is None else y

    def _plan(self, inputs: Any) -> None:
        """Choose layers and set their hooks; what cannot be looked at is noted, and the run goes on."""
        check_whole(self._model)  # it may have been sharded inside the block
        started = time.perf_counter()
        self._is_planned = True
        try:
            chosen, notes = spots(self._model, inputs, self._how.layers)
        except UnbendError as error:
            if self._how.layers is not None:
                raise
            chosen, notes = (), (f"No layer is looked at: {error}",)
        except (RuntimeError, TypeError, ValueError) as error:
            chosen, notes = (), (f"No layer is looked at, since the model cannot be copied: {error}",)
        self._reporter = Reporter(self._model, chosen, self._how, has_histograms=self._sinks.takes_histograms)
        self._hooks.enter_context(set_hooks(self._model, self._reporter.receivers(), self._switch))
        self._about = _about(self._model, self._how, chosen, notes)
        self._sinks.begin(self._about)
        self._last += time.perf_counter() - started  # planning is no part of a step

    def _on_step(self, taken: OptimiserStep | None) -> None:
        """The optimiser has stepped."""
        now = time.perf_counter()
        lasted, self._last = now - self._last, now
        self._step += 1
        self._since += 1
        own = None
        if taken is not None:
            is_eager = self._reporter is not None and self._reporter.is_eager and self._switch.is_held
            self._switch.trail = PassTrail() if is_eager else None
            self._report(taken)
            own = time.perf_counter() - now
            self._cost += own
        elif self._reporter is not None and (self._since % CHECKED == 0 or self._reporter.is_marked):
            self._flush_checks()
        self._schedule.note(lasted, own)
        if own is not None and self._about.ranks == 1:  # ranks agreed before they knew what this one cost
            self._schedule.plan(self._step, self._schedule.wish())
        if self._reporter is not None:
            self._reporter.advance(self._step)
        self._arm()
        self._last = time.perf_counter()

    def _report(self, taken: OptimiserStep) -> None:
        if self._reporter is None:
            if not taken.norms[0].any():
                return  # a step before any pass, as some loops take for the sake of a scheduler
            if self._unseen:
                self._about = _about(self._model, self._how, notes=(self._unseen,))
            else:
                self._tell("the model was called by none of its wrappers, or compiled: hand the compiled module to "
                           "`watch`, or pass `example=`")  # fmt: skip
            self._is_planned = True
            self._reporter = Reporter(self._model, (), self._how)
            self._sinks.begin(self._about)
        values = self._take_logged()
        values["micro_batches"] = float(max(self._n_passes, 1))
        values["cost"] = self._spend
        seen = self._reporter.look(taken, self._y, self._step, values, self._schedule.wish())
        self._y = None
        self._schedule.plan(self._step, 1 if seen is None else seen.distance)
        if seen is None:
            return
        if seen.is_deaf and self._n_passes:
            self._tell("its graph was compiled before hooks were set: watch before the first call, and call "
                       "`torch._dynamo.reset()` if a model of this class ran before")  # fmt: skip
        self._notice(seen.bad)
        self._waiting.append((self._step, self._seconds, seen))
        if self._sinks or seen.is_urgent or seen.bad is not None or len(self._waiting) == _MOST_WAITING:
            self._take_snapshots()
        if seen.is_deep or seen.bad is not None:
            self._judge()
        if self._how.stop and seen.bad is not None:
            self._stop()

    def _take_snapshots(self) -> None:
        """Make snapshots of the steps that were looked at."""
        while self._waiting and self._reporter is not None:
            step, seconds, seen = self._waiting[0]
            found = self._reporter.report(seen)
            snapshot = Snapshot(step, seconds, found.values, found.layers)
            self._snapshots.append(snapshot)
            self._waiting.popleft()
            self._sinks.snapshot(snapshot)
            if found.histograms:
                self._sinks.histograms(step, found.histograms)

    def _flush_checks(self) -> None:
        """Look for values that are not finite in the steps since the last look."""
        if self._reporter is not None:
            bad = self._reporter.flush(self._step)
            self._notice(bad)
            if bad is not None:
                self._judge()
                if self._how.stop and self.is_inside:
                    self._stop()

    def _notice(self, bad: tuple[int, str] | None) -> None:
        """Note the first value that is not finite, once."""
        if bad is not None and all(event.what != "non-finite" for event in self._events):
            self._add_event(RunEvent(bad[0], self._seconds, "non-finite", bad[1]))

    def _add_event(self, event: RunEvent) -> None:
        self._events.append(event)
        self._sinks.event(event)

    def _stop(self) -> None:
        event = next(event for event in self._events if event.what == "non-finite")
        where = f"of layer {event.text}" if event.text else "of the gradient"
        raise NonFiniteError(
            f"watch: a value {where} is NaN or infinite in step {event.step}. Lower the learning rate, or look at the "
            "data of that step."
        )

    def _judge(self) -> None:
        known = {(found.finding.rule, found.finding.layer) for found in self._findings}
        for found in judge(self.history.recent() if self.is_inside else self.history):
            if (found.finding.rule, found.finding.layer) not in known:
                self._findings.append(found)
                self._sinks.finding(found)
                for listener in self._listeners:
                    listener(found)

    def _take_logged(self) -> dict[str, float]:
        """The means of what was logged since the last snapshot."""
        out: dict[str, float] = {}
        for name, values in self._logged.items():
            found = [float(value) for value in values]
            out[name] = middle = sum(found) / len(found)
            if name == "loss":
                out["loss_spread"] = sqrt(sum((value - middle) * (value - middle) for value in found) / len(found))
        self._logged.clear()
        return out

    def _add_late(self) -> None:
        """Add what was logged after the last snapshot to it, such as the last validation, where it knows no such."""
        self._take_snapshots()
        if not self._snapshots:
            return
        last = self._snapshots[-1]
        late = numbers({name: value for name, value in self._take_logged().items() if name not in last.values})
        if late:
            self._snapshots[-1] = replace(last, values=last.values | late)
            self._sinks.snapshot(replace(last, values=late, layers={}))

    def _tell(self, why: str) -> None:
        if not self._has_told:
            self._has_told = True
            warnings.warn(_UNSEEN.format(why=why), stacklevel=2)


def _number(name: str, value: Tensor) -> Tensor | float:
    """The number that a tensor is now, since the next step may write over it; on a device a copy, to be read later."""
    if value.numel() != 1:
        raise DataError(f"log: expected one number for {name!r}, got a tensor of shape {list(value.shape)}.")
    return value.item() if _is_at_hand(value) else value.detach().clone()


def _is_at_hand(tensor: Tensor) -> bool:
    """Whether its numbers are read without waiting for a device."""
    return tensor.is_cpu


def _watchable(model: nn.Module) -> nn.Module:
    """The module inside its wrappers.

    Raises:
        ModelError: it cannot be looked into, or its parameters are spread over ranks.
    """
    if isinstance(model, nn.Module):
        check_whole(model)
    return bare(model)


def _about(model: nn.Module, how: WatchSettings, chosen: Sequence[Spot] = (), notes: tuple[str, ...] = ()) -> AboutRun:
    """What is watched."""
    return AboutRun(
        model=how.name or type(model).__name__,
        layers=_layers(model, chosen),
        n_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        ranks=share().n if how.ranks else 1,
        notes=notes,
        versions={"unbend": unbend.__version__, "torch": str(torch.__version__), "python": platform.python_version()},
        started=time.time(),
    )


def _layers(model: nn.Module, chosen: Sequence[Spot]) -> tuple[WatchedLayer, ...]:
    """The layers looked at and the modules that own parameters, in one order."""
    order = {path: i for i, (path, _) in enumerate(model.named_modules())}
    found: dict[str, tuple[float, WatchedLayer]] = {}
    for path, module in model.named_modules():
        if any(p.requires_grad for p in module.parameters(recurse=False)):
            found[path] = order[path], WatchedLayer(path, "weights", type(module).__name__)
    before = 0.0
    for spot in chosen:
        tap = spot.tap
        at = float(order[tap.path]) if not tap.function else order.get(tap.fed_by or "", before)
        before = max(before, at) + (0.01 if tap.function or tap.call else 0.0)
        layer = WatchedLayer(tap.name, tap.kind, tap.module, tap.shape, spot.is_output, tap.fed_by)
        found[tap.name] = before, layer
    return tuple(layer for _, layer in sorted(found.values(), key=lambda one: one[0]))
