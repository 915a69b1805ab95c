"""Read-outs in closed form: second moments come in, ridge and discriminant weights go out.

Everything here is linear in sums over rows, so one pass over the rows serves every penalty, every fold (total
minus the fold's part) and every shuffle of the labels (more columns of targets). Works on anything with the
fields of `SecondMoments`, such as the streamed state of `unbend.numerics.second`, settled.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor

from unbend.numerics.products import CrossProducts
from unbend.numerics.result import result

_ROWS = 2048
_SMALL = 1e-15
"""Squares of float32 numbers below this lose digits."""
_TINY = 1e-300
"""A variance below this has lost digits: the unit counts as constant."""
_FLOOR = 1e-9
"""Added to the correlation matrix, as a share of its diagonal, so that collinear units can be inverted."""


@runtime_checkable
class SecondMoments(Protocol):
    """Means and centred products of rows x [n, d] and targets y [n, t]."""

    @property
    def n(self) -> int: ...
    @property
    def mean(self) -> np.ndarray: ...
    @property
    def gram(self) -> np.ndarray: ...
    @property
    def y_mean(self) -> np.ndarray: ...
    @property
    def cross(self) -> np.ndarray: ...
    @property
    def yy(self) -> np.ndarray: ...


def sums(x: Shaped[Tensor, "n d"], y: Float[Tensor, "n t"]) -> CrossProducts:
    """Second moments of rows and targets: products in the rows' precision after a shift, sums in float64.

    Where float32 products overflow or vanish, the rows are widened.

    Cost:
        N d² / 2 multiplications, one block of rows in memory.
    """
    x = x if x.dtype == torch.float64 else x.float()
    n, d, t = len(x), x.shape[1], y.shape[1]
    shift = torch.cat([x[:_ROWS].double().mean(0), y[:_ROWS].double().mean(0)]) if n else torch.zeros(d + t)
    shift = shift.to(x.dtype)
    products, size = np.zeros((d + t + 1, d + t + 1)), np.zeros(d + t)
    room = torch.ones(min(_ROWS, n), d + t + 1, dtype=x.dtype)
    for i in range(0, n, _ROWS):
        block = room[: min(_ROWS, n - i)]
        torch.sub(x[i : i + _ROWS], shift[:d], out=block[:, :d])
        torch.sub(y[i : i + _ROWS].to(x.dtype), shift[d:], out=block[:, d:-1])
        one = block.numpy()
        size = np.maximum(size, np.abs(one[:, :-1]).max(axis=0, initial=0.0))
        with np.errstate(over="ignore", invalid="ignore"):
            products += one.T @ one
    is_lost = not np.isfinite(products).all() or bool(((size > 0) & (size < _SMALL)).any())
    if x.dtype != torch.float64 and is_lost and bool(torch.isfinite(x).all()):
        return sums(x.double(), y)
    mean = products[-1, :-1] / max(n, 1)
    with np.errstate(invalid="ignore"):
        centred = products[:-1, :-1] - n * np.outer(mean, mean)
    mean = shift.double().numpy() + mean
    return CrossProducts(n, mean[:d], centred[:d, :d], mean[d:], centred[:d, d:], centred[d:, d:])


def join(parts: Sequence[SecondMoments]) -> CrossProducts:
    """The moments of all parts together."""
    count = np.array([p.n for p in parts], np.float64)
    share = count / max(count.sum(), 1)
    mean = np.tensordot(share, np.stack([p.mean for p in parts]), 1)
    y_mean = np.tensordot(share, np.stack([p.y_mean for p in parts]), 1)
    gram, cross, yy = (np.zeros_like(v) for v in (parts[0].gram, parts[0].cross, parts[0].yy))
    for p in parts:
        dx, dy = p.mean - mean, p.y_mean - y_mean
        gram += p.gram + p.n * np.outer(dx, dx)
        cross += p.cross + p.n * np.outer(dx, dy)
        yy += p.yy + p.n * np.outer(dy, dy)
    return CrossProducts(int(count.sum()), mean, gram, y_mean, cross, yy)


def subtract(total: SecondMoments, part: SecondMoments) -> CrossProducts:
    """The moments of the rows of `total` that are not in `part`."""
    n = total.n - part.n
    mean = (total.n * total.mean - part.n * part.mean) / max(n, 1)
    y_mean = (total.n * total.y_mean - part.n * part.y_mean) / max(n, 1)
    share = n * part.n / max(total.n, 1)
    dx, dy = mean - part.mean, y_mean - part.y_mean
    return CrossProducts(
        n=n,
        mean=mean,
        gram=total.gram - part.gram - share * np.outer(dx, dx),
        y_mean=y_mean,
        cross=total.cross - part.cross - share * np.outer(dx, dy),
        yy=total.yy - part.yy - share * np.outer(dy, dy),
    )


def ridge(
    moments: SecondMoments, l2s: Sequence[float]
) -> tuple[Float64[np.ndarray, "m t d"], Float64[np.ndarray, "m t"]]:
    """Weights and biases of ridge regression for each penalty; penalties apply to standardised units.

    Minimises (1/n) Σ |y - W x - b|² + μ Σ_j var(x_j) |w_j|².

    Cost:
        D³ / 3 multiplications for each penalty.
    """
    scale, correlation = _correlation(moments.gram, moments.n)
    right = moments.cross / (max(moments.n, 1) * scale[:, None])
    weight = np.stack([(_solve(correlation, l2, right) / scale[:, None]).T for l2 in l2s])
    return weight, moments.y_mean - weight @ moments.mean


def discriminant(
    moments: SecondMoments, l2: float = 1e-6
) -> tuple[Float64[np.ndarray, "k d"], Float64[np.ndarray, " k"]]:
    """Weights and biases of linear discriminant analysis, from moments whose targets are one-hot classes.

    Args:
        moments: of rows and one-hot classes; classes without rows score -inf.
        l2: penalty on the within-class covariance, in standardised units.
    """
    count = moments.y_mean * moments.n
    seen = count > 0.5
    delta = moments.cross[:, seen] / count[seen]
    within = moments.gram - (delta * count[seen]) @ delta.T
    scale, correlation = _correlation(within, moments.n)
    solved = _solve(correlation, l2, delta / scale[:, None]) / scale[:, None]
    weight, bias = np.zeros((len(count), len(moments.mean))), np.full(len(count), -np.inf)
    weight[seen] = solved.T
    bias[seen] = -0.5 * (delta * solved).sum(0) + np.log(moments.y_mean[seen]) - weight[seen] @ moments.mean
    return weight, bias


def squared_error(
    moments: SecondMoments, weight: Float64[np.ndarray, "*m t d"], bias: Float64[np.ndarray, "*m t"]
) -> Float64[np.ndarray, "*m t"]:
    """Σ (y - W x - b)² over the rows of these moments, exactly, without the rows."""
    off = moments.y_mean - weight @ moments.mean - bias
    spread = np.einsum("...td,...td->...t", weight @ moments.gram, weight)
    told = np.einsum("...td,dt->...t", weight, moments.cross)
    return np.diagonal(moments.yy) - 2 * told + spread + moments.n * off**2


@result
class RidgeFolds:
    """Ridge regression, cross-validated exactly from moments.

    Attributes:
        l2: penalties.
        r2: 1 - residual / total sum of squares of each target at each penalty, over all held-out folds; the total is
            about the mean of the fitted rows, so a read-out worse than that mean has a negative one.
        chosen: the penalty with the best mean over targets.
        weight: of the read-out of all rows at that penalty.
        bias: of the same.
    """

    l2: Float64[np.ndarray, " m"]
    r2: Float64[np.ndarray, "m t"]
    chosen: float
    weight: Float64[np.ndarray, "t d"]
    bias: Float64[np.ndarray, " t"]


def ridge_folds(parts: Sequence[SecondMoments], l2s: Sequence[float]) -> RidgeFolds:
    """Cross-validated ridge regression from the moments of each fold; no row is looked at again.

    Cost:
        D³ / 3 multiplications for each fold and penalty.
    """
    total = join(parts)
    error, spread = 0.0, 0.0
    for part in parts:
        rest = subtract(total, part)
        error = error + squared_error(part, *ridge(rest, l2s))
        spread = spread + np.diagonal(part.yy) + part.n * (part.y_mean - rest.y_mean) ** 2
    r2 = 1 - error / np.maximum(spread, 1e-300)
    best = int(r2.mean(1).argmax())
    weight, bias = ridge(total, [l2s[best]])
    return RidgeFolds(l2=np.asarray(l2s, np.float64), r2=r2, chosen=float(l2s[best]), weight=weight[0], bias=bias[0])


def _correlation(gram: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    variance = np.maximum(np.diagonal(gram), 0) / max(n, 1)
    scale = np.where(variance > _TINY, np.sqrt(variance), 1.0)
    return scale, gram / (max(n, 1) * scale * scale[:, None])


def _solve(correlation: np.ndarray, l2: float, right: np.ndarray) -> np.ndarray:
    penalised = correlation.copy()
    penalised.flat[:: len(penalised) + 1] += l2 + _FLOOR
    return cho_solve(cho_factor(penalised, lower=True, overwrite_a=True, check_finite=False), right)
