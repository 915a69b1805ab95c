"""Intervals for proportions: counts come in, bounds at a stated level go out.

Accuracies are counts of rows; rows are all these functions know, neither the layer nor the read-out.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from unbend.errors import DataError, ShapeError
from unbend.numerics.result import result

Counts: TypeAlias = int | float | np.generic | np.ndarray | Sequence[int] | Sequence[float]


def _z(level: float) -> float:
    if not 0 < level < 1:
        raise DataError(f"level: expected a confidence level between 0 and 1, got {level}. 0.95 is usual.")
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(
    successes: Counts, n: Counts, level: float = 0.95
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The Wilson score interval of a proportion, as two arrays `(low, high)` of the broadcast shape.

    It never leaves [0, 1], is exact at its ends for 0 and n successes, and keeps its level for accuracies
    near 1, where the textbook interval `p ± z √(p(1-p)/n)` shrinks to nothing. No rows at all give [0, 1].

    Args:
        successes: how many rows were right.
        n: out of how many.
        level: two-sided confidence level.

    Source:
        Wilson, JASA 22 (1927) 209; Brown, Cai and DasGupta, Statistical Science 16 (2001) 101.

    Example:
        >>> low, high = wilson([0, 9, 10], 10)
        >>> low.round(3), high.round(3)
        (array([0.   , 0.596, 0.722]), array([0.278, 0.982, 1.   ]))
    """
    s, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(n, np.float64))
    if np.any((s < 0) | (s > n)) or np.isnan(s + n).any():
        raise DataError("successes: expected counts between 0 and n. Pass how many of the n rows were right.")
    z = _z(level)
    centre = (s + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(s * (n - s) / np.maximum(n, 1) + z * z / 4)
    return np.where(s == 0, 0.0, centre - half), np.where(s == n, 1.0, centre + half)


@result
class PairedDifference:
    """Accuracy of a first read-out minus that of a second one on the same rows, with its interval.

    Attributes:
        difference: of the two accuracies.
        low: lower end of its interval.
        high: upper end.
        p_value: of McNemar's test (mid-p) that both are right equally often.
        only_first: rows that the first got right and the second did not.
        only_second: rows that the second got right and the first did not.
        n: rows.
        level: two-sided confidence level of the interval.
    """

    difference: float
    low: float
    high: float
    p_value: float
    only_first: int
    only_second: int
    n: int
    level: float


def paired_difference(
    first: Bool[np.ndarray, " _"],
    second: Bool[np.ndarray, " _"],
    level: float = 0.95,
) -> PairedDifference:
    """The difference of two accuracies measured on the same rows.

    Two read-outs of one test set mostly fail on the same rows, so their difference is known far better than
    either accuracy: comparing two separate intervals throws that away. The interval is Newcombe's
    square-and-add interval, made of the two Wilson intervals and the correlation between the errors.

    Args:
        first: which rows the first read-out got right.
        second: the same for the second one, in the same order.
        level: two-sided confidence level.

    Source:
        Newcombe, Statistics in Medicine 17 (1998) 2635, method 10; Fagerland, Lydersen and Laake, BMC Medical
        Research Methodology 13 (2013) 91, for the mid-p test.

    Example:
        >>> first, second = np.ones(50, bool), np.arange(50) < 44
        >>> difference = paired_difference(first, second)
        >>> round(difference.difference, 2), difference.low > 0, difference.p_value < 0.05
        (0.12, True, True)
    """
    both, b, c, neither = _paired_counts(first, second)
    low, high = _newcombe(both, b, c, neither, level)
    n = len(first)
    return PairedDifference(
        difference=(b - c) / n, low=low, high=high, p_value=_mid_p(b, c), only_first=b, only_second=c, n=n, level=level
    )


def paired_interval(
    first: Bool[np.ndarray, " _"], second: Bool[np.ndarray, " _"], level: float = 0.95
) -> tuple[float, float, float]:
    """The difference of `paired_difference` and the ends of its interval, without the test.

    Example:
        >>> [round(end, 3) for end in paired_interval(np.ones(50, bool), np.arange(50) < 44)]
        [0.12, 0.024, 0.238]
    """
    both, b, c, neither = _paired_counts(first, second)
    return (b - c) / len(first), *_newcombe(both, b, c, neither, level)


def _paired_counts(first: Bool[np.ndarray, " _"], second: Bool[np.ndarray, " _"]) -> tuple[int, int, int, int]:
    """Rows that both get right, the first alone, the second alone, neither."""
    if first.shape != second.shape:
        raise ShapeError(
            f"first, second: expected the same rows, got {len(first)} and {len(second)}. Use one test set."
        )
    n = len(first)
    if n == 0:
        raise DataError("first, second: expected at least one row. An empty test set compares nothing.")
    both = int((first & second).sum())
    b, c = int(first.sum()) - both, int(second.sum()) - both
    return both, b, c, n - both - b - c


def _newcombe(a: int, b: int, c: int, d: int, level: float) -> tuple[float, float]:
    """Method 10: a both right, b and c one right, d neither."""
    n = a + b + c + d
    p1, p2 = (a + b) / n, (a + c) / n
    low, high = wilson([a + b, a + c], n, level)
    marginals = float(a + b) * float(c + d) * float(a + c) * float(b + d)
    cross = float(a) * d - float(b) * c
    if cross > 0:  # Edwards' continuity correction, as in the source
        cross = max(cross - n / 2, 0.0)
    phi = cross / np.sqrt(marginals) if marginals else 0.0
    down, up = (p1 - low[0], high[1] - p2), (high[0] - p1, p2 - low[1])
    width = [np.sqrt(max(u * u - 2 * phi * u * v + v * v, 0.0)) for u, v in (down, up)]
    return float(p1 - p2 - width[0]), float(p1 - p2 + width[1])


def _mid_p(b: int, c: int) -> float:
    """McNemar's mid-p value: twice the tail of Binomial(b + c, ½), less half the observed count's share."""
    m, k = b + c, min(b, c)
    if b == c:
        return 1.0
    from scipy.special import bdtr

    tail = float(bdtr(k, m, 0.5))
    point = tail - (float(bdtr(k - 1, m, 0.5)) if k else 0.0)
    return min(1.0, 2 * tail - point)


def silent_bound(n: Counts, level: float = 0.95, units: int = 1) -> Float[np.ndarray, "..."]:
    """The largest rate at which an event can happen and yet be missing from n rows, at this level.

    `1 - (1 - level)^(1/n)`, about 3/n ("rule of three"): a unit that is silent on n rows may still fire
    on that share of all inputs. No rows at all bound nothing, hence 1.

    Args:
        n: rows on which the event was missing.
        level: that the bound holds.
        units: how many events it is to hold for at once, whichever of them are missing (Bonferroni).

    Source:
        Hanley and Lippman-Hand, JAMA 249 (1983) 1743; it is the Clopper-Pearson bound at zero successes.

    Example:
        >>> silent_bound([1, 10, 1000]).round(4)
        array([0.95  , 0.2589, 0.003 ])
        >>> round(float(silent_bound(1257, units=512)), 4)
        0.0073
    """
    _z(level)
    n = np.asarray(n, np.float64)
    if np.any(n < 0):
        raise DataError("n: expected a number of rows, got a negative one. Pass how many rows were seen.")
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.log((1 - level) / units) / n))
