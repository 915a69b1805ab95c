"""The mean of every class, over all rows seen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Float64, Int64
from unbend.errors import MergeError
from unbend.numerics.result import result
from unbend.numerics.state import measure

if TYPE_CHECKING:
    import unbend.numerics.batch


@dataclass(frozen=True, slots=True, eq=False)
class CentroidState:
    """Class sums of the position means of the units.

    Attributes:
        n: samples per class [k].
        count: those of them with a finite value [k, d]; one column where that is the same for all units.
        total: sum of their means over positions [k, d].
    """

    n: Int64[Array, "k"]
    count: Float64[Array, "k #d"]
    total: Float64[Array, "k d"]

    __repr__ = in_one_line

    @classmethod
    def of(cls, batch: "unbend.numerics.batch.Batch") -> "CentroidState":
        """The class sums of one batch, taken from its sweep."""
        s = batch.sweep
        return cls(s.class_n, s.class_count, s.class_total)

    @classmethod
    def from_sums(cls, n: Int64[Array, "k"], total: Float64[Array, "k d"]) -> "CentroidState":
        """From the sums of the rows of each class, all of them finite."""
        return cls(n, n[:, None].astype(np.float64), total)

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "CentroidState":
        """No samples in any class."""
        return cls(np.zeros(n_targets, np.int64), np.zeros((n_targets, 1)), np.zeros((n_targets, width)))

    def __add__(self, other: "CentroidState") -> "CentroidState":
        if len(self.n) != len(other.n):
            return self._beside(other)
        return CentroidState(self.n + other.n, self.count + other.count, self.total + other.total)

    def _beside(self, other: "CentroidState") -> "CentroidState":
        """The sum where one side holds nothing: `empty` cannot tell the targets of a regression from classes."""
        if self.n.any() and other.n.any():
            raise MergeError(f"centroids: expected the same classes, got {len(self.n)} and {len(other.n)}.")
        return self if self.n.any() or not other.n.any() else other


@result
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
    mean = state.total / np.where(state.count > 0, state.count, np.nan)
    known = ~np.isnan(mean)
    k = known.sum(0)
    best = np.where(known, mean, -np.inf).max(0, initial=-np.inf)
    best = np.where(k > 0, best, 0.0)
    others = (np.where(known, mean, 0.0).sum(0) - best) / np.maximum(k - 1, 1)
    scale = np.abs(best) + np.abs(others)
    tells = (k > 1) & (scale > 0)
    return Centroids(
        n=state.n, mean=mean, selectivity=np.divide(best - others, scale, out=np.zeros_like(best), where=tells)
    )
