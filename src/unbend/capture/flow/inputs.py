"""The tensors in a model's inputs, whatever they are nested in, each with how it is reached; and a copy of all of them.

In: a tensor, sequences, mappings, dataclasses, packed sequences of tensors. Out: names such as `input`, `input[0]`,
`input['x']`, `input.ids`.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


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


def copy_of(inputs: Any, done: dict[int, Any] | None = None) -> Any:
    """The inputs with a copy of every tensor, so that what a model writes does not reach the caller's."""
    done = {} if done is None else done
    if id(inputs) not in done:
        done[id(inputs)] = _copy_of(inputs, done)
    return done[id(inputs)]


def _copy_of(value: Any, done: dict[int, Any]) -> Any:  # noqa: PLR0911  one line per container
    if isinstance(value, nn.Parameter):
        return value
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, PackedSequence):
        return value._replace(data=copy_of(value.data, done))
    if isinstance(value, Mapping):
        return _copy_of_mapping(value, done)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(copy_of(part, done) for part in value))
    if isinstance(value, (tuple, list)):
        return type(value)(copy_of(part, done) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        twin = copy.copy(value)
        for field in dataclasses.fields(value):
            if hasattr(value, field.name):  # object's own setattr: the dataclass may be frozen
                object.__setattr__(twin, field.name, copy_of(getattr(value, field.name), done))
        return twin
    return value


def _copy_of_mapping(value: Mapping[Any, Any], done: dict[int, Any]) -> Any:
    """A mapping of the same class: transformers' batches are also read by attribute."""
    twin: Any = copy.copy(value)
    if not hasattr(twin, "__setitem__"):
        return {key: copy_of(part, done) for key, part in value.items()}
    if hasattr(twin, "data") and isinstance(twin.data, dict):  # a UserDict's shallow copy may share its dictionary
        twin.data = dict(twin.data)
    for key, part in value.items():
        twin[key] = copy_of(part, done)
    return twin
