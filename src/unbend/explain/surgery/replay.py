"""A model run from the middle on: what stands before a layer is not computed again.

In: a model, batches, layers. Out: the output of the model with a layer's output changed.

Modules that have ended before the layer begins hand over what they put out in the first run; what forward computes
itself between them is computed again. The structure, which module runs inside of which and when, is read off once.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, final

from torch import Tensor, nn

from unbend.capture import as_rows, call, tensor_of
from unbend.capture.flow.operations import name_of
from unbend.capture.hearing import hear_calls
from unbend.capture.inputs import copy_of, map_tensors
from unbend.capture.taps import Place
from unbend.errors import ModelError

Change: TypeAlias = Callable[[Tensor, Tensor | None], Tensor]
"""From a layer's output, and its first input where that is known, to what it shall put out instead."""


@dataclass(frozen=True, slots=True)
class Span:
    """One call of a module or a function, and when it began and ended, in calls.

    Attributes:
        place: which.
        start: when it began.
        end: when it ended.
    """

    place: Place
    start: int
    end: int


def spans(model: nn.Module, inputs: Any, functions: Collection[str] = ()) -> tuple[Span, ...]:
    """Every call of a module in a forward pass, and of the functions named, by rising start.

    Args:
        model: from `capture.bare`, quiet.
        inputs: one batch.
        functions: names of functional activations.
    """
    watch = _Watch(functions)
    with watch.watching(model):
        call(model, copy_of(inputs))
    return tuple(sorted(watch.spans, key=lambda span: span.start))


class _Watch:
    """Counts calls of modules and functions, and tells which module is running."""

    def __init__(self, functions: Collection[str]) -> None:
        self.spans: list[Span] = []
        self.running: list[tuple[str, int, int]] = []
        self.counts: dict[tuple[str, str], int] = defaultdict(int)
        self._listened, self._time = frozenset(functions), 0

    def watching(self, model: nn.Module) -> AbstractContextManager[None]:
        return hear_calls(model, self._begin, self._end, self._run if self._listened else None)

    def _begin(self, path: str) -> None:
        number = self.counts[path, ""]
        self.counts[path, ""] += 1
        self._time += 1
        self.running.append((path, number, self._time))

    def _end(self, path: str, *_called: Any) -> None:
        self._time += 1
        if self.running and self.running[-1][0] == path:
            _, number, start = self.running.pop()
            self.spans.append(Span((path, "", number), start, self._time))

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = name_of(func)
        if name not in self._listened or not self.running:
            return func(*args, **kwargs)
        path = self.running[-1][0]
        number = self.counts[path, name]
        self.counts[path, name] += 1
        self._time += 2
        self.spans.append(Span((path, name, number), self._time - 1, self._time))
        return self.function((path, name, number), func, args, kwargs)

    def function(self, place: Place, func: Any, args: Any, kwargs: Any) -> Any:
        """Run a function that is listened to."""
        del place
        return func(*args, **kwargs)


def _before(known: Sequence[Span], target: Span) -> tuple[Span, ...]:
    """The outermost modules that have ended before a call begins."""
    kept: list[Span] = []
    for span in known:
        is_module = span.place[0] != "" and not span.place[1]
        if is_module and span.end < target.start and not (kept and span.end < kept[-1].end):
            kept.append(span)
    return tuple(kept)


