"""The mean of every class, over all rows seen."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.numerics.batch import Batch
from unbend.numerics.state import measure


@dataclass(frozen=True, slots=True, eq=False)
class CentroidState:
    """Class sums of the position means of the units."""

    n: Int64[Array, "k"]
    total: Float64[Array, "k d"]

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """The class sums of one batch, taken from its sweep."""
        return cls(batch.swept.class_n, batch.swept.class_total)

    @classmethod
    def empty(cls, width: int, n_targets: int) -> Self:
        """No samples in any class."""
        return cls(np.zeros(n_targets, np.int64), np.zeros((n_targets, width)))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.n + other.n, self.total + other.total)


@dataclass(frozen=True, slots=True, eq=False)
class Centroids:
    """Class means of every unit.

    Attributes:
        n: samples per class [k]; one entry for a regression.
        mean: mean over the samples and positions of each class [k, d]; NaN for an empty class.
        selectivity: per unit, (best class mean - mean of the others) / (sum of their magnitudes) [d];
            1 for a unit that answers to one class only, 0 for one that cannot tell classes apart.
    """

    n: Int64[Array, "k"]
    mean: Float64[Array, "k d"]
    selectivity: Float64[Array, "d"]


@measure(CentroidState)
def centroids(state: CentroidState) -> Centroids:
    """Class means and the class selectivity of every unit (Morcos et al. 2018)."""
    mean = state.total / np.where(state.n > 0, state.n, np.nan)[:, None]
    if np.count_nonzero(state.n) < 2:  # noqa: PLR2004
        return Centroids(state.n, mean, np.zeros(mean.shape[1]))
    seen = mean[state.n > 0]
    best = seen.max(0)
    others = (seen.sum(0) - best) / (len(seen) - 1)
    scale = np.abs(best) + np.abs(others)
    return Centroids(state.n, mean, np.divide(best - others, scale, out=np.zeros_like(best), where=scale > 0))
