"""What a read-out makes of labels that mean nothing: the same fit with the labels of its own rows permuted.

In: second moments, a fit, rows. Out: scores of every permutation. The scatter of the rows stays as it is, so its
eigenvalues serve all permutations, and one permutation costs one product of the rows with the labels.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.numerics.hashing import hashes
from unbend.numerics.second import Eigen, SecondState

N = 20
"""Permutations: the least p-value is 1/21."""
_LEAST = 3
_BUDGET = 2e10
"""Operations the permutations of one layer may take: about a second of one core. With a thousand classes of thousands
of units there are fewer of them."""
_SOLVE = 20
"""Operations for each cube of the smaller side of a pseudo-inverse."""
_SALT = 20_260
"""Of the hash of row numbers by which labels are permuted first; the next permutations have the salts after it."""

Fit: TypeAlias = Callable[[SecondState], tuple[Array, Array]]
Score: TypeAlias = Callable[[Array, Array, Array, Array], float]


class Fitted(NamedTuple):
    """Finite rows among those that a read-out was fitted to.

    Attributes:
        rows: their values [s, d].
        targets: what they are fitted to [s, t].
        ids: their numbers.
    """

    rows: Float64[Array, "s d"]
    targets: Float64[Array, "s t"]
    ids: Int64[Array, "s"]


def permutation_scores(
    second: SecondState,
    basis: Eigen,
    fitted: Fitted,
    held_out: tuple[Array, Array],
    fit: Fit,
    score: Score,
    most: int = N,
) -> tuple[Float64[Array, "p"], Float64[Array, "p"]]:
    """Scores of the read-out of permuted labels on the rows it was fitted to, and on held-out rows.

    Where not all rows that were summed are at hand, what the labels of the others would add to the sums is drawn: by
    the central limit theorem for permutations it is normal, with the scatter of those rows times that of the labels.

    Args:
        second: the sums of the true labels.
        basis: their eigenvalues.
        fitted: finite rows among those summed.
        held_out: rows and their targets, which are not permuted.
        fit: weight and bias from sums.
        score: of rows, targets, weight and bias.
        most: permutations at most.

    Cost:
        O(s·d·t) per permutation for s rows at hand.
    """
    x, y, ids = fitted
    if len(x) < 2 or not most:
        return np.zeros(0), np.zeros(0)
    centred, missing = x - second.mean, max(1 - len(x) / second.n, 0.0)
    root = np.linalg.cholesky(second.yy / second.n + np.eye(len(second.yy)) * 1e-12) if missing else None
    on_fitted, on_held_out = np.full((2, min(_count(second, basis, len(x) + len(held_out[0])), most)), np.nan)
    for i in range(len(on_fitted)):
        shuffled = y[order(ids, i)]
        cross = centred.T @ (shuffled - second.y_mean)
        if root is not None:
            drawn = (
                np.random.default_rng([_SALT, i]).standard_normal((basis.rank, len(root)))
                * np.sqrt(missing * basis.values)[:, None]
            )
            unscaled = np.divide(1, basis.scale, out=np.zeros_like(basis.scale), where=basis.scale > 0)
            cross = cross + unscaled[:, None] * (basis.vectors @ (drawn @ root.T))
        weight, bias = fit(replace(second, cross=cross))
        on_fitted[i] = score(x, shuffled, weight, bias)
        on_held_out[i] = score(*held_out, weight, bias)
    return on_fitted, on_held_out


def order(ids: Int64[Array, "s"], i: int) -> Int64[Array, "s"]:
    """The rows in their order in permutation `i`.

    It depends on the row numbers only, so it is the same in every layer, on every rank and after every merge.
    """
    by_number, by_chance = np.argsort(ids), np.argsort(hashes(ids, _SALT + i))
    places = np.empty_like(by_number)
    places[by_number] = by_chance
    return places


def _count(second: SecondState, basis: Eigen, n: int) -> int:
    """As many permutations as there is time for."""
    d, t = second.cross.shape
    each = 4 * d * t * (basis.rank + n) + _SOLVE * min(t, basis.rank) ** 3
    return int(np.clip(_BUDGET / max(each, 1), _LEAST, N))


def p_value(found: float, null: Float64[Array, "p"]) -> float:
    """Share of orders of the labels, the true one counted, that score as well as was found: (1 + s) / (1 + N).

    NaN where nothing was found or nothing was permuted.

    Source:
        Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010) 39.

    Example:
        >>> p_value(0.9, np.array([0.5, 0.6, 0.95])), p_value(1.0, np.zeros(19))
        (0.5, 0.05)
    """
    known = null[np.isfinite(null)]
    if not len(known) or not np.isfinite(found):
        return np.nan
    return float((1 + (known >= found).sum()) / (1 + len(known)))
