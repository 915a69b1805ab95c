"""One reading of labels, whatever they come in: words, numbers, one-hot rows, yes/no columns.

In: labels of one part or batch, as arrays, tensors, lists, Series. Out: `LabelFacts`, which add up over batches, and
from them a `Coding`: classes, yes/no labels or targets, and how every label is written as one of them. The rule is
told in `docs/labels.md`. Must not know files, models or losses: `wish` and `width` say what they say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import isnan
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.errors import DataError

Task: TypeAlias = Literal["classes", "yes/no", "targets"]
MOST_VALUES = 200_000
"""Different labels that are looked at; classes are fewer."""
_SIGNS = (-1, 1)
_SPARSE = 100
"""A class index above this, and above a hundred times the number of different labels, is no class index."""


def column(where: str, y: Any) -> Array:
    """Labels as an array of words (kind U), booleans, integers or floats; `[n, 1]` becomes `[n]`.

    Args:
        where: what an error begins with.
        y: labels of some rows.

    Raises:
        DataError: no labels, missing ones, or values that are neither words nor numbers.

    Example:
        >>> column("y", np.array(["NA", "b"], dtype=object)), column("y", torch.ones(2, 1))
        (array(['NA', 'b'], dtype='<U2'), array([1., 1.], dtype=float32))
    """
    if y is None:
        raise DataError(f"{where}: there are no labels.")
    if isinstance(y, Tensor):
        y = y.detach().cpu()
        y = y.float() if y.dtype == torch.bfloat16 else y
    try:
        found = np.asarray(y)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{where}: is not an array ({error}).") from error
    if found.dtype.kind == "O":
        found = _of_objects(where, found)
    if found.dtype.kind == "S":
        found = np.char.decode(found, "utf-8", "replace")
    is_narrow = found.ndim > 1 and len(found) > 0 and found[0].size == 1
    return found.reshape(len(found)) if is_narrow else found


def _of_objects(where: str, y: Array) -> Array:
    """An array of Python objects as one of words or numbers."""
    flat = y.ravel().tolist()
    bad = torch.tensor([_is_missing(value) for value in flat], dtype=torch.bool)
    refuse(where, bad, "a missing (None or NaN) label", "Drop these rows first")
    if all(isinstance(value, str | bytes) for value in flat):
        words = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in flat]
        return np.array(words, dtype=np.str_).reshape(y.shape)
    if all(isinstance(value, bool | int | float | np.bool_ | np.number) for value in flat):
        return np.array(flat).reshape(y.shape)
    kinds = sorted({type(value).__name__ for value in flat})
    raise DataError(f"{where}: expected words or numbers, got {' and '.join(kinds[:3])}. Give labels of one kind.")


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and isnan(value))


def refuse(where: str, bad: Tensor, what: str, advice: str) -> None:
    """A DataError with the count and the first row, when any row is bad."""
    if not bool(bad.any()):
        return
    first, count = int(bad.nonzero()[0]), int(bad.sum())
    raise DataError(f"{where}: {count:,} of {len(bad):,} rows hold {what}, first row {first}. {advice}.")


@dataclass(frozen=True, slots=True, eq=False)
class LabelFacts:
    """What is known of the labels of some rows.

    Attributes:
        n: rows.
        shape: shape of one label; () for one per row.
        kind: U for words, b, i or f for booleans, integers and floats.
        dtype: what they are stored as.
        values: the different labels, rising, for one label per row of words or whole numbers; else None.
        is_binary: whether there is nothing but 0 and 1.
        is_one_hot: whether each row also has a single 1.
    """

    n: int
    shape: tuple[int, ...]
    kind: str
    dtype: str
    values: Array | None
    is_binary: bool
    is_one_hot: bool

    def __add__(self, other: "LabelFacts") -> "LabelFacts":
        if self.shape != other.shape:
            raise DataError(f"y: a label has shape {self.shape} in some rows and {other.shape} in others.")
        kinds = {self.kind, other.kind}
        if "U" in kinds and len(kinds) > 1:
            raise DataError("y: labels are words in some rows and numbers in others. Give labels of one kind.")
        kind = next(one for one in "Ufib" if one in kinds)
        known = self.values is not None and other.values is not None
        values = _few(np.union1d(self.values, other.values)) if known else None  # type: ignore[arg-type]
        dtype = self.dtype if self.kind == kind else other.dtype
        return LabelFacts(self.n + other.n, self.shape, kind, dtype, values, self.is_binary and other.is_binary,
                          self.is_one_hot and other.is_one_hot)  # fmt: skip


def facts(where: str, y: Array) -> LabelFacts:
    """What is known of some labels.

    Raises:
        DataError: labels of a kind that cannot be read.
    """
    kind = {"u": "i"}.get(y.dtype.kind, y.dtype.kind)
    if kind not in "Ubif":
        raise DataError(f"{where}: expected integers, strings or floats, got {y.dtype}.")
    is_single = y.ndim == 1
    is_whole = kind in "Ubi" or bool((y == np.floor(y)).all())
    values = _few(np.unique(y)) if is_single and is_whole else None
    is_binary = kind != "U" and bool(((y == 0) | (y == 1)).all())
    one_hot = is_binary and y.ndim == 2 and y.shape[1] > 1 and bool((y.sum(axis=1) == 1).all())
    return LabelFacts(len(y), y.shape[1:], kind, str(y.dtype), values, is_binary, one_hot)


def _few(values: Array) -> Array | None:
    return values if len(values) <= MOST_VALUES else None


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """How labels are written for all that is measured.

    Attributes:
        task: what they are.
        n_classes: classes; 0 for yes/no labels and for targets.
        class_names: names of the classes, or of several yes/no labels, where they have names.
        values: labels in the order of their indices, for words and for -1 and 1; None where labels are indices.
        note: what was decided for the user, in a sentence; empty where nothing was.
    """

    task: Task
    n_classes: int = 0
    class_names: tuple[str, ...] = ()
    values: Array | None = None
    note: str = ""

    def __call__(self, y: Any) -> Tensor:
        """Labels as class indices int64 [n], or as targets [n] or [n, t] of floats.

        Raises:
            DataError: a label that is none.
        """
        found = column("y", y)
        if self.task != "classes":
            return _numbers(found)
        if self.values is not None:
            return self._looked_up(found, self.values)
        if found.ndim == 2:
            return torch.from_numpy(found.argmax(1))
        whole = found.astype(np.int64) if found.dtype.kind in "biuf" else np.zeros(0, np.int64)
        if len(whole) != len(found) or not np.array_equal(whole, found):
            raise DataError(
                "y: expected class indices as integers (or whole numbers), as in the first rows, got others later on. "
                "Say n_classes=0 if they are targets of a regression."
            )
        return torch.from_numpy(whole)

    def _looked_up(self, found: Array, values: Array) -> Tensor:
        place = np.searchsorted(values, found).clip(max=len(values) - 1)
        is_known = values[place] == found
        if not is_known.all():
            odd = found[~is_known][0]
            raise DataError(f"y: label {str(odd)!r} is none of {', '.join(map(str, values[:8]))}. Map it to one.")
        order = np.arange(len(values))
        if found.dtype.kind == "U" and self.class_names:
            order = np.array([self.class_names.index(str(value)) for value in values])
        return torch.from_numpy(order[place].astype(np.int64))


def _numbers(y: Array) -> Tensor:
    if y.dtype.kind == "U":
        raise DataError("y: the labels are words, and words are no targets of a regression. Leave n_classes=0 out.")
    kept = y if y.dtype.kind == "f" and y.dtype.itemsize in (2, 4, 8) else y.astype(np.float64)
    kept = np.ascontiguousarray(kept, dtype=kept.dtype.newbyteorder("="))
    return torch.from_numpy(kept if kept.flags.writeable else kept.copy())


def coding(
    where: str,
    known: LabelFacts,
    *,
    class_names: Sequence[str] = (),
    n_classes: int | None = None,
    wish: Task | None = None,
    width: int = 0,
) -> Coding:
    """What labels are, by the rule of `docs/labels.md`.

    Args:
        where: what an error begins with.
        known: of all labels.
        class_names: names of the classes, if the data set has any.
        n_classes: what the user says: 0 for targets, else the number of classes; None for nothing.
        wish: what the loss is written for; None where that is not known.
        width: numbers the model puts out for a row; 0 where that is not known.

    Raises:
        DataError: labels that fit no reading.
    """
    names = tuple(class_names)
    if len(known.shape) == 1:
        return _several(where, known, names, n_classes, wish)
    if known.shape:
        raise DataError(
            f"{where}: expected one label per row, got shape {[known.n, *known.shape]}. Labels per position (tokens, "
            "pixels) are read where they are numbers and the model's output has these positions: [n, k, *positions] or "
            "[n, *positions, k]."
        )
    if n_classes == 0 or (n_classes is None and known.kind == "f" and _is_target(known, wish, width)):
        return _targets(where, known, names, n_classes)
    if known.kind == "U":
        return _words(where, known, names)
    return _whole(where, known, names, n_classes)


def _several(where: str, known: LabelFacts, names: tuple[str, ...], n_classes: int | None, wish: Task | None) -> Coding:
    """Several numbers per row: one-hot, yes/no labels, or targets."""
    k = known.shape[0]
    if known.is_one_hot and n_classes != 0:
        return Coding("classes", max(k, n_classes or 0), names,
                      note=f"Labels are one-hot rows of {k}; they are read as {k} classes.")  # fmt: skip
    if known.is_binary and k > 1 and n_classes is None and wish != "targets":
        own = names if len(names) == k else ()
        return Coding("yes/no", class_names=own,
                      note=f"Each row has {k} labels of 0 or 1; they are read as {k} yes/no labels.")  # fmt: skip
    if known.kind == "f" or n_classes == 0:
        return Coding("targets")
    raise DataError(
        f"{where}: expected one label per row, got shape {[known.n, k]}. If they are one-hot, give y.argmax(axis=1); "
        "labels per position are not read; say n_classes=0 for several targets."
    )


def _is_target(known: LabelFacts, wish: Task | None, width: int) -> bool:
    """Whether floats are targets: by the loss, then by the width of the output, then by the values."""
    values = known.values
    if values is None or not len(values):
        return True
    k = len(values)
    is_signed = tuple(values) == _SIGNS
    if not (is_signed or np.array_equal(values, np.arange(k))):
        is_index = values[0] >= 0 and (wish == "classes" or 1 < values[-1] + 1 <= width)
        return wish == "targets" or not is_index
    if wish is not None:
        return wish == "targets"
    if width == 1 or width >= k > 1:
        return k != 2 and width == 1
    return not 2 <= k <= max(known.n // 2, 2 * is_signed)


def _targets(where: str, known: LabelFacts, names: tuple[str, ...], n_classes: int | None) -> Coding:
    if known.kind == "U":
        raise DataError(f"{where}: the labels are words, and words are no targets. Leave n_classes=0 out.")
    if names and n_classes is None:
        raise DataError(f"{where}: there are class names, but the labels are {known.dtype} and not 0, 1, ..., k-1.")
    k = 0 if known.values is None else len(known.values)
    note = ""
    if n_classes is None and 1 < k <= known.n // 2:
        note = f"Labels with {k} different whole values are read as targets; n_classes={k} makes them classes."
    return Coding("targets", note=note)


def _words(where: str, known: LabelFacts, names: tuple[str, ...]) -> Coding:
    """Words become indices into the class names, or into their own alphabetical order."""
    if known.values is None:
        raise DataError(f"{where}: there are more than {MOST_VALUES:,} different words. Those are no class names.")
    own = tuple(map(str, known.values))
    if names and (unknown := sorted(set(own) - set(names))):
        raise DataError(f"{where}: label {unknown[0]!r} is not among the class names {', '.join(names)}.")
    return Coding("classes", len(names or own), names or own, known.values)


def _whole(where: str, known: LabelFacts, names: tuple[str, ...], n_classes: int | None) -> Coding:
    """Whole numbers are class indices; -1 and 1 are two classes of these names."""
    if known.values is None:
        what = "class indices as integers" if known.kind == "f" else f"at most {MOST_VALUES:,} classes"
        raise DataError(f"{where}: expected {what}, got {'fractions' if known.kind == 'f' else 'more'}. Use y.long() "
                        "for classes, or n_classes=0 for a regression.")  # fmt: skip
    low, top = (int(known.values[0]), int(known.values[-1])) if len(known.values) else (0, 0)
    if tuple(known.values) == _SIGNS:
        own = names if len(names) == 2 else ("-1", "1")
        return Coding("classes", max(2, n_classes or 0), own, known.values, "Labels -1 and 1 are read as two classes.")
    if low < 0:
        raise DataError(
            f"{where}: expected class indices from 0, got a negative label (values from {low} to {top}). "
            "Map your labels to 0..k-1, or say n_classes=0 for a regression."
        )
    if (names and top >= len(names)) or top > np.iinfo(np.int64).max // 2:
        limit = f"[0, {len(names)})" if names else "int64"
        raise DataError(f"{where}: expected class indices in {limit}, got {top}.")
    k = max(top + 1, len(names), 1)
    if n_classes is None and top > _SPARSE and top > _SPARSE * len(known.values):
        raise DataError(
            f"{where}: expected class indices 0..k-1, got {top:,} among {len(known.values):,} different labels. Map "
            "them to 0..k-1 (numpy.unique(y, return_inverse=True)), or say n_classes=0 for a regression."
        )
    note = f"Labels 0 to {top} stored as {known.dtype} are read as {k} classes." if known.kind == "f" else ""
    return Coding("classes", k if n_classes is None else n_classes, names, note=note)


def total(parts: Sequence[LabelFacts]) -> LabelFacts:
    """The facts of all parts."""
    return reduce(lambda a, b: a + b, parts)
