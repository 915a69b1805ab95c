"""Two groups of training runs on the same rows: the noise of the rows told from the noise of the seeds.

In: of each run, layer and held-out row, a share of the score, such as 0 or 1. Out: `RunDifference`. A score has two
noises: other rows would have given another, and so would another training run. With one run on each side the second is
not known, and a difference beyond the noise of the rows may be what any other seed brings.
"""

from statistics import NormalDist

import numpy as np

from unbend._typing import Array, Bool, Float64
from unbend.errors import DataError, ShapeError
from unbend.numerics.result import result


@result
class RunDifference:
    """Mean score of a second group of runs minus that of a first one, layer by layer.

    Attributes:
        n_first: runs of the first group.
        n_second: runs of the second.
        n: rows that all of them were scored on.
        level: of the intervals `low` to `high`.
        first: mean score of the first group [l].
        second: of the second [l].
        change: second minus first [l].
        rows: standard error of the change for these runs, were other rows drawn [l].
        seeds: standard error of the change on these rows, were other runs made [l]; NaN with one run on a side.
        error: standard error were both others [l]; with one run on a side that of the rows alone.
        low: lower end of the interval for both noises [l]; with one run on a side for that of the rows alone.
        high: upper end [l].
        knows_seeds: whether there are runs enough to tell the noise of seeds.
        is_beyond_rows: the change is more than the noise of the rows, at the level over all layers together [l].
        is_beyond_noise: and more than both noises together [l]; False where that of the seeds is not known.
    """

    n_first: int
    n_second: int
    n: int
    level: float
    first: Float64[Array, "l"]
    second: Float64[Array, "l"]
    change: Float64[Array, "l"]
    rows: Float64[Array, "l"]
    seeds: Float64[Array, "l"]
    error: Float64[Array, "l"]
    low: Float64[Array, "l"]
    high: Float64[Array, "l"]
    knows_seeds: bool
    is_beyond_rows: Bool[Array, "l"]
    is_beyond_noise: Bool[Array, "l"]


def between_runs(first: Float64[Array, "a l n"], second: Float64[Array, "b _ _"], level: float = 0.95) -> RunDifference:
    """The difference between two groups of runs that were scored on the same rows.

    Runs and rows are crossed: each run meets each row. The variance of the change is that between runs, plus that
    between rows of the runs' mean, minus what both hold of the chance of single runs on single rows. The interval is
    Student's, with the degrees of freedom of Welch and Satterthwaite, so that few runs give wide intervals.

    Args:
        first: of each run, layer and row: the row's share of the score.
        second: the same of the other group; the runs of both may differ in number.
        level: of the intervals; `is_beyond_noise` holds it over all layers together (Bonferroni).

    Raises:
        ShapeError: other layers or rows.
        DataError: no run, or fewer than two rows.

    Source:
        Satterthwaite, Biometrics Bulletin 2 (1946) 110; Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1
        (2007) 386, for crossed noises; Bouthillier et al., Accounting for variance in machine learning benchmarks,
        MLSys 2021, for why seeds matter.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = (rng.random((4, 1, 500)) < p for p in (0.80, 0.95))
        >>> found = between_runs(a.astype(float), b.astype(float))
        >>> found.knows_seeds, bool(found.is_beyond_noise[0]), bool(found.low[0] > 0.1)
        (True, True, True)
    """
    _check(first, second)
    (a, l, n), b = first.shape, len(second)
    strict = 1 - (1 - level) / max(l, 1)
    per_row = second.mean(0) - first.mean(0)
    change, rows = per_row.mean(1), per_row.var(1, ddof=1) / n
    seeds, freedom = _between(first, second)
    single = _single(first) / a + _single(second) / b
    knows = a > 1 and b > 1
    if knows:
        total = np.maximum(rows + seeds - single, np.maximum(rows, seeds))
        freedom = _freedom((seeds, freedom), (np.maximum(total - seeds, 0), np.full(l, n - 1.0)))
    else:
        total, freedom = rows, np.full(l, n - 1.0)
    error, of_rows = np.sqrt(total), np.sqrt(rows)
    half, far = _quantile(freedom, level) * error, _quantile(freedom, strict) * error
    moved = np.abs(change) > NormalDist().inv_cdf((1 + strict) / 2) * of_rows
    return RunDifference(
        n_first=a,
        n_second=b,
        n=n,
        level=level,
        first=first.mean((0, 2)),
        second=second.mean((0, 2)),
        change=change,
        rows=of_rows,
        seeds=np.sqrt(seeds) if knows else np.full(l, np.nan),
        error=error,
        low=change - half,
        high=change + half,
        knows_seeds=knows,
        is_beyond_rows=moved & (change != 0),
        is_beyond_noise=(np.abs(change) > far) & (change != 0) & knows,
    )


def _check(first: Array, second: Array) -> None:
    if first.shape[1:] != second.shape[1:]:
        raise ShapeError(
            f"first, second: expected the same layers and rows, got {first.shape[1:]} and {second.shape[1:]}. Study "
            "all runs on the same held-out rows."
        )
    if not (len(first) and len(second)) or first.shape[2] < 2:
        raise DataError("first, second: expected a run each and at least two rows. Hold out more rows.")


def _between(first: Array, second: Array) -> tuple[Float64[Array, "l"], Float64[Array, "l"]]:
    """Variance of the change by other runs on the same rows, and its degrees of freedom; 0 where a group has one."""
    l = first.shape[1]
    if min(len(first), len(second)) < 2:
        return np.zeros(l), np.ones(l)
    v, w = (group.mean(2).var(0, ddof=1) / len(group) for group in (first, second))
    return v + w, _freedom((v, np.full(l, len(first) - 1.0)), (w, np.full(l, len(second) - 1.0)))


def _single(group: Array) -> Float64[Array, "l"]:
    """Variance of a run's mean by the chance of that run on single rows, which is no run's nor any row's as a whole."""
    a, _, n = group.shape
    if a < 2:
        return np.zeros(group.shape[1])
    rest = group - group.mean(0) - group.mean(2, keepdims=True) + group.mean((0, 2))[:, None]
    return (rest**2).sum((0, 2)) / ((a - 1) * (n - 1)) / n


def _freedom(*parts: tuple[Array, Array]) -> Float64[Array, "l"]:
    """Degrees of freedom of a sum of variances, each known with its own (Welch and Satterthwaite)."""
    total = np.sum([v for v, _ in parts], axis=0)
    squares = np.sum([v**2 / df for v, df in parts], axis=0)
    return np.divide(total**2, squares, out=np.full_like(total, np.inf), where=squares > 0)


def _quantile(freedom: Float64[Array, "l"], level: float) -> Float64[Array, "l"]:
    """Student's two-sided quantile; the normal one for endless degrees of freedom."""
    from scipy.special import stdtrit

    found = stdtrit(np.minimum(freedom, 1e9), (1 + level) / 2)
    return np.asarray(found, np.float64)
