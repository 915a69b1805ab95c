"""By what rows are told apart in pictures, whatever their labels are.

In: labels. Out: a group of each row, and names of the groups.
"""

from collections.abc import Sequence

import numpy as np

from unbend._typing import Array, Int64, Shaped

FIFTHS = ("least fifth", "second fifth", "middle fifth", "fourth fifth", "greatest fifth")
"""What the groups of numbers are called."""
_EDGES = (0.2, 0.4, 0.6, 0.8)


def groups_of(
    y: Shaped[Array, "n *t"], class_names: Sequence[str], label_names: Sequence[str] = ()
) -> tuple[Int64[Array, "n"], tuple[str, ...]]:
    """The class of each row; of several yes/no labels the first; of numbers, which fifth of the first a row is in.

    Args:
        y: classes [n], one column a class, or numbers [n, t].
        class_names: of the classes; none where rows have no classes.
        label_names: of the yes/no labels; none where there are none.

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
        word = label_word(label_names[0])
        return (first[:, 0] > 0.5).astype(np.int64), (f"not {word}", word)
    return np.searchsorted(np.quantile(first, _EDGES), first[:, 0]).astype(np.int64), FIFTHS


def label_word(name: str) -> str:
    """What a yes/no label is called: its name, which may be only a number.

    Example:
        >>> label_word("even"), label_word("3")
        ('even', 'label 3')
    """
    return f"label {name}" if name.isdecimal() else name
