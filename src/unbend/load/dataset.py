"""`Data`, and the one way from arrays to it.

In: arrays as a reader found them. Out: `Data` with tensors that were checked: as many labels as
rows, no NaN, labels that are classes or targets. Must not know files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unbend.errors import DataError

_CHUNK = 1 << 22
"""Values tested at once, so that the test needs little memory beside the data."""

Pair: TypeAlias = tuple[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Samples and labels, with the test part where the source has one.

    Numbers are as they were in the source, also their dtype: to cast them to the dtype of a model, and to
    flatten images `[n, 28, 28]` for a first layer that is linear, is the business of whoever runs the model.

    Attributes:
        x: Tensor `[n, ...]`, a Dataset, a DataLoader, or a dict of tensors (Hugging Face inputs).
        y: int64 class indices, or float targets `[n]` or `[n, t]`; None when `x` is a Dataset or a
            DataLoader, which give pairs.
        held_out: the test part; None when the source has none.
        class_names: in the order of the class indices; empty for targets and for classes without names.
        name: what the page calls it.
        source: where it came from, what was done to its numbers, and its licence where that is known.
    """

    x: Any
    y: Int64[Tensor, "n"] | Float[Tensor, "n *t"] | None
    held_out: Data | None = None
    class_names: tuple[str, ...] = ()
    name: str = ""
    source: str = ""


def from_arrays(
    name: str, train: Pair, *, test: Pair | None = None, class_names: tuple[str, ...] = (), source: str = ""
) -> Data:
    """Checked `Data` from pairs of samples and labels (arrays, tensors, lists; samples also dicts of those).

    Labels: integers are class indices; strings become classes in alphabetical order; whole floats that are
    exactly 0, 1, ..., k-1 (k at most half of n) are class indices too, and `source` says so; other floats are
    targets.

    Raises:
        DataError: no rows, another number of labels than rows, NaN or infinite values, labels that are
            neither classes nor targets, a test part of another shape.
    """
    parts = [train] if test is None else [train, test]
    where = ["x", "test x"]
    xs = [_samples(f"{name}: {place}", x) for place, (x, _) in zip(where, parts, strict=False)]
    raw = [_plain(f"{name}: {place[:-1]}y", y) for place, (_, y) in zip(where, parts, strict=False)]
    for place, x, y in zip(where, xs, raw, strict=False):
        _check_lengths(f"{name}: {place}", x, y)
    if test is not None:
        _check_alike(name, *xs)
    for place, y in zip(where, raw, strict=False):
        _check_labels(f"{name}: {place[:-1]}y", y)
    ys, names, note = _labels(name, raw, class_names)
    told = ". ".join(part for part in (source.rstrip("."), note) if part)
    held_out = None if test is None else Data(xs[1], ys[1], None, names, f"{name}, test part", told)
    return Data(xs[0], ys[0], held_out, names, name, told)


def _samples(where: str, x: Any) -> Any:
    """A checked tensor, or a dict of them."""
    if isinstance(x, dict):
        if not x:
            raise DataError(f"{where}: the dict of inputs is empty.")
        return {key: _finite(f"{where}[{key!r}]", tensor(where, part)) for key, part in x.items()}
    whole = tensor(where, x)
    if whole.ndim < 2:
        hint = " For one number per row, save x[:, None]." if whole.ndim else ""
        raise DataError(f"{where}: expected shape [n, ...], got {list(whole.shape)}.{hint}")
    if whole.numel() == 0:
        raise DataError(f"{where}: is empty, shape {list(whole.shape)}. There is nothing to measure.")
    return _finite(where, whole)


