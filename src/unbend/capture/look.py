"""What a model puts out in one forward pass: every module and functional activation, described.

In: a model and one batch of inputs. Out: a `Look`: a tap for everything that can be read, a reason for everything
that cannot. Which axis is the sample is seen by running the model on batches of two sizes; which holds the units, by
the planning pass of `flow`; neither is guessed where they tell.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unbend.capture.flow import Flow, Site, flow
from unbend.capture.flow.operations import BENDING
from unbend.capture.inputs import copy_of, n_samples, named_tensors, take
from unbend.capture.kinds import FUNCTIONS, Kind, elementwise, kind_of, original_class
from unbend.capture.mixing import Mixing, mixing
from unbend.capture.outputs import Output, call, identity, tensor_of, version_of
from unbend.capture.quiet import quiet
from unbend.capture.reading import Reading, by_class, chosen_axis, reading, unit_axes
from unbend.capture.taps import Event, Place, Tap, listening
from unbend.errors import ModelError, ShapeError
from unbend.numerics.saturation import saturation

TAPPED: tuple[Kind, ...] = ("embedding", "affine", "norm", "activation", "attention", "recurrent", "block", "function")
"""Kinds that are looked at unless layers are named."""
_RESERVED = {"input"}
_FEW = 29
"""Rows of the planning pass: enough to tell masks, and no common width."""
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
        site: what the planning pass knows of it.
        origin: name of the first site whose values these are; None where that is its own.
    """

    tap: Tap
    tensor: Tensor
    version: int
    depth: int
    activation: Callable[[Tensor], Any] | None = None
    site: Site | None = None
    origin: str | None = None

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
        flow: what feeds what; None where the model could not be run on these inputs in a planning pass.
        unlike: the first layer whose rows depend on the batch or the pass, and why.
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
    flow: Flow | None
    unlike: Mixing | None


def look(model: nn.Module, inputs: Any, n: int, *, axis: Mapping[str, int] | None = None) -> Look:
    """Run a model and describe what it puts out.

    Args:
        model: from `capture.bare`.
        inputs: one batch, as `call` takes it.
        n: samples in it.
        axis: where the units are, by name or glob, for those that say so themselves.

    Raises:
        ShapeError: the model does not take these inputs.
        ModelError: the model puts out no tensor.

    Cost:
        Three forward passes, one on a few rows and one on two. The model is given copies of the inputs where it
        writes into them.
    """
    shown = _flow(model, inputs, n)
    given: Callable[[], Any] = (lambda: copy_of(inputs)) if shown is None or shown.writes else (lambda: inputs)
    with quiet(model):
        kinds = {path: kind_of(module) for path, module in model.named_modules()}
        describer = _Describer(model, kinds, n, shown, axis or {})
        with listening(model, describer.record, by_hand=describer.by_hand):
            result = _first_pass(model, given())
        describer.other = _other_size(model, given(), n, describer.by_hand)
        output = tensor_of(result)
        if output is None:
            raise ModelError(
                f"model: its output is a {type(result).__name__} without a tensor. Wrap it so that forward returns one."
            )
        for record in describer.records:
            describer.describe(record)
        unlike = mixing(  # in the state the passes before left, so that a state that is kept shows
            [(s.tap, s.tensor) for s in describer.seen],
            describer.other,
            lambda: _again(model, given, describer.by_hand),
        )
    ran = {record.event.place[0] for record in describer.records}
    silent = tuple(
        path
        for path, module in model.named_modules()
        if path not in ran and kinds[path] in TAPPED and any(True for _ in module.parameters(recurse=False))
    )
    head = describer.head(output.tensor)
    end = identity(output.tensor, version_of(output.tensor)) if isinstance(_readable(result), Output) else ()
    return Look(
        seen=tuple(describer.seen),
        lost=describer.lost,
        output=output,
        end=end,
        returned=type(result).__name__,
        head=head,
        kinds=kinds,
        silent=silent,
        mixing=tuple(describer.mixing),
        flow=shown,
        unlike=unlike,
    )


def _flow(model: nn.Module, inputs: Any, n: int) -> Flow | None:
    """The planning pass on a few rows, or on all where the model runs on none but these; None if it does not at all."""
    if n > _FEW:
        with suppress(ModelError):
            return flow(model, take(inputs, torch.arange(_FEW), n), _FEW)
    with suppress(ModelError):
        return flow(model, inputs, n)
    return None


