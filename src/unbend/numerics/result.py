"""What a Result is: a frozen value with named fields that says in one line what it holds.

In: a class with annotated fields. Out: the same class as a dataclass. Results hold arrays, so they compare by identity;
they have many fields, so each is given by its name; and they are looked at in a terminal, so they print in one line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

from unbend._notebook import in_html
from unbend._one_line import in_one_line

__all__ = ["result"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def result(kind: type[T]) -> type[T]:
    """A class as a Result: a frozen dataclass with slots, fields by name, a `repr` of one line, a view in notebooks.

    Example:
        >>> import numpy as np
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
