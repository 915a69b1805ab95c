"""Hooks in a training run: what chosen layers put out, handed over while the run goes on as if nobody looked.

In: a model that trains, and the inputs of one forward pass. Out: `Spot`s, decided on a copy of the model, so that the
model itself runs no pass more; hooks that call a `Receiver` inside the forward pass and can be compiled into its graph.
Must not know what is made of the values.
"""

import copy
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from inspect import Parameter, signature
from math import isfinite
from typing import Any, Protocol, TypeAlias, final, runtime_checkable

import torch
from torch import Tensor, nn

from unbend.capture.inputs import n_samples
from unbend.capture.outputs import call, tensor_of
from unbend.capture.plan import plan
from unbend.capture.quiet import quiet
from unbend.capture.taps import Tap, arrange
from unbend.errors import LayerError, ModelError

Begin: TypeAlias = Callable[[tuple[Any, ...], Mapping[str, Any]], None]
"""Takes the arguments of a forward pass, by position and by keyword, before it runs."""
_UNITS = 4
"""Units that are read of what goes into an activation: one is enough, unless it writes over its input."""
_SEEN = ("affine", "activation", "function", "attention", "recurrent", "block", "output")


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """One place that is looked at in a training run.

    Attributes:
        tap: the layer it tells about.
        path: of the module whose hook reads it.
        is_input: whether that module's input is read, because the layer is a function or a module called repeatedly.
        is_counted: whether one call of several is read, by its number.
        is_output: whether it is the output of the model.
        unit_axis: where one unit can be taken out of what its module takes in; None where that is not known.
    """

    tap: Tap
    path: str
    is_input: bool = False
    is_counted: bool = False
    is_output: bool = False
    unit_axis: int | None = None


@runtime_checkable
class GraphReceiver(Protocol):
    """Takes what one layer puts out, inside a compiled graph."""

    def add(self, values: Tensor, pre: Tensor | None, plan: Any) -> None:
        """Take the values in a step that is reported, by the receiver's plan."""
        ...

    def check(self, values: Tensor) -> None:
        """Look at the values in any other step."""
        ...


@runtime_checkable
class Receiver(Protocol):
    """Takes what one layer puts out, inside the forward pass."""

    @property
    def graph(self) -> Any:
        """What takes them in a compiled graph, a `GraphReceiver`."""
        ...

    @property
    def plan(self) -> Any:
        """What that must know: with slots, and without plain numbers that have a point."""
        ...

    def add(self, values: Tensor, pre: Tensor | None) -> None:
        """Take the values in a step that is reported; `pre` is an activation's input, where saturation is of that."""
        ...

    def check(self, values: Tensor) -> None:
        """Look at the values in any other step."""
        ...

    def mark(self) -> None:
        """Be told that the values of this step are not all finite, in place of being asked to look."""
        ...


@dataclass(slots=True)
class Switch:
    """What hooks look at before they do anything; compiled code is guarded by it, and there are two graphs.

    Attributes:
        is_on: whether values are taken in this step.
        is_checking: whether values are looked at in every other step.
        counted: the hooks that count calls, to be told when a forward pass begins.
        trail: what looks at them, in eager passes on the CPU; None to have each receiver do so.
        is_held: whether autograd held on to the values of all passes so far.
        paused: what `is_on` and `is_checking` were before a pass of the whole model that is no training; None outside.
    """

    is_on: bool = False
    is_checking: bool = False
    counted: list["LiveHook"] = field(default_factory=list)
    trail: "PassTrail | None" = None
    is_held: bool = True
    paused: tuple[bool, bool] | None = None

    def set(self, *, is_on: bool, is_checking: bool) -> None:
        """Say what is done from here on."""
        self.is_on, self.is_checking, self.paused = is_on, is_checking, None

    def pause(self) -> None:
        """Look at nothing until training goes on."""
        if self.paused is None:
            self.paused = self.is_on, self.is_checking
            self.is_on = self.is_checking = False

    def goes_on(self) -> bool:
        """Whether training goes on, though no pass of the whole model has begun: a loop may call its parts."""
        if torch.compiler.is_compiling() or self.paused is None or not is_training():
            return False
        self.set(is_on=self.paused[0], is_checking=self.paused[1])
        return self.is_on or self.is_checking

    def begin(self) -> None:
        """A forward pass of the whole model begins: count calls anew."""
        for hook in self.counted:
            hook.n_calls = 0
        if self.trail is not None:
            self.trail.clear()


