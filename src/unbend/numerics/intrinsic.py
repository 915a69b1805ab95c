"""How many numbers it takes to say where a row lies: the intrinsic dimension, from the two nearest neighbours.

In: rows. Out: a `Dimension`, with its curve over scales. Dimensions above some twenty are underestimated by every
method of this kind, because no sample is dense there: read the curve, not the last digit.
"""

import numpy as np

from unbend._typing import Array, Float64, Int64, Shaped
from unbend.errors import DataError
from unbend.numerics.result import result

MOST = 2000
"""Rows among which neighbours are looked for."""
_KEPT = 0.9
"""Share of the ratios that is used: the largest come of points in empty places."""
_FEWEST = 20


@result
class Dimension:
    """The intrinsic dimension of a cloud of rows.

    Attributes:
        n: distinct rows.
        value: the dimension at the finest scale.
        low: lower end of its 95 % interval.
        high: upper end.
        curve_n: rows in subsamples: the fewer, the coarser the scale [s].
        curve: the dimension at each of these scales, the mean over disjoint subsamples [s]. Where it falls as rows grow
            fewer, the fine scales are noise; where it rises, the cloud is bent.
        n_equal: rows left out because they equal another.
    """

    n: int
    value: float
    low: float
    high: float
    curve_n: Int64[Array, "s"]
    curve: Float64[Array, "s"]
    n_equal: int


def dimension(rows: Shaped[Array, "n d"], *, seed: int = 0) -> Dimension:
    """The intrinsic dimension by TwoNN.

    Where density is even, the ratio of the distances to the second and the first neighbour has a Pareto law whose
    exponent is the dimension, whatever the density. The largest tenth of the ratios is known only to be large (a
    type-II censored sample): the estimate of maximum likelihood that leaves out what empty places distort.

    Args:
        rows: at most 2,000 are used, chosen by `seed`.
        seed: of that choice and of the subsamples.

    Raises:
        DataError: fewer than 20 distinct rows, or values that are not finite.

    Cost:
        O(n² d) for n rows.

    Source:
        Facco, d'Errico, Rodriguez and Laio, Scientific Reports 7 (2017) 12140; Ansuini et al. 2019 for hidden layers.

    Example:
        >>> t = np.random.default_rng(0).random(500)
        >>> round(dimension(np.stack([np.cos(t), np.sin(t), t], axis=1)).value, 1)
        1.0
    """
    x = np.asarray(rows, np.float64)
    if not np.isfinite(x).all():
        raise DataError("rows: expected finite values, got NaN or infinity. Drop or fill those rows.")
    distinct = np.unique(x, axis=0)
    if len(distinct) < _FEWEST:
        raise DataError(f"rows: expected at least {_FEWEST} distinct rows, got {len(distinct)}. Pass more rows.")
    order = np.random.default_rng(seed).permutation(len(distinct))[:MOST]
    x = distinct[order]
    value, k = _two_nn(x)
    half = 1.96 * value / np.sqrt(k)
    sizes, curve = [], []
    parts = 1
    while len(x) // parts >= _FEWEST:
        sizes.append(len(x) // parts)
        curve.append(float(np.mean([_two_nn(part)[0] for part in np.array_split(x, parts)])))
        parts *= 2
    return Dimension(
        n=len(x), value=value, low=value - half, high=value + half, curve_n=np.array(sizes), curve=np.array(curve),
        n_equal=len(rows) - len(distinct),
    )  # fmt: skip


def _two_nn(x: Float64[Array, "n d"]) -> tuple[float, int]:
    """The estimate, and the ratios it rests on."""
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415  slow to import

    found = NearestNeighbors(n_neighbors=3).fit(x).kneighbors(x)[0]
    first, second = found[:, 1], found[:, 2]
    ratios = np.sort(np.log(second[first > 0] / first[first > 0]))
    k = max(int(_KEPT * len(ratios)), 2)
    total = ratios[:k].sum() + (len(ratios) - k) * ratios[k - 1]
    return (float((k - 1) / total) if total > 0 else float(np.inf)), k
