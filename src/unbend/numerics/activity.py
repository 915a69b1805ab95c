"""Which units are silent, always on, dormant or saturated.

In: an activation's output (and, where its derivative cannot be read from the output, its input).
Out: `Activity`: shares per unit, and verdicts that say over how many samples they were reached.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.batch import Batch, Bend
from unbend.numerics.state import measure
from unbend.numerics.sweep import Layout

DORMANT = 0.025
"""A unit is dormant when its mean magnitude is below this share of its layer's (Sokar et al. 2023)."""
FLAT = 0.05
"""A value is saturated when the activation's derivative there is below this share of its greatest."""
MOSTLY = 0.95
"""A unit is saturated when this share of its values is."""


@dataclass(frozen=True, slots=True, eq=False)
class ActivityState:
    """Counts behind `Activity`."""

    n: int
    count: Float64[Array, "d"]
    zeros: Int64[Array, "d"]
    flat: Int64[Array, "d"]
    magnitude: Float64[Array, "d"]
    low: Float64[Array, "d"]
    high: Float64[Array, "d"]

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """The counts of one batch. Zeros and saturation are counted where the layer is an activation."""
        s, d = batch.swept, len(batch.swept.count)
        zeros = flat = np.zeros(d, np.int64)
        if batch.bend is not None:
            layout, mask = batch.view.layout, batch.mask
            inside = batch.bend if batch.bend.pre is None else Bend(-np.inf, np.inf)
            zeros, flat = _counts(batch.values, inside, layout, mask)
            if batch.bend.pre is not None:
                flat = _counts(batch.bend.pre, batch.bend, layout, mask)[1]
        return cls(s.n, s.count, zeros, flat, _magnitude(batch), s.low, s.high)

    @classmethod
    def empty(cls, width: int, n_targets: int) -> Self:  # noqa: ARG003
        """No samples."""
        zero = np.zeros(width)
        none = zero.astype(np.int64)
        return cls(0, zero, none, none, zero, zero + np.inf, zero - np.inf)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.n + other.n,
            self.count + other.count,
            self.zeros + other.zeros,
            self.flat + other.flat,
            self.magnitude + other.magnitude,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """What the units of a layer do over the data seen.

    Attributes:
        n: samples seen. Every verdict below is about these samples.
        zero_share: share of values that are exactly 0 [d].
        flat_share: share of values where the activation's derivative is below 5 % of its greatest [d].
        score: mean magnitude of the unit over that of its layer [d] (Sokar et al. 2023).
        silent: the unit put out 0 and nothing else [d].
        always_on: the unit never put out 0 or less: on this data an activation like ReLU is linear there [d].
        dormant: score at most 0.025 [d]; includes silent units.
        saturated: at least 95 % of values flat, and not silent [d].
        n_silent: how many are silent.
        n_dormant: how many are dormant.
        n_saturated: how many are saturated.
        silent_rate_bound: a silent unit fires on fewer than this share of samples, at 95 % confidence.
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


@measure(ActivityState)
def activity(state: ActivityState) -> Activity:
    """Shares and verdicts per unit.

    Source:
        Silent: Lu et al. 2020 for "dead"; the bound is the exact binomial one, 1 - 0.05^(1/n).
        Dormant: Sokar et al. 2023, threshold 0.025.
    """
    count = np.maximum(state.count, 1)
    magnitude = state.magnitude / count
    score = magnitude / magnitude.mean() if magnitude.any() else np.ones_like(magnitude)
    silent = (state.low == 0) & (state.high == 0)
    flat = state.flat / count
    dormant = (score <= DORMANT) & (state.count > 0)
    saturated = (flat >= MOSTLY) & ~silent
    return Activity(
        n=state.n,
        zero_share=state.zeros / count,
        flat_share=flat,
        score=score,
        silent=silent,
        always_on=(state.low > 0) & np.isfinite(state.low),
        dormant=dormant | silent,
        saturated=saturated,
        n_silent=int(silent.sum()),
        n_dormant=int((dormant | silent).sum()),
        n_saturated=int(saturated.sum()),
        silent_rate_bound=1.0 - 0.05 ** (1.0 / state.n) if state.n else 1.0,
    )


def bend(activation: Callable[[Tensor], Tensor]) -> Bend:
    """Where an elementwise activation is saturated, from its own derivative.

    Args:
        activation: a function of one tensor, elementwise.

    Returns:
        Thresholds on the output where the activation never falls, else (GELU, SiLU, Mish, …) on the input,
        marked by an empty `pre` for the caller to fill.

    Example:
        >>> bend(torch.relu).low, bend(torch.relu).high
        (0.0, inf)
    """
    z = torch.linspace(-30.0, 30.0, 60_001, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(activation(z).sum(), z)
    steep = (slope.abs() >= FLAT * slope.abs().max()).nonzero().flatten()
    first, last = int(steep[0]), int(steep[-1])
    below, above = first > 0, last < len(z) - 1
    monotone = bool((slope >= -1e-12).all())
    edge = activation(z).detach() if monotone else z.detach()
    low = float(edge[first - 1]) if below else -np.inf
    high = float(edge[last + 1]) if above else np.inf
    return Bend(low, high, None if monotone else torch.empty(0))


def _counts(values: Tensor, limits: Bend, layout: Layout, mask: Tensor | None) -> tuple[Array, Array]:
    """Zeros, and values at or beyond the limits, per unit."""
    x = values.detach()
    if layout == "tokens":
        x = x.flatten(1, -2)
        x = x.flatten(0, 1) if mask is None else x[mask.to(x.device) != 0]
    x = x.flatten(2) if layout == "maps" else x
    if x.device.type == "cpu" and x.dtype == torch.float32:
        return _compiled_counts(x.contiguous().numpy(), limits)
    axes = (0, 2) if layout == "maps" else (0,)
    flat = (x <= limits.low) | (x >= limits.high)
    if np.isinf(limits.low) and np.isinf(limits.high):
        flat = torch.zeros_like(flat)
    return (x == 0).sum(axes).cpu().numpy(), flat.sum(axes).cpu().numpy()


def _compiled_counts(x: Array, limits: Bend) -> tuple[Array, Array]:
    from unbend.numerics import kernels  # noqa: PLC0415

    low, high = np.float32(limits.low), np.float32(limits.high)
    if x.ndim == 2:
        zeros, flat = np.zeros(x.shape[1], np.int32), np.zeros(x.shape[1], np.int32)
        kernels.count_rows(x, low, high, zeros, flat)
        return zeros.astype(np.int64), flat.astype(np.int64)
    n, d, p = x.shape
    zeros, flat = np.zeros(n * d, np.int32), np.zeros(n * d, np.int32)
    kernels.count_maps(x.reshape(n * d, p), low, high, zeros, flat)
    return zeros.reshape(n, d).sum(0, dtype=np.int64), flat.reshape(n, d).sum(0, dtype=np.int64)


def _magnitude(batch: Batch) -> Array:
    """Σ|x| per unit of an activation: free where the layer keeps one sign, else one more read."""
    s = batch.swept
    if batch.bend is None:
        return np.zeros_like(s.total)
    if (s.low >= 0).all() or (s.high <= 0).all():
        return np.abs(s.total)
    x = batch.values.detach()
    axes = {"features": (0,), "maps": (0, *range(2, x.ndim)), "tokens": tuple(range(x.ndim - 1))}[batch.view.layout]
    valid = torch.isfinite(x)
    if batch.mask is not None and batch.view.layout == "tokens":
        valid &= batch.mask.to(x.device).reshape(*x.shape[:-1], 1) != 0
    return torch.where(valid, x.abs(), 0).sum(axes, dtype=torch.float64).cpu().numpy()