def is_training() -> bool:
    """Whether a pass that runs now may be one of a training loop: with gradients, and not inside of `torch.func`."""
    return torch.is_grad_enabled() and torch._C._functorch.peek_interpreter_stack() is None  # noqa: SLF001  torch has no public name for it


def spots(model: nn.Module, inputs: Any, layers: Sequence[str] | None) -> tuple[tuple[Spot, ...], tuple[str, ...]]:
    """Where to look in a training run, and notes on what was decided.

    An affine layer whose values go into an activation only is not read: the activation tells the same and more.
    Norms and embeddings are read where they are named.

    Args:
        model: from `capture.bare`.
        inputs: one batch, as `capture.call` takes it.
        layers: paths or globs; None for a sensible choice.

    Raises:
        LayerError: a name fits no layer.
        ModelError: the model cannot be copied, or not run on such inputs.

    Cost:
        A copy of the model, which is dropped, and some forward passes of it.
    """
    twin = _copy_of(model)
    for module in twin.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks):  # noqa: SLF001  others' hooks run no more often than without us
            hooks.clear()
    found = plan(twin, inputs, n_samples(inputs), layers=layers)
    n_calls, shapes = _calls(twin, inputs)
    wanted = [tap for tap in found.taps if layers is not None or tap.kind in _SEEN]
    bent = {tap.fed_by for tap in wanted if tap.kind in ("activation", "function")}
    chosen, lost = [], []
    for tap in wanted:
        if layers is None and tap.name in bent and tap.kind == "affine":
            continue
        spot = _spot(tap, found.taps, n_calls, shapes)
        if spot is None and tap.name == found.output:  # what no module takes in, the model itself puts out
            spot = Spot(replace(tap, saturation=_of_output(tap)), "", unit_axis=_unit_axis(tap))
        if spot is None:
            lost.append(tap.name)
        else:
            chosen.append(replace(spot, is_output=tap.name == found.output))
    notes = [note for note in found.notes if not note.startswith("Second moments")]
    if lost:
        notes.append(
            f"No module takes in the values of these functions alone, so they are not read: {', '.join(lost)}."
        )
    return tuple(chosen), tuple(notes)


def _copy_of(model: nn.Module) -> nn.Module:
    """A copy of a model.

    Raises:
        ModelError: it has none.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # what a model holds may raise anything when it is copied
        raise ModelError(f"the model cannot be copied: {type(error).__name__}: {error}") from error


def named_arguments(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The arguments of one call as `capture.call` takes them: one mapping where there are keywords, else a tuple."""
    if not kwargs:
        return args[0] if len(args) == 1 else args
    if not args:
        return dict(kwargs)
    try:
        found = signature(model.forward).bind(*args, **kwargs)
    except TypeError:  # forward will say so itself
        return args
    more = [name for name, one in found.signature.parameters.items() if one.kind is Parameter.VAR_KEYWORD]
    extra = found.arguments.pop(more[0], {}) if more else {}
    return {**found.arguments, **extra}


def _calls(model: nn.Module, inputs: Any) -> tuple[Counter[str], dict[str, tuple[int, ...]]]:
    """How often each module is called in one pass, and the shape of one sample of its first argument."""
    n_calls: Counter[str] = Counter()
    shapes: dict[str, tuple[int, ...]] = {}

    def note(path: str, args: tuple[Any, ...]) -> None:
        n_calls[path] += 1
        if args and isinstance(args[0], Tensor):
            shapes[path] = tuple(args[0].shape[1:])

    with ExitStack() as stack, quiet(model):
        for path, module in model.named_modules():
            hook = module.register_forward_pre_hook(lambda _module, args, path=path: note(path, args))
            stack.callback(hook.remove)
        call(model, inputs)
    return n_calls, shapes


def _spot(tap: Tap, taps: Sequence[Tap], n_calls: Counter[str], shapes: Mapping[str, tuple[int, ...]]) -> Spot | None:
    """Where a layer's values can be read; None where no hook sees them."""
    if not tap.function and n_calls[tap.path] == 1:
        return Spot(tap, tap.path, unit_axis=_unit_axis(tap))
    is_plain = not (tap.order or tap.time_first)
    for taker in taps:
        alone = taker.feeders == (tap.name,) and not taker.function and n_calls[taker.path] == 1
        if alone and is_plain and shapes.get(taker.path) == tap.shape and taker.kind == "affine":
            read = replace(tap, saturation=_of_output(tap))
            return Spot(read, taker.path, is_input=True)
    return None if tap.function else Spot(tap, tap.path, is_counted=True, unit_axis=_unit_axis(tap))


