"""Two flat views of a layer's rows: the directions of most variance, and those that tell classes apart."""

from dataclasses import dataclass

import numpy as np
import torch

from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.sample import SampleState
from unbend.numerics.scatter import centred_means, is_one_hot
from unbend.numerics.second import SecondState, eigen
from unbend.numerics.state import Held, measure

SHOWN = 600
"""Points per part in a view: more would hide each other, and the page would grow."""
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
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


@measure(SecondState, SampleState, Held(SampleState))
def planes(state: SecondState, train: SampleState, held_out: SampleState) -> Planes:
    """Two flat views of at most 600 training and 600 held-out rows, axes fitted on training rows.

    Cost:
        O(d³), shared with the layer's other measures.
    """
    second = state.settled()
    parts = [p.settled() for p in (train, held_out)]
    rows = [p.table()[0][:SHOWN].double().numpy() for p in parts if p.rows]
    x = np.concatenate(rows) - second.mean if rows else np.zeros((0, len(second.mean)))
    targets = np.concatenate([p.table()[1][:SHOWN].numpy() for p in parts if p.rows]) if rows else np.zeros((0, 1))
    part = np.repeat([False, True], [min(len(p.ids), SHOWN) for p in parts])
    ids = np.concatenate([p.ids[:SHOWN] for p in parts])
    classes = is_one_hot(second)
    label = targets.argmax(1).astype(float) if classes else targets[:, 0]
    values, vectors = _leading(second.gram)
    share = values / max(np.trace(second.gram), np.finfo(float).tiny)
    return Planes(ids, label, part, x @ vectors, share, x @ _discriminant(second) if classes else None)


def _leading(gram: Array) -> tuple[Array, Array]:
    """The two greatest eigenvalues and their vectors; zeros where there are fewer than two."""
    d = len(gram)
    values, vectors = (v.numpy() for v in torch.linalg.eigh(torch.from_numpy(np.ascontiguousarray(gram))))
    k = min(2, d)
    top, axes = np.zeros(2), np.zeros((d, 2))
    top[:k], axes[:, :k] = values[::-1][:k], vectors[:, ::-1][:, :k]
    return np.maximum(top, 0), axes


def _discriminant(second: SecondState) -> Array:
    """The two leading directions of W⁻¹B, scaled to unit within-class variance."""
    basis, means = eigen(second), centred_means(second)
    count = second.y_mean * second.n
    seen = count > 0.5
    scaled = means[:, seen] * np.sqrt(count[seen]) * basis.scale[:, None]
    ridge = _RIDGE * float(basis.values.mean()) if basis.rank else 1.0
    solved = basis.solve(scaled, ridge)
    a, u = np.linalg.eigh(scaled.T @ solved)
    axes = np.zeros((len(second.mean), 2))
    for i in range(min(2, len(a) - 1)):
        squared = max(a[-1 - i], 0)
        w = solved @ u[:, -1 - i]
        spread = np.sqrt(max(squared - squared**2, 1e-300) / max(second.n - len(a), 1))
        axes[:, i] = basis.scale * w / spread if squared > 1e-12 else 0.0
    return axes
