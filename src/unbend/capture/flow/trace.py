"""The planning pass: one run of a model on a few rows that shows which tensor feeds which and which axis is which.

In: a model and one batch. Out: a `Flow`, plain data. The model gets a copy of the inputs, so that what it writes into
them does not reach the caller's.
"""

from collections.abc import Iterator, Mapping, Sequence
from inspect import Parameter, getclosurevars, signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unbend.capture.flow.axes import GIVEN, PIECE, Factor, Layout, Variable, axis, fresh
from unbend.capture.flow.finish import finish
from unbend.capture.flow.masks import candidate, with_padding, words_of
from unbend.capture.flow.notes import Note
from unbend.capture.flow.record import Draft, Record
from unbend.capture.flow.result import Flow
from unbend.capture.flow.watch import watching
from unbend.capture.inputs import copy_of, named_tensors, packed_in, tensors_in
from unbend.capture.kinds import kind_of
from unbend.capture.outputs import call, version_of
from unbend.capture.quiet import quiet
from unbend.errors import ModelError


def flow(model: nn.Module, inputs: Any, n: int) -> Flow:
    """Run a model once and see what feeds what.

    Every tensor met carries a note: the sites its values come from, and its axes as variables for which operations
    claim roles. Nothing is raised that the model does not raise itself; what no rule knows is told as unknown. Where
    no row is padded, a model may pass its mask by; then it runs once more with one position padded.

    Args:
        model: from `capture.bare`.
        inputs: one batch, as `call` takes it; a few rows will do, more than one.
        n: samples in it.

    Raises:
        ModelError: the model raised.

    Cost:
        One forward pass, rarely two, and twenty to fifty microseconds per torch function.

    Example:
        >>> net = nn.Sequential(nn.Conv1d(3, 8, 3), nn.ReLU())
        >>> shown = flow(net, torch.zeros(4, 3, 10), 4)
        >>> [(site.name, site.feeders, site.axes) for site in shown.sites][:1]
        [('0', ('input',), ('sample', 'unit', 'position'))]
    """
    shown = _run(model, inputs, n)
    known = {site.mask.name for site in shown.sites if site.mask is not None}
    padded = with_padding(inputs, [mask for mask in shown.masks if mask.name not in known])
    if padded is None:
        return shown
    try:
        return _run(model, padded, n)
    except ModelError:  # it takes no padding there
        return shown


def _run(model: nn.Module, inputs: Any, n: int) -> Flow:
    given = copy_of(inputs)
    tensors = dict(named_tensors(given))
    sample = Variable("sample", GIVEN)
    packed = {id(one.data): one for one in packed_in(given)}
    layouts = {
        name: _packed_layout(packed[id(tensor)], sample) if id(tensor) in packed else _input_layout(tensor, n, sample)
        for name, tensor in tensors.items()
    }
    words = words_of({name: _parameters(model, inputs).get(name, "") for name in tensors})
    found = (candidate(name, words[name], tensor, layouts[name], n) for name, tensor in tensors.items())
    candidates = [one for one in found if one is not None]
    with quiet(model):
        kinds = {path: kind_of(module) for path, module in model.named_modules()}
        record = Record(kinds, {id(tensor) for tensor in _own_tensors(model)}, candidates, n)
        for name, tensor in tensors.items():
            record.notes.put(tensor, Note(frozenset({name}), layouts[name], name))
        versions = {name: version_of(tensor) for name, tensor in tensors.items()}
        with watching(model, record):
            call(model, given)
    written = _inputs_written_to(tensors, versions, dict(named_tensors(inputs)))
    drafts = [
        Draft(name, (name, "", 0), "input", frozenset(), None, layouts[name], tuple(tensor.shape), ())
        for name, tensor in tensors.items()
    ]
    return finish(record, drafts, candidates, written)


def _input_layout(tensor: Tensor, n: int, sample: Variable) -> Layout:
    """The first axis that is as long as there are samples holds them, if it is the first or second.

    Of a table of numbers the other axis holds the units, unless what reads it knows better.
    """
    at = next((i for i, size in enumerate(tensor.shape[:2]) if size == n), None)
    rest = [Variable("unit", PIECE) if tensor.ndim == 2 and tensor.is_floating_point() else Variable()
            for _ in tensor.shape]  # fmt: skip
    return Layout(tuple(axis(sample if i == at else rest[i], size) for i, size in enumerate(tensor.shape)))


def _packed_layout(packed: PackedSequence, sample: Variable) -> Layout:
    """Positions and samples in one axis, then what every position holds."""
    first = (Factor(Variable("position"), len(packed.batch_sizes)), Factor(sample, int(packed.batch_sizes[0])))
    return Layout((first, *fresh(packed.data.shape[1:])))


def _parameters(model: nn.Module, inputs: Any) -> dict[str, str]:
    """What forward calls the inputs that come without a name of their own, by their names here."""
    try:
        known = [
            parameter.name
            for parameter in signature(model.forward).parameters.values()
            if parameter.kind in {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
        ]
    except (TypeError, ValueError):
        return {}
    if isinstance(inputs, (tuple, list)) and not hasattr(inputs, "batch_sizes"):
        return {f"input[{i}]": name for i, name in enumerate(known[: len(inputs)])}
    return {} if isinstance(inputs, Mapping) or not known else {"input": known[0]}


def _own_tensors(model: nn.Module) -> Iterator[Tensor]:
    """Parameters, buffers, and the constants that modules keep or that their forward refers to."""
    yield from model.parameters()
    yield from model.buffers()
    forwards = {}
    for module in model.modules():
        yield from tensors_in(dict(vars(module)))
        forward = getattr(type(module), "forward", None)
        if callable(forward) and not type(module).__module__.startswith("torch."):
            forwards[id(forward)] = forward
    for forward in forwards.values():
        try:
            named = getclosurevars(forward)
        except (TypeError, ValueError):
            continue
        yield from tensors_in([*named.globals.values(), *named.nonlocals.values()])


def _inputs_written_to(
    tensors: Mapping[str, Tensor], versions: Mapping[str, int], originals: Mapping[str, Tensor]
) -> Sequence[str]:
    """Names of the inputs that were written to: torch counts writes of its own, others show in the values."""
    return tuple(
        name
        for name, tensor in tensors.items()
        if version_of(tensor) != versions[name] or not _is_equal(tensor, originals[name])
    )


def _is_equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN included."""
    if a.layout != torch.strided or a.is_nested or a.shape != b.shape:
        return a.shape == b.shape
    return bool(((a == b) | ((a != a) & (b != b))).all())  # noqa: PLR0124  true for NaN alone
