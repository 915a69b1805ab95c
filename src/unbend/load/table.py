"""Tables with a header: `.csv`, `.tsv`, `.parquet`.

In: a path and the name of the label column. Out: `Data`, one row per row, every other column a feature.
"""

import gzip
import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unbend._names import first_few
from unbend.errors import DataError, LoadError, MissingExtraError
from unbend.load.dataset import Data, from_arrays
from unbend.load.guard import DEFLATED, check_file, check_size, memory, parsing
from unbend.load.wording import one_line, suggest

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".parquet")
MOST_CLASSES = 100
"""Whole numbers in a label column with more different values than this are targets of a regression."""


_NO_NUMBER = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "?", "."})
"""Words that stand for a missing number; among other words each is a word like them."""


def table(path: Path, label: str | None, group: str | None = None) -> Data:
    """The features and labels of a table, and the group of each row where a column is named for it.

    Labels of text, or of whole numbers that are not 0, 1, ..., k-1, become classes with the values as their
    names; other numbers are targets. A column without a name that counts the rows, which pandas writes by
    default, is left out, and `source` says so.

    Raises:
        LoadError: no label or group column of that name, or a damaged file.
        DataError: columns of text, missing values.
        MissingExtraError: pandas, or pyarrow for `.parquet`, is not installed.
    """
    with parsing(check_file(path)):
        return _read(path, label, group)


def _read(path: Path, label: str | None, group: str | None) -> Data:
    frame = _frame(path, label)
    columns = [str(column) for column in frame.columns]
    frame.columns = columns
    if not len(frame):
        raise DataError(f"{path}: is empty: a header and no row.")
    if label is None:
        raise LoadError(f"{path}: which column holds the labels? {suggest('label', columns)} Pass --label NAME.")
    for name in (label, group):
        if name is not None and columns.count(name) != 1:
            how = "no column" if name not in columns else "several columns"
            raise LoadError(f"{path}: {how} named {name!r}. {suggest(name, columns)}")
    groups = None if group is None else _groups(f"{path.name}: group column {group!r}", frame[group])
    apart = [label] if group is None or group == label else [label, group]
    rest, dropped = _without_counter(frame.drop(columns=apart))
    _check_columns(path, rest)
    is_wide = any(kind.kind == "f" or (kind.kind == "u" and kind.itemsize == 8) for kind in rest.dtypes)
    x = rest.to_numpy(dtype=np.float64 if is_wide else np.int64)
    y, names, note = _labels(f"{path.name}: label column {label!r}", frame[label])
    source = "; ".join(part for part in (str(path), dropped, note) if part)
    found = from_arrays(path.name, (x, y), class_names=names, source=source)
    return replace(found, groups=groups, column_names=tuple(rest.columns))


def _groups(where: str, column: Any) -> np.ndarray:
    """The group of each row, by its name."""
    missing = column.isna().to_numpy()
    if missing.any():
        first, count = int(missing.argmax()), int(missing.sum())
        raise DataError(f"{where}: {count:,} of {len(missing):,} rows have no group, first row {first}. Fill them.")
    return column.astype(str).to_numpy(dtype=str)


def _frame(path: Path, label: str | None) -> Any:
    """The file as a pandas data frame; in one of text, the label column is read by what all of it is."""
    pandas = _import_package("pandas")
    is_parquet = path.suffix.lower() == ".parquet"
    if is_parquet:
        _import_package("pyarrow")
    try:
        if is_parquet:
            _check_parquet(path)
            return pandas.read_parquet(path)
        _check_text(path)
        separator = _separator(path)
        frame = pandas.read_csv(path, sep=separator, low_memory=False)
        if label in frame.columns and (frame[label].isna().any() or _kind(frame[label].dtype) not in "biuf"):
            text = pandas.read_csv(path, sep=separator, usecols=[label], dtype=str, keep_default_na=False)
            frame[label] = _parse(pandas, text[label])
    except KeyError as error:
        notes = f"it names a column that is not there ({one_line(error)}); pandas' notes in it are damaged"
        raise LoadError(f"{path}: is not a table that pandas can read: {notes}. Write it anew.") from error
    except ValueError as error:
        raise LoadError(f"{path}: is not a table that pandas can read ({one_line(error)}).") from error
    return frame


