"""Hooks on a model: every tapped layer's tensor, handed over while it is still whole.

In: a model, and which layers. Out: `receive(tap, Caught)` is called inside the forward pass, before an in-place
activation or a later layer can overwrite the tensor. Nothing is kept here. Only the thread that set the hooks is heard:
a server that runs the same model meanwhile in another thread is none of ours.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import get_ident
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from unbend.capture.flow.masks import Mask
from unbend.capture.flow.operations import name_of
from unbend.capture.hearing import Run, hear_functions
from unbend.capture.kinds import FUNCTIONS, Kind
from unbend.capture.outputs import tensor_of, version_of
from unbend.capture.quiet import every_module_called
from unbend.numerics.batch import Saturation
from unbend.numerics.view import View

Place: TypeAlias = tuple[str, str, int]
"""Path of a module, name of a functional activation in it ("" for the module itself), and which call of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """One place where a model is looked at.

    Attributes:
        name: `path`, `path#2` for its second call, `path:relu` for a functional activation inside `path`.
        path: dotted path of the module ("" for the model itself).
        function: name of the functional activation; "" for a module.
        call: which call of it in one forward pass, from 0.
        kind: what it is.
        module: class of the module, or name of the function.
        shape: shape of its output for one sample.
        view: how that output is read.
        time_first: the output is [t, n, d] and is turned before it is read.
        saturation: for activations, where they are saturated.
        fed_by: name of the tap whose output it takes, where that is known.
        in_place: it writes its output over its input.
        order: how the axes of its output are permuted before it is read: samples, positions, units; empty if they are
            not, or only turned by `time_first`.
        n_merged: the last so many axes, permuted, hold the units together, such as heads and their columns.
        feeders: names of the taps whose values reach it through no other; `"?"` where that could not be seen.
        alias_of: the tap whose values these are, at most moved.
        mask: the padding mask among the inputs that its positions stand under.
    """

    name: str
    path: str
    function: str
    call: int
    kind: Kind
    module: str
    shape: tuple[int, ...]
    view: View
    time_first: bool = False
    saturation: Saturation | None = None
    fed_by: str | None = None
    in_place: bool = False
    order: tuple[int, ...] = ()
    n_merged: int = 1
    feeders: tuple[str, ...] = ()
    alias_of: str | None = None
    mask: Mask | None = None

    @property
    def place(self) -> Place:
        """Where it is in a forward pass."""
        return self.path, self.function, self.call


class Caught(NamedTuple):
    """What a tap caught in one forward pass.

    Attributes:
        values: the output tensor, first axis the sample.
        saturation: for activations, where they are saturated, with the input where that is needed.
        mask: true where a token counts, where the module knows it (packed sequences).
    """

    values: Tensor
    saturation: Saturation | None = None
    mask: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """Something that happened in a forward pass: a module or a functional activation put out a value.

    Attributes:
        place: what put it out.
        source: its first tensor argument; overwritten by now if it works in place, unless a copy was asked for.
        output: what came out.
        activation: the functional activation as a function of one tensor; None for a module.
        version: of the first tensor argument before the call, as torch counts what is written to it.
        in_place: the first tensor argument has been written to.
    """

    place: Place
    source: Tensor | None
    output: Any
    activation: Callable[[Tensor], Any] | None = None
    version: int = -1
    in_place: bool = False


