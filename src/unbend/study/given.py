"""Whatever a study is given, as one value: samples and labels, data sets, loaders, modules that hold them.

In: a pair, a mapping, a Dataset, a DataLoader, `load.Data`, a LightningDataModule, lists of items, samples alone; a
network or what wraps one. Out: `Given`, whose labels are as the user wrote them; a module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unbend.errors import DataError
from unbend.load.dataset import Data, check_labels, check_lengths, samples
from unbend.load.keras import from_keras, is_keras
from unbend.load.labels import column
from unbend.study.items import Items

_TOGETHER = "The data are a pair of pairs; the first is read as the training part and the second as the test part."


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Samples and labels of one data set.

    Attributes:
        x: a tensor, a tuple or mapping of them, a Dataset or a DataLoader.
        y: labels as the user wrote them, as `load.labels.column` reads them; None where there are none, or where `x`
            gives them.
        held_out: the test part; None where there is none.
        class_names: names of the classes, if there are any.
        name: what the data set is called.
        source: where it came from.
        notes: what was decided.
        groups: the group of each row, where the source names one.
        columns: names of the columns of the samples, where these have names.
    """

    x: Any
    y: Any = None
    held_out: "Given | None" = None
    class_names: tuple[str, ...] = ()
    name: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()
    groups: Any = None
    columns: tuple[str, ...] = ()


def network_of(model: Any) -> Any:
    """The module in a skorch net, a Keras model as modules of torch, or the model itself."""
    if is_keras(model):
        return from_keras(model)
    inner = getattr(model, "module_", None)
    return model if inner is None else inner


def take_data(data: Any, items: Items, where: str = "data") -> Given:
    """A data set, whatever its form.

    Args:
        data: what the caller of a study passed.
        items: tells inputs from labels where there are more than two parts.
        where: what an error begins with.

    Raises:
        DataError: nothing that can be read as samples.
    """
    if isinstance(data, Data):
        test = None if data.held_out is None else take_data(data.held_out, items, where)
        return Given(
            data.x, data.y, test, data.class_names, data.name, data.source, groups=data.groups, columns=data.columns
        )
    if isinstance(data, (Dataset, DataLoader)):
        return Given(data, name=type(data.dataset if isinstance(data, DataLoader) else data).__name__)
    if callable(getattr(data, "train_dataloader", None)):
        return _of_module(data, items)
    if isinstance(data, Tensor | np.ndarray):
        return _check(where, data, None)
    if isinstance(data, Mapping):
        return _check(where, *items.split(dict(data)))
    if isinstance(data, (tuple, list)) and len(data) > 1:
        return _of_parts(data, items, where)
    raise DataError(
        f"{where}: expected a pair (x, y), a Dataset, a DataLoader or unbend.load.data(...), got "
        f"{type(data).__name__}. Pass labels together with the samples, such as (x, y)."
    )


class ListedItems(Dataset[Any]):
    """A list of items as a map-style data set."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        return self._rows[index]


def _of_parts(data: Sequence[Any], items: Items, where: str) -> Given:
    if all(isinstance(one, Mapping) for one in data) and isinstance(data, list):
        return Given(ListedItems(data), name="list of mappings")
    if len(data) == 2 and all(_is_whole(part) for part in data):
        train, test = (take_data(part, items, where) for part in data)
        return replace(train, held_out=test, notes=() if _is_set(data[0]) else (_TOGETHER,))
    if len(data) == 2 and not items.is_said:
        return _check(where, data[0], data[1])
    if isinstance(data, list) and all(isinstance(one, tuple) and len(one) > 1 for one in data):
        return Given(ListedItems(data), name="list of items")
    if all(isinstance(part, Tensor | np.ndarray | list) for part in data):
        return _check(where, *items.split(data))
    raise DataError(
        f"{where}: expected a pair (x, y), got a {type(data).__name__} of {len(data)}. Pass (x, y), or (train, test) "
        "of two such pairs or data sets."
    )


def _is_whole(part: Any) -> bool:
    """Whether a part is a data set by itself: a training or a test part."""
    if _is_set(part):
        return True
    is_pair = isinstance(part, tuple) and len(part) == 2 and all(isinstance(one, Tensor | np.ndarray) for one in part)
    return is_pair and all(one.ndim for one in part) and len(part[0]) == len(part[1])


def _is_set(part: Any) -> bool:
    return isinstance(part, (Dataset, DataLoader, Data))


def _check(where: str, x: Any, y: Any) -> Given:
    """Samples and labels at hand, checked."""
    prefix = f"{where}: "
    is_several = isinstance(x, (tuple, list)) and all(isinstance(one, Tensor | np.ndarray) and one.ndim for one in x)
    n = None if y is None else len(y) if hasattr(y, "__len__") and getattr(y, "ndim", 1) else 1
    if is_several and isinstance(x, (tuple, list)):
        lengths = {len(one) for one in x}
        x = tuple(x) if len(lengths) == 1 and (n is None or lengths == {n}) else list(x)
    checked = samples(prefix + "x", x)
    if y is None:
        return Given(checked, columns=_columns(x))
    labels = column(prefix + "y", y)
    check_lengths(prefix + "x", checked, labels)
    check_labels(prefix + "y", labels)
    return Given(checked, labels, class_names=_categories(y), columns=_columns(x))


def _columns(x: Any) -> tuple[str, ...]:
    """The names of the columns of a pandas data frame."""
    found = getattr(x, "columns", None)
    return () if found is None or isinstance(x, Tensor | np.ndarray) else tuple(map(str, found))


def _categories(y: Any) -> tuple[str, ...]:
    """The names of pandas categories of words, in their order."""
    found = getattr(getattr(y, "cat", y), "categories", None)
    names = () if found is None or isinstance(y, Tensor) else tuple(found)
    return names if all(isinstance(name, str) for name in names) else ()


def _of_module(module: Any, items: Items) -> Given:
    """The loaders of a LightningDataModule; its test part, or its validation part where it has no test part."""
    _set_up(module, "fit")
    train = take_data(module.train_dataloader(), items)
    for stage, name in (("test", "test_dataloader"), ("validate", "val_dataloader")):
        if _has_own(module, name):
            _set_up(module, stage)
            held_out = take_data(getattr(module, name)(), items, "held_out")
            note = f"The held-out part is what {name} of {type(module).__name__} gives."
            return replace(train, held_out=held_out, name=type(module).__name__, notes=(note,))
    return replace(train, name=type(module).__name__)


def _set_up(module: Any, stage: str) -> None:
    if callable(getattr(module, "setup", None)):
        module.setup(stage)


def _has_own(module: Any, name: str) -> bool:
    """Whether a loader is the user's: Lightning's own only raises."""
    method = getattr(type(module), name, None)
    return method is not None and "lightning." not in f"{getattr(method, '__module__', '')}."
