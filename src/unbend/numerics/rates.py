"""Accuracy beside what the frequencies of the classes alone give.

In: true classes, classes read, scores. Out: `Rates`. On 99 rows of one class to one of another, reading every row as
the first is 99 % right; balanced accuracy calls that one half, and average precision sees how the rare rows are ranked.
"""

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.numerics.result import result

_MOST_CLASSES = 128


@result
class Rates:
    """What an accuracy is worth, on the same rows.

    Attributes:
        majority: share of the most frequent class: the accuracy of always naming it.
        balanced: accuracy averaged over the classes, each counted alike; one over their number by chance.
        precision: average precision of each class against the others, averaged over the classes; the average share
            of a class by chance. NaN for more than 128 classes.
    """

    majority: float
    balanced: float
    precision: float


def rates(truth: Int64[Array, "n"], guess: Int64[Array, "n"], score: Float64[Array, "n k"]) -> Rates:
    """Base rates of labelled rows; NaN without rows.

    Args:
        truth: classes.
        guess: the classes read; -1 for a row that cannot be read.
        score: the higher, the likelier the class; comparable between rows.

    Cost:
        O(n k log n).

    Example:
        >>> truth, guess = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
        >>> found = rates(truth, guess, np.array([[3.0, 0.0], [2.0, 1.0], [1.0, 0.0], [0.0, 2.0]]))
        >>> found.majority, found.balanced, found.precision
        (0.75, 0.5, 1.0)
    """
    if not len(truth):
        return Rates(majority=np.nan, balanced=np.nan, precision=np.nan)
    count = np.bincount(truth, minlength=score.shape[1])
    right = np.bincount(truth[guess == truth], minlength=len(count))
    seen = count > 0
    return Rates(
        majority=float(count.max() / len(truth)),
        balanced=float((right[seen] / count[seen]).mean()),
        precision=average_precision(truth, score) if len(count) <= _MOST_CLASSES else np.nan,
    )


def average_precision(truth: Int64[Array, "n"], score: Float64[Array, "n k"]) -> float:
    """Average precision of each class that is there against the others, averaged over them.

    Rows of equal score enter together, as in scikit-learn.
    """
    found = [_of_class(truth == c, score[:, c]) for c in np.unique(truth)]
    return float(np.mean(found))


def _of_class(is_it: Array, score: Float64[Array, "n"]) -> float:
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(is_it[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    gained = np.diff(hits[last], prepend=0)
    return float((gained * hits[last] / (last + 1)).sum() / hits[-1])