@contextmanager
def listening(
    model: nn.Module,
    handle: Callable[[Event], None],
    *,
    wanted: Collection[Place] | None = None,
    sources: Mapping[Place, bool] | None = None,
    by_hand: Collection[Place] = (),
) -> Iterator[None]:
    """Call `handle` for every output in the forward passes inside the block; hooks are removed whatever happens.

    Args:
        model: any module.
        handle: called inside the forward pass, in order.
        wanted: what to listen to; everything if left out.
        sources: of which places `Event.source` is needed, and whether as a copy taken beforehand; of everything,
            and no copies, if left out together with `wanted`.
        by_hand: calls of other functions than `FUNCTIONS` that are listened to where everything is.

    Cost:
        Nothing to speak of for modules. If a functional activation is wanted, one Python call per torch function.
    """
    events = _Events(handle, wanted, sources or {}, frozenset(by_hand))
    functions = wanted is None or any(function for _, function, _ in wanted)
    paths = None if wanted is None else {path for path, _, _ in wanted} | {""}
    started = {path for path, _, _ in sources or {}} | {""}
    with ExitStack() as stack:
        for path, module in model.named_modules():
            if (functions or paths is None or path in paths) and not isinstance(module, torch.jit.ScriptModule):
                if functions or path in started:
                    begin = module.register_forward_pre_hook(partial(events.begin, path), with_kwargs=True)
                    stack.callback(begin.remove)
                end = module.register_forward_hook(partial(events.end, path), always_call=True)
                stack.callback(end.remove)
        if functions:
            places = by_hand if wanted is None else wanted
            names = {name for _, name, _ in places if name} | (FUNCTIONS if wanted is None else set())
            stack.enter_context(hear_functions(_passing_on(events, names)))
        stack.enter_context(every_module_called())
        yield


@dataclass(slots=True, eq=False)
class _Running:
    """A module whose forward is running."""

    path: str
    source: Tensor | None = None
    version: int = -1


_UNKNOWN = _Running("")


class _Events:
    """Counts calls, knows which module is running, and passes on what is wanted."""

    def __init__(
        self,
        handle: Callable[[Event], None],
        wanted: Collection[Place] | None,
        sources: Mapping[Place, bool],
        by_hand: Collection[Place] = (),
    ) -> None:
        self._handle, self._wanted, self._sources, self._by_hand = handle, wanted, sources, by_hand
        self._calls: dict[tuple[str, str], int] = {}
        self._running: list[_Running] = []
        self._thread = get_ident()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy of a model made while it is listened to gets hooks that pass nothing on."""
        return _Events, (_ignore, (), {})

    def begin(self, path: str, _module: nn.Module, args: Any, kwargs: Any) -> None:
        if get_ident() != self._thread:
            return
        if path == "":
            self._calls.clear()
            self._running.clear()
        frame = _Running(path)
        place = (path, "", self._calls.get((path, ""), 0))
        if self._wanted is None or place in self._sources:
            tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
            frame.source = next(tensors, None)
            frame.version = version_of(frame.source)
            if frame.source is not None and self._sources.get(place):
                frame.source = frame.source.detach().clone()
        self._running.append(frame)

    def end(self, path: str, _module: nn.Module, _args: Any, output: Any) -> None:
        if get_ident() != self._thread:
            return
        frame = self._running.pop() if self._running and self._running[-1].path == path else _UNKNOWN
        number = self._calls.get((path, ""), 0)
        self._calls[path, ""] = number + 1
        place = (path, "", number)
        if output is not None and (self._wanted is None or place in self._wanted):
            written = version_of(frame.source) != frame.version
            self._handle(Event(place, frame.source, output, None, frame.version, written))

    def function(self, name: str, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run a functional activation and pass its output on."""
        if not self._running:
            return func(*args, **kwargs)
        path = self._running[-1].path
        number = self._calls.get((path, name), 0)
        self._calls[path, name] = number + 1
        place = (path, name, number)
        if not self._is_wanted(place):
            return func(*args, **kwargs)
        source = args[0] if args else kwargs.get("input")
        version = version_of(source)
        before = source.detach().clone() if self._sources.get(place) and isinstance(source, Tensor) else source
        output = func(*args, **kwargs)
        rest, named = args[1:], {key: value for key, value in kwargs.items() if key not in {"input", "out"}}
        written = version_of(source) != version
        value = source if name == "__setitem__" else output
        self._handle(Event(place, before, value, lambda z: func(z, *rest, **named), version, written))
        return output

    def _is_wanted(self, place: Place) -> bool:
        if self._wanted is not None:
            return place in self._wanted
        return place[1] in FUNCTIONS or place in self._by_hand


def _ignore(*_given: object) -> None:
    """Do nothing with an event, or with what was caught."""


