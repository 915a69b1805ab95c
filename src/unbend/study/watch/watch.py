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
from threading import RLock
from types import TracebackType
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

import unbend
from unbend._typing import Array
from unbend.capture import bare
from unbend.capture.inputs import n_samples, tensors_in
from unbend.capture.live import PassTrail, Spot, Switch, is_training, named_arguments, set_around, set_hooks, spots
from unbend.errors import DataError, UnbendError
from unbend.study.history.evidence import Occurrence
from unbend.study.history.rules import judge
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot, WatchedLayer, numbers
from unbend.study.ranks import share
from unbend.study.watch.measure import labels_of
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
        self._hooks, self._looking = ExitStack(), ExitStack()
        self._places: list[tuple[str, nn.Module]] = []
        self._snapshots: list[Snapshot] = []
        self._waiting: deque[tuple[int, float, SeenStep]] = deque()
        self._making = _Lock()
        self._events: list[RunEvent] = []
        self._findings: list[Occurrence] = []
        self._past: RunHistory | None = None
        self._listeners: list[Callable[[Occurrence], None]] = []
        self._logged: dict[str, list[Tensor | float]] = {}
        self._y: Tensor | None = None
        self._unseen = ""
        self._step = self._n_passes = self._since = 0
        self._started = self._last = time.perf_counter()
        self._cost = self._offset = 0.0
        self._about = _about(self._model, how)
        self.is_inside: bool = False
        self._is_planned = self._has_told = self._has_heard = False

    # What a loop calls

    def label(self, y: Tensor | Array | Sequence[Any] | None) -> None:
        """Say which labels the samples of this step have; of several micro-batches, those of the last.

        Raises:
            DataError: they are no numbers.
        """
        if self._steps.is_on:
            self._y = labels_of(y)

    def label_if_known(self, y: Any) -> None:
        """The same for labels that may be none."""
        if isinstance(y, Tensor):
            self._y = y

    def log(self, **values: Tensor | float) -> None:
        """Note numbers of this step, such as `loss=loss`; of those on a device a copy waits for the next snapshot.

        Names that begin with `validation_` are taken for held-out numbers by the findings.

        Raises:
            DataError: no number, or more than one.
        """
        for name, value in values.items():
            number = _number(name, value)
            kept = self._logged.setdefault(name, [])
            kept.append(number)
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
        """Count on from a run that was interrupted: what is found is found in the whole run, and told once."""
        self._past = past.recent()
        self._findings = list(judge(past))
        if past.snapshots:
            self._offset = past.snapshots[-1].seconds
            self.count_from(past.snapshots[-1].step)

    def count_from(self, step: int) -> None:
        """Say how many steps the run has taken already, as a trainer knows that goes on from a checkpoint."""
        self._step, self._schedule.next = step, step + 1

    def __enter__(self) -> "Watch":
        """Begin to watch.

        Raises:
            DataError: this watch was used before.
            ModelError: the parameters were spread over ranks since it was made.
        """
        _watchable(self._outer)  # it may have been sharded since
        if self.is_inside or self._is_planned or self._snapshots:
            raise DataError("watch: expected a watch that was not used yet. Make another for another run.")
        self._started = self._last = time.perf_counter()
        with ExitStack() as stack:  # what follows may raise
            stack.callback(self._look_away)
            stack.enter_context(self._steps.set())
            stack.enter_context(set_around(self._outer, self._model, self.begin))
            if self._how.example is not None:
                self._plan(self._how.example)
            self._arm()
            self._hooks = stack.pop_all()
        self.is_inside = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._switch.set(is_on=False, is_checking=False)
        self._steps.is_on = False
        self._hooks.close()
        self.is_inside = False
        try:
            self._flush_checks()
            self._add_late()
            self._judge()
            if kind is not None:
                self.event("exception", kind.__name__)
        finally:
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
        if not is_training():
            self._switch.pause()
            return
        if not self._is_planned:
            inputs = named_arguments(self._model, args, kwargs)
            if n_samples(inputs) or next(tensors_in(inputs), None) is None:  # else a later batch tells more
                self._plan(inputs)
        if self._switch.paused is not None:
            self._switch.set(is_on=self._steps.is_on, is_checking=self._how.check)
        self._switch.begin()
        if self._steps.is_on:
            if not self._n_passes:
                self._look_again()
            elif self._steps.is_dropped and self._reporter is not None:
                self._reporter.drop()
                self._n_passes = 0
            self._n_passes += 1
            labels = self._how.labels
            if isinstance(labels, str):
                self.label_if_known(kwargs.get(labels))  # a keyword may hold anything
            else:
                y = labels_of(labels(args, kwargs))
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
            chosen, notes = (), (f"No layer is looked at, since a copy of the model does not run: {error}",)
        self._reporter = Reporter(self._model, chosen, self._how, has_histograms=self._sinks.takes_histograms)
        self._reporter.start(self._step)
        self._set_hooks(self._reporter)
        self._about = _about(self._model, self._how, chosen, notes)
        self._sinks.begin(self._about)
        self._last += time.perf_counter() - started  # planning is no part of a step

    def _set_hooks(self, reporter: Reporter) -> None:
        """Look at the layers; at those that stand in their places now, if some were replaced."""
        self._look_away()
        modules = dict(self._model.named_modules())
        there = {spot: sums for spot, sums in reporter.receivers().items() if spot.path in modules}
        self._looking = set_hooks(self._model, there, self._switch)
        self._places = [(spot.path, modules[spot.path]) for spot in there]

    def _look_away(self) -> None:
        self._looking.close()

    def _look_again(self) -> None:
        """Before a step that is reported: layers may have been frozen, unfrozen or replaced since the last one."""
        self._steps.look_again()
        if not self._steps.is_listed_anew or self._reporter is None:
            return
        self._steps.is_listed_anew = False
        modules = dict(self._model.named_modules())
        gone = [path for path, module in self._places if modules.get(path) is not module]
        if gone:
            self._set_hooks(self._reporter)
            self.event("replaced", ", ".join(gone))

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
        if self._switch.trail is not None:
            self._switch.trail.end()
        self._schedule.note(lasted, own)
        if own is not None and self._about.ranks == 1:  # ranks agreed before they knew what this one cost
            self._schedule.plan(self._step, self._schedule.wish())
        if self._reporter is not None:
            self._reporter.advance(self._step)
        self._arm()
        self._last = time.perf_counter()

    def _report(self, taken: OptimiserStep) -> None:
        if self._reporter is None:
            if self._n_passes or not taken.norms[0].any():
                return  # passes of no samples; or none, as some loops step for the sake of a scheduler
            if self._unseen:
                self._about = _about(self._model, self._how, notes=(self._unseen,))
            else:
                self._tell("the model was called by none of its wrappers, or compiled, or in `torch.func`: hand the "
                           "compiled module to `watch`, or pass `example=`")  # fmt: skip
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
        self._has_heard |= not seen.is_deaf
        if not self._has_heard and self._n_passes:
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
        """Make snapshots of the steps that were looked at; another thread may ask for them too."""
        with self._making:
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
        history = self.history
        if self._past is not None and self._past.about.has_layers_of(history.about):
            history = self._past + history
        for found in judge(history.recent() if self.is_inside else history):
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


