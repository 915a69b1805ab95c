"""Data sets by name.

In: a name. Out: a `DataSet`. This module must not know networks.
"""

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from unbend.errors import LoadError
from unbend.zoo import images, spam, tables, toys
from unbend.zoo.sets import DataSet

_SOURCES: dict[str, Callable[..., DataSet]] = {
    "xor": toys.xor,
    "strip": toys.strip,
    "moons": toys.moons,
    "circles": toys.circles,
    "spirals": toys.spirals,
    "nine-discs": toys.nine_discs,
    "sine": toys.sine,
    "digits": tables.digits_data,
    **{name: partial(tables.bundled_table, name) for name in ("breast_cancer", "wine", "iris", "diabetes")},
    **{name: partial(tables.mlbench_table, name) for name in ("letters", "shuttle", "satellite")},
    "fashion-mnist": images.fashion_mnist,
    "mnist": images.mnist,
    "mnist-5k": images.mnist_5k,
    "mnist-1d": images.mnist_1d,
    "spam": spam.spam,
}

DATA_SETS: tuple[str, ...] = tuple(_SOURCES)
"""The name of every data set."""


def data(name: str, **options: Any) -> DataSet:
    """The data set of that name.

    Args:
        name: one of `DATA_SETS`.
        options: as the function of the data set takes them, such as `seed`, `n`, `held_out` or `folder`.

    Raises:
        LoadError: a name that is not there, or files that are not installed; the message says how to install
            them.

    Example:
        >>> data("iris").x_train.shape
        torch.Size([114, 4])
    """
    if name in _SOURCES:
        return _SOURCES[name](**options)
    near = difflib.get_close_matches(name, _SOURCES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    message = f"data: no data set named {name!r}. There are: {', '.join(_SOURCES)}.{hint}"
    raise LoadError(message)
