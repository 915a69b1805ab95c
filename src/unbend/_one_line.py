"""How values print: the name of the class and what it holds, in one line, however large that is.

In: a dataclass. Out: one line. Must not know which values there are, nor import what arrays are made with: what lists
the lab or the course prints by this too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

LONGEST = 200
"""Characters of a value in one line; what does not fit is left out at the end."""
_LONGEST_TEXT = 60
_FEW = 4


def in_one_line(value: Any) -> str:
    """A dataclass in one line, the numbers first, arrays by their shape; assign it as `__repr__`."""
    return one_line(type(value).__name__, {field.name: getattr(value, field.name) for field in fields(value)})


def one_line(name: str, entries: Mapping[str, Any]) -> str:
    """`name(entry=value, …)` of at most `LONGEST` characters: plain values first, then the shapes of what is large.

    Args:
        name: what stands before the bracket.
        entries: what stands inside.

    Example:
        >>> import numpy as np
        >>> one_line("Toy", {"mean": np.zeros(3), "n": 2, "ends": (0.25, 0.5)})
        'Toy(n=2, ends=(0.25, 0.5), mean=[3])'
    """
    written = [(_is_large(value), f"{key}={_write_value(value)}") for key, value in entries.items()]
    line = f"{name}("
    for i, (_, part) in enumerate(sorted(written, key=lambda one: one[0])):
        more = f", {part}" if i else part
        if len(line) + len(more) + len(", …)") > LONGEST:
            return f"{line}, …)" if i else f"{line}…)"
        line += more
    return f"{line})"


def _is_large(value: Any) -> bool:
    return _shape(value) is not None or is_dataclass(value)


def _write_value(value: Any) -> str:
    shape = _shape(value)
    if shape is not None:
        return str(shape)
    if is_dataclass(value):
        return f"{type(value).__name__}(…)"
    if isinstance(value, tuple):
        return f"({', '.join(map(_write_value, value))}{',' * (len(value) == 1)})"
    value = _as_plain(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    text = repr(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 2]}…{text[-1]}"


def _shape(value: Any) -> list[int] | None:
    """The lengths of an array or a collection; None for what is written out: numbers, text, a few of them together."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, Sequence):  # of arrays and of tensors
        return list(shape) if shape else None
    is_few = isinstance(value, tuple) and len(value) <= _FEW and all(_is_plain(part) for part in value)
    return [len(value)] if isinstance(value, Mapping | list | tuple | set | frozenset) and not is_few else None


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(_as_plain(value), bool | int | float)


def _as_plain(value: Any) -> Any:
    """One number of an array as Python's own."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
