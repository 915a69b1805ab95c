"""Which classes a file may name, and what their fields may hold.

A file names classes by short names. Only names in `classes()` are ever looked up: the values of a study, and
every State and Result that is registered. Nothing is imported because a file says so.
"""

from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from unbend.numerics.gradient import GradientState
from unbend.numerics.state import MEASURES, HeldOut
from unbend.study import network  # noqa: F401  registers what spans layers
from unbend.study.across import ACROSS
from unbend.study.compare import Comparison
from unbend.study.values import Study

FORMAT = "unbend study"
SCHEMA = 2
"""Raised when an older unbend would misread a newer file."""

FORMER = {"Planes": "Projections", "Flow": "PlaneFlow"}
"""Short names in older files → the class of that shape now."""
ARRAYS_NOW = frozenset({"SampleState"})
"""Classes that held tensors in files of schema 1 and hold arrays now."""
FORMER_FIELDS = {"View": {"fold": "sketch"}}
"""Class → names of its fields in older files → their names now."""


def classes() -> dict[str, type]:
    """The dataclasses a file may name, by short name.

    Example:
        >>> classes()["Study"].__module__
        'unbend.study.values'
    """
    needs = (need.state if isinstance(need, HeldOut) else need for m in MEASURES.values() for need in m.needs)
    results = (result_of(name) for name in MEASURES)
    return reachable(Study, GradientState, Comparison, *(entry.kind for entry in ACROSS.values()), *needs, *results)


def reachable(*roots: Any) -> dict[str, type]:
    """The dataclasses that annotations lead to, by short name: themselves, and those their fields hold."""
    found: dict[str, type] = {}
    left = list(roots)
    while left:
        hint = left.pop()
        if not (isinstance(hint, type) and is_dataclass(hint)):
            left.extend(get_args(hint))
        elif name_of(hint) not in found:
            found[name_of(hint)] = hint
            left.extend(hints(hint).values())
    return found


def result_of(measure: str) -> Any:
    """What a registered measure says it returns; Any for one that is not registered or does not say."""
    if measure not in MEASURES:
        return Any
    try:
        return get_type_hints(MEASURES[measure].finish).get("return", Any)
    except NameError:  # a class defined inside a function, under postponed annotations
        return Any


def name_of(kind: type) -> str:
    """The short name of a class: its own within unbend, with its module elsewhere."""
    return kind.__name__ if is_own(kind) else f"{kind.__module__}.{kind.__qualname__}"


def is_own(kind: type) -> bool:
    """Whether a class is unbend's."""
    return kind.__module__.partition(".")[0] == "unbend"


def hints(kind: type) -> dict[str, Any]:
    """What each field of a dataclass may hold; Any where its annotation cannot be resolved."""
    try:
        return get_type_hints(kind)
    except NameError:
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what an annotation says; integers may stand for floats.

    Example:
        >>> fits((1, 2.5), tuple[float, float]), fits("1", int)
        (True, False)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is dict:
        key, entry = inner
        return isinstance(value, dict) and all(fits(k, key) and fits(v, entry) for k, v in value.items())
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin is tuple:
        return isinstance(value, tuple) and _fits_each(value, inner)
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) and hint is not Any else True


def _fits_each(values: tuple[Any, ...], inner: tuple[Any, ...]) -> bool:
    if len(inner) == 2 and inner[1] is ...:
        return all(fits(v, inner[0]) for v in values)
    return len(values) == len(inner) and all(map(fits, values, inner))
