"""By what rows are told apart in pictures, whatever their labels are.

In: labels. Out: a group of each row, and names of the groups.
"""

from collections.abc import Sequence

import numpy as np

from unbend._names import first_few
from unbend._typing import Array, Int64, Shaped
from unbend.errors import DataError

FIFTHS = ("least fifth", "second fifth", "middle fifth", "fourth fifth", "greatest fifth")
"""What the groups of numbers are called."""
_EDGES = (0.2, 0.4, 0.6, 0.8)


def groups_of(
    y: Shaped[Array, "n *t"], class_names: Sequence[str], label_names: Sequence[str] = (), *, by: int = 0
) -> tuple[Int64[Array, "n"], tuple[str, ...]]:
    """The class of each row; one of several yes/no labels; of numbers, which fifth of the first a row is in.

    Args:
        y: classes [n], one column a class, or numbers [n, t].
        class_names: of the classes; none where rows have no classes.
        label_names: of the yes/no labels; none where there are none.
        by: which of these.

    Example:
        >>> groups_of(np.array([[1.0, 0.0], [0.0, 1.0]]), (), ("even", "prime"))
        (array([1, 0]), ('not even', 'even'))
    """
    if class_names:
        return (y if y.ndim == 1 else y.argmax(1)).astype(np.int64), tuple(class_names)
    first = y.reshape(len(y), -1)[:, :1]
    if not first.size:
        return np.zeros(len(y), np.int64), ()
    if label_names:
        return (y[:, by] > 0.5).astype(np.int64), words_of_label(label_names[by])
    return np.searchsorted(np.quantile(first, _EDGES), first[:, 0]).astype(np.int64), FIFTHS


def words_of_label(name: str) -> tuple[str, str]:
    """What rows without and with a yes/no label are called."""
    word = label_word(name)
    return f"not {word}", word


def label_at(by: str | None, label_names: Sequence[str]) -> int:
    """Which of several yes/no labels is meant.

    Args:
        by: its name; None for the first.
        label_names: of all of them; none where rows have none.

    Raises:
        DataError: there is none of that name.
    """
    if by is None:
        return 0
    if not label_names:
        raise DataError("by: the rows do not have several yes/no labels. Leave it out.")
    if by not in label_names:
        raise DataError(f"by: no label named {by!r}. There are: {first_few(label_names, 20)}.")
    return list(label_names).index(by)


def label_word(name: str) -> str:
    """What a yes/no label is called: its name, which may be only a number.

    Example:
        >>> label_word("even"), label_word("3")
        ('even', 'label 3')
    """
    return f"label {name}" if name.isdecimal() else name
