"""A model's inputs, whatever they are nested in: their tensors by name, how many samples, some of their rows, a copy.

In: a tensor, sequences, mappings, dataclasses, packed sequences of tensors. Out: the same form again, or names such as
`input`, `input[0]`, `input['x']`, `input.ids`.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    unpack_sequence,
)


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a compound value holds, each with how it is reached; nothing for a tensor or an unknown object."""
    if isinstance(value, PackedSequence):
        yield "", value.data
    elif isinstance(value, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, (tuple, list)):
        yield from ((f"[{i}]", part) for i, part in enumerate(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{field.name}", getattr(value, field.name, None)) for field in dataclasses.fields(value))


def packed_in(value: Any) -> Iterator[PackedSequence]:
    """All packed sequences of a value, in order."""
    if isinstance(value, PackedSequence):
        yield value
    elif not isinstance(value, Tensor):
        for _, part in parts(value):
            yield from packed_in(part)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors of a value, in order."""
    if isinstance(value, Tensor):
        yield value
    else:
        for _, part in parts(value):
            yield from tensors_in(part)


def named_tensors(inputs: Any, name: str = "input") -> Iterator[tuple[str, Tensor]]:
    """All tensors of a model's inputs, each by name."""
    if isinstance(inputs, Tensor):
        yield name, inputs
    else:
        for key, part in parts(inputs):
            yield from named_tensors(part, name + key)


def n_samples(inputs: Any) -> int:
    """Samples in a batch: rows of its first tensor that has any, or sequences of its first packed one; 0 for none."""
    if isinstance(inputs, PackedSequence):
        return int(inputs.batch_sizes[0])
    if isinstance(inputs, Tensor):
        return len(inputs) if inputs.ndim else 0
    return next((n for _, part in parts(inputs) if (n := n_samples(part))), 0)


def take(inputs: Any, index: Tensor, n: int) -> Any:
    """Some rows of a batch of `n`; parts that have no rows are kept."""
    if isinstance(inputs, PackedSequence):
        return _take_packed(inputs, index) if int(inputs.batch_sizes[0]) == n else inputs
    if isinstance(inputs, Tensor):
        return inputs[index.to(inputs.device)] if inputs.ndim and len(inputs) == n else inputs
    return map_parts(inputs, lambda part: take(part, index, n))


def _take_packed(packed: PackedSequence, index: Tensor) -> PackedSequence:
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    chosen = padded[index.to(padded.device)]
    return pack_padded_sequence(chosen, lengths[index.cpu()], batch_first=True, enforce_sorted=False)


def join(batches: Sequence[Any]) -> Any:
    """Batches of one form as one batch; parts without rows are those of the first."""
    first = batches[0]
    if isinstance(first, PackedSequence):
        sequences = [sequence for packed in batches for sequence in unpack_sequence(packed)]
        return pack_sequence(sequences, enforce_sorted=False)
    if isinstance(first, Tensor):
        return torch.cat(list(batches)) if first.ndim else first
    columns = zip(*([part for _, part in parts(batch)] for batch in batches), strict=True)
    return map_parts(first, lambda _part: join(next(columns)))


def copy_of(inputs: Any) -> Any:
    """The inputs with a copy of every tensor, so that what a model writes does not reach the caller's."""
    return map_tensors(inputs, _clone)


def _clone(tensor: Tensor) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        return tensor
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def map_tensors(value: Any, change: Callable[[Tensor], Tensor], done: dict[int, Any] | None = None) -> Any:
    """The same form with every tensor changed; a part that stands in several places is changed once."""
    done = {} if done is None else done
    if id(value) not in done:
        if isinstance(value, Tensor):
            done[id(value)] = change(value)
        else:
            done[id(value)] = map_parts(value, lambda part: map_tensors(part, change, done))
    return done[id(value)]


def map_parts(value: Any, change: Callable[[Any], Any]) -> Any:
    """A compound value of the same class with every part changed; anything else as it is."""
    if isinstance(value, PackedSequence):
        return _with_data(value, change(value.data))
    if isinstance(value, Mapping):
        return _map_values(value, change)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(change(part) for part in value))
    if isinstance(value, (tuple, list)):
        return type(value)(change(part) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        twin = copy.copy(value)
        for field in dataclasses.fields(value):
            if hasattr(value, field.name):  # object's own setattr: the dataclass may be frozen
                object.__setattr__(twin, field.name, change(getattr(value, field.name)))
        return twin
    return value


def _with_data(packed: PackedSequence, data: Tensor) -> PackedSequence:
    """A packed sequence of the same lengths, its indices where its data are."""
    indices = (packed.sorted_indices, packed.unsorted_indices)
    return PackedSequence(data, packed.batch_sizes, *(None if i is None else i.to(data.device) for i in indices))


def _map_values(value: Mapping[Any, Any], change: Callable[[Any], Any]) -> Any:
    """A mapping of the same class: transformers' batches are also read by attribute."""
    twin: Any = copy.copy(value)
    if not hasattr(twin, "__setitem__"):
        return {key: change(part) for key, part in value.items()}
    if hasattr(twin, "data") and isinstance(twin.data, dict):  # a UserDict's shallow copy may share its dictionary
        twin.data = dict(twin.data)
    for key, part in value.items():
        twin[key] = change(part)
    return twin
