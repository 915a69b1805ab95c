"""Extremely randomised trees over small tables: what can be told of rows from others, without a fit that is kept.

In: rows with targets, and rows to be asked about. Out: what the trees say of these. scikit-learn's
`ExtraTreesClassifier` and `ExtraTreesRegressor` are the same trees from other draws; on a few hundred rows nearly all
of their time is the bookkeeping of each tree.
"""

import math

import numpy as np

from unbend._typing import Array, Float64, Int64, Shaped
from unbend.numerics import compiled


def class_votes(
    x: Shaped[Array, "n d"],
    y: Int64[Array, "n"],
    new: Shaped[Array, "m d"],
    *,
    n_trees: int = 60,
    smallest: int = 1,
    seed: int = 0,
) -> Float64[Array, "m k"]:
    """The share of the trees' votes that each class gets, for every new row.

    Args:
        x: rows that are known.
        y: their classes 0..k-1, each of which has a row.
        new: rows to ask about.
        n_trees: how many trees are grown.
        smallest: rows that a leaf holds at least.
        seed: of the columns and places at which nodes are split.

    Cost:
        `n_trees` times n √d log n.

    Source:
        Geurts, Ernst and Wehenkel, Extremely randomized trees, Machine Learning 2006.

    Example:
        >>> x = np.arange(20.0)[:, None]
        >>> class_votes(x, (x[:, 0] > 9).astype(np.int64), np.array([[2.0], [17.0]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    hot = np.zeros((len(y), int(y.max(initial=0)) + 1))
    hot[np.arange(len(y)), y] = 1
    n_columns = max(1, math.isqrt(x.shape[1]))
    return _answers((x, hot, y), new, (n_trees, n_columns, smallest), seed)


def mean_targets(
    x: Shaped[Array, "n d"],
    y: Shaped[Array, "n t"],
    new: Shaped[Array, "m d"],
    *,
    n_trees: int = 60,
    smallest: int = 1,
    seed: int = 0,
) -> Float64[Array, "m t"]:
    """The mean of the targets that each tree finds, for every new row; every node tries all columns.

    Args:
        x: rows that are known.
        y: their targets.
        new: rows to ask about.
        n_trees: how many trees are grown.
        smallest: rows that a leaf holds at least.
        seed: of the columns and places at which nodes are split.

    Cost:
        `n_trees` times n d log n.

    Source:
        As `class_votes`.
    """
    return _answers(
        (x, np.ascontiguousarray(y, np.float64), np.zeros(0, np.int64)), new, (n_trees, x.shape[1], smallest), seed
    )


def _answers(
    known: tuple[Shaped[Array, "n d"], Float64[Array, "n t"], Int64[Array, "c"]],
    new: Shaped[Array, "m d"],
    size: tuple[int, int, int],
    seed: int,
) -> Float64[Array, "m t"]:
    rows, targets, one = known
    x, asked = (np.ascontiguousarray(table.T, np.float32) for table in (rows, new))
    said = np.zeros((len(new), targets.shape[1]))
    if len(targets):
        compiled.ask_trees(x, targets, one, asked, *size, np.array([seed], np.uint64), said)
    return said / size[0]