def tensor(where: str, value: Any) -> Tensor:
    """The value as a tensor of its own dtype; of wide unsigned integers, the next signed one."""
    if isinstance(value, Tensor):
        return value.detach()
    array = _array(where, value)
    if array.dtype.kind in "USO":
        raise DataError(f"{where}: holds text or Python objects ({array.dtype}), and a network takes numbers.")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: expected real numbers, got {array.dtype}.")
    wide = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64, "longdouble": np.float64}
    kept = wide.get(array.dtype.name, array.dtype.newbyteorder("="))
    array = np.ascontiguousarray(array, dtype=kept).reshape(array.shape)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _array(where: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{where}: is not an array ({error}).") from error


def _finite(where: str, x: Tensor) -> Tensor:
    """`x`, after looking for NaN and infinite values a few rows at a time."""
    if not x.is_floating_point():
        return x
    step = max(1, _CHUNK // max(1, x[:1].numel()))
    bad = [~torch.isfinite(rows).flatten(1).all(1) for rows in x.reshape(len(x), -1).split(step)]
    _refuse(where, torch.cat(bad), "a NaN or infinite value", "Drop or fill these rows first")
    return x


def _refuse(where: str, bad: Tensor, what: str, advice: str) -> None:
    """A DataError with the count and the first row, when any row is bad."""
    if not bool(bad.any()):
        return
    first = int(bad.nonzero()[0])
    count = int(bad.sum())
    raise DataError(f"{where}: {count:,} of {len(bad):,} rows hold {what}, first row {first}. {advice}.")


def _check_lengths(where: str, x: Any, y: np.ndarray) -> None:
    parts = x if isinstance(x, dict) else {"": x}
    for key, part in parts.items():
        at = f"{where}[{key!r}]" if key else where
        if y.ndim == 0 or len(part) != len(y):
            labels = f"{len(y):,} labels" if y.ndim else "one single label"
            raise DataError(f"{at}: {len(part):,} rows, but {labels}. Give one label per row.")


def _check_alike(name: str, train: Any, test: Any) -> None:
    """The two parts must be rows of the same kind."""
    if isinstance(train, dict) or isinstance(test, dict):
        return
    if train.shape[1:] != test.shape[1:]:
        shapes = f"[n, {str(list(train.shape[1:]))[1:]} and [n, {str(list(test.shape[1:]))[1:]}"
        raise DataError(f"{name}: the training and the test part have different shapes, {shapes}.")


def _plain(where: str, y: Any) -> np.ndarray:
    """The labels as an array with one axis, or two for several targets."""
    if y is None:
        raise DataError(f"{where}: there are no labels.")
    if isinstance(y, Tensor):
        y = y.detach().cpu()
        y = y.float() if y.dtype == torch.bfloat16 else y
    array = _array(where, y)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _check_labels(where: str, y: np.ndarray) -> None:
    """No label may be missing or negative."""
    kind, rows = y.dtype.kind, y.reshape(len(y), -1)
    if kind == "f":
        bad = torch.from_numpy(~np.isfinite(rows).all(axis=1))
        _refuse(where, bad, "a missing (NaN or infinite) label", "Drop these rows first")
    if kind in "US":
        bad = torch.from_numpy((np.char.strip(rows) == rows.dtype.type()).any(axis=1))
        _refuse(where, bad, "an empty label", "Drop these rows first")
    if kind == "i":
        advice = "Class indices start at 0; give targets of a regression as floats, or labels as strings"
        _refuse(where, torch.from_numpy((rows < 0).any(axis=1)), "a negative label", advice)


def _labels(
    name: str, raw: list[np.ndarray], class_names: tuple[str, ...]
) -> tuple[list[Tensor], tuple[str, ...], str]:
    """Labels of all parts in one coding, the class names, and what to tell about the coding."""
    kinds = {"S": "U", "b": "i", "u": "i"}
    kind = {kinds.get(y.dtype.kind, y.dtype.kind) for y in raw}
    if len(kind) > 1:
        raise DataError(f"{name}: labels are {' in one part and '.join(str(y.dtype) for y in raw)} in the other.")
    whole = np.concatenate(raw) if len({y.shape[1:] for y in raw}) == 1 else raw[0]
    ends = [len(y) for y in raw[:-1]]
    coded, names, note = _CODINGS.get(kind.pop(), _no_coding)(f"{name}: y", whole, class_names)
    return [tensor(name, part) for part in np.split(coded, ends)], names, note


_Coded: TypeAlias = tuple[np.ndarray, tuple[str, ...], str]


def _words(where: str, y: np.ndarray, class_names: tuple[str, ...]) -> _Coded:
    """Strings become indices into the class names, or into their own alphabetical order."""
    _check_one_axis(where, y)
    found, codes = np.unique(y, return_inverse=True)
    own = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in found)
    if not class_names:
        return codes.astype(np.int64), own, ""
    if unknown := sorted(set(own) - set(class_names)):
        raise DataError(f"{where}: label {unknown[0]!r} is not among the class names {', '.join(class_names)}.")
    place = np.array([class_names.index(word) for word in own], dtype=np.int64)
    return place[codes], class_names, ""


def _indices(where: str, y: np.ndarray, class_names: tuple[str, ...]) -> _Coded:
    """Integers are class indices from 0."""
    _check_one_axis(where, y)
    top = int(y.max(initial=0))
    if top > np.iinfo(np.int64).max or (class_names and top >= len(class_names)):
        limit = f"[0, {len(class_names)})" if class_names else "int64"
        raise DataError(f"{where}: expected class indices in {limit}, got {top}.")
    return y.astype(np.int64), class_names, ""


def _floats(where: str, y: np.ndarray, class_names: tuple[str, ...]) -> _Coded:
    """Floats are targets, unless they are whole numbers 0 to k-1 as only classes are."""
    values = np.unique(y)
    k = len(values)
    if y.ndim == 2 and k == 2 and values[0] == 0 and values[1] == 1 and bool((y.sum(axis=1) == 1).all()):
        raise DataError(f"{where}: looks one-hot, shape {list(y.shape)}. Give class indices: y.argmax(axis=1).")
    if y.ndim == 1 and 2 <= k <= len(y) // 2 and np.array_equal(values, np.arange(k)):
        coded, names, _ = _indices(where, y.astype(np.int64), class_names)
        return coded, names, f"Labels 0 to {k - 1} stored as {y.dtype} are read as {k} classes"
    if class_names:
        raise DataError(f"{where}: there are class names, but the labels are {y.dtype} and not 0, 1, ..., k-1.")
    return y, (), ""


def _no_coding(where: str, y: np.ndarray, _class_names: tuple[str, ...]) -> _Coded:
    raise DataError(f"{where}: expected integers, strings or floats, got {y.dtype}.")


_CODINGS = {"U": _words, "i": _indices, "f": _floats}


def _check_one_axis(where: str, y: np.ndarray) -> None:
    if y.ndim != 1:
        advice = "If they are one-hot, give y.argmax(axis=1)."
        raise DataError(f"{where}: expected one label per row, got shape {list(y.shape)}. {advice}")