def _first_pass(model: nn.Module, inputs: Any) -> Any:
    try:
        return call(model, inputs)
    except ModelError as told:
        error = told.__cause__
        if not isinstance(error, _REFUSALS):
            raise
        kind, said = type(error).__name__, str(error).strip().partition("\n")[0].rstrip(".")
        is_told = said and isinstance(error, (RuntimeError, ValueError))
        reason = said if is_told else f"{kind}: {said}".removesuffix(": ")
        expected = _shape_words(model, inputs) if isinstance(error, RuntimeError) else ""
        raise ShapeError(
            f"model: it does not take the data. It says: {reason}. {expected or _input_words(inputs)}"
        ) from error


def _input_words(inputs: Any) -> str:
    """The inputs in words."""
    named = [(name.removeprefix("input"), tuple(tensor.shape)) for name, tensor in named_tensors(inputs)]
    if isinstance(inputs, Tensor) or not named:
        return f"The inputs are {tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__}."
    return f"The inputs are a {type(inputs).__name__}: {', '.join(f'{name} {shape}' for name, shape in named)}."


def _shape_words(model: nn.Module, inputs: Any) -> str:
    """Both shapes, where the first layer is fed and would not take a tensor of that shape."""
    if not isinstance(inputs, Tensor):
        return ""
    shape = tuple(inputs.shape)
    for path, module in model.named_modules():
        made_as, weight = original_class(module), getattr(module, "weight", None)
        where = f"layer {path!r}" if path else "the model"
        if issubclass(made_as, nn.Linear) and isinstance(weight, Tensor):
            if shape[-1:] == (weight.shape[1],):
                break
            return f"Expected {weight.shape[1]} features in the last axis ({where}), got inputs {shape}."
        if issubclass(made_as, nn.modules.conv._ConvNd) and isinstance(weight, Tensor):  # noqa: SLF001  what convolutions have in common has a private name
            n_channels = getattr(module, "in_channels", weight.shape[1])
            if len(shape) == weight.ndim and shape[1] == n_channels:
                break
            return f"Expected {weight.ndim} axes with {n_channels} channels ({where}), got inputs {shape}."
    return ""


def _other_size(model: nn.Module, inputs: Any, n: int, by_hand: Collection[Place]) -> dict[Place, Tensor]:
    """Everything the model puts out for two rows (three if the batch has two); empty if it takes none."""
    m = 2 if n != 2 else 3
    if all(not t.ndim or len(t) != n for _, t in named_tensors(inputs)) and n_samples(inputs) != n:
        return {}
    try:
        return _outputs(model, take(inputs, torch.arange(m).clamp(max=n - 1), n), by_hand)
    except _REFUSALS:
        return {}


def _outputs(model: nn.Module, inputs: Any, by_hand: Collection[Place]) -> dict[Place, Tensor]:
    """Everything that can be read of a forward pass."""
    found: dict[Place, Tensor] = {}

    def handle(event: Event) -> None:
        output = _readable(event.output)
        if isinstance(output, Output):
            found[event.place] = output.tensor

    with listening(model, handle, by_hand=by_hand):
        call(model, inputs)
    return found


