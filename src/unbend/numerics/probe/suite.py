"""The cheap mode: one pass over the rows, then ridge read-outs over penalties, folds and shuffled labels.

Rows and classes come in, cross-validated accuracies go out, with those of shuffled labels beside them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int64, Shaped
from torch import Tensor

from unbend.numerics.floating import as_shipped
from unbend.numerics.interval import wilson
from unbend.numerics.probe.closed import join, ridge, subtract, sums
from unbend.numerics.probe.control import shuffle
from unbend.numerics.probe.inputs import require_range
from unbend.numerics.probe.split import folds_of
from unbend.numerics.result import result

_LARGE = 1e30
"""Weights below this, times float32 rows, stay in float32."""
L2S = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@result
class ClosedForm:
    """Ridge regression on one-hot classes, read by the highest score.

    Attributes:
        l2: penalties.
        accuracy: over all held-out folds, at each penalty.
        low: lower ends of its Wilson intervals.
        high: upper ends.
        chosen: the penalty with the best accuracy.
        weight: of the read-out of all rows at the chosen penalty.
        bias: of the same.
        shuffled: accuracy for each shuffle of the labels, at each penalty: chance.
        memorised: accuracy of each shuffle's read-out on the rows it was fitted to, at the chosen penalty: the
            capacity of the layer's width.
    """

    l2: Float64[np.ndarray, " m"]
    accuracy: Float64[np.ndarray, " m"]
    low: Float64[np.ndarray, " m"]
    high: Float64[np.ndarray, " m"]
    chosen: float
    weight: Float64[np.ndarray, "k d"]
    bias: Float64[np.ndarray, " k"]
    shuffled: Float64[np.ndarray, "s m"]
    memorised: Float64[np.ndarray, " s"]


@as_shipped()
def closed_form(
    x: Shaped[Tensor, "n d"],
    y: Int64[Tensor, " n"],
    *,
    l2s: Sequence[float] = L2S,
    n_folds: int = 5,
    n_shuffles: int = 1,
    seed: int = 0,
) -> ClosedForm:
    """Cross-validated closed-form read-outs of a layer: every penalty, fold and shuffle from one pass.

    Args:
        x: representation.
        y: classes 0..k-1.
        l2s: penalties in standardised units.
        n_folds: folds.
        n_shuffles: shuffles of the labels, each fitted and judged like the labels themselves.
        seed: draws folds and shuffles.

    Raises:
        DataError: a class with a single row, values that are not finite or whose squares float64 cannot hold.

    Cost:
        N d² / 2 + (folds + 1) · penalties · d³ / 3 multiplications, and n d k · penalties · (shuffles + 1)
        to judge them.
    """
    require_range("x", x)
    k = int(y.max()) + 1
    labels = torch.stack([y, *(shuffle(y, seed + 1 + s) for s in range(n_shuffles))])
    fold = folds_of(y, n_folds, seed)
    order = [torch.nonzero(fold == f)[:, 0] for f in range(n_folds)]
    parts = [sums(x[rows], _one_hot(labels[:, rows], k)) for rows in order]
    total = join(parts)
    right = np.zeros((n_shuffles + 1, len(l2s)), np.int64)
    for rows, part in zip(order, parts, strict=True):
        right += _right(x[rows], labels[:, rows], *ridge(subtract(total, part), l2s))
    best = int(right[0].argmax())
    weight, bias = ridge(total, [l2s[best]])
    low, high = wilson(right[0], len(y))
    memorised = _right(x, labels, weight, bias)[1:, 0] / len(y) if n_shuffles else np.zeros(0)
    accuracy = right / len(y)
    return ClosedForm(
        l2=np.asarray(l2s, np.float64),
        accuracy=accuracy[0],
        low=low,
        high=high,
        chosen=float(l2s[best]),
        weight=weight[0, :k],
        bias=bias[0, :k],
        shuffled=accuracy[1:],
        memorised=memorised,
    )


def _one_hot(labels: Tensor, k: int) -> Tensor:
    """Classes of each labelling side by side: [s, n] to [n, s k]."""
    return torch.nn.functional.one_hot(labels, k).movedim(0, 1).flatten(1).to(torch.float32)


def _right(x: Tensor, labels: Tensor, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """How many rows each labelling's read-out gets right, for each penalty: [s, m]."""
    m, t, d = weight.shape
    s = len(labels)
    is_narrow = x.dtype != torch.float64 and np.abs(weight).max(initial=0.0) < _LARGE
    dtype = torch.float32 if is_narrow else torch.float64
    stacked = torch.from_numpy(weight.reshape(m * t, d).T.copy()).to(dtype)
    shift = torch.from_numpy(bias.reshape(m * t)).to(dtype)
    right = torch.zeros(s, m, dtype=torch.int64)
    for i in range(0, len(x), 4096):
        scores = x[i : i + 4096].to(dtype) @ stacked + shift
        told = scores.view(-1, m, s, t // s).argmax(3)
        right += (told == labels[:, i : i + 4096].T[:, None]).sum(0).T
    return right.numpy()