def _parse(pandas: Any, words: Any) -> Any:
    """A column of text as numbers, if it is numbers and words for missing ones; else as words, of which `NA` is one."""
    words = words.str.strip()
    is_none = words.eq("")
    is_no_number = is_none | words.str.lower().isin(_NO_NUMBER)
    numbers = pandas.to_numeric(words[~is_no_number], errors="coerce")
    if len(numbers) and not numbers.isna().any():
        return numbers if len(numbers) == len(words) else numbers.reindex(words.index)
    return words.mask(is_none)


def _check_parquet(path: Path) -> None:
    """The rows and columns that the footer declares, eight bytes each; equal values are packed without bound."""
    footer = _import_package("pyarrow.parquet").read_metadata(path)
    check_size(path, 8 * footer.num_rows * footer.num_columns)


def _check_text(path: Path) -> None:
    """The size of the text; of a packed one that could exceed the memory, by unpacking it once without keeping it."""
    size, there = path.stat().st_size, memory()
    if path.suffix.lower() != ".gz":
        check_size(path, size)
    elif there is not None and size * DEFLATED > there:
        unpacked = 0
        with gzip.open(path) as file:
            while part := file.read(1 << 20):
                unpacked += len(part)
                check_size(path, unpacked)


def _import_package(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        message = f"Tables need {package}, which is not installed. Install it: pip install 'unbend[table]'."
        raise MissingExtraError(message) from error


def _separator(path: Path) -> str:
    """Tab for .tsv; comma or semicolon by which the header has more of; a comma where that cannot be told."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    if path.suffix.lower() == ".gz":
        return ","
    with path.open(encoding="utf-8", errors="replace") as file:
        header = file.readline()
    return ";" if header.count(";") > header.count(",") else ","


def _without_counter(frame: Any) -> tuple[Any, str]:
    """The columns without a nameless first one that counts the rows, and what to tell."""
    first = frame.columns[0] if len(frame.columns) else ""
    if first.startswith("Unnamed: 0") and np.array_equal(frame[first], np.arange(len(frame))):
        return frame.drop(columns=first), "the nameless first column, which counts the rows, left out"
    return frame, ""


def _check_columns(path: Path, frame: Any) -> None:
    """There must be columns, all of numbers, with none missing."""
    if not len(frame.columns):
        raise DataError(f"{path}: has no column beside the label.")
    text = [name for name, kind in zip(frame.columns, frame.dtypes, strict=True) if _kind(kind) not in "biuf"]
    if text:
        raise DataError(f"{path}: not numbers in {first_few(text, 8)}. Encode them as numbers, or leave them out.")
    missing = frame.isna().to_numpy()
    if missing.any():
        rows, lacking = missing.any(axis=1), ", ".join(frame.columns[missing.any(axis=0)][:8])
        count = f"{int(rows.sum()):,} of {len(rows):,} rows have no value in {lacking}"
        raise DataError(f"{path}: {count}, first row {int(rows.argmax())}. Drop or fill these rows first.")


def _kind(dtype: Any) -> str:
    """The letter numpy has for a column's type; 'O' for what numpy has no numbers for."""
    return getattr(dtype, "kind", "O")


def _labels(where: str, column: Any) -> tuple[np.ndarray, tuple[str, ...], str]:
    """The labels as `from_arrays` takes them, the names of the classes, and what to tell."""
    missing = column.isna().to_numpy()
    if missing.any():
        first, count = int(missing.argmax()), int(missing.sum())
        raise DataError(f"{where}: {count:,} of {len(missing):,} labels are missing, first in row {first}.")
    if _kind(column.dtype) == "f":
        return column.to_numpy(dtype=np.float64), (), ""
    if _kind(column.dtype) not in "iu":
        return column.astype(str).to_numpy(dtype=str), (), ""
    values = column.to_numpy(dtype=np.int64)
    found = np.unique(values)
    is_count = np.array_equal(found, np.arange(len(found)))
    if is_count and len(found) <= max(MOST_CLASSES, len(values) // 2):
        return values, (), ""
    if len(found) > MOST_CLASSES:
        note = f"labels with {len(found):,} different whole numbers read as targets"
        return values.astype(np.float64), (), note
    names = tuple(str(value) for value in found)
    return np.searchsorted(found, values), names, ""
