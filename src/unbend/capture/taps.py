"""Hooks on a model: every tapped layer's tensor, handed over while it is still whole.

In: a model, and which layers. Out: `receive(tap, Caught)` is called inside the forward pass, before an in-place
activation or a later layer can overwrite the tensor. Nothing is kept here.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unbend.capture.kinds import FUNCTIONS, Kind
from unbend.capture.outputs import tensor_of
from unbend.numerics.batch import Bend
from unbend.numerics.views import View


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
        bend: for activations, where they are saturated.
        fed_by: name of the tap whose output it takes, where that is known.
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
    bend: Bend | None = None
    fed_by: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Caught:
    """What a tap caught in one forward pass.

    Attributes:
        values: the output tensor, first axis the sample.
        bend: for activations, where they are saturated, with the input where that is needed.
        mask: true where a token counts, where the module knows it (packed sequences).
    """

    values: Tensor
    bend: Bend | None = None
    mask: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """Something that happened in a forward pass: a module or a functional activation put out a value."""

    path: str
    function: str
    call: int
    inputs: tuple[Any, ...]
    output: Any


@contextmanager
def listening(
    model: nn.Module,
    hear: Callable[[Event], None],
    *,
    paths: Sequence[str] | None = None,
    functions: bool = True,
) -> Iterator[None]:
    """Call `hear` for every output in the forward passes inside the block; hooks are removed whatever happens.

    Args:
        hear: called inside the forward pass, in order.
        paths: modules to listen to; all of them if left out.
        functions: whether to listen to functional activations as well.
    """
    counts: Counter[tuple[str, str]] = Counter()
    running: list[str] = []

    def begin(path: str) -> Callable[..., None]:
        def pre(_module: nn.Module, _args: Any) -> None:
            if path == "":
                counts.clear()
            running.append(path)

        return pre

    def end(path: str, *, heard: bool) -> Callable[..., None]:
        def post(_module: nn.Module, args: Any, output: Any) -> None:
            if running and running[-1] == path:
                running.pop()
            if heard:
                hear(Event(path, "", counts[path, ""], args, output))
                counts[path, ""] += 1

        return post

    wanted = None if paths is None else {*paths}
    with ExitStack() as stack:
        for path, module in model.named_modules():
            heard = wanted is None or path in wanted
            if functions or heard or path == "":
                stack.callback(module.register_forward_pre_hook(begin(path), prepend=True).remove)
                stack.callback(module.register_forward_hook(end(path, heard=heard), always_call=True).remove)
        if functions:
            stack.enter_context(_Functions(hear, running, counts))
        stack.enter_context(_eager())
        yield


@contextmanager
def _eager() -> Iterator[None]:
    """Compiled submodules run eagerly, so that their hooks are called."""
    with torch.compiler.set_stance("force_eager"):
        yield


class _Functions(TorchFunctionMode):
    """Hears functional activations, which no module hook can see."""

    def __init__(self, hear: Callable[[Event], None], running: list[str], counts: Counter[tuple[str, str]]) -> None:
        super().__init__()
        self._hear, self._running, self._counts = hear, running, counts

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "").rstrip("_")
        if name not in FUNCTIONS or not self._running or not args:
            return func(*args, **(kwargs or {}))
        before = args[0].detach().clone() if _overwrites(func, args, kwargs) else args[0]
        output = func(*args, **(kwargs or {}))
        path = self._running[-1]
        self._hear(Event(path, name, self._counts[path, name], (before, *args[1:]), output))
        self._counts[path, name] += 1
        return output


def _overwrites(func: Any, args: Any, kwargs: Any) -> bool:
    return (
        getattr(func, "__name__", "").endswith("_")
        or bool((kwargs or {}).get("inplace"))
        or any(a is True for a in args[1:])
    )


@contextmanager
def tapped(model: nn.Module, taps: Sequence[Tap], receive: Callable[[Tap, Caught], None]) -> Iterator[None]:
    """Hand every tapped output to `receive` during the forward passes inside the block.

    Args:
        taps: from `capture.plan`.
        receive: called inside the forward pass, in the order the layers run.

    Cost:
        The hooks themselves are free; functional activations cost one Python call per torch function.
    """
    by_place = {(tap.path, tap.function, tap.call): tap for tap in taps}
    kept: dict[str, Tensor] = {}

    def hear(event: Event) -> None:
        tap = by_place.get((event.path, event.function, event.call))
        found = tensor_of(event.output) if tap else None
        if tap is None or found is None:
            return
        values = found.tensor.transpose(0, 1) if tap.time_first else found.tensor
        values = values.unsqueeze(1) if values.ndim == 1 else values
        receive(tap, Caught(values, _filled(tap.bend, kept.pop(event.path, None), event), found.mask))

    with ExitStack() as stack:
        for tap in taps:
            if tap.bend is not None and tap.bend.pre is not None and not tap.function:
                stack.callback(_keep_input(model.get_submodule(tap.path), tap.path, kept).remove)
        functions = any(tap.function for tap in taps)
        paths = sorted({tap.path for tap in taps if not tap.function})
        stack.enter_context(listening(model, hear, paths=paths, functions=functions))
        yield


def _keep_input(module: nn.Module, path: str, kept: dict[str, Tensor]) -> Any:
    """Keep a copy of the input of an activation that may overwrite it."""

    def pre(_module: nn.Module, args: Any) -> None:
        kept[path] = args[0].detach().clone() if getattr(_module, "inplace", False) else args[0].detach()

    return module.register_forward_pre_hook(pre)


def _filled(bend: Bend | None, pre: Tensor | None, event: Event) -> Bend | None:
    if bend is None or bend.pre is None:
        return bend
    source = pre if pre is not None else event.inputs[0]
    return Bend(bend.low, bend.high, source.detach())
