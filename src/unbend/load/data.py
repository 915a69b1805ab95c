"""A data set from one line of text.

In: a bundled name, a path, or `file.py:name`. Out: `Data`. Which reader to take is decided here by
the line and the file's name alone; what stands in the file is the reader's business.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unbend.errors import DataError, LoadError
from unbend.load import python
from unbend.load.arrays import by_name, npy, npz
from unbend.load.dataset import Data, from_arrays
from unbend.load.guard import check_file
from unbend.load.idx import folder
from unbend.load.shipped import bundled_names, read
from unbend.load.table import SUFFIXES, table
from unbend.load.wording import beside, readable, suggest

__all__ = ["Data", "bundled_names", "data"]

_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib")
_LABEL_KEYS = ("labels", "label", "y")


def data(spec: str, *, label: str | None = None, group: str | None = None) -> Data:
    """The data set that `spec` names.

    Args:
        spec: a bundled name (`bundled_names()`; a path of the same name is written `./digits`); an `.npz`; a pair
            `x.npy,y.npy` or an `.npy` with its sibling; a folder of IDX files; a `.csv`, `.tsv` or
            `.parquet`; `file.py:name` or `package.module:name` giving `Data`, a Dataset, a DataLoader, a pair
            (x, y), a dict of tensors with `labels`, or a zero-argument factory of these. That form runs the
            file's code.
        label: the column of a table that holds the labels.
        group: the column of a table that names the group of each row, such as a patient.

    Raises:
        LoadError: the line names nothing that can be opened.
        DataError: what it names cannot be measured: no rows, NaN, labels that do not fit.
        MissingExtraError: a table, without pandas.

    Example:
        >>> data("iris").x.shape, data("iris").class_names
        (torch.Size([150, 4]), ('setosa', 'versicolor', 'virginica'))
    """
    for what, column in (("label", label), ("group", group)):
        if column is not None and not is_table(spec):
            raise LoadError(f"{spec}: a {what} column is for tables ({', '.join(SUFFIXES)}) only. Leave --{what} out.")
    if spec in bundled_names():
        return read(spec)
    if python.is_code(spec):
        return _from_code(spec)
    with readable(spec):
        return _from_disk(spec, label, group)


def is_table(spec: str) -> bool:
    """Whether a line names a table, whose columns can be labels and groups."""
    return spec.lower().endswith(SUFFIXES)


def _from_disk(spec: str, label: str | None, group: str | None) -> Data:
    if spec.lower().count(".npy") == 2 and "," in spec:
        first, _, second = spec.partition(",")
        return npy(Path(first.strip()).expanduser(), Path(second.strip()).expanduser())
    path = _existing(spec)
    if path.is_dir():
        return folder(path)
    check_file(path)
    return table(path, label, group) if is_table(spec) else _from_file(path)


def _existing(spec: str) -> Path:
    path = Path(spec).expanduser()
    if path.exists() or path.is_symlink():  # a link that leads nowhere or in a circle: its reader says so
        return path
    if path.suffix or path.parent != Path():
        raise LoadError(f"{spec}: no such file or folder. {suggest(path.name, beside(path), where='Its folder')}")
    known = suggest(path.name, [*bundled_names(), *beside(path)], where="This place")
    raise LoadError(f"{spec}: no bundled data set, file or folder of that name. {known}")


def _from_file(path: Path) -> Data:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return npz(path)
    if suffix == ".npy":
        return npy(path)
    if suffix in _PICKLES:
        message = "is a pickled archive, which unbend does not open as data: that would run its code"
        raise LoadError(f"{path}: {message}. Save arrays with numpy.savez, or give file.py:name that loads it.")
    kinds = ".npz, .npy, .csv, .tsv, .parquet, a folder of IDX files, or file.py:name"
    raise LoadError(f"{path}: no reader for {suffix or 'files without a suffix'}. Expected {kinds}.")


def _from_code(spec: str) -> Data:
    """What the user's code gives, as `Data`."""
    found = python.value(spec, is_ready=_is_data)
    name = spec.rpartition(":")[2]
    if isinstance(found, Data):
        return _check(replace(found, name=found.name or name, source=found.source or spec))
    if isinstance(found, dict):
        return _from_dict(spec, found)
    if _is_set(found):
        return _from_set(spec, found)
    if not isinstance(found, tuple | list) or len(found) != 2:
        kinds = "Data, a Dataset, a DataLoader, a pair (x, y), a dict of tensors, or a function giving one"
        raise DataError(f"{spec}: expected {kinds}, got {_words(found)}.")
    if all(map(_is_set, found)):
        return replace(_from_set(spec, found[0]), held_out=_from_set(spec, found[1]))
    return replace(from_arrays(spec, (found[0], found[1]), source=spec), name=name)


def _check(given: Data) -> Data:
    """The user's own `Data`, with its tensors checked as those from files are."""
    test = given.held_out
    if _is_set(given.x) or (test is not None and _is_set(test.x)):
        return given
    pair = None if test is None else (test.x, test.y)
    names, source = given.class_names, given.source
    found = from_arrays(given.name, (given.x, given.y), test=pair, class_names=names, source=source)
    return replace(found, groups=given.groups, column_names=given.column_names)


def _is_set(x: object) -> bool:
    return isinstance(x, Dataset | DataLoader)


def _is_data(found: object) -> bool:
    return isinstance(found, Data | Dataset | DataLoader | dict | tuple | list | Tensor | np.ndarray)


def _words(found: object) -> str:
    if isinstance(found, tuple | list):
        return f"a {type(found).__name__} of {len(found)}"
    one = " alone, without labels" if isinstance(found, Tensor | np.ndarray) else ""
    return f"{type(found).__name__}{one}"


def _from_dict(spec: str, found: dict[Any, Any]) -> Data:
    """Samples and labels by the names an `.npz` would have, or inputs by name with the labels among them."""
    arrays = {str(key): part for key, part in found.items()}
    if pair := by_name(spec, arrays, source=spec):
        return replace(pair, name=spec.rpartition(":")[2])
    key = next((key for key in _LABEL_KEYS if key in arrays), None)
    if key is None:
        held = ", ".join(arrays) or "nothing"
        raise DataError(f"{spec}: expected a dict of inputs with 'labels' among them. It has: {held}.")
    inputs = {name: part for name, part in arrays.items() if name != key}
    return replace(from_arrays(spec, (inputs, arrays[key]), source=spec), name=spec.rpartition(":")[2])


def _from_set(spec: str, found: Any) -> Data:
    """A Dataset or DataLoader as it is, with the class names that torchvision and others leave on it."""
    inner: Any = found.dataset if isinstance(found, DataLoader) else found
    if hasattr(inner, "__len__") and len(inner) == 0:
        raise DataError(f"{spec}: the data set is empty.")
    classes = getattr(inner, "classes", ())
    names = tuple(map(str, classes)) if isinstance(classes, list | tuple) else ()
    return Data(found, None, None, names, spec.rpartition(":")[2], spec)
