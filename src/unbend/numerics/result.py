"""What a Result is: a frozen value with named fields that says in one line what it holds.

In: a class with annotated fields. Out: the same class as a dataclass. Results hold arrays, so they compare by identity;
they have many fields, so each is given by its name; and they are looked at in a terminal, so they print in one line.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, dataclass_transform

import numpy as np

from unbend._notebook import in_html

T = TypeVar("T")

LONGEST = 200
"""Characters of a Result in one line; what does not fit is left out at the end."""
_LONGEST_TEXT = 60
_FEW = 4


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def result(kind: type[T]) -> type[T]:
    """A class as a Result: a frozen dataclass with slots, fields by name, a `repr` of one line, a view in notebooks.

    Example:
        >>> @result
        ... class Loudest:
        ...     peak: float
        ...     of_units: np.ndarray
        >>> Loudest(peak=2.0, of_units=np.zeros((3, 8)))
        Loudest(peak=2, of_units=[3, 8])
    """
    make: Callable[[type[T]], type[T]] = dataclass(frozen=True, slots=True, eq=False, kw_only=True)
    if "__repr__" not in vars(kind):
        kind.__repr__ = in_one_line  # type: ignore[method-assign]
    if "_repr_html_" not in vars(kind):
        kind._repr_html_ = in_html  # type: ignore[attr-defined]
    return make(kind)


def in_one_line(value: Any) -> str:
    """A dataclass in one line, the numbers first, arrays by their shape; assign it as `__repr__`."""
    return one_line(type(value).__name__, {field.name: getattr(value, field.name) for field in fields(value)})


def one_line(name: str, entries: Mapping[str, Any]) -> str:
    """`name(entry=value, …)` of at most `LONGEST` characters: plain values first, then the shapes of what is large.

    Args:
        name: what stands before the bracket.
        entries: what stands inside.

    Example:
        >>> one_line("Toy", {"mean": np.zeros(3), "n": 2, "ends": (0.25, 0.5)})
        'Toy(n=2, ends=(0.25, 0.5), mean=[3])'
    """
    written = [(_is_large(value), f"{key}={_written(value)}") for key, value in entries.items()]
    line = f"{name}("
    for i, (_, part) in enumerate(sorted(written, key=lambda one: one[0])):
        more = f", {part}" if i else part
        if len(line) + len(more) + len(", …)") > LONGEST:
            return f"{line}, …)" if i else f"{line}…)"
        line += more
    return f"{line})"


def _is_large(value: Any) -> bool:
    return _shape(value) is not None or is_dataclass(value)


def _written(value: Any) -> str:
    shape = _shape(value)
    if shape is not None:
        return str(shape)
    if is_dataclass(value):
        return f"{type(value).__name__}(…)"
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))}{',' * (len(value) == 1)})"
    if isinstance(value, float | np.floating):
        return f"{float(value):.4g}"
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 2]}…{text[-1]}"


def _shape(value: Any) -> list[int] | None:
    """The lengths of an array or a collection; None for what is written out: numbers, text, a few of them together."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, Sequence):  # of arrays and of tensors
        return list(shape) if shape else None
    is_few = isinstance(value, tuple) and len(value) <= _FEW and all(_is_plain(part) for part in value)
    return [len(value)] if isinstance(value, Mapping | list | tuple | set | frozenset) and not is_few else None


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | np.generic)
