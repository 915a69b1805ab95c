"""What a model puts out in one forward pass: every module and functional activation, described.

In: a model and one batch of inputs. Out: a `Look`: a tap for everything that can be read, a reason for everything
that cannot. Which axis is the sample is seen by running the model on batches of two sizes, not guessed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unbend.capture.kinds import Kind, channels, elementwise, kind_of, original_class
from unbend.capture.outputs import Output, call, identity, tensor_of, version_of
from unbend.capture.quiet import quiet
from unbend.capture.taps import Event, Place, Tap, listening
from unbend.errors import ModelError, ShapeError
from unbend.numerics.activity import saturation
from unbend.numerics.views import View

TAPPED: tuple[Kind, ...] = ("embedding", "affine", "norm", "activation", "attention", "recurrent", "block", "function")
"""Kinds that are looked at unless layers are named."""
_RESERVED = {"input"}
_REFUSALS = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A tap, and its tensor, kept alive while the plan is made so that addresses tell tensors apart.

    Attributes:
        tap: the place, not yet with its saturation.
        tensor: what it put out; a later in-place operation may have overwritten it.
        version: of the tensor when it was put out.
        depth: how many blocks it is inside of.
        activation: for a functional activation, the function.
    """

    tap: Tap
    tensor: Tensor
    version: int
    depth: int
    activation: Callable[[Tensor], Any] | None = None

    @property
    def identity(self) -> tuple[Any, ...]:
        """The same for two taps that put out the same tensor, not written to in between."""
        return identity(self.tensor, self.version)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Everything one forward pass showed.

    Attributes:
        seen: in the order in which they ran.
        lost: name → why it cannot be read.
        output: the model's output.
        end: the identity of the output; no tap's if it cannot be read.
        returned: class of what the model returned.
        head: name of the last affine layer, if the output is its output, up to a softmax or sigmoid.
        kinds: kind of every module by path.
        silent: modules with parameters that were never called.
        mixing: recurrent or attention layers that take the sample axis for time.
    """

    seen: tuple[Seen, ...]
    lost: dict[str, str]
    output: Output
    end: tuple[Any, ...]
    returned: str
    head: str | None
    kinds: dict[str, Kind]
    silent: tuple[str, ...]
    mixing: tuple[str, ...]


def look(model: nn.Module, inputs: Any, n: int) -> Look:
    """Run a model and describe what it puts out.

    Args:
        model: from `capture.bare`.
        inputs: one batch, as `call` takes it.
        n: samples in it.

    Raises:
        ShapeError: the model does not take these inputs.
        ModelError: the model puts out no tensor.

    Cost:
        Two forward passes, the second on two rows.
    """
    with quiet(model):
        kinds = {path: kind_of(module) for path, module in model.named_modules()}
        describer = _Describer(model, kinds, n)
        with listening(model, describer.record):
            result = _first_pass(model, inputs)
        describer.sizes = _other_size(model, inputs, n)
        output = tensor_of(result)
        if output is None:
            raise ModelError(
                f"model: its output is a {type(result).__name__} without a tensor. Wrap it so that forward returns one."
            )
        for record in describer.records:
            describer.describe(record)
    ran = {record.event.place[0] for record in describer.records}
    silent = tuple(
        path
        for path, module in model.named_modules()
        if path not in ran and kinds[path] in TAPPED and any(True for _ in module.parameters(recurse=False))
    )
    head = describer.head(output.tensor)
    end = identity(output.tensor, version_of(output.tensor)) if isinstance(_readable(result), Output) else ()
    return Look(
        tuple(describer.seen),
        describer.lost,
        output,
        end,
        type(result).__name__,
        head,
        kinds,
        silent,
        tuple(describer.mixing),
    )


def _first_pass(model: nn.Module, inputs: Any) -> Any:
    try:
        return call(model, inputs)
    except ModelError as told:
        error = told.__cause__
        if not isinstance(error, _REFUSALS):
            raise
        kind, said = type(error).__name__, str(error).strip().partition("\n")[0]
        is_told = said and isinstance(error, (RuntimeError, ValueError))
        reason = said if is_told else f"{kind}: {said}".removesuffix(": ")
        raise ShapeError(f"model: it does not take the data. {_expected(model, inputs)} It says: {reason}") from error


def _expected(model: nn.Module, inputs: Any) -> str:
    """Both shapes, as far as they can be known; only the inputs' where the first layer would take them."""
    if isinstance(inputs, Mapping):
        given = "{" + ", ".join(f"{k}: {tuple(v.shape)}" for k, v in inputs.items() if isinstance(v, Tensor)) + "}"
    else:
        parts = inputs if isinstance(inputs, (tuple, list)) else [inputs]
        given = ", ".join(str(tuple(p.shape)) if isinstance(p, Tensor) else type(p).__name__ for p in parts)
    shape = tuple(inputs.shape) if isinstance(inputs, Tensor) else ()
    for path, module in model.named_modules():
        made_as, weight = original_class(module), getattr(module, "weight", None)
        where = f"layer {path!r}" if path else "the model"
        if issubclass(made_as, nn.Linear) and isinstance(weight, Tensor):
            if shape[-1:] == (weight.shape[1],):
                break
            return f"Expected {weight.shape[1]} features in the last axis ({where}), got inputs {given}."
        if issubclass(made_as, nn.modules.conv._ConvNd) and isinstance(weight, Tensor):  # noqa: SLF001
            n_channels = getattr(module, "in_channels", weight.shape[1])
            if len(shape) == weight.ndim and shape[1] == n_channels:
                break
            return f"Expected {weight.ndim} axes with {n_channels} channels ({where}), got inputs {given}."
    return f"The inputs are {given}."