def _unit_axis(tap: Tap) -> int | None:
    """Where the units are in what a module puts out; None where they are moved about before they are read."""
    if tap.order or tap.time_first:
        return None
    return 1 if tap.view.layout == "maps" else -1


def _of_output(tap: Tap) -> Any:
    """Where it is saturated, if that is about its output: its input is not at hand."""
    return None if tap.saturation is None or tap.saturation.pre is not None else tap.saturation


class Silent:
    """What a copy of a hook is: nothing. A copied model is not looked at."""

    def __call__(self, *_given: Any) -> None:
        """Do nothing."""


class _Quiet:
    """A hook whose copies, pickled or deep, are silent."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Silent, ()

    def __deepcopy__(self, _memo: Any) -> Silent:
        return Silent()


@dataclass(slots=True, eq=False)
class _Fixed:
    """What a graph knows of a hook.

    Attributes:
        spot: where it hangs; without its saturation, which has numbers that a graph would have handed in at each call.
        takes_pre: whether what goes into its activation is taken too.
        plan: of its receiver.
        key: what stands for all this outside of the graph; kept, so that nothing else takes its place in memory.
    """

    spot: Spot
    takes_pre: bool
    plan: Any
    key: "_Key | None" = None


class _Key:
    """Stands for what a graph knows of a hook: it is compared before each call, in place of all that was read."""

    def __init__(self, fixed: _Fixed) -> None:
        self._fixed = fixed
        fixed.key = self

    def value(self) -> _Fixed:
        """What it stands for."""
        return self._fixed


@torch.compiler.assume_constant_result
def _unbend_fixed(key: _Key) -> _Fixed:
    """What a key stands for, in a graph. Dynamo keeps it as a global variable of this function's name."""
    return key.value()


class LiveHook(_Quiet):
    """The hook of one spot.

    It runs in eager mode and in compiled graphs, where `is_compiling()` is a constant. A module that is no longer the
    one it was set on (a replica, an average of weights), and the second forward pass of activation checkpointing, are
    passed by.

    Args:
        spot: where it hangs.
        module: the module it was set on.
        switch: whether values are taken now.
        receiver: what takes them.
    """

    def __init__(self, spot: Spot, module: nn.Module, switch: Switch, receiver: Receiver) -> None:
        self.spot: Spot = spot
        self.module: nn.Module = module
        self.switch: Switch = switch
        self.receiver: Receiver = receiver
        self.is_telling: bool = _is_telling(spot)
        self.n_calls: int = 0
        edges = spot.tap.saturation
        self._takes_pre = edges is not None and edges.pre is not None
        plain = replace(spot, tap=replace(spot.tap, saturation=None))
        self.graph: GraphReceiver = receiver.graph
        self._key = _Key(_Fixed(plain, self._takes_pre, receiver.plan))

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any = None) -> None:
        """Hand the values over, if any are wanted now."""
        switch = self.switch
        if not (switch.is_on or switch.is_checking or switch.goes_on()):
            return
        if torch.compiler.is_compiling():
            _see_in_graph(self, _unbend_fixed(self._key), args, output)
            return
        if module is not self.module or torch._C._current_graph_task_id() != -1:  # noqa: SLF001  a recompute runs inside the backward pass
            return
        trail = switch.trail
        if trail is not None and not switch.is_on:
            trail.seen.append((self, args if self.spot.is_input else output))
            if self.is_telling:
                trail.ask(self, args, output)
            return
        switch.is_held = switch.is_held and _is_held()
        values = _values(self, self.spot, args, output)
        if values is None:
            return
        if switch.is_on:
            tap = self.spot.tap
            self.receiver.add(arrange(values, tap), _given_values(values, args, tap) if self._takes_pre else None)
        else:
            self.receiver.check(values)


