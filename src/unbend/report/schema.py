"""The JSON that commands print, described: a JSON schema made from the annotations of what is printed.

In: the types of values. Out: a schema, as plain dicts; `plain` gives what it describes. Must not know the commands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np

from unbend.numerics.state import MEASURES
from unbend.record.schema import result_of
from unbend.report.text import meanings
from unbend.study import network  # noqa: F401  registers what spans layers
from unbend.study.across import ACROSS
from unbend.study.values import Layer, Study

Schema: TypeAlias = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LEFT_OUT = {(Study, "sums")}
"""What `plain` leaves out."""
_SIMPLE: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},  # null is what JSON has for NaN and infinity
    str: {"type": "string"},
    NoneType: {"type": "null"},
    Any: {},
    np.ndarray: {"type": "array"},
}
_ELEMENTS: dict[str, Schema] = {
    "float": {"type": ["number", "null"]}, "int": {"type": "integer"}, "uint": {"type": "integer"},
    "bool": {"type": "boolean"},
}  # fmt: skip


def json_schema(title: str, roots: Mapping[str, Any]) -> Schema:
    """The schema of several values, any of which a text may hold.

    Args:
        title: what the texts are.
        roots: name under `$defs` → type of a value.
    """
    definitions: Schema = {}
    whole = {name: _schema(hint, definitions) for name, hint in roots.items()}
    return {
        "$schema": DIALECT,
        "title": title,
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in whole],
        "$defs": whole | dict(sorted(definitions.items())),
    }


def _schema(hint: Any, definitions: Schema) -> Schema:
    """What a value of that type looks like; classes are described once, in the definitions."""
    if isinstance(hint, type) and (is_dataclass(hint) or is_typeddict(hint)):
        return _reference(hint, definitions)
    if hasattr(hint, "dim_str"):  # of jaxtyping
        return _nest(hint)
    if get_origin(hint) is not None:
        return _compose(get_origin(hint), get_args(hint), definitions)
    return dict(_SIMPLE.get(hint, {}))


def _compose(origin: Any, inner: tuple[Any, ...], definitions: Schema) -> Schema:
    """What a value of a type made of others looks like."""
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, UnionType):
        return _any_of([_schema(one, definitions) for one in inner])
    if origin is tuple and not (len(inner) == 2 and inner[1] is ...):
        parts = [_schema(one, definitions) for one in inner]
        return {"type": "array", "prefixItems": parts, "items": False, "minItems": len(parts)}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema(inner[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(inner[1], definitions)}
    return {}


def _any_of(parts: Sequence[Schema]) -> Schema:
    """Any of some schemas; one alone stands for itself, and plain types stand together."""
    if all(part.keys() == {"type"} for part in parts):
        kinds = [kind for part in parts for kind in np.atleast_1d(part["type"]).tolist()]
        return {"type": list(dict.fromkeys(kinds))}
    return {"anyOf": list(parts)}


def _nest(hint: Any) -> Schema:
    """An array, as lists in lists."""
    kinds = {dtype.rstrip("0123456789") for dtype in hint.dtypes} if isinstance(hint.dtypes, Sequence) else set()
    found = dict(_ELEMENTS.get(next(iter(kinds)), {})) if len(kinds) == 1 else {}
    if "*" in hint.dim_str or "..." in hint.dim_str:
        return {"type": "array"}
    for _ in hint.dim_str.split():
        found = {"type": "array", "items": found}
    return found


def _reference(kind: Any, definitions: Schema) -> Schema:
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}  # of a class that holds itself
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(hints)
        kept = [each for each in names if (kind, each) not in _LEFT_OUT]
        said = meanings(kind.__doc__ or "")
        parts = {each: _describe(_field(kind, each, hints[each], definitions), said.get(each)) for each in kept}
        definitions[name] = {
            "type": "object", "description": (kind.__doc__ or "").strip().partition("\n")[0], "properties": parts,
            "required": kept, "additionalProperties": False,
        }  # fmt: skip
    return {"$ref": f"#/$defs/{name}"}


def _field(kind: Any, name: str, hint: Any, definitions: Schema) -> Schema:
    """A field; Results by name have the schema of each that is registered, and others may stand beside them."""
    by_name: dict[str, Any] | None = None
    if kind is Layer and name in {"results", "twin"}:
        by_name = {measure: result_of(measure) for measure in MEASURES}
    elif kind is Study and name == "across":
        by_name = {key: entry.kind for key, entry in ACROSS.items()}
    if by_name is None:
        return _schema(hint, definitions)
    parts = {key: _any_of([_schema(one, definitions), {"type": "null"}]) for key, one in by_name.items()}
    return {"type": "object", "properties": parts}


def _describe(schema: Schema, said: str | None) -> Schema:
    return {**schema, "description": said} if said else schema
