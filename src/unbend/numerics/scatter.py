"""How far apart the classes are: within, between, and what of it means something.

In: second moments with one-hot targets. Out: `Scatter`. Three numbers are told apart. The *trace ratio*
tr B / tr W is what most articles plot; it depends on the scale of every unit, falls when one noisy unit is
scaled up and rises in a bottleneck that destroys information. The *Fisher value* tr(W⁻¹B), debiased, does not
change under invertible affine maps: affine steps are flat, only activations climb. The *equi-separation*
value tr(S_W S_B⁺) falls by about the same factor per layer in well-trained nets.
"""

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.numerics.result import result
from unbend.numerics.second import Eigen, SecondState, eigen, varying, without_constants
from unbend.numerics.state import measure

_NEGLIGIBLE = 1e-7
_ROUNDING = 1e-12


@result
class Scatter:
    """Class scatter of one layer.

    Attributes:
        n: rows it was measured on.
        n_classes: classes with at least one row.
        rank: directions of the rows above rounding.
        within: tr W / n, the mean squared distance to the class mean.
        between: tr B / n, the mean squared distance of class means to the mean.
        trace_ratio: between / within; NaN where both are 0. Misleading by itself: see the module.
        fisher: debiased tr(W⁻¹B), 0 in expectation for random labels; infinite where a direction has no
            spread within classes; NaN where n is too small for the rank, or with fewer than two classes.
        fisher_raw: tr(W⁻¹B) as it comes, about (k-1)·rank/(n-k-rank-1) for random labels; infinite where
            n is so small that some direction has no spread within classes.
        separation: tr(S_W S_B⁺) of He & Su; smaller is more separated; NaN where all class means coincide.
        counts: rows per class [k].
    """

    n: int
    n_classes: int
    rank: int
    within: float
    between: float
    trace_ratio: float
    fisher: float
    fisher_raw: float
    separation: float
    counts: Int64[Array, "k"]


@measure(SecondState)
def scatter(state: SecondState) -> Scatter | None:
    """Class scatter of one layer; None for a regression.

    Cost:
        O(d³) for the layer's eigenvalues, shared with the read-out.

    Source:
        Fisher 1936; Hotelling-Lawley trace with its null mean removed; He & Su 2023 (law of equi-separation).
    """
    second = state.settle()
    if not is_one_hot(second):
        return None
    counts = np.rint(second.y_mean * second.n).astype(np.int64)
    seen = counts > 0
    k, basis = int(seen.sum()), eigen(second)
    gram, kept = without_constants(second), varying(second)
    total = float(np.trace(gram))
    means = second.cross[:, seen] / np.sqrt(counts[seen]) * kept[:, None]
    between = float((means**2).sum())
    raw, fisher = _fisher(second, basis, means, k)
    n = max(second.n, 1)
    within = float(_above_rounding(np.array(total - between), np.array(total), n))
    ratio = between / within if within > 0 else (np.inf if between > 0 else np.nan)
    return Scatter(
        n=second.n, n_classes=k, rank=basis.rank, within=within / n, between=between / n, trace_ratio=ratio,
        fisher=fisher, fisher_raw=raw, separation=_separation(gram, means, k, n), counts=counts,
    )  # fmt: skip


def is_one_hot(second: SecondState) -> bool:
    """Whether the targets were classes: their second moments are then known from their means."""
    p, n = second.y_mean, second.n
    if p.size < 2 or n == 0:
        return p.size > 1
    known = n * (np.diag(p) - np.outer(p, p))
    return bool(abs(p.sum() - 1) < 1e-9 and np.allclose(second.yy, known, rtol=0, atol=1e-9 * n))


def _fisher(second: SecondState, basis: Eigen, means: Array, k: int) -> tuple[float, float]:
    """tr(W⁻¹B), raw and debiased. With a the squared canonical correlations, it is Σ a / (1 - a)."""
    n, r = second.n, basis.rank
    if k < 2 or r == 0 or n <= k:
        return np.nan, np.nan
    scaled = means * basis.scale[:, None]
    a = np.linalg.eigvalsh(scaled.T @ basis.solve(scaled, 0.0))
    if a[-1] >= 1 - _ROUNDING:
        return np.inf, np.inf if n - k - r - 1 > 0 else np.nan
    raw, free = float((np.maximum(a, 0) / (1 - a)).sum()), n - k - r - 1
    return raw, (free * raw - (k - 1) * r) / n if free > 0 else np.nan


def _separation(gram: Array, means: Array, k: int, n: int) -> float:
    """tr(S_W S_B⁺) from the thin factor of B."""
    if k < 2:
        return np.nan
    u, s, _ = np.linalg.svd(means, full_matrices=False)
    keep = (s > _NEGLIGIBLE * max(s[0], np.finfo(float).tiny)) & (np.arange(len(s)) < k - 1)
    u, s = u[:, keep], s[keep]
    if not len(s):
        return np.nan
    along = np.einsum("dr,de,er->r", u, gram, u, optimize=True)
    return float((_above_rounding(along - s**2, along, n) / s**2).sum())


def _above_rounding(difference: Array, of: Array, n: int) -> Array:
    """A difference of two sums of n products, set to 0 where it is no more than their rounding."""
    return np.where(difference > 8 * n * np.finfo(float).eps * of, difference, 0.0)


def centred_means(second: SecondState) -> Float64[Array, "d k"]:
    """Class means minus the mean row; columns of empty classes are NaN."""
    count = second.y_mean * second.n
    return second.cross / np.where(count > 0.5, count, np.nan)
