"""Real tables: those of scikit-learn, and three of Debian's `r-cran-mlbench`.

In: a split. Out: `DataSet`. This module must not know networks.

All but the digits are brought to mean 0 and deviation 1 per column, by the mean and deviation of the training
part.
"""

import warnings
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unbend._digits import digits
from unbend._places import MLBENCH
from unbend.errors import LoadError
from unbend.zoo.sets import DataSet, split


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of mlbench: its file and its label column."""

    file: str
    label: str


_TABLES = {
    "letters": _Table("LetterRecognition", "lettr"),
    "shuttle": _Table("Shuttle", "Class"),
    "satellite": _Table("Satellite", "classes"),
}


def digits_data(*, held_out: float = 0.2, seed: int = 0) -> DataSet:
    """Scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, scaled from 0..16 to 0..1.

    Args:
        held_out: share of every class that is held out.
        seed: of the split.
    """
    pixels, labels = digits()
    x, y = torch.from_numpy(pixels / 16.0).float(), torch.from_numpy(labels)
    names = tuple(map(str, range(10)))
    source = "UCI Optical Recognition of Handwritten Digits by scikit-learn, divided by 16; CC BY 4.0"
    return DataSet(*split(x, y, held_out=held_out, seed=seed), names, "digits", source)


def bundled_table(name: str, *, held_out: float = 0.25, seed: int = 0) -> DataSet:
    """One of scikit-learn's "breast_cancer", "wine", "iris" (classes) and "diabetes" (a target).

    The target of diabetes is brought to mean 0 and deviation 1 as well, by the training part.

    Args:
        name: of the table.
        held_out: share of every class that is held out.
        seed: of the split.
    """
    from sklearn import datasets  # noqa: PLC0415  takes a second to load

    bunch: Any = getattr(datasets, f"load_{name}")()
    is_regression = name == "diabetes"
    y = torch.from_numpy(bunch.target)
    y = y.float()[:, None] if is_regression else y.long()
    names = () if is_regression else tuple(str(label) for label in bunch.target_names)
    parts = split(torch.from_numpy(bunch.data).float(), y, held_out=held_out, seed=seed)
    data = _standardise(DataSet(*parts, names, name, f"{name} of scikit-learn, standardised"))
    if not is_regression:
        return data
    test, train = _scale(data.y_test, data.y_train)
    return replace(data, y_train=train, y_test=test)


def mlbench_table(name: str, *, held_out: float = 0.25, seed: int = 0, folder: str | Path | None = None) -> DataSet:
    """One of "letters" (20,000 x 16, 26 classes), "shuttle" (58,000 x 9, 7) and "satellite" (6,435 x 36, 6).

    Args:
        name: of the table.
        held_out: share of every class that is held out.
        seed: of the split.
        folder: of the `.rda` files; Debian's when left out.

    Raises:
        LoadError: the Debian package or the reader is missing.
    """
    table = _TABLES[name]
    path = Path(folder or MLBENCH) / f"{table.file}.rda"
    install = "Install both: apt install r-cran-mlbench; pip install rdata pandas"
    if not path.is_file():
        message = f"{name}: no file {path}. {install}"
        raise LoadError(message)
    try:
        rdata = import_module("rdata")
    except ImportError as error:
        message = f"{name}: reading {path} needs the package rdata. {install}"
        raise LoadError(message) from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Unknown encoding", category=UserWarning)
        frame = rdata.read_rda(path)[table.file]
    labels = frame.pop(table.label).cat
    x = torch.from_numpy(frame.to_numpy(dtype=np.float32).copy())
    y = torch.from_numpy(labels.codes.to_numpy(dtype=np.int64).copy())
    parts = split(x, y, held_out=held_out, seed=seed)
    source = f"{table.file} of Debian's r-cran-mlbench (UCI), standardised"
    return _standardise(DataSet(*parts, tuple(map(str, labels.categories)), name, source))


def _standardise(data: DataSet) -> DataSet:
    test, train = _scale(data.x_test, data.x_train)
    return replace(data, x_train=train, x_test=test)


def _scale(values: Tensor, by: Tensor) -> tuple[Tensor, Tensor]:
    """`values` and `by`, both brought to the mean 0 and deviation 1 of `by`; constant columns become 0."""
    mean, deviation = by.mean(0), by.std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return (values - mean) / deviation, (by - mean) / deviation