def _other_size(model: nn.Module, inputs: Any, n: int) -> dict[Place, tuple[int, ...]]:
    """Shape of everything the model puts out for two rows (three if the batch has two); empty if it takes none."""
    m = 2 if n != 2 else 3
    fewer = _rows(inputs, torch.arange(m).clamp(max=n - 1), n)
    shapes: dict[Place, tuple[int, ...]] = {}
    if fewer is None:
        return shapes

    def handle(event: Event) -> None:
        found = _readable(event.output)
        if isinstance(found, Output):
            shapes[event.place] = tuple(found.tensor.shape)

    try:
        with listening(model, handle):
            call(model, fewer)
    except _REFUSALS:
        return {}
    return shapes


def _rows(inputs: Any, index: Tensor, n: int) -> Any:
    """Some rows of a batch; None if nothing in it has rows."""
    if isinstance(inputs, Tensor):
        return inputs[index.to(inputs.device)] if inputs.ndim and len(inputs) == n else None
    if isinstance(inputs, Mapping):
        taken = {key: _rows(value, index, n) for key, value in inputs.items()}
        return {k: inputs[k] if v is None else v for k, v in taken.items()} if _any(taken.values()) else None
    if type(inputs) in {tuple, list}:
        parts = [_rows(value, index, n) for value in inputs]
        return (
            tuple(old if new is None else new for old, new in zip(inputs, parts, strict=True)) if _any(parts) else None
        )
    return None


def _any(values: Any) -> bool:
    return any(value is not None for value in values)


def _readable(output: Any) -> Output | str:
    """The tensor of an output, or why there is none."""
    found = tensor_of(output)
    if found is None:
        return "no floating-point tensor"
    tensor = found.tensor
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized:
        return "a sparse, nested or quantized tensor"
    if not tensor.is_floating_point():
        return f"{str(tensor.dtype).removeprefix('torch.')} values, not floating-point ones"
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """An event, as it was at its moment: what was put out, and which earlier output it was made of."""

    event: Event
    found: Output | str
    version: int


