"""Which layers to look at and how to read them, decided on one forward pass and held as plain data.

In: a model and one batch of inputs. Out: a `Plan`: taps in the order in which they run, the model's output,
and notes on everything that was decided (keys used, layers left out, folds made).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from unbend.capture.kinds import Kind, channels, elementwise, kind_of, original_class
from unbend.capture.outputs import call, tensor_of
from unbend.capture.quiet import quiet
from unbend.capture.taps import Event, Tap, listening
from unbend.errors import LayerError, ModelError, ShapeError
from unbend.numerics.activity import bend
from unbend.numerics.batch import Bend
from unbend.numerics.views import RULES, WIDEST, Rule, View

MOST = 32
"""With more layers than this, the default keeps activations and blocks, and then blocks only."""
MEMORY = 2 << 30
"""Bytes the second moments of all layers may take; above it, wide layers are folded further."""
_TAPPED: tuple[Kind, ...] = ("embedding", "affine", "norm", "activation", "attention", "recurrent", "block")


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Where to look.

    Attributes:
        taps: in the order in which they run.
        output: name of the tap that is the model's output, if one is.
        head: name of the last affine layer, when its output is the model's (a softmax behind it aside).
        notes: what was decided, for the reader.
    """

    taps: tuple[Tap, ...]
    output: str | None
    head: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A tap and its tensor, kept alive while the plan is made so that addresses tell tensors apart."""

    tap: Tap
    tensor: Tensor


def plan(
    model: nn.Module,
    inputs: Any,
    n: int,
    *,
    layers: Sequence[str] | None = None,
    reduce: Rule | Mapping[str, Rule] | None = None,
) -> Plan:
    """Run the model once and decide where to look.

    Args:
        model: from `capture.bare`.
        inputs: one batch, as `call` takes it.
        n: samples in it.
        layers: paths or globs of layers; left out, a sensible choice: every affine, norm, activation,
            attention, recurrent and block output; when these are more than 32, activations and blocks only.
        reduce: how positions are reduced: one rule for all layers, or a rule by glob.

    Raises:
        LayerError: a name fits no layer, or the layer put out no tensor with one row per sample.
        ShapeError: the model does not take these inputs.
        ModelError: the model puts out no tensor.

    Cost:
        One forward pass.
    """
    seen: list[_Seen] = []
    notes: list[str] = []
    lost: dict[str, str] = {}
    modules = dict(model.named_modules())
    kinds = {path: kind_of(module) for path, module in modules.items()}

    def hear(event: Event) -> None:
        described = _described(event, modules, kinds, seen, n)
        if isinstance(described, str):
            lost[_name(event)] = described
        elif described is not None:
            seen.append(described)

    with quiet(model), listening(model, hear):
        result = _first_pass(model, inputs)
    output = tensor_of(result)
    if output is None:
        raise ModelError(
            f"model: its output is a {type(result).__name__} without a tensor. Wrap it so that forward returns one."
        )
    if output.key:
        notes.append(f"The model returns a {type(result).__name__}; its output is read from {output.key}.")
    everything = [s.tap for s in seen]
    last = next((s.tap.name for s in reversed(seen) if _is_same(s.tensor, output.tensor) and s.tap.path), None)
    chosen = _chosen(everything, layers, lost, notes) if layers is not None else _default(everything, last, notes)
    taps = tuple(replace(t, bend=_bend(t, modules)) for t in _folded(_with_rules(chosen, reduce), notes))
    dropped = sorted(name for name in lost if kinds.get(name.split("#")[0]) in _TAPPED)
    if dropped:
        shown = ", ".join(f"{name} ({lost[name]})" for name in dropped[:5])
        notes.append(f"{len(dropped)} layers could not be read and are left out: {shown}.")
    silent = _silent(model, kinds, everything, lost)
    if silent:
        notes.append(f"These modules were never called as modules, so nothing is shown of them: {', '.join(silent)}.")
    names = {tap.name for tap in taps}
    name = last if last in names else next((t.name for t in taps if t.kind == "output"), None)
    return Plan(taps, name, _head(taps, output.tensor), tuple(notes))


def _head(taps: tuple[Tap, ...], output: Tensor) -> str | None:
    """The last affine layer, if the output has its shape (a softmax behind it changes no prediction)."""
    last = next((t for t in reversed(taps) if t.kind == "affine"), None)
    return last.name if last is not None and last.shape == tuple(output.shape[1:]) else None


def _first_pass(model: nn.Module, inputs: Any) -> Any:
    try:
        return call(model, inputs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ShapeError(f"model: it does not take the data. {_expected(model, inputs)} It says: {reason}") from error


def _expected(model: nn.Module, inputs: Any) -> str:
    """Both shapes, as far as they can be known."""
    if isinstance(inputs, Mapping):
        given = "{" + ", ".join(f"{k}: {tuple(v.shape)}" for k, v in inputs.items() if isinstance(v, Tensor)) + "}"
    else:
        parts = inputs if isinstance(inputs, (tuple, list)) else [inputs]
        given = ", ".join(str(tuple(p.shape)) if isinstance(p, Tensor) else type(p).__name__ for p in parts)
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear):
            return f"Expected {module.in_features} features in the last axis (layer {path!r}), got inputs {given}."
        if isinstance(module, nn.modules.conv._ConvNd):  # noqa: SLF001
            axes = module.weight.ndim
            return f"Expected {axes} axes with {module.in_channels} channels (layer {path!r}), got inputs {given}."
    return f"The inputs are {given}."


def _name(event: Event) -> str:
    base = event.path or ("" if event.function else "output")
    name = ":".join(part for part in (base, event.function) if part)
    return f"{name}#{event.call + 1}" if event.call else name


def _is_same(a: Tensor, b: Tensor) -> bool:
    return a.data_ptr() == b.data_ptr() and a.shape == b.shape


def _described(
    event: Event, modules: dict[str, nn.Module], kinds: dict[str, Kind], seen: list[_Seen], n: int
) -> _Seen | str | None:
    """A tap for an event; a reason where it cannot be read; None where there is nothing to look at."""
    module = None if event.function else modules[event.path]
    kind: Kind = "function" if event.function else kinds[event.path]
    if event.function and kinds[event.path] == "activation":
        return None
    if kind == "container" and event.path:
        return None
    if event.path == "" and not event.function:
        kind = "output"
    found = tensor_of(event.output)
    if found is None or not found.tensor.is_floating_point():
        return "no floating-point tensor"
    tensor = found.tensor.unsqueeze(1) if found.tensor.ndim == 1 else found.tensor
    time_first = _is_time_first(module, tensor, n, packed=found.mask is not None)
    if time_first:
        tensor = tensor.transpose(0, 1)
    if not tensor.ndim or tensor.shape[0] != n:
        return f"shape {tuple(found.tensor.shape)} has no axis of {n} samples"
    view = _view(module, kind, tensor, seen)
    source = event.inputs[0] if event.inputs and isinstance(event.inputs[0], Tensor) else None
    tap = Tap(
        _name(event), event.path, event.function, event.call, kind, event.function or original_class(modules[event.path]).__name__,
        tuple(tensor.shape[1:]), view, time_first, None, _feeder(source, seen),
    )  # fmt: skip
    return _Seen(tap, found.tensor)


def _is_time_first(module: nn.Module | None, tensor: Tensor, n: int, *, packed: bool) -> bool:
    if tensor.ndim < 3 or packed:
        return False
    if getattr(module, "batch_first", True) is False:
        return tensor.shape[1] == n
    return tensor.shape[0] != n and tensor.shape[1] == n


def _view(module: nn.Module | None, kind: Kind, tensor: Tensor, seen: list[_Seen]) -> View:
    if tensor.ndim == 2:
        return View("features", "none", tensor.shape[1])
    where = channels(module)
    if where is None:
        shape = tuple(tensor.shape[1:])
        alike = next((s.tap.view for s in reversed(seen) if s.tap.shape == shape), None)
        if alike is not None:
            return View(alike.layout, "mean", alike.width)
        where = "second" if tensor.ndim > 3 else "last"
    if where == "second":
        return View("maps", "mean", tensor.shape[1])
    return View("tokens", "last" if kind == "recurrent" else "mean", tensor.shape[-1])


def _bend(tap: Tap, modules: dict[str, nn.Module]) -> Bend | None:
    """Where an activation is saturated, from its own derivative."""
    if tap.kind == "function":
        function = getattr(torch.nn.functional, tap.function, None) or getattr(torch, tap.function)
        return None if tap.function in {"prelu", "rrelu"} else bend(function)
    function = elementwise(modules[tap.path]) if tap.kind == "activation" else None
    try:
        return None if function is None else bend(function)
    except (RuntimeError, TypeError, ValueError):
        return None


def _feeder(source: Tensor | None, seen: list[_Seen]) -> str | None:
    """The latest tapped layer whose output this is, seen through reshapes and modules that pass it on."""
    if source is None:
        return None
    kinds = (*_TAPPED, "function")
    return next(
        (s.tap.name for s in reversed(seen) if s.tap.kind in kinds and s.tensor.data_ptr() == source.data_ptr()),
        None,
    )


def _default(everything: list[Tap], last: str | None, notes: list[str]) -> list[Tap]:
    """The layers looked at when none are named."""
    usual = [t for t in everything if t.kind in (*_TAPPED, "function")]
    whole = [t for t in everything if t.kind == "output"]
    end = [] if last is not None and any(t.name == last for t in usual) else whole
    final = [t for t in usual if t.name == last] or [t for t in reversed(usual) if t.kind == "affine"][:1]
    for kept, words in (
        (_TAPPED + ("function",), ""),
        (("activation", "function", "attention", "block"), "activations, attention and blocks"),
        (("block",), "blocks"),
    ):
        chosen = [t for t in usual if t.kind in kept or t in final]
        if len(chosen) <= MOST or (kept == ("block",) and len(chosen) > 1):
            break
    if len(chosen) > MOST:
        step = math.ceil(len(chosen) / MOST)
        chosen, words = (
            [*chosen[::step], *([] if chosen[-1] in chosen[::step] else chosen[-1:])],
            f"every {step}th block",
        )
    if words:
        notes.append(
            f"The model has {len(usual)} layers; {len(chosen)} are shown ({words}). Name layers to see others, "
            "such as layers=['encoder.layer.0.*']."
        )
    return chosen + end if chosen or end else everything


def _chosen(everything: list[Tap], layers: Sequence[str], lost: dict[str, str], notes: list[str]) -> list[Tap]:
    del notes
    names = [tap.name for tap in everything]
    picked: set[str] = set()
    for pattern in layers:
        hits = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
        hits |= {tap.name for tap in everything if tap.path == pattern and not tap.function}
        if not hits and pattern in lost:
            raise LayerError(f"layers: {pattern!r} cannot be read: {lost[pattern]}.")
        if not hits:
            near = get_close_matches(pattern, names, 3, 0.5)
            hint = f" Did you mean {' or '.join(repr(m) for m in near)}?" if near else ""
            raise LayerError(f"layers: no layer named {pattern!r}. It has: {', '.join(names[:12])}"
                             f"{', …' if len(names) > 12 else ''}.{hint}")  # fmt: skip
        picked |= hits
    return [tap for tap in everything if tap.name in picked]


def _with_rules(taps: list[Tap], reduce: Rule | Mapping[str, Rule] | None) -> list[Tap]:
    if reduce is None:
        return taps
    rules = {"*": reduce} if isinstance(reduce, str) else dict(reduce)
    for pattern, rule in rules.items():
        if rule not in RULES:
            raise LayerError(f"reduce: no rule {rule!r} for {pattern!r}. The rules are {', '.join(RULES[1:])}.")
    out = []
    for tap in taps:
        fits = [rule for pattern, rule in rules.items() if fnmatchcase(tap.name, pattern)]
        usable = (
            tap.view.layout != "features" and fits and not (tap.view.layout == "maps" and fits[-1] in {"cls", "last"})
        )
        out.append(replace(tap, view=replace(tap.view, rule=fits[-1])) if usable else tap)
    return out


def row_width(tap: Tap) -> int:
    """Columns of a tap's rows before folding."""
    return math.prod(tap.shape) if tap.view.rule == "flatten" else tap.view.width