@final
class _Lock:
    """A lock whose copies, pickled or deep, are new ones."""

    def __init__(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Lock, ()


def _number(name: str, value: Tensor | float) -> Tensor | float:
    """The number that a value is now, since the next step may write over it; on a device a copy, to be read later."""
    if isinstance(value, Tensor):
        if value.numel() != 1 or value.is_complex() or value.is_meta:
            kind = f"{'meta ' * value.is_meta}tensor of shape {list(value.shape)}"
            kind = f"{kind} and {value.dtype}" if value.is_complex() else kind
            raise DataError(f"log: expected one number for {name!r}, got a {kind}. Log its mean, or one number of it.")
        return value.item() if _is_at_hand(value) else value.detach().clone()
    try:
        return float(value.item() if isinstance(value, np.ndarray) else value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"log: expected one number for {name!r}, got {type(value).__name__}: {error}.") from error


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
        if next(module.parameters(recurse=False), None) is not None:  # one that is frozen now may be trained later
            found[path] = order[path], WatchedLayer(path, "weights", type(module).__name__)
    before = 0.0
    for spot in chosen:
        tap = spot.tap
        at = float(order[tap.path]) if not tap.function else order.get(tap.fed_by or "", before)
        before = max(before, at) + (0.01 if tap.function or tap.call else 0.0)
        layer = WatchedLayer(tap.name, tap.kind, tap.module, tap.shape, spot.is_output, tap.fed_by)
        found[tap.name] = before, layer
    return tuple(layer for _, layer in sorted(found.values(), key=lambda one: one[0]))
