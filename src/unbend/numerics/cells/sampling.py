"""Estimates where counting is out of reach: regions and kinks of a network in a box of any dimension.

In: a `PiecewiseAffine` and a box. Out: estimates with standard errors. Every randomness takes a seed. Must not know how
cells are found.
"""

import numpy as np

from unbend._typing import Array, Float64
from unbend.errors import DataError
from unbend.numerics.cells.find import count_cells
from unbend.numerics.cells.plane import Plane
from unbend.numerics.cells.slice_1d import slice_1d
from unbend.numerics.piecewise import PiecewiseAffine
from unbend.numerics.result import result

_NUMBERS = 1 << 24
"""How many numbers are made at once: 128 MB."""


@result
class Estimate:
    """A mean over independent draws.

    Attributes:
        mean: of what was drawn.
        standard_error: of the mean.
        n: how many draws.
    """

    mean: float
    standard_error: float
    n: int


@result
class PatternEstimate:
    """Activation patterns met by uniform points of a box.

    Attributes:
        seen: how many: a lower bound on the regions in the box.
        at_least: Chao's estimate of a lower bound on all of them.
        standard_error: of that.
        coverage: the share of the box's volume whose pattern has been seen (Good-Turing); far below 1, the count is a
            statement about the sample, not about the box.
        n: how many points.
    """

    seen: int
    at_least: float
    standard_error: float
    coverage: float
    n: int


def patterns_in_box(
    net: PiecewiseAffine, low: Float64[Array, "d"], high: Float64[Array, "d"], *, n: int = 10_000, seed: int = 0
) -> PatternEstimate:
    """Distinct activation patterns at uniform points of a box, and what that says of the unseen ones.

    Source:
        Chao 1984 (bias-corrected), Good 1953.
    """
    _require(net, low, high)
    rng = np.random.default_rng(seed)
    chunk = max(1, _NUMBERS // (1 + net.n_hinges))
    packed = [
        np.packbits(net.bits(rng.uniform(low, high, (min(chunk, n - at), len(low)))), axis=1)
        for at in range(0, n, chunk)
    ]
    counts = np.unique(np.concatenate(packed), axis=0, return_counts=True)[1]
    once, twice = float((counts == 1).sum()), float((counts == 2).sum())
    share = (n - 1) / n
    unseen = share * once * (once - 1) / (2 * (twice + 1))
    ratio = once / (twice + 1)
    spread = share * once * (once - 1) / (2 * (twice + 1))
    spread += share**2 * once * (2 * once - 1) ** 2 / (4 * (twice + 1) ** 2)
    spread += share**2 * ratio**2 * twice * (once - 1) ** 2 / (4 * (twice + 1) ** 2)
    return PatternEstimate(
        seen=len(counts),
        at_least=len(counts) + unseen,
        standard_error=float(np.sqrt(spread)),
        coverage=1 - once / n,
        n=n,
    )


def kinks_per_length(
    net: PiecewiseAffine, low: Float64[Array, "d"], high: Float64[Array, "d"], *, n: int = 100, seed: int = 0
) -> Estimate:
    """Breakpoints per unit of length on random chords of a box.

    Chords join two uniform points; breakpoints are summed over lengths, so the estimate is a ratio and its
    error comes from the delta method. Hanin & Rolnick 2019 bound this density by the number of hinges.
    """
    _require(net, low, high)
    rng = np.random.default_rng(seed)
    ends = rng.uniform(low, high, (n, 2, len(low)))
    found = np.array([slice_1d(net, a, b).n_cells - 1 for a, b in ends], float)
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    mean = found.sum() / lengths.sum()
    error = np.std(found - mean * lengths, ddof=1) / (np.sqrt(n) * lengths.mean()) if n > 1 else np.inf
    return Estimate(mean=float(mean), standard_error=float(error), n=n)


def cells_on_planes(
    net: PiecewiseAffine, low: Float64[Array, "d"], high: Float64[Array, "d"], *, n: int = 10, seed: int = 0
) -> Estimate:
    """Cells on random planes through three uniform points of a box, in the square round them."""
    _require(net, low, high)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        plane = Plane.through(*rng.uniform(low, high, (3, len(low))), margin=0.0)
        found.append(count_cells(net, plane))
    spread = np.std(found, ddof=1) / np.sqrt(n) if n > 1 else np.inf
    return Estimate(mean=float(np.mean(found)), standard_error=float(spread), n=n)


def _require(net: PiecewiseAffine, low: Float64[Array, "_"], high: Float64[Array, "_"]) -> None:
    if low.shape != (net.n_inputs,) or high.shape != low.shape or not (low < high).all():
        raise DataError(f"low, high: expected the corners of a box in {net.n_inputs} dimensions, low < high.")