def _folded(taps: list[Tap], notes: list[str]) -> tuple[Tap, ...]:
    """Fold rows wider than `WIDEST`, and further while second moments would take more than `MEMORY`."""
    limit = WIDEST
    while limit > 64 and sum(8 * min(row_width(t), limit) ** 2 for t in taps) > MEMORY:
        limit //= 2
    wide = [t for t in taps if row_width(t) > limit]
    if wide:
        notes.append(
            f"{len(wide)} layers are wider than {limit} and are folded to {limit} randomly signed sums: "
            f"{', '.join(t.name for t in wide[:5])}. A read-out of the fold is a read-out of the layer, so its "
            "accuracy is a lower bound."
        )
    return tuple(replace(t, view=replace(t.view, fold=limit)) if row_width(t) > limit else t for t in taps)


def _silent(model: nn.Module, kinds: dict[str, Kind], everything: list[Tap], lost: dict[str, str]) -> list[str]:
    """Modules with parameters that never ran as modules, such as the projection inside nn.MultiheadAttention."""
    ran = {tap.path for tap in everything} | {name.split("#")[0].split(":")[0] for name in lost}
    return [
        path
        for path, module in model.named_modules()
        if path and path not in ran and kinds[path] in _TAPPED and any(True for _ in module.parameters(recurse=False))
    ][:5]