@final
class Replay:
    """Runs a model with the output of some layers changed, from the first of them on.

    It holds what the player below reads: the modules, which calls are kept, what they put out, what ran inside them.

    Args:
        model: from `capture.bare`; quiet while it runs.
        inputs: a few rows, from which the structure is read off.
        places: the layers that will be changed.

    Raises:
        ModelError: a layer did not run.
    """

    def __init__(self, model: nn.Module, inputs: Any, places: Sequence[Place]) -> None:
        self._model = model
        self.modules: dict[str, nn.Module] = dict(model.named_modules())
        self.functions: set[str] = {function for _, function, _ in places if function}
        self._spans = spans(model, inputs, self.functions)
        known = {span.place: span for span in self._spans}
        lost = [place for place in places if place not in known]
        if lost:
            raise ModelError(f"layers: {lost[0][0] or lost[0][1]!r} was not called when the model ran again.")
        self._prefix = {place: _before(self._spans, known[place]) for place in places}
        self.kept: set[Place] = {span.place for prefix in self._prefix.values() for span in prefix} | set(places)
        self.outputs: dict[Place, Any] = {}
        self.inside: dict[Place, list[Place]] = {
            span.place: [s.place for s in self._spans if span.start <= s.start and s.end <= span.end]
            for span in self._spans
            if span.place in self.kept
        }

    def share(self, place: Place) -> float:
        """The share of the modules' calls that runs again when a layer is changed, its own inside left out."""
        modules = [s for s in self._spans if not s.place[1]]
        starts = [*(s.start for s in modules[1:]), math.inf]
        leaves = [s for s, following in zip(modules, starts, strict=True) if following > s.end]
        target = next(s for s in self._spans if s.place == place)
        return sum(s.start > target.end for s in leaves) / max(len(leaves), 1)

    def record(self, inputs: Any) -> Tensor:
        """Run the model as it is, and keep what is needed of it."""
        self.outputs = {}
        return self._run(inputs, {}, {})

    def change(self, inputs: Any, changes: Mapping[Place, Change]) -> Tensor:
        """The output with some layers changed, for the rows that were recorded last; those layers do not run.

        Args:
            inputs: the same rows.
            changes: what is done to the output of each layer, in the order in which they run.
        """
        known = {span.place: self.outputs[span.place] for span in self._prefix[next(iter(changes))]}
        return self._run(inputs, known, changes)

    def _run(self, inputs: Any, known: dict[Place, Any], changes: Mapping[Place, Change]) -> Tensor:
        watch = _Player(self, known, changes)
        with watch.watching(self._model), watch.playing():
            found = tensor_of(call(self._model, inputs))
        if found is None:
            raise ModelError("model: expected a tensor among its outputs, got none.")
        return as_rows(found.tensor).float()


class _Player(_Watch):
    """Hands over what is known, changes the target, and keeps what the record needs."""

    def __init__(self, replay: Replay, known: dict[Place, Any], changes: Mapping[Place, Change]) -> None:
        super().__init__(replay.functions)
        self._replay, self._known, self._changes = replay, known, changes

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Stand between the modules that matter and their forward."""
        paths = {path for path, function, _ in self._replay.kept if not function}
        with ExitStack() as stack:
            for path in paths:
                module = self._replay.modules[path]
                own = vars(module).get("forward")
                stack.callback(_put_back, module, own)
                module.forward = partial(self._forward, path, module.forward)  # type: ignore[method-assign]
            yield

    def _forward(self, path: str, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        place: Place = (path, "", self.counts[path, ""] - 1)
        if place in self._known:
            self._skip_inside(place)
            return _fresh(self._known[place])
        if place in self._changes:
            self._skip_inside(place)
            return changed_output(self._replay.outputs[place], self._changes[place], _first(args, kwargs))
        output = forward(*args, **kwargs)
        if not self._changes and place in self._replay.kept:
            self._replay.outputs[place] = _fresh(output)
        return output

    def function(self, place: Place, func: Any, args: Any, kwargs: Any) -> Any:
        """The same for a function."""
        if place in self._changes:
            return self._changes[place](_fresh(self._replay.outputs[place]), _first(args, kwargs))
        output = func(*args, **kwargs)
        if not self._changes and place in self._replay.kept:
            self._replay.outputs[place] = _fresh(output)
        return output

    def _skip_inside(self, place: Place) -> None:
        """Count the calls inside a module that is not run, so that later calls keep their numbers."""
        for path, function, _ in self._replay.inside[place]:
            if (path, function) != place[:2]:
                self.counts[path, function] += 1


def _put_back(module: nn.Module, own: Any) -> None:
    if own is None:
        del module.forward
    else:
        module.forward = own


def _first(args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor | None:
    return next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)


def _fresh(output: Any) -> Any:
    """A copy, so that an in-place activation behind it does not overwrite the record."""
    return map_tensors(output, lambda tensor: tensor.detach().clone())


def changed_output(output: Any, change: Change, given: Tensor | None) -> Any:
    """An output with its tensor changed, whatever else it holds; the output given is not written to."""
    found = tensor_of(output)
    if found is None:
        return output
    return map_tensors(_fresh_but(output, found.tensor), lambda t: change(t, given) if t is found.tensor else t)


def _fresh_but(output: Any, kept: Tensor) -> Any:
    return map_tensors(output, lambda tensor: tensor if tensor is kept else tensor.clone())