def _see_in_graph(hook: LiveHook, fixed: _Fixed, args: tuple[Any, ...], output: Any) -> None:
    """Hand values over inside a graph; methods would be looked up anew before each call."""
    values = _values(hook, fixed.spot, args, output)
    if values is None:
        return
    if hook.switch.is_on:
        tap = fixed.spot.tap
        hook.graph.add(arrange(values, tap), _given_values(values, args, tap) if fixed.takes_pre else None, fixed.plan)
    else:
        hook.graph.check(values)


def _values(hook: LiveHook, spot: Spot, args: tuple[Any, ...], output: Any) -> Tensor | None:
    """What is to be read of this call; None where it is not the one that is read, or has no such values."""
    if spot.is_counted:
        hook.n_calls += 1  # the count is the same whenever a graph begins
        if hook.n_calls != spot.tap.call + 1:
            return None
    values = _tensor(args if spot.is_input else output)
    return None if values is None or values.ndim < 2 else values.detach()


def is_covered(spots: Sequence[Spot]) -> bool:
    """Whether a `PassTrail` of these misses nothing: the output is one, and it sees what goes into bounded ones."""
    unseen = [spot.tap.saturation for spot in spots if spot.is_input]
    return any(spot.is_output for spot in spots) and all(edges is not None and edges.is_rectifier for edges in unseen)


@final
class PassTrail:
    """The layers of one eager pass so far: where values first were not finite, at next to no cost while all are.

    What is not finite is handed on to every unit of the next affine layer, and so to the output, unless an activation
    between two finite bounds hides it. Read are a few units of what goes into such ones, and the output. Only where
    these are not finite are the layers read, in their order. Their values are held until the output has come, as
    autograd holds them; what autograd lets go of, such as what goes into a rectifier, is let go of here too, since
    memory that is not used again at once costs more than all that is looked at.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[LiveHook, Any]] = []
        self._signs: list[Tensor] = []

    def __len__(self) -> int:
        """How many layers are held."""
        return len(self.seen)

    def clear(self) -> None:
        """Forget a pass."""
        self.seen.clear()
        self._signs.clear()

    def ask(self, hook: LiveHook, args: tuple[Any, ...], output: Any) -> None:
        """Read a spot that tells of those so far; at the output, look whether all were finite."""
        sign = _sign(hook.spot, args, output)
        if sign is not None and sign.is_floating_point():
            self._signs.append(_total(sign))
        if hook.spot.is_output:
            if not all(isfinite(sign.item()) for sign in self._signs):
                self._mark()
            self.clear()

    def end(self) -> None:
        """A step is over; where no output came, what was held last tells, and nothing is held on to."""
        if self.seen:
            last = _tensor(self.seen[-1][1])
            if not all(isfinite(sign.item()) for sign in self._signs) or not (last is None or _is_finite(last)):
                self._mark()
            self.clear()

    def _mark(self) -> None:
        """Tell the first layer."""
        n_calls: Counter[LiveHook] = Counter()
        for hook, given in self.seen:
            n_calls[hook] += 1
            values = _tensor(given)
            if hook.spot.is_counted and n_calls[hook] != hook.spot.tap.call + 1:
                continue
            if values is not None and values.ndim > 1 and not _is_finite(values):
                hook.receiver.mark()
                return


def _is_telling(spot: Spot) -> bool:
    """Whether later values may hide that those so far are not finite, or none come later."""
    edges = spot.tap.saturation
    is_bounded = edges is not None and isfinite(edges.low) and isfinite(edges.high)
    return spot.is_output or spot.tap.kind == "recurrent" or (is_bounded and not spot.is_input)


def _sign(spot: Spot, args: tuple[Any, ...], output: Any) -> Tensor | None:
    """Of a spot that tells, values that are not finite if the values so far are not."""
    if spot.is_output:
        return _tensor(args if spot.is_input else output)
    made = _tensor(args)
    if made is None or spot.tap.kind == "recurrent" or spot.unit_axis is None or made.ndim < 2:
        return made
    return made.narrow(spot.unit_axis, 0, min(_UNITS, made.shape[spot.unit_axis]))


def _total(values: Tensor) -> Tensor:
    """The sum of floating-point values, as a tensor."""
    if values.dtype is torch.float32:
        return values.detach().sum()
    return values.detach().sum(dtype=torch.promote_types(values.dtype, torch.float32))


def _is_finite(values: Tensor) -> bool:
    """Whether all values are, by their sum; one that overflows counts as infinite."""
    return not values.is_floating_point() or isfinite(_total(values).item())


def _is_held() -> bool:
    """Whether autograd holds on to what this pass puts out; activation checkpointing is there so that it does not."""
    top = torch._C._autograd._top_saved_tensors_default_hooks  # noqa: SLF001  torch has no public name for it
    return torch.is_grad_enabled() and top(True) is None


def _given_values(values: Tensor, args: tuple[Any, ...], tap: Tap) -> Tensor | None:
    """What went into an activation, as it is read."""
    given = _tensor(args)
    return None if given is None or given.shape != values.shape else arrange(given.detach(), tap)


def _tensor(value: Any) -> Tensor | None:
    """The first tensor of what a module takes or puts out that is no single number, such as a loss."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (tuple, list)):
        for part in value:
            if isinstance(part, Tensor) and part.ndim:
                return part
    found = tensor_of(value)
    return None if found is None else found.tensor