def _passing_on(events: _Events, names: Collection[str]) -> Run:
    """Passes on functional activations, which no module hook can see."""

    def run(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        name = name_of(func)
        return events.function(name, func, args, kwargs) if name in names else func(*args, **kwargs)

    return run


@contextmanager
def tapped(model: nn.Module, taps: Sequence[Tap], receive: Callable[[Tap, Caught], None]) -> Iterator[None]:
    """Hand every tapped output to `receive` during the forward passes inside the block.

    Args:
        model: the module the taps were planned for.
        taps: from `capture.plan`.
        receive: called inside the forward pass, in the order the layers run.

    Cost:
        Some ten microseconds per module, most of them torch's; functional activations cost one Python call per torch
        function.
    """
    by_place = {tap.place: tap for tap in taps}
    sources = {tap.place: tap.in_place for tap in taps if tap.saturation is not None and tap.saturation.pre is not None}

    def handle(event: Event) -> None:
        tap = by_place[event.place]
        saturation = tap.saturation
        if saturation is not None and saturation.pre is not None:
            saturation = None if event.source is None else replace(saturation, pre=event.source.detach())
        _hand_over(tap, event.output, saturation, receive)

    if sources or any(tap.function for tap in taps):
        with listening(model, handle, wanted=by_place.keys(), sources=sources):
            yield
    else:
        with _hooked(model, taps, receive):
            yield


def _hand_over(tap: Tap, output: Any, saturation: Saturation | None, receive: Callable[[Tap, Caught], None]) -> None:
    if isinstance(output, Tensor) and output.ndim > 1 and not (tap.time_first or tap.order):
        receive(tap, Caught(output, saturation))
        return
    found = tensor_of(output)
    if found is not None:
        values = arrange(found.tensor, tap)
        if saturation is not None and saturation.pre is not None and saturation.pre.shape == found.tensor.shape:
            saturation = replace(saturation, pre=arrange(saturation.pre, tap))
        receive(tap, Caught(values.unsqueeze(1) if values.ndim == 1 else values, saturation, found.mask))


def arrange(values: Tensor, tap: Tap) -> Tensor:
    """An output as it is read: samples first, units where the view expects them."""
    if tap.order:
        moved = values.permute(tap.order)
        return moved.flatten(-tap.n_merged) if tap.n_merged > 1 else moved
    return values.transpose(0, 1) if tap.time_first else values


@contextmanager
def _hooked(model: nn.Module, taps: Sequence[Tap], receive: Callable[[Tap, Caught], None]) -> Iterator[None]:
    """One short hook per tapped module: between the products of a small net every line of Python runs cold."""
    by_path: dict[str, dict[int, Tap]] = {}
    for tap in taps:
        by_path.setdefault(tap.path, {})[tap.call] = tap
    calls: dict[str, int] = {}
    modules = dict(model.named_modules())
    with ExitStack() as stack:
        stack.callback(model.register_forward_pre_hook(_Forgetting(calls)).remove)
        for path, mine in by_path.items():
            stack.callback(modules[path].register_forward_hook(_Hook(path, mine, calls, receive)).remove)
        stack.enter_context(every_module_called())
        yield


class _Forgetting:
    """Forgets how often each module was called, before every forward pass."""

    __slots__ = ("_calls", "_thread")

    def __init__(self, calls: dict[str, int]) -> None:
        self._calls, self._thread = calls, get_ident()

    def __call__(self, _module: nn.Module, _args: Any) -> None:
        if get_ident() == self._thread:
            self._calls.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Forgetting, ({},)


class _Hook:
    """Hands the output of one module over. A copy of the model made meanwhile gets one that hands nothing over."""

    __slots__ = ("_calls", "_path", "_receive", "_taps", "_thread")

    def __init__(
        self, path: str, taps: Mapping[int, Tap], calls: dict[str, int], receive: Callable[[Tap, Caught], None]
    ) -> None:
        self._path, self._taps, self._calls, self._receive = path, taps, calls, receive
        self._thread = get_ident()

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if get_ident() != self._thread:
            return
        number = self._calls.get(self._path, 0)
        self._calls[self._path] = number + 1
        tap = self._taps.get(number)
        if tap is None:
            return
        # `_hand_over` does the same for such an output, but at the cost of a call.
        if type(output) is Tensor and output.ndim > 1 and not (tap.time_first or tap.order):
            self._receive(tap, Caught(output, tap.saturation))
        else:
            _hand_over(tap, output, tap.saturation, self._receive)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Hook, (self._path, {}, {}, _ignore)
