"""Which units are silent, always on, dormant or saturated.

In: an activation's output (and, where its derivative cannot be read from the output, its input).
Out: `Activity`: shares per unit, and verdicts that say over how many samples they were reached.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.interval import silent_bound
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.numerics.state import measure

if TYPE_CHECKING:
    import unbend.numerics.batch

DORMANT = 0.025
"""A unit is dormant when its mean magnitude is below this share of its layer's (Sokar et al. 2023)."""
MOSTLY = 0.95
"""A unit is saturated when this share of its values is."""


@dataclass(frozen=True, slots=True, eq=False)
class ActivityState:
    """Counts behind `Activity`.

    Attributes:
        n: samples.
        count: finite values judged per unit: those that an activation put out [d].
        zeros: those that are exactly 0 [d].
        flat: those where the activation's derivative is almost nothing [d].
        magnitude: sum of their magnitudes [d].
        low: least finite value, judged or not [d].
        high: greatest finite value, judged or not [d].
        n_rectified: samples put out by an activation that is flat at 0, as ReLU is.
    """

    n: int
    count: Float64[Array, "d"]
    zeros: Int64[Array, "d"]
    flat: Int64[Array, "d"]
    magnitude: Float64[Array, "d"]
    low: Float64[Array, "d"]
    high: Float64[Array, "d"]
    n_rectified: int = 0

    __repr__ = in_one_line

    @classmethod
    def of(cls, batch: "unbend.numerics.batch.Batch") -> "ActivityState":
        """The counts of one batch. Zeros and saturation are counted where the layer is an activation."""
        s, edges = batch.sweep, batch.saturation
        if edges is None:
            return cls.from_extremes(s.n, s.low, s.high)
        rectified = s.n if edges.is_rectifier else 0
        if rectified and edges.high == np.inf and s.zeros is not None and (s.low >= 0).all():
            return cls(s.n, s.count, s.zeros, s.zeros, np.abs(s.total), s.low, s.high, rectified)
        one_sign = bool((s.low >= 0).all() or (s.high <= 0).all())
        from unbend.numerics.saturation import judge

        zeros, flat, magnitude = judge(batch, edges, sized=not one_sign)
        return cls(s.n, s.count, zeros, flat, np.abs(s.total) if one_sign else magnitude, s.low, s.high, rectified)

    @classmethod
    def from_extremes(cls, n: int, low: Float64[Array, "d"], high: Float64[Array, "d"]) -> "ActivityState":
        """Of n samples of a layer that is no activation."""
        zero = np.zeros(len(low))
        none = zero.astype(np.int64)
        return cls(n, zero, none, none, zero, low, high)

    @classmethod
    def from_sums(
        cls,
        n: int,
        total: Float64[Array, "d"],
        zeros: Int64[Array, "d"],
        flat: Int64[Array, "d"],
        low: Float64[Array, "d"],
        high: Float64[Array, "d"],
    ) -> "ActivityState":
        """Of n rows, all of them finite, of an activation that is never negative and saturated at 0."""
        return cls(n, np.full(len(total), float(n)), zeros, flat, np.abs(total), low, high, n)

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "ActivityState":
        """No samples."""
        zero = np.zeros(width)
        none = zero.astype(np.int64)
        return cls(0, zero, none, none, zero, zero + np.inf, zero - np.inf)

    def __add__(self, other: "ActivityState") -> "ActivityState":
        return ActivityState(
            self.n + other.n,
            self.count + other.count,
            self.zeros + other.zeros,
            self.flat + other.flat,
            self.magnitude + other.magnitude,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.n_rectified + other.n_rectified,
        )


@result
class Activity:
    """What the units of a layer do over the data seen.

    Shares and scores are about activations; they are NaN for a layer that is none, and for a unit without a
    finite value. Such a unit is neither saturated nor always on, and dormant only where it is silent.

    Attributes:
        n: samples seen. Every verdict below is about these samples.
        zero_share: share of values that are exactly 0 [d].
        flat_share: share of values where the activation's derivative is below 5 % of its greatest [d].
        score: mean magnitude of the unit over that of its layer [d] (Sokar et al. 2023); NaN where the whole
            layer is 0.
        silent: the unit put out 0 and nothing else [d].
        always_on: the unit of an activation that is flat at 0, such as ReLU, never put out 0 or less [d]: on this
            data it is linear. A sigmoid is above 0 whatever it does, so its units are never called so.
        dormant: score at most 0.025 [d]; includes silent units.
        saturated: at least 95 % of values flat, and not silent [d].
        n_silent: how many are silent.
        n_dormant: how many are dormant.
        n_saturated: how many are saturated.
        silent_rate_bound: with 95 % confidence, a silent unit that was named before fires on fewer than this share of
            samples.
        is_rectifier: whether the activation is flat at 0, so that `always_on` says something.
        silent_bound_of_all: with 95 % confidence, every silent unit of the layer does so on fewer than this share.
        n_wakes: silent units that put out something else on held-out rows; -1 where those were not looked at.
        n_asked: held-out samples looked at.
    """

    n: int
    zero_share: Float64[Array, "d"]
    flat_share: Float64[Array, "d"]
    score: Float64[Array, "d"]
    silent: Bool[Array, "d"]
    always_on: Bool[Array, "d"]
    dormant: Bool[Array, "d"]
    saturated: Bool[Array, "d"]
    n_silent: int
    n_dormant: int
    n_saturated: int
    silent_rate_bound: float
    is_rectifier: bool = False
    silent_bound_of_all: float = np.nan
    n_wakes: int = -1
    n_asked: int = 0

    @property
    def is_judged(self) -> bool:
        """Whether the layer is an activation, of whose units more can be said than that they are silent."""
        return bool(np.isfinite(self.zero_share).any())


@measure(ActivityState)
def activity(state: ActivityState) -> Activity:
    """Shares and verdicts per unit.

    Source:
        Silent: Lu et al. 2020 for "dead"; the bound is the exact binomial one, 1 - 0.05^(1/n); for all d units of a
        layer together 1 - (0.05 / d)^(1/n).
        Dormant: Sokar et al. 2023, threshold 0.025.
    """
    count = np.where(state.count > 0, state.count, np.nan)
    magnitude = state.magnitude / count
    mean = magnitude[state.count > 0].mean() if state.count.any() else 0.0
    score = magnitude / (mean if mean > 0 else np.nan)
    silent = (state.low == 0) & (state.high == 0)
    flat = state.flat / count
    dormant = (score <= DORMANT) | silent
    saturated = (flat >= MOSTLY) & ~silent
    return Activity(
        n=state.n,
        zero_share=state.zeros / count,
        flat_share=flat,
        score=score,
        silent=silent,
        always_on=(state.low > 0) & np.isfinite(state.low) & (state.n_rectified > 0),
        dormant=dormant,
        saturated=saturated,
        n_silent=int(silent.sum()),
        n_dormant=int(dormant.sum()),
        n_saturated=int(saturated.sum()),
        silent_rate_bound=float(silent_bound(state.n)),
        is_rectifier=state.n_rectified > 0,
        silent_bound_of_all=float(silent_bound(state.n, units=max(len(silent), 1))),
    )


def ask(found: Activity, held_out: SampleState) -> Activity:
    """The same with how many of the silent units put out something on held-out rows, if those have a column a unit."""
    rows, _ = held_out.table()
    if not len(rows) or rows.shape[1] != len(found.silent):
        return found
    woke = found.silent & (rows != 0).any(0)
    return replace(found, n_wakes=int(woke.sum()), n_asked=len(rows))
