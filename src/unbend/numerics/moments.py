"""Mean, spread and extremes of every unit.

In: a layer's sweep. Out: `Moments`. The state keeps a total and a centred sum of squares, merged by the
pairwise rule, so units whose mean is a thousand times their spread keep their digits.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Float64, Int64
from unbend.numerics.result import result
from unbend.numerics.state import measure

if TYPE_CHECKING:
    import unbend.numerics.batch


@dataclass(frozen=True, slots=True, eq=False)
class MomentState:
    """Sums behind `Moments`; values that are not finite are counted and left out.

    Attributes:
        n: rows seen.
        count: finite values of each unit.
        total: sum of them.
        m2: sum of squared deviations from their mean.
        low: least of them.
        high: greatest of them.
        nonfinite: NaN and infinite values of each unit.
    """

    n: int
    count: Float64[Array, "d"]
    total: Float64[Array, "d"]
    m2: Float64[Array, "d"]
    low: Float64[Array, "d"]
    high: Float64[Array, "d"]
    nonfinite: Int64[Array, "d"]

    __repr__ = in_one_line

    @classmethod
    def of(cls, batch: "unbend.numerics.batch.Batch") -> "MomentState":
        """The sums of one batch, taken from its sweep."""
        s = batch.sweep
        return cls(s.n, s.count, s.total, s.m2, s.low, s.high, s.nonfinite)

    @classmethod
    def from_sums(
        cls,
        n: int,
        total: Float64[Array, "d"],
        squares: Float64[Array, "d"],
        low: Float64[Array, "d"],
        high: Float64[Array, "d"],
    ) -> "MomentState":
        """From totals, sums of squares and extremes of n > 0 rows without NaN or infinity."""
        m2 = np.where(low == high, 0.0, np.maximum(squares - total * total / n, 0.0))
        return cls(n, np.full(len(total), float(n)), total, m2, low, high, np.zeros(len(total), np.int64))

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "MomentState":
        """No samples."""
        zero = np.zeros(width)
        return cls(0, zero, zero, zero, zero + np.inf, zero - np.inf, zero.astype(np.int64))

    def __add__(self, other: "MomentState") -> "MomentState":
        count = self.count + other.count
        gap = self.total / np.maximum(self.count, 1) - other.total / np.maximum(other.count, 1)
        with np.errstate(over="ignore"):
            between = gap * gap * (self.count * other.count / np.maximum(count, 1))
        return MomentState(
            self.n + other.n,
            count,
            self.total + other.total,
            self.m2 + other.m2 + between,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.nonfinite + other.nonfinite,
        )


@result
class Moments:
    """Mean, spread and extremes of every unit over the data seen.

    Attributes:
        n: samples seen.
        mean: mean over samples and positions [d].
        std: standard deviation, divided by the count [d].
        low: least value [d].
        high: greatest value [d].
        nonfinite: how many values were NaN or infinite [d]; they are left out of the rest.
        rms: root mean square over the whole layer, the scale of the signal.
    """

    n: int
    mean: Float64[Array, "d"]
    std: Float64[Array, "d"]
    low: Float64[Array, "d"]
    high: Float64[Array, "d"]
    nonfinite: Int64[Array, "d"]
    rms: float


@measure(MomentState)
def moments(state: MomentState) -> Moments:
    """Mean, spread and extremes per unit; NaN for a unit without a finite value.

    A unit whose least and greatest value are equal has that mean and no spread, exactly.
    """
    count = np.where(state.count > 0, state.count, np.nan)
    same = state.low == state.high
    mean = np.where(same, state.low, state.total / count)
    variance = np.where(same, 0.0, state.m2 / count)
    low, high = (np.where(state.count > 0, v, np.nan) for v in (state.low, state.high))
    with np.errstate(over="ignore"):
        square = np.nansum((variance + mean**2) * count)
    rms = float(np.sqrt(square / state.count.sum())) if state.count.any() else float("nan")
    return Moments(n=state.n, mean=mean, std=np.sqrt(variance), low=low, high=high, nonfinite=state.nonfinite, rms=rms)
