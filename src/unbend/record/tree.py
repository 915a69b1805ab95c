"""A study as one JSON tree and its tensors, and back.

    dataclass           {"$type": short name, field: value, …}
    numpy array         {"$array": key, "dtype": …, "shape": […]}
    torch tensor        {"$tensor": key, "dtype": …, "shape": […]}
    tuple               [value, …]
    list                {"$list": [value, …]}
    dict                {key: value, …}, a key that starts with $ written with one more
    nan, inf, -inf      {"$float": "nan"}
    integers ≥ 2⁶³      {"$int": hexadecimal}
    the rest            as JSON has it

Equal tensors are stored once. Knows values, not files.
"""

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from hashlib import blake2b
from typing import Any, TypeAlias, get_args

import numpy as np
from jaxtyping import jaxtyped

from unbend._typing import Array, Tensor
from unbend.errors import RecordError
from unbend.record.arrays import Stock
from unbend.record.schema import ARRAYS_NOW, FORMER, FORMER_FIELDS, classes, fits, hints, is_own, name_of
from unbend.study.unknown import Unknown

Tree: TypeAlias = Any
DEEPEST = 64
"""Levels of nesting; a study has about ten."""
_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_DTYPES = {"bool", "float16", "bfloat16", "float32", "float64"} | _INTEGERS
_WIDE = 2**63
_BFLOAT16 = "torch.bfloat16"


def digest(array: Array | Tensor) -> str:
    """A hash of the bytes of a contiguous array or tensor."""
    known: Any = _bits(array) if isinstance(array, Tensor) else array
    content = known.reshape(-1).view(np.uint8) if known.size else b""
    return blake2b(content, digest_size=16).hexdigest()


