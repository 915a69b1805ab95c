"""Two flat views of a layer's rows: the directions of most variance, and those that tell classes apart."""

import numpy as np

from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.numerics.scatter import centred_means, is_one_hot
from unbend.numerics.second import SecondState, eigen, without_constants
from unbend.numerics.state import HeldOut, measure

SHOWN = 600
"""Points per part in a view: more would hide each other, and the page would grow."""
_RIDGE = 1e-3
_ROUNDING = 1e-12
_DENSE = 128


@result
class Projections:
    """Coordinates of sampled rows in two planes.

    Attributes:
        ids: row numbers in the data set [s].
        label: class of each row [s], or its first target for a regression.
        held_out: whether the row was held out [s].
        pca: coordinates along the two directions of most variance [s, 2].
        pca_share: their shares of the variance [2].
        discriminant: coordinates along the two directions that best tell classes apart, in units of the
            within-class spread [s, 2]; None for a regression.
    """

    ids: Int64[Array, "s"]
    label: Float64[Array, "s"]
    held_out: Bool[Array, "s"]
    pca: Float64[Array, "s 2"]
    pca_share: Float64[Array, "2"]
    discriminant: Float64[Array, "s 2"] | None


@measure(SecondState, SampleState, HeldOut(SampleState))
def planes(state: SecondState, train: SampleState, held_out: SampleState) -> Projections:
    """Two flat views of at most 600 training and 600 held-out rows, axes fitted on training rows.

    Cost:
        O(d³), shared with the layer's other measures.
    """
    second = state.settle()
    shown = [_points(part) for part in (train, held_out)]
    kept = [(ids, rows, targets) for ids, rows, targets in shown if len(ids)]
    d, t = second.cross.shape
    x = np.concatenate([rows for _, rows, _ in kept] or [np.zeros((0, d))]) - second.mean
    targets = np.concatenate([targets for _, _, targets in kept] or [np.zeros((0, t))])
    ids = np.concatenate([ids for ids, _, _ in shown])
    part = np.repeat([False, True], [len(ids) for ids, _, _ in shown])
    classes = is_one_hot(second)
    label = targets.argmax(1).astype(float) if classes else targets[:, 0]
    values, axes = variance_axes(second)
    share = values / max(float(np.trace(second.gram)), np.finfo(float).tiny)
    return Projections(
        ids=ids, label=label, held_out=part, pca=x @ axes, pca_share=share,
        discriminant=x @ discriminant_axes(second) if classes else None,
    )  # fmt: skip


def _points(sample: SampleState) -> tuple[Array, Array, Array]:
    """Ids, rows and targets of the first finite rows of a sample."""
    whole = sample.settle()
    rows, targets = (v[:SHOWN].astype(np.float64) for v in whole.table())
    good = np.isfinite(rows).all(1)
    return whole.ids[:SHOWN][good], rows[good], targets[good]


def variance_axes(second: SecondState) -> tuple[Float64[Array, "2"], Float64[Array, "d 2"]]:
    """The two greatest variances, as sums of squares, and their directions; zeros where none is above rounding."""
    return _leading(without_constants(second.settle()))


def _leading(gram: Array) -> tuple[Array, Array]:
    """The two greatest eigenvalues and their vectors; zeros where there are fewer than two above rounding."""
    d = len(gram)
    top, axes = np.zeros(2), np.zeros((d, 2))
    if d > _DENSE and gram.any():
        from scipy.sparse.linalg import eigsh

        values, vectors = eigsh(gram, k=2, v0=np.linspace(1.0, 2.0, d))
    else:
        values, vectors = np.linalg.eigh(gram)
    k = min(2, d)
    values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k]
    real = values > _ROUNDING * max(values[0], np.finfo(float).tiny)
    top[:k], axes[:, :k] = np.where(real, values, 0), np.where(real, _with_sign(vectors), 0)
    return top, axes


def _with_sign(axes: Array) -> Array:
    """Axes with the sign that makes their greatest entry positive: a picture does not flip between runs."""
    greatest = np.take_along_axis(axes, np.abs(axes).argmax(0)[None], 0)
    return axes * np.where(greatest < 0, -1.0, 1.0)


def discriminant_axes(second: SecondState) -> Float64[Array, "d 2"]:
    """The two leading directions of W⁻¹B, scaled to unit within-class variance; zeros beyond k - 1 of them."""
    second = second.settle()
    basis, means = eigen(second), centred_means(second)
    count = second.y_mean * second.n
    seen = count > 0.5
    axes = np.zeros((len(second.mean), 2))
    if not basis.rank or seen.sum() < 2:
        return axes
    scaled = means[:, seen] * np.sqrt(count[seen]) * basis.scale[:, None]
    solved = basis.solve(scaled, _RIDGE * float(basis.values.mean()))
    a, u = np.linalg.eigh(scaled.T @ solved)
    for i in range(min(2, len(a) - 1)):
        if a[-1 - i] > _ROUNDING:
            w = solved @ u[:, -1 - i]
            along = basis.vectors.T @ w
            within = float((basis.values * along**2).sum() - ((scaled.T @ w) ** 2).sum())
            spread = np.sqrt(max(within, _ROUNDING * a[-1 - i]) / max(second.n - len(a), 1))
            axes[:, i] = basis.scale * w / spread
    return _with_sign(axes)