def _again(model: nn.Module, given: Callable[[], Any], by_hand: Collection[Place]) -> dict[Place, Tensor]:
    """The same once more, from other random numbers; the generators are put back."""
    with quiet(model):
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002, S311  the generators that a model draws from
        return _outputs(model, given(), by_hand)


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

    def __init__(
        self, model: nn.Module, kinds: dict[str, Kind], n: int, shown: Flow | None, axis: Mapping[str, int]
    ) -> None:
        self._modules, self._kinds, self._n, self._axis = dict(model.named_modules()), kinds, n, axis
        self._sites = {site.place: site for site in reversed(() if shown is None else shown.sites)}
        self._named = {site.name: site for site in self._sites.values()}
        self.by_hand = frozenset(place for place in self._sites if place[1] and place[1] not in FUNCTIONS)
        self.other: dict[Place, Tensor] = {}
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
        tensor = found.tensor
        module = None if function else self._modules[path]
        sample = self._sample_axis(event.place, found, module)
        if isinstance(sample, str):
            self.lost[name] = sample
            return
        if not sample and tensor.ndim > 2 and found.mask is None and getattr(module, "batch_first", None) is False:
            self.mixing.append(name)
        kind: Kind = "function" if function else "output" if path == "" else self._kinds[path]
        site = self._sites.get(event.place)
        read = self._reading(name, tensor.shape, sample, kind, (module, site))
        label = self._label(event.place) if function else original_class(self._modules[path]).__name__
        tap = Tap(
            name, *event.place, kind, label, read.shape, read.view, time_first=read.time_first,
            fed_by=self._feeder(record), in_place=event.in_place, order=read.order, n_merged=read.n_merged,
            mask=None if site is None else site.mask,
        )  # fmt: skip
        self.seen.append(
            Seen(tap, tensor, record.version, self._depth(path), event.activation, site, self._origin(site))
        )

    def _reading(
        self, name: str, shape: Sequence[int], sample: int, kind: Kind, known: tuple[nn.Module | None, Site | None]
    ) -> Reading:
        """How an output is read: as the user says, as the planning pass saw, or as its class suggests."""
        module, site = known
        shape = (*shape, 1) if len(shape) == 1 else tuple(shape)
        units = chosen_axis(self._axis, name, shape, sample)
        if not units and len(shape) > 2:
            units = unit_axes(site, len(shape), sample)
        if not units:
            sizes = tuple(size for i, size in enumerate(shape) if i != sample)
            alike = next((s.tap.view for s in reversed(self.seen) if s.tap.shape == sizes), None)
            units = by_class(module, len(shape), sample, alike)
        is_masked = site is not None and site.mask is not None
        return reading(shape, sample, units, is_recurrent=kind == "recurrent", is_masked=is_masked)

    def _origin(self, site: Site | None) -> str | None:
        """The first site whose values those of a site are, at most moved; None where that is its own."""
        first = site
        while first is not None and first.alias_of in self._named:
            first = self._named[first.alias_of]
        return None if first is site or first is None else first.name

    def _label(self, place: Place) -> str:
        """What a functional activation is called."""
        return place[1] if place not in self.by_hand else self._sites[place].name.rpartition(":")[2].partition("#")[0]

    def _depth(self, path: str) -> int:
        parts = path.split(".")
        return sum(self._kinds.get(".".join(parts[:i])) == "block" for i in range(1, len(parts)))

    def _name(self, place: Place) -> str:
        """The path, the function, the number of the call; `model.` before it where that name is taken."""
        path, function, number = place
        if place in self.by_hand:
            known, mark, call = self._sites[place].name.partition("#")
            return self._free(known, path) + mark + call
        name = self._free(f"{path}:{function}" if path and function else path or function or "output", path)
        return f"{name}#{number + 1}" if number else name

    def _free(self, name: str, path: str) -> str:
        while name in _RESERVED or (name != path and name in self._modules):
            name = f"model.{name}"
        return name

    def _sample_axis(self, place: Place, found: Output, module: nn.Module | None) -> int | str:
        """0 or 1: the axis that grows with the batch; else why there is none."""
        shape, fewer = tuple(found.tensor.shape), self.other.get(place)
        none = f"its shape {shape} has no axis for the {self._n} samples"
        if fewer is None or fewer.ndim != len(shape):
            site = self._sites.get(place)
            guess = self._guess_axis(shape, module) if site is None else _alone(site, shape, self._n)
            return none if guess is None else guess
        m = 2 if self._n != 2 else 3
        axes = [i for i, (a, b) in enumerate(zip(shape, fewer.shape, strict=True)) if (a, b) == (self._n, m)]
        if not axes:
            return none
        if len(axes) > 1:
            return f"its shape {shape} compares the {self._n} samples with each other"
        return axes[0]

    def _guess_axis(self, shape: tuple[int, ...], module: nn.Module | None) -> int | None:
        """The same for a model that runs at one batch size only, and of which the planning pass tells nothing."""
        second = len(shape) > 2 and shape[1] == self._n
        if shape[0] == self._n and not (second and getattr(module, "batch_first", True) is False):
            return 0
        return 1 if second else None

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


def _alone(site: Site, shape: tuple[int, ...], n: int) -> int | None:
    """The axis that holds the samples and nothing else."""
    at = site.sample_axis
    return at if at is not None and len(site.parts) == len(shape) and shape[at] == n else None


def with_saturation(seen: Seen, modules: Mapping[str, nn.Module]) -> Tap:
    """The tap with the place where its activation is saturated, from its own derivative."""
    tap = seen.tap
    function = _function_of(seen) if tap.kind == "function" else None
    if tap.kind == "activation":
        function = elementwise(modules[tap.path])
    if function is None or tap.function == "rrelu":
        return tap
    try:
        return replace(tap, saturation=saturation(function))
    except _REFUSALS:
        return tap


def _function_of(seen: Seen) -> Callable[[Tensor], Any] | None:
    """A functional activation as a function of one tensor; None where it is composed of several functions."""
    name, site = seen.tap.function, seen.site
    if name in FUNCTIONS or site is None:
        return seen.activation
    if site.is_rectifier:
        return torch.relu
    return seen.activation if site.activations == (name,) and name in BENDING else None
