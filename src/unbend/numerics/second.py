"""Second moments of a layer and its targets: everything that is linear in them is read off afterwards.

In: the rows of a batch that were chosen for it. Out: `SecondState`, and its `eigen` decomposition, from
which scatter, spectrum and every closed-form read-out follow. Float64 throughout.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Bool, Float64, Tensor

if TYPE_CHECKING:
    import unbend.numerics.batch
    import unbend.numerics.products

BLOCK = 2048
"""Rows are kept loose until there are this many, so that a batch does not cost a pass over width² sums."""
_EPS = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class SecondState:
    """Means and centred products of rows x [n, d] and targets y [n, t].

    Attributes:
        n: rows summed, the loose ones left out.
        lost: rows left out because a value was not finite; loose rows are not looked at yet.
        mean: mean row [d].
        gram: Σ (x - mean)(x - mean)ᵀ [d, d].
        y_mean: mean target [t].
        cross: Σ (x - mean)(y - y_mean)ᵀ [d, t].
        yy: Σ (y - y_mean)(y - y_mean)ᵀ [t, t].
        loose: rows and targets not summed yet.
    """

    n: int
    lost: int
    mean: Float64[Array, "d"]
    gram: Float64[Array, "d d"]
    y_mean: Float64[Array, "t"]
    cross: Float64[Array, "d t"]
    yy: Float64[Array, "t t"]
    loose: tuple[tuple[Tensor, Tensor], ...] = ()

    __repr__ = in_one_line

    @classmethod
    def of(cls, batch: "unbend.numerics.batch.Batch") -> "SecondState":
        """The chosen rows of one batch."""
        rows, targets, chosen = batch.rows, batch.samples.dense_targets(), batch.samples.dense
        if chosen is not None:
            import torch

            index = torch.from_numpy(chosen)
            rows = rows[index.to(rows.device)]
        return cls.of_rows(rows, targets)

    @classmethod
    def of_rows(cls, rows: Tensor, targets: Tensor) -> "SecondState":
        """Plain rows [n, d] and targets [n, t]; rows with a value that is not finite are left out.

        So are rows with a float64 value beyond 1e150, whose square is not.
        """
        none = cls.empty(rows.shape[1], targets.shape[1])
        return replace(none, loose=((rows.clone(), targets),) if len(rows) else ())

    @classmethod
    def from_products(cls, products: "unbend.numerics.products.Products") -> "SecondState":
        """What was added to running products."""
        found = products.sums()
        return cls(found.n, products.lost, found.mean, found.gram, found.y_mean, found.cross, found.yy)

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "SecondState":
        """No rows."""
        d, t = np.zeros(width), np.zeros(n_targets)
        return cls(0, 0, d, np.broadcast_to(0.0, (width, width)), t, np.zeros((width, n_targets)),
                   np.zeros((n_targets, n_targets)))  # fmt: skip

    def __add__(self, other: "SecondState") -> "SecondState":
        loose = self.loose + other.loose
        total = replace(_merge(self, other), loose=loose)
        return total.settle() if sum(len(rows) for rows, _ in loose) >= BLOCK else total

    def settle(self) -> "SecondState":
        """The same sums with nothing loose; made once per state."""
        if not self.loose:
            return self
        if self not in _SETTLED:
            _SETTLED[self] = self._sum()
        return _SETTLED[self]

    def _sum(self) -> "SecondState":
        from unbend.numerics.products import Products

        d, t = self.cross.shape
        products = Products(d, t, self.loose[0][0].device)
        for rows, targets in self.loose:
            products.add(rows, targets)
        return _merge(replace(self, loose=()), SecondState.from_products(products))


_SETTLED: WeakKeyDictionary[SecondState, SecondState] = WeakKeyDictionary()


def _merge(a: SecondState, b: SecondState) -> SecondState:
    if b.n == 0 or a.n == 0:
        whole = a if b.n == 0 else b
        return replace(whole, lost=a.lost + b.lost, loose=())
    n = a.n + b.n
    weight = a.n * b.n / n
    dx, dy = b.mean - a.mean, b.y_mean - a.y_mean
    gram = np.multiply.outer(dx * weight, dx)
    gram += a.gram
    gram += b.gram
    return type(a)(
        n,
        a.lost + b.lost,
        a.mean + dx * (b.n / n),
        gram,
        a.y_mean + dy * (b.n / n),
        a.cross + b.cross + np.outer(dx, dy) * weight,
        a.yy + b.yy + np.outer(dy, dy) * weight,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Eigen:
    """The correlation-scaled scatter, diagonalised: diag(scale) · gram · diag(scale) = V diag(values) Vᵀ.

    Attributes:
        scale: 1 / (root of the diagonal of gram) [d]; 0 for a constant unit.
        values: eigenvalues above rounding, falling [r].
        vectors: their eigenvectors [d, r].
    """

    scale: Float64[Array, "d"]
    values: Float64[Array, "r"]
    vectors: Float64[Array, "d r"]

    @property
    def rank(self) -> int:
        """Directions that carry more than the rounding of float32 activations."""
        return len(self.values)

    def solve(self, right: Array, ridge: float) -> Array:
        """(scaled gram + ridge·I)⁺ right, in the directions above rounding [d, t]."""
        return self.vectors @ ((self.vectors.T @ right) / (self.values + ridge)[:, None])


_EIGEN: WeakKeyDictionary[SecondState, Eigen] = WeakKeyDictionary()


def varying(second: SecondState) -> Bool[Array, "d"]:
    """Which units vary by more than the rounding of float32 around their mean; the others are constant."""
    diagonal = np.diagonal(second.gram)
    return diagonal > np.maximum((second.n * second.mean**2 + diagonal) * _EPS**2, np.finfo(float).tiny)


def without_constants(second: SecondState) -> Float64[Array, "d d"]:
    """The centred products with those of constant units, which are rounding, set to 0."""
    kept = varying(second)
    return second.gram if kept.all() else second.gram * kept * kept[:, None]


def eigen(second: SecondState) -> Eigen:
    """The correlation-scaled scatter, diagonalised once per state.

    A float32 activation x carries a rounding error of about eps·|x|. Directions in which the rows vary by no
    more than that, with a factor for the length of the sums behind it, are left out; so the rank does not
    grow when an affine layer embeds its input in more dimensions, also where means are far from 0.

    Cost:
        O(d³) time, 2·d² memory, the first time.
    """
    if second not in _EIGEN:
        _EIGEN[second] = _diagonalise(second)
    return _EIGEN[second]


def _diagonalise(second: SecondState) -> Eigen:
    import torch

    kept, diagonal = varying(second), np.diagonal(second.gram)
    scale = np.where(kept, 1 / np.sqrt(np.where(kept, diagonal, 1.0)), 0.0)
    scaled = torch.from_numpy(second.gram * scale * scale[:, None])
    values, vectors = (v.numpy() for v in torch.linalg.eigh(scaled))
    d = len(values)
    if not kept.any():
        return Eigen(scale, np.zeros(0), np.zeros((d, 0)))
    rounding = np.where(kept, second.n * (second.mean * scale) ** 2 + 1, 0.0)
    noise = d * _EPS**2 * (rounding @ vectors**2)
    keep = values > np.maximum(noise, 8 * d * np.finfo(float).eps * values[-1])
    return Eigen(scale, values[keep][::-1].copy(), vectors[:, keep][:, ::-1].copy())