class _Describer:
    """Takes down events while the model runs, and describes them afterwards."""

    def __init__(self, model: nn.Module, kinds: dict[str, Kind], n: int) -> None:
        self._modules, self._kinds, self._n = dict(model.named_modules()), kinds, n
        self.sizes: dict[Place, tuple[int, ...]] = {}
        self.records: list[_Record] = []
        self.seen: list[Seen] = []
        self.lost: dict[str, str] = {}
        self.mixing: list[str] = []
        self._last_affine: tuple[Place, Tensor] | None = None

    def record(self, event: Event) -> None:
        path, function, _ = event.place
        if function and self._kinds[path] == "activation":
            return
        found = _readable(event.output)
        version = version_of(found.tensor) if isinstance(found, Output) else -1
        self.records.append(_Record(event, found, version))
        if isinstance(found, Output) and self._kinds[path] == "affine" and not function:
            self._last_affine = (event.place, found.tensor.clone())

    def head(self, output: Tensor) -> str | None:
        """The last affine layer, if the output is its output, up to a softmax or sigmoid."""
        if self._last_affine is None:
            return None
        place, value = self._last_affine
        if value.numel() != output.numel() or value.dtype != output.dtype:
            return None
        value = value.reshape(output.shape)
        heads = [value, value.sigmoid(), F.logsigmoid(value)]
        if value.ndim > 1:
            heads += [value.softmax(-1), value.log_softmax(-1)]
        same = any(torch.allclose(h, output, rtol=1e-3, atol=1e-6, equal_nan=True) for h in heads)
        return self._name(place) if same else None

    def describe(self, record: _Record) -> None:
        """Add a tap for an event, or the reason why it cannot be read."""
        event, found = record.event, record.found
        path, function, _ = event.place
        name = self._name(event.place)
        if isinstance(found, str):
            self.lost[name] = found
            return
        tensor = found.tensor.unsqueeze(1) if found.tensor.ndim == 1 else found.tensor
        module = None if function else self._modules[path]
        axis = self._sample_axis(event.place, found, module)
        if isinstance(axis, str):
            self.lost[name] = axis
            return
        if not axis and tensor.ndim > 2 and found.mask is None and getattr(module, "batch_first", None) is False:
            self.mixing.append(name)
        tensor = tensor.transpose(0, 1) if axis else tensor
        kind: Kind = "function" if function else "output" if path == "" else self._kinds[path]
        label = function or original_class(self._modules[path]).__name__
        tap = Tap(
            name, *event.place, kind, label, tuple(tensor.shape[1:]), self._view(module, kind, tensor),
            time_first=bool(axis), fed_by=self._feeder(record), in_place=event.in_place,
        )  # fmt: skip
        self.seen.append(Seen(tap, found.tensor, record.version, self._depth(path), event.activation))

    def _depth(self, path: str) -> int:
        parts = path.split(".")
        return sum(self._kinds.get(".".join(parts[:i])) == "block" for i in range(1, len(parts)))

    def _name(self, place: Place) -> str:
        """The path, the function, the number of the call; `model.` before it where that name is taken."""
        path, function, number = place
        name = f"{path}:{function}" if path and function else path or function or "output"
        while name in _RESERVED or (name != path and name in self._modules):
            name = f"model.{name}"
        return f"{name}#{number + 1}" if number else name

    def _sample_axis(self, place: Place, found: Output, module: nn.Module | None) -> int | str:
        """0 or 1: the axis that grows with the batch; else why there is none."""
        shape, other = tuple(found.tensor.shape), self.sizes.get(place)
        none = f"its shape {shape} has no axis for the {self._n} samples"
        if other is None or len(other) != len(shape):
            guess = self._guess_axis(shape, module)
            return none if guess is None else guess
        m = 2 if self._n != 2 else 3
        axes = [i for i, (a, b) in enumerate(zip(shape, other, strict=True)) if (a, b) == (self._n, m)]
        if not axes or axes[0] > 1:
            return none
        if len(axes) > 1:
            return f"its shape {shape} compares the {self._n} samples with each other"
        return axes[0]

    def _guess_axis(self, shape: tuple[int, ...], module: nn.Module | None) -> int | None:
        """The same for a model that runs at one batch size only."""
        second = len(shape) > 2 and shape[1] == self._n
        if shape[0] == self._n and not (second and getattr(module, "batch_first", True) is False):
            return 0
        return 1 if second else None

    def _view(self, module: nn.Module | None, kind: Kind, tensor: Tensor) -> View:
        if tensor.ndim == 2:
            return View("features", "none", tensor.shape[1])
        where = channels(module)
        if where is None:
            shape = tuple(tensor.shape[1:])
            alike = next((s.tap.view for s in reversed(self.seen) if s.tap.shape == shape), None)
            if alike is not None:
                return View(alike.layout, "mean", alike.width)
            where = "second" if tensor.ndim > 3 else "last"
        if where == "second":
            return View("maps", "mean", tensor.shape[1])
        return View("tokens", "last" if kind == "recurrent" else "mean", tensor.shape[-1])

    def _feeder(self, record: _Record) -> str | None:
        """The latest tapped layer whose output this is, seen through reshapes and modules that pass it on."""
        source = record.event.source
        if source is None or source.layout != torch.strided or source.is_nested:
            return None
        for s in reversed(self.seen):
            same = s.tensor.data_ptr() == source.data_ptr() and s.tensor.numel() == source.numel()
            if same and s.tap.kind in TAPPED and s.version == record.event.version:
                return s.tap.name
        return None


def with_saturation(seen: Seen, modules: Mapping[str, nn.Module]) -> Tap:
    """The tap with the place where its activation is saturated, from its own derivative."""
    tap = seen.tap
    function = seen.activation if tap.kind == "function" else None
    if tap.kind == "activation":
        function = elementwise(modules[tap.path])
    if function is None or tap.function == "rrelu":
        return tap
    try:
        return replace(tap, saturation=saturation(function))
    except _REFUSALS:
        return tap