def _bits(tensor: Tensor) -> Array:
    """A tensor as an array; bfloat16, which numpy lacks, as integers of the same bits."""
    import torch

    return (tensor.view(torch.int16) if tensor.dtype is torch.bfloat16 else tensor).numpy()


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Arrays by key, each content once.

    Attributes:
        tensors: contiguous arrays by key, bfloat16 as tensors.
        digests: hash of the bytes by key.
    """

    tensors: Stock = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    _keys: dict[tuple[str, ...], str] = field(default_factory=dict)

    def put(self, where: str, array: Array | Tensor) -> str:
        """The key under which an array is kept."""
        content = digest(array)
        same = (str(array.dtype), str(tuple(array.shape)), content)
        if same not in self._keys:
            key = where
            while key in self.tensors:
                key += "+"
            self._keys[same] = key
            self.tensors[key], self.digests[key] = array, content
        return self._keys[same]


def encode(value: object, stored: Stored, where: str = "", depth: int = 0) -> Tree:
    """The JSON tree of a value; its arrays and tensors are put into `stored`.

    Args:
        value: numbers, strings, None, arrays, tensors, and tuples, lists, dicts and dataclasses of those.
        stored: receives arrays and tensors.
        where: the path of the value, used as key and in messages.
        depth: how deep it is nested.

    Raises:
        RecordError: a value of any other kind.
    """
    if depth > DEEPEST:
        raise RecordError(f"{where}: nested deeper than {DEEPEST} levels. Make the Result flatter.")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < _WIDE else {"$int": hex(value)}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, np.ndarray | Tensor):
        return _reference(value, stored, where)

    def inner(part: object, name: object) -> Tree:
        return encode(part, stored, f"{where}/{name}".strip("/"), depth + 1)

    return _container(value, where, inner)


def _container(value: object, where: str, inner: Callable[[Any, Any], Tree]) -> Tree:
    if isinstance(value, tuple):
        return [inner(v, i) for i, v in enumerate(value)]
    if isinstance(value, list):
        return {"$list": [inner(v, i) for i, v in enumerate(value)]}
    if isinstance(value, dict):
        return _entries(value, where, inner)
    if isinstance(value, Unknown):
        return {"$type": value.name, **_entries(value.fields, where, inner)}
    if is_dataclass(value) and not isinstance(value, type):
        settle = getattr(value, "settle", None)
        whole = settle() if callable(settle) else value
        entries = {f.name: inner(getattr(whole, f.name), f.name) for f in fields(whole)}
        return {"$type": name_of(type(whole)), **entries}
    raise RecordError(
        f"{where}: expected numbers, strings, arrays, tensors, or tuples, dicts and dataclasses of those, "
        f"got {type(value).__name__}. Turn it into one of them in the measure."
    )


def _entries(value: dict[Any, Any], where: str, inner: Callable[[Any, Any], Tree]) -> Tree:
    strange = next((key for key in value if not isinstance(key, str)), None)
    if strange is not None:
        raise RecordError(f"{where}: expected keys that are strings, got {strange!r}. Use str(key).")
    return {"$" + key if key.startswith("$") else key: inner(v, key) for key, v in value.items()}


def _reference(value: Array | Tensor, stored: Stored, where: str) -> Tree:
    dtype = str(value.dtype).removeprefix("torch.")
    if isinstance(value, np.ndarray):
        dtype = value.dtype.newbyteorder("=").name
    if dtype not in _DTYPES:
        raise RecordError(f"{where}: values of type {dtype} cannot be saved. Use integers, bool or floats.")
    kind = "$array" if isinstance(value, np.ndarray) else "$tensor"
    return {kind: stored.put(where, _host(value)), "dtype": dtype, "shape": list(value.shape)}


def _host(value: Array | Tensor) -> Array | Tensor:
    """A contiguous array, over the same memory where that is possible; a tensor where numpy has no such type."""
    if isinstance(value, Tensor):
        tensor = value.detach().cpu().contiguous()
        return tensor if str(tensor.dtype) == _BFLOAT16 else tensor.numpy()
    return np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")).reshape(value.shape)


@dataclass(frozen=True, slots=True, eq=False)
class TreeReader:
    """Turns a tree back into values, by the classes this process knows.

    Attributes:
        tensors: arrays by key; tensors do as well.
        known: dataclasses by short name.
    """

    tensors: Stock
    known: dict[str, type] = field(default_factory=classes)

    def read(self, tree: Tree, where: str = "study", depth: int = 0) -> Any:
        """The value of a tree.

        Args:
            tree: as `encode` gives it.
            where: its path, for messages.
            depth: how deep it is nested.

        Raises:
            RecordError: anything that `encode` does not give.
        """
        if depth > DEEPEST:
            raise RecordError(f"{where}: nested deeper than {DEEPEST} levels: not a study.")
        if isinstance(tree, list):
            return tuple(self.read(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(tree))
        if not isinstance(tree, dict):
            return tree
        tags = [key for key in tree if key.startswith("$") and not key.startswith("$$")]
        if not tags:
            return self._entries(tree, where, depth)
        if len(tags) > 1:
            raise RecordError(f"{where}: expected one of {', '.join(tags)}, got them all: a damaged study.")
        return self._read_tagged(tags[0], tree, where, depth)

    def _read_tagged(self, tag: str, tree: Tree, where: str, depth: int) -> Any:
        content = tree[tag]
        if tag == "$type" and isinstance(content, str):
            rest = {key: v for key, v in tree.items() if key != tag}
            rest = _with_arrays(rest) if content in ARRAYS_NOW else rest
            return self._dataclass(content, self._entries(rest, where, depth), where)
        if tag in ("$array", "$tensor") and isinstance(content, str):
            stored = self._array(tree, content, where)
            return _tensor(stored) if tag == "$tensor" else _array(stored, where)
        if len(tree) == 1 and tag == "$list" and isinstance(content, list):
            return list(self.read(content, where, depth))
        if len(tree) == 1 and tag == "$float" and content in ("nan", "inf", "-inf"):
            return float(content)
        if len(tree) == 1 and tag == "$int" and isinstance(content, str):
            return _wide(content, where)
        raise RecordError(f"{where}: expected a value, got a wrong mark {tag[:40]!r}: a damaged study.")

    def _entries(self, tree: Tree, where: str, depth: int) -> dict[str, Any]:
        return {key.removeprefix("$"): self.read(v, f"{where}.{key}", depth + 1) for key, v in tree.items()}

    def _array(self, tree: Tree, key: str, where: str) -> Array | Tensor:
        if key not in self.tensors:
            raise RecordError(f"{where}: the tensor {key!r} is missing from the file: a damaged study.")
        stored = self.tensors[key]
        found = {"dtype": str(stored.dtype).removeprefix("torch."), "shape": list(stored.shape)}
        said = {name: tree.get(name) for name in found}
        if said != found:
            raise RecordError(f"{where}: expected {said}, got a tensor of {found}: a damaged study.")
        return stored

    def _dataclass(self, name: str, values: dict[str, Any], where: str) -> Any:
        kind = self.known.get(name, self.known.get(FORMER.get(name, "")))
        if kind is None:
            return Unknown(name, values)
        former = FORMER_FIELDS.get(kind.__name__, {}) if is_own(kind) else {}
        if not set(former.values()) & values.keys():
            values = {former.get(field, field): value for field, value in values.items()}
        wrong = _misfit(kind, values)
        if wrong is None:
            return kind(**values)
        if not is_own(kind):
            return Unknown(name, values)
        raise RecordError(f"{where}: {wrong}: a damaged study, or one of another version.")


def _tensor(stored: Array | Tensor) -> Tensor:
    import torch

    return stored if isinstance(stored, Tensor) else torch.from_numpy(stored)


def _array(stored: Array | Tensor, where: str) -> Array:
    if not isinstance(stored, Tensor):
        return stored
    if str(stored.dtype) == _BFLOAT16:
        raise RecordError(f"{where}: an array cannot be bfloat16: a damaged study.")
    return stored.numpy()


def _with_arrays(tree: Tree) -> Tree:
    """A tree with arrays for its tensors."""
    if isinstance(tree, list):
        return [_with_arrays(part) for part in tree]
    if not isinstance(tree, dict):
        return tree
    return {"$array" if key == "$tensor" else key: _with_arrays(part) for key, part in tree.items()}


def _wide(text: str, where: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise RecordError(f"{where}: expected a hexadecimal integer, got {text[:40]!r}.") from None


def _misfit(kind: type, values: dict[str, Any]) -> str | None:
    """Why these fields do not make that class; None when they do. Axis letters bind across its fields."""
    known = {f.name: f for f in fields(kind)}
    lacking = [n for n, f in known.items() if n not in values and f.default is f.default_factory is MISSING]
    strange = [n for n in values if n not in known]
    if lacking or strange:
        return f"{kind.__name__} lacks {lacking}" if lacking else f"{kind.__name__} has no {strange[0]!r}"
    expected = hints(kind)
    with jaxtyped("context"):
        for name, value in values.items():
            hint = expected.get(name, Any)
            arrays = [one for one in (hint, *get_args(hint)) if isinstance(one, type) and one is not Any]
            # once more, here: an axis letter binds in this context, not in that of a checked function
            binds = not hasattr(value, "shape") or not arrays or any(isinstance(value, one) for one in arrays)
            if not (fits(value, hint) and binds):
                said = getattr(hint, "__name__", hint)
                return f"{kind.__name__}.{name}: expected {said}, got {_words(value)}"
    return None


def _words(value: object) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of shape {tuple(shape)}"
