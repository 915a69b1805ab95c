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

from unbend._one_line import in_one_line
from unbend.errors import DataError
from unbend.load.labels import coding, column, facts, refuse, total

_CHUNK = 1 << 22
"""Values tested at once, so that the test needs little memory beside the data."""

IGNORED = -100
"""A label that says that its position has none, as in torch's losses."""
Pair: TypeAlias = tuple[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Samples and labels, with the test part where the source has one.

    Numbers are as they were in the source, also their dtype: to cast them to the dtype of a model, and to
    flatten images `[n, 28, 28]` for a first layer that is linear, is the business of whoever runs the model.

    Attributes:
        x: Tensor `[n, ...]`, a Dataset, a DataLoader, or a dict of tensors (Hugging Face inputs).
        y: int64 class indices, or float targets `[n]` or `[n, t]`, or these at positions of each row; None when `x` is
            a Dataset or a DataLoader, which give pairs.
        held_out: the test part; None when the source has none.
        class_names: in the order of the class indices, or of several yes/no labels; empty for targets and for classes
            without names.
        name: what the page calls it.
        source: where it came from, what was done to its numbers, and its licence where that is known.
        groups: the group of each row (a patient, a prompt), which a split keeps on one side; None for none.
        column_names: of the samples, where they are rows of a table; empty where columns have no names.
    """

    x: Any
    y: Int64[Tensor, "n *p"] | Float[Tensor, "n *t"] | None
    held_out: Data | None = None
    class_names: tuple[str, ...] = ()
    name: str = ""
    source: str = ""
    groups: Any = None
    column_names: tuple[str, ...] = ()

    __repr__ = in_one_line


def from_arrays(
    name: str, train: Pair, *, test: Pair | None = None, class_names: tuple[str, ...] = (), source: str = ""
) -> Data:
    """Checked `Data` from pairs of samples and labels (arrays, tensors, lists; samples also dicts of those).

    Labels are read by their values alone, as `load.labels.coding` tells; `source` says what was decided.

    Raises:
        DataError: no rows, another number of labels than rows, NaN or infinite values, labels that are
            neither classes nor targets, a test part of another shape.
    """
    parts = [train] if test is None else [train, test]
    where = ["x", "test x"]
    xs = [samples(f"{name}: {place}", x) for place, (x, _) in zip(where, parts, strict=False)]
    raw = [column(f"{name}: {place[:-1]}y", y) for place, (_, y) in zip(where, parts, strict=False)]
    for place, x, y in zip(where, xs, raw, strict=False):
        check_lengths(f"{name}: {place}", x, y)
    if test is not None:
        _check_alike(name, *xs)
    for place, y in zip(where, raw, strict=False):
        check_labels(f"{name}: {place[:-1]}y", y)
    ys, names, note = _labels(name, raw, class_names)
    told = ". ".join(part for part in (source.rstrip("."), note.rstrip(".")) if part)
    held_out = None if test is None else Data(xs[1], ys[1], None, names, f"{name}, test part", told)
    return Data(xs[0], ys[0], held_out, names, name, told)


def samples(where: str, x: Any) -> Any:
    """A checked tensor, or a dict or tuple of them: several inputs.

    Raises:
        DataError: no rows, no numbers, NaN or infinite values.
    """
    if isinstance(x, dict):
        if not x:
            raise DataError(f"{where}: the dict of inputs is empty.")
        return {key: _finite(f"{where}[{key!r}]", tensor(where, part)) for key, part in x.items()}
    if isinstance(x, tuple) and x and all(isinstance(part, Tensor | np.ndarray) and part.ndim for part in x):
        return tuple(_finite(f"{where}[{i}]", tensor(where, part)) for i, part in enumerate(x))
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
    refuse(where, torch.cat(bad), "a NaN or infinite value", "Drop or fill these rows first")
    return x


def check_lengths(where: str, x: Any, y: np.ndarray) -> None:
    """Refuse samples and labels that are not equally many."""
    parts = x if isinstance(x, dict) else dict(enumerate(x)) if isinstance(x, tuple) else {"": x}
    for key, part in parts.items():
        at = where if key == "" else f"{where}[{key!r}]"
        if y.ndim == 0 or len(part) != len(y):
            labels = f"{len(y):,} labels" if y.ndim else "one single label"
            raise DataError(f"{at}: {len(part):,} rows, but {labels}. Give one label per row.")


def _check_alike(name: str, train: Any, test: Any) -> None:
    """The two parts must be rows of the same kind."""
    if not (isinstance(train, Tensor) and isinstance(test, Tensor)):
        return
    if train.shape[1:] != test.shape[1:]:
        shapes = f"[n, {str(list(train.shape[1:]))[1:]} and [n, {str(list(test.shape[1:]))[1:]}"
        raise DataError(f"{name}: the training and the test part have different shapes, {shapes}.")


def check_labels(where: str, y: np.ndarray) -> None:
    """Refuse labels that are missing or negative.

    -1 stands for a class where there is nothing but -1 and 1, and -100 for a position without a label.
    """
    kind, rows = y.dtype.kind, y.reshape(len(y), -1)
    if kind == "f":
        bad = torch.from_numpy(~np.isfinite(rows).all(axis=1))
        refuse(where, bad, "a missing (NaN or infinite) label", "Drop these rows first")
    if kind == "U":
        bad = torch.from_numpy((np.char.strip(rows) == "").any(axis=1))
        refuse(where, bad, "an empty label", "Drop these rows first")
    if kind == "i" and not bool((abs(rows) == 1).all()):
        rows = np.where(rows == IGNORED, 0, rows) if y.ndim > 1 else rows
        ignored = f", and {IGNORED} says that a position has none" if y.ndim > 1 else ""
        advice = f"Class indices start at 0{ignored}; give targets of a regression as floats, or labels as strings"
        refuse(where, torch.from_numpy((rows < 0).any(axis=1)), "a negative label", advice)


def _labels(
    name: str, raw: list[np.ndarray], class_names: tuple[str, ...]
) -> tuple[list[Tensor], tuple[str, ...], str]:
    """Labels of all parts in one coding, the class names, and what to tell about the coding."""
    kinds = {"b": "i", "u": "i"}
    if len({kinds.get(y.dtype.kind, y.dtype.kind) for y in raw}) > 1:
        raise DataError(f"{name}: labels are {' in one part and '.join(str(y.dtype) for y in raw)} in the other.")
    if all(_is_per_position(y) for y in raw):
        return [tensor(f"{name}: y", y) for y in raw], class_names, ""
    found = coding(f"{name}: y", total([facts(f"{name}: y", y) for y in raw]), class_names=class_names)
    return [found(y) for y in raw], found.class_names, found.note


def _is_per_position(y: np.ndarray) -> bool:
    """Whether labels can only stand at positions of a row: only the model's output tells at which."""
    is_column = y.ndim == 2 and (y.dtype.kind not in "iu" or bool(((y == 0) | (y == 1)).all()))
    return y.ndim > 1 and not is_column and y.dtype.kind in "biuf"