def set_hooks(model: nn.Module, where: Mapping[Spot, Receiver], switch: Switch) -> ExitStack:
    """Hooks on a model; closing what comes back takes them off.

    Raises:
        LayerError: a spot's module is not there.
    """
    modules = dict(model.named_modules())
    stack = ExitStack()
    for spot, receiver in where.items():
        module = modules.get(spot.path)
        if module is None:
            raise LayerError(f"watch: no module named {spot.path!r}. Watch the model that was planned for.")
        hook = LiveHook(spot, module, switch, receiver)
        if spot.is_counted:
            switch.counted.append(hook)
        handle = module.register_forward_pre_hook(hook) if spot.is_input else module.register_forward_hook(hook)
        stack.callback(handle.remove)
    return stack


class Around(_Quiet):
    """A hook before a whole forward pass, outside of any compiled graph.

    Args:
        model: the module it is set on, which may be a wrapper.
        begin: called with the arguments.

    Attributes:
        is_said: whether it was called and the pass has not come to the model inside of a wrapper yet.
    """

    def __init__(self, model: nn.Module, begin: Begin) -> None:
        self._model, self._begin = model, begin
        self.is_said: bool = False

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Say that a forward pass of the model itself begins."""
        if module is self._model and not torch.compiler.is_compiling():
            self.is_said = True
            self._begin(args, kwargs)


class _Inside(_Quiet):
    """The same for a model in a wrapper, whose own passes are said already.

    Args:
        model: the module it is set on.
        begin: called with the arguments.
        outer: the hook of the wrapper.
    """

    def __init__(self, model: nn.Module, begin: Begin, outer: Around) -> None:
        self._model, self._begin, self._outer = model, begin, outer

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if module is self._model and not torch.compiler.is_compiling():
            is_said, self._outer.is_said = self._outer.is_said, False
            if not is_said:
                self._begin(args, kwargs)


class _Compiled(_Quiet):
    """Stands where `module.compile()` put its compiled call, and says first that a forward pass begins."""

    def __init__(self, inner: Callable[..., Any], begin: Begin) -> None:
        self.inner, self._begin = inner, begin

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._begin(args, kwargs)
        return self.inner(*args, **kwargs)


def set_around(outer: nn.Module, model: nn.Module, begin: Begin) -> ExitStack:
    """Call `begin` before every forward pass of `outer`, outside of compiled graphs; closing takes it off.

    Args:
        outer: the module that the training loop calls.
        model: the module inside its wrappers.
        begin: called with the arguments.
    """
    stack = ExitStack()
    compiled = getattr(model, "_compiled_call_impl", None)
    if outer is model and compiled is not None:
        model._compiled_call_impl = _Compiled(compiled, begin)  # noqa: SLF001  the one place outside of its graph
        stack.callback(setattr, model, "_compiled_call_impl", compiled)
        return stack
    around = Around(outer, begin)
    stack.callback(outer.register_forward_pre_hook(around, with_kwargs=True).remove)
    if outer is not model:  # a loop may call the model inside its wrapper
        dynamo = sys.modules.get("torch._dynamo")  # loaded wherever something was compiled
        if dynamo is not None:  # else the hook would be compiled for itself, and compared at each call
            dynamo.eval_frame.skip_code(_Inside.__call__.__code__)
        inside = _Inside(model, begin if dynamo is None else dynamo.disable(begin), around)
        stack.callback(model.register_forward_pre_hook(inside, with_kwargs=True).remove)
    return stack
