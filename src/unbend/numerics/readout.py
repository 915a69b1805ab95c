"""A linear read-out of a layer, in closed form from its second moments, beside its own control.

In: second moments (to fit), row samples (to score). Out: `Readout`. Classes are read by linear discriminant
analysis, targets by ridge regression; the ridge is chosen by generalised cross-validation on the same
moments. The control fits the same rows with permuted labels: what it reaches on its training rows is what
the layer's width alone can do.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Float64, Int64
from unbend.numerics.hashing import hashes
from unbend.numerics.interval import wilson
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.numerics.scatter import is_one_hot
from unbend.numerics.second import Eigen, SecondState, eigen
from unbend.numerics.state import HeldOut, measure

RIDGES = 10.0 ** np.arange(-6.0, 1.5, 0.5)
"""Ridges tried, in units of the mean eigenvalue of the correlation-scaled scatter."""
_CONTROL_SALT = 20_260
"""Of the hash of row numbers by which the labels of the control are permuted."""
_UNKNOWN = (np.nan, np.nan)


@result
class Readout:
    """A linear read-out of one layer.

    Attributes:
        n_fit: rows it was fitted on.
        ridge: ridge chosen, in units of the mean eigenvalue.
        weight: x @ weight.T + bias gives one score per class (or the targets) [k, d].
        bias: [k].
        n_train: training rows it was scored on.
        train: accuracy on them (R² for a regression).
        train_interval: 95 % Wilson interval; NaN for a regression.
        n_held_out: held-out rows it was scored on.
        held_out: accuracy on them (R²); NaN without held-out rows.
        held_out_interval: 95 % Wilson interval.
        control_train: accuracy the same read-out reaches on its training rows with permuted labels.
        control_held_out: and on held-out rows: chance.
        confusion: held-out rows of class i read as j [k, k]; None for a regression. Rows with a value that is
            not finite cannot be read: they count as wrong, and stand in no column.
        correct: which of the held-out rows were read rightly, by rising hash [n_held_out]; None for a regression.
    """

    n_fit: int
    ridge: float
    weight: Float64[Array, "k d"]
    bias: Float64[Array, "k"]
    n_train: int
    train: float
    train_interval: tuple[float, float]
    n_held_out: int
    held_out: float
    held_out_interval: tuple[float, float]
    control_train: float
    control_held_out: float
    confusion: Int64[Array, "k k"] | None
    correct: Array | None


@measure(SecondState, SampleState, HeldOut(SampleState))
def readout(state: SecondState, train: SampleState, held_out: SampleState) -> Readout:
    """The closed-form linear read-out of a layer, scored on training and held-out rows.

    Cost:
        O(d³) for the layer's eigenvalues, shared with its other measures, and O(s·d·k) to score.
    """
    second = state.settled()
    basis = eigen(second)
    ridge = _best_ridge(second, basis)
    classes = is_one_hot(second)
    weight, bias = (_discriminant if classes else _regression)(second, basis, ridge)
    rows, targets = train.table()
    held_rows, held_targets = held_out.table()
    unscored = Readout(
        n_fit=second.n, ridge=ridge, weight=weight, bias=bias, n_train=len(rows), n_held_out=len(held_rows),
        train=np.nan, train_interval=_UNKNOWN, held_out=np.nan, held_out_interval=_UNKNOWN,
        control_train=np.nan, control_held_out=np.nan, confusion=None, correct=None,
    )  # fmt: skip
    if not classes:
        return replace(
            unscored,
            train=_r2(rows, targets, weight, bias),
            held_out=_r2(held_rows, held_targets, weight, bias),
        )
    right = _predictions(rows, weight, bias) == _label(targets)
    guess, truth = _predictions(held_rows, weight, bias), _label(held_targets)
    shuffled = _permuted(targets, train.settled().ids)
    control_train, control_held_out = _control(rows, shuffled, held_rows, held_targets, ridge)
    return replace(
        unscored,
        train=_mean(right),
        train_interval=_interval(right),
        held_out=_mean(guess == truth),
        held_out_interval=_interval(guess == truth),
        control_train=control_train,
        control_held_out=control_held_out,
        confusion=_confusion(truth, guess, len(bias)),
        correct=guess == truth,
    )


def _confusion(truth: Array, guess: Array, k: int) -> Array:
    """Rows of each class by the class they were read as; a row that cannot be read stands in no column."""
    counts, is_read = np.zeros((k, k), np.int64), guess >= 0
    np.add.at(counts, (truth[is_read], guess[is_read]), 1)
    return counts


def r2(residual: Float64[Array, "n t"], y: Float64[Array, "n t"]) -> float | None:
    """1 - residual / total sum of squares, averaged over the targets that vary; None where none does.

    Args:
        residual: what is left of each target.
        y: the targets.

    Example:
        >>> y = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
        >>> r2(y - [1.0, 5.0], y), r2(y - y, y), r2(y[:1], y[:1])
        (0.0, 1.0, None)
    """
    if len(y) < 2:
        return None
    total = ((y - y.mean(0)) ** 2).sum(0)
    varies = total > 0
    return float(np.mean(1 - (residual**2).sum(0)[varies] / total[varies])) if varies.any() else None


def _control(
    rows: Tensor, shuffled: Tensor, held_rows: Tensor, held_targets: Tensor, ridge: float
) -> tuple[float, float]:
    """Accuracies of the same read-out fitted to permuted labels, on its own rows and on held-out ones.

    The ridge is that of the true labels. Cross-validation of labels that mean nothing chooses the heaviest there is,
    so a control with a ridge of its own fits less: it would hide what width can do, and praise the layer for that.
    """
    if len(rows) < 2:
        return np.nan, np.nan
    second = SecondState.of_rows(rows, shuffled).settled()
    weight, bias = _discriminant(second, eigen(second), ridge)
    return (_mean(_predictions(rows, weight, bias) == _label(shuffled)),
            _mean(_predictions(held_rows, weight, bias) == _label(held_targets)))  # fmt: skip


def _permuted(targets: Tensor, ids: Int64[Array, "s"]) -> Tensor:
    """The targets in another order, which depends on the row numbers only: the same in every layer, rank and merge."""
    by_number, by_chance = np.argsort(ids), np.argsort(hashes(ids, _CONTROL_SALT))
    places = np.empty_like(by_number)
    places[by_number] = by_chance
    return targets[torch.from_numpy(places)]


def _best_ridge(second: SecondState, basis: Eigen) -> float:
    """The ridge with the least generalised cross-validation error of the linear regression on the targets.

    Residual and free dimensions are written as what is left without a ridge plus what the ridge adds, so that
    neither is a difference of near equals when there are fewer rows than directions. Of ridges that are
    equally good, the greatest.
    """
    if not basis.rank or second.n < 3:
        return 1.0
    projected = basis.vectors.T @ (second.cross * basis.scale[:, None])
    explained = (projected**2).sum(1)
    left = second.n - 1 - basis.rank
    least = max(float(np.trace(second.yy)) - float((explained / basis.values).sum()), 0.0) if left > 0 else 0.0
    strength = RIDGES[:, None] * basis.values.mean()
    shrunk = basis.values + strength
    residual = least + (explained * strength**2 / (basis.values * shrunk**2)).sum(1)
    free = max(left, 0) + (strength / shrunk).sum(1)
    scores = residual / free**2
    return float(RIDGES[np.flatnonzero(scores <= scores.min() * (1 + 1e-9))[-1]])


def _discriminant(second: SecondState, basis: Eigen, ridge: float) -> tuple[Array, Array]:
    """Linear discriminant weights for the covariance W / n, with W = G - C Cᵀ inverted from G's eigenvalues."""
    count = second.y_mean * second.n
    seen = count > 0.5
    k, d = len(count), len(second.mean)
    weight, bias = np.zeros((k, d)), np.full(k, -np.inf)
    if not basis.rank:
        bias[seen] = np.log(count[seen] / max(second.n, 1))
        return weight, bias
    sums = second.cross[:, seen] * basis.scale[:, None]
    root = sums / np.sqrt(count[seen])
    solved = basis.solve(root, ridge * float(basis.values.mean()))
    inner = np.eye(root.shape[1]) - root.T @ solved
    within_inverse = solved @ np.linalg.pinv(inner, hermitian=True, rcond=1e-13)
    scaled = within_inverse * second.n / np.sqrt(count[seen])
    delta = sums / count[seen]
    weight[seen] = (scaled * basis.scale[:, None]).T
    bias[seen] = -0.5 * (delta * scaled).sum(0) + np.log(count[seen] / second.n) - weight[seen] @ second.mean
    return weight, bias


def _regression(second: SecondState, basis: Eigen, ridge: float) -> tuple[Array, Array]:
    """Ridge regression of the targets on the rows."""
    unit = float(basis.values.mean()) if basis.rank else 1.0
    weight = (basis.solve(second.cross * basis.scale[:, None], ridge * unit) * basis.scale[:, None]).T
    return weight, second.y_mean - weight @ second.mean


def _predictions(rows: Tensor, weight: Array, bias: Array) -> Array:
    """The class read from each row; -1 where a row is not finite."""
    if not len(rows):
        return np.zeros(0, np.int64)
    x = rows.double().numpy()
    good = np.logical_and.reduce(np.isfinite(x), axis=1)
    score = np.where(good[:, None], x, 0.0) @ weight.T + np.where(np.isfinite(bias), bias, -1e300)
    return np.where(good, score.argmax(1), -1)


def _label(targets: Tensor) -> Array:
    return targets.argmax(1).numpy() if len(targets) else np.zeros(0, np.int64)


def _r2(rows: Tensor, targets: Tensor, weight: Array, bias: Array) -> float:
    """R² over the finite rows; NaN where there is none."""
    x, y = rows.double().numpy(), targets.numpy()
    good = np.isfinite(x).all(1)
    x, y = x[good], y[good]
    found = r2(y - x @ weight.T - bias, y)
    return np.nan if found is None else found


def _mean(right: Array) -> float:
    return float(right.mean()) if len(right) else np.nan


def _interval(right: Array) -> tuple[float, float]:
    if not len(right):
        return _UNKNOWN
    low, high = wilson(int(right.sum()), len(right))
    return float(low), float(high)
