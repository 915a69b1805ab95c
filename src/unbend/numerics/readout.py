"""A linear read-out of a layer, in closed form from its second moments, beside its own controls.

In: second moments (to fit), row samples (to score). Out: `Readout`. Classes are read by linear discriminant
analysis, targets by ridge regression; the ridge is the one with the least error on rows left out of the fit. The
controls fit the same rows with permuted labels: what they reach on those rows is what the layer's width alone can do.
Where it can be afforded, `logistic_readout` puts a logistic regression in its place.
"""

from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.numerics.interval import wilson
from unbend.numerics.permuted import Fitted, N, p_value, permutation_scores
from unbend.numerics.rates import rates
from unbend.numerics.result import result
from unbend.numerics.ridge import best_ridge
from unbend.numerics.sample import SampleState
from unbend.numerics.scatter import is_one_hot
from unbend.numerics.second import Eigen, SecondState, eigen
from unbend.numerics.simultaneous import r2_interval
from unbend.numerics.state import HeldOut, measure

_UNKNOWN = (np.nan, np.nan)
Reader: TypeAlias = Literal["discriminant", "ridge", "logistic"]
"""What a read-out is fitted by."""
READERS: dict[str, str] = {
    "logistic": "logistic regression", "discriminant": "linear discriminant", "ridge": "ridge regression",
}  # fmt: skip
"""What a sentence calls it."""


@result
class Readout:
    """A linear read-out of one layer.

    Attributes:
        n_fit: rows it was fitted on.
        ridge: ridge chosen, in units of the mean eigenvalue; of a logistic regression, the penalty chosen.
        weight: x @ weight.T + bias gives one score per class (or the targets) [k, d].
        bias: [k].
        n_train: of the rows it was fitted on, those it was scored on.
        train: accuracy on them (R² for a regression).
        train_interval: 95 % Wilson interval; NaN for a regression.
        n_held_out: held-out rows it was scored on.
        held_out: accuracy on them (R²); NaN without held-out rows.
        held_out_interval: 95 % interval of it: Wilson's for an accuracy, a bootstrap of the rows for R².
        control_train: accuracy (R²) the same read-out reaches on the rows it is fitted on when their labels are
            permuted, on average over the permutations.
        control_held_out: and on held-out rows: chance.
        confusion: held-out rows of class i read as j [k, k]; None for a regression. Rows with a value that is
            not finite cannot be read: they count as wrong, and stand in no column.
        correct: which of the held-out rows were read rightly, by rising hash [n_held_out]; None for a regression.
        unexplained: each held-out row's share of 1 - R² [n_held_out]; None for classes.
        majority: share of the most frequent class among the held-out rows: the accuracy of always naming it.
        balanced: held-out accuracy averaged over the classes.
        precision: average precision of each class against the others, averaged over the classes.
        majority_train: share of the most frequent class among the rows it was fitted on.
        n_permuted: permutations behind the controls.
        p_value: share of permutations that do as well on held-out rows, the true order counted; without held-out rows,
            on the rows fitted.
        labels: where rows have several yes/no labels, the read-out of each, in order; all scores are then averages
            over the labels, and `unexplained` is the share of a row's labels that is read wrongly.
        reader: what it is fitted by: a linear discriminant or a ridge regression, in closed form, or a logistic
            regression. The controls and the p-value are those of the closed form in either case.
        closed: the closed form, where a logistic regression stands in its place.
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
    unexplained: Array | None = None
    majority: float = np.nan
    balanced: float = np.nan
    precision: float = np.nan
    majority_train: float = np.nan
    n_permuted: int = 0
    p_value: float = np.nan
    labels: "tuple[Readout, ...]" = ()
    reader: Reader = "discriminant"
    closed: "Readout | None" = None


def alike(a: Readout, b: Readout) -> tuple[Readout, Readout]:
    """Two read-outs as they can be compared: fitted by the same reader, the logistic one where both have it."""
    if a.reader == b.reader:
        return a, b
    return a.closed or a, b.closed or b


@measure(SecondState, SampleState, HeldOut(SampleState))
def readout(state: SecondState, train: SampleState, held_out: SampleState, *, controls: bool = True) -> Readout:
    """The closed-form linear read-out of a layer, scored on training and held-out rows.

    Args:
        state: second moments of the rows to fit.
        train: rows among those.
        held_out: rows to score.
        controls: whether permuted labels are fitted too.

    Cost:
        O(d³) for the layer's eigenvalues, shared with its other measures, and O(s·d·k) to score, twenty times more for
        the controls.
    """
    second = state.settle()
    return read(second, eigen(second), train, held_out, controls=controls)


def read(
    second: SecondState, basis: Eigen, train: SampleState, held_out: SampleState, *, controls: bool = True
) -> Readout:
    """The same with the eigenvalues at hand, which other targets of the same rows share."""
    rows, targets, ids = _finite(train, second)
    ridge = best_ridge(second, basis, rows, targets)
    found = Readout(
        n_fit=second.n, ridge=ridge, weight=np.zeros((0, 0)), bias=np.zeros(0), n_train=len(rows),
        n_held_out=len(held_out.table()[0]), train=np.nan, train_interval=_UNKNOWN, held_out=np.nan,
        held_out_interval=_UNKNOWN, control_train=np.nan, control_held_out=np.nan, confusion=None, correct=None,
    )  # fmt: skip
    fitted = Fitted(rows.astype(np.float64), targets, ids)
    n_permuted = N if controls else 0
    if is_one_hot(second):
        return _of_classes(found, second, basis, fitted, held_out, n_permuted)
    return _of_targets(found, second, basis, fitted, held_out, n_permuted)


def _finite(sample: SampleState, second: SecondState) -> tuple[Array, Array, Int64[Array, "s"]]:
    """The rows of the sample that were summed, their targets and numbers: the finite ones of the least hashes."""
    (rows, targets), ids = sample.table(), sample.settle().ids
    good = np.isfinite(rows).all(1) if len(rows) else np.zeros(0, bool)
    if not good.all():
        rows, targets, ids = rows[good], targets[good], ids[good]
    return rows[: second.n], targets[: second.n], ids[: second.n]


def _of_classes(
    found: Readout, second: SecondState, basis: Eigen, fitted: Fitted, held_out: SampleState, most: int
) -> Readout:
    """With linear discriminants, their scores and controls."""
    rows, targets = (part.astype(np.float64) for part in held_out.table())
    scored = score_classes(found, _discriminant(second, basis, found.ridge), fitted, (rows, targets))
    on_fitted, on_held_out = permutation_scores(
        second, basis, fitted, (rows, targets), lambda sums: _discriminant(sums, basis, found.ridge), _accuracy, most
    )
    return replace(
        scored,
        control_train=_mean(on_fitted),
        control_held_out=_mean(on_held_out),
        n_permuted=len(on_fitted),
        p_value=p_value(scored.held_out, on_held_out) if len(rows) else p_value(scored.train, on_fitted),
    )


def score_classes(
    found: Readout, planes: tuple[Array, Array], fitted: Fitted, held_out: tuple[Array, Array]
) -> Readout:
    """A read-out of classes with other planes, scored on the rows it was fitted to and on held-out rows.

    Args:
        found: what stays as it is, the controls among it.
        planes: weight and bias.
        fitted: the rows fitted.
        held_out: rows and their targets.
    """
    weight, bias = planes
    score, label = scores(held_out[0], weight, bias), _label(fitted.targets)
    right, guess, truth = _guess(scores(fitted.rows, weight, bias)) == label, _guess(score), _label(held_out[1])
    base = rates(truth, guess, _posterior(score))
    return replace(
        found,
        weight=weight,
        bias=bias,
        train=_mean(right),
        train_interval=_interval(right),
        held_out=_mean(guess == truth),
        held_out_interval=_interval(guess == truth),
        confusion=_confusion(truth, guess, len(bias)),
        correct=guess == truth,
        majority=base.majority,
        balanced=base.balanced,
        precision=base.precision,
        majority_train=float(np.bincount(label).max() / len(label)) if len(label) else np.nan,
    )


def _of_targets(
    found: Readout, second: SecondState, basis: Eigen, fitted: Fitted, held_out: SampleState, most: int
) -> Readout:
    """With ridge regressions, their scores and controls."""
    weight, bias = _regression(second, basis, found.ridge)
    rows, targets = (part.astype(np.float64) for part in held_out.table())
    on_fitted, on_held_out = permutation_scores(
        second, basis, fitted, (rows, targets), lambda sums: _regression(sums, basis, found.ridge), _r2, most
    )
    train_score, held_out_score = _r2(fitted.rows, fitted.targets, weight, bias), _r2(rows, targets, weight, bias)
    good = np.isfinite(rows).all(1) if len(rows) else np.zeros(0, bool)
    squares = (targets[good] - rows[good] @ weight.T - bias) ** 2 if good.any() else np.zeros((0, len(bias)))
    return replace(
        found,
        reader="ridge",
        weight=weight,
        bias=bias,
        train=train_score,
        held_out=held_out_score,
        held_out_interval=r2_interval(squares, targets[good]) if good.any() else _UNKNOWN,
        control_train=_mean(on_fitted),
        control_held_out=_mean(on_held_out),
        unexplained=_shares(squares, targets[good]) if good.all() and good.any() else None,
        n_permuted=len(on_fitted),
        p_value=p_value(held_out_score, on_held_out) if len(rows) else p_value(train_score, on_fitted),
    )


def _shares(squares: Array, targets: Array) -> Array:
    """Each row's share of 1 - R²."""
    total = ((targets - targets.mean(0)) ** 2).sum()
    return squares.sum(1) / total if total > 0 else np.full(len(squares), np.nan)


def _confusion(truth: Array, guess: Array, k: int) -> Array:
    """Rows of each class by the class they were read as; a row that cannot be read stands in no column."""
    counts, is_read = np.zeros((k, k), np.int64), guess >= 0
    np.add.at(counts, (truth[is_read], guess[is_read]), 1)
    return counts


def r2(residual: Float64[Array, "n t"], y: Float64[Array, "n t"]) -> float | None:
    """1 - residual / total sum of squares, each target weighing its variance; None where none varies.

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
    total = ((y - y.mean(0)) ** 2).sum()
    return float(1 - (residual**2).sum() / total) if total > 0 else None


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
    within_inverse = _within_inverse(basis, root, ridge * float(basis.values.mean()))
    scaled = within_inverse * second.n / np.sqrt(count[seen])
    delta = sums / count[seen]
    weight[seen] = (scaled * basis.scale[:, None]).T
    bias[seen] = -0.5 * (delta * scaled).sum(0) + np.log(count[seen] / second.n) - weight[seen] @ second.mean
    return weight, bias


def _within_inverse(basis: Eigen, root: Array, ridge: float) -> Array:
    """(scaled G + ridge·I - R Rᵀ)⁺ R for the class sums R, solved on its smaller side: classes, or directions."""
    if root.shape[1] <= basis.rank:
        solved = basis.solve(root, ridge)
        inner = np.eye(root.shape[1]) - root.T @ solved
        return solved @ np.linalg.pinv(inner, hermitian=True, rcond=1e-13)
    along = basis.vectors.T @ root
    within = np.diag(basis.values + ridge) - along @ along.T
    return basis.vectors @ (np.linalg.pinv(within, hermitian=True, rcond=1e-13) @ along)


def _regression(second: SecondState, basis: Eigen, ridge: float) -> tuple[Array, Array]:
    """Ridge regression of the targets on the rows."""
    unit = float(basis.values.mean()) if basis.rank else 1.0
    weight = (basis.solve(second.cross * basis.scale[:, None], ridge * unit) * basis.scale[:, None]).T
    return weight, second.y_mean - weight @ second.mean


def scores(rows: Float64[Array, "n d"], weight: Array, bias: Array) -> Float64[Array, "n k"]:
    """The score of every class for each row; NaN where a row is not finite."""
    if not len(rows):
        return np.zeros((0, len(bias)))
    good = np.logical_and.reduce(np.isfinite(rows), axis=1)
    found = (rows if good.all() else np.where(good[:, None], rows, 0.0)) @ weight.T
    found += np.where(np.isfinite(bias), bias, -1e300)
    found[~good] = np.nan
    return found


def _guess(score: Float64[Array, "n k"]) -> Int64[Array, "n"]:
    """The class read from each row; -1 where a row cannot be read."""
    known = ~np.isnan(score[:, 0])
    return np.where(known, np.where(known[:, None], score, 0.0).argmax(1), -1)


def _posterior(score: Float64[Array, "n k"]) -> Float64[Array, "n k"]:
    """Probabilities of the classes, which are comparable between rows; 0 where a row cannot be read."""
    known = np.nan_to_num(score, nan=0.0)
    raised = np.exp(known - known.max(1, keepdims=True, initial=-np.inf))
    return np.where(np.isnan(score), 0.0, raised / raised.sum(1, keepdims=True))


def _accuracy(rows: Array, targets: Array, weight: Array, bias: Array) -> float:
    return _mean(_guess(scores(rows, weight, bias)) == _label(targets))


def _label(targets: Array) -> Array:
    return targets.argmax(1) if len(targets) else np.zeros(0, np.int64)


def _r2(rows: Array, targets: Array, weight: Array, bias: Array) -> float:
    """R² over the finite rows; NaN where there is none."""
    if not len(rows):
        return np.nan
    good = np.isfinite(rows).all(1)
    x, y = rows[good], targets[good]
    found = r2(y - x @ weight.T - bias, y)
    return np.nan if found is None else found


def _mean(right: Array) -> float:
    return float(right.mean()) if len(right) else np.nan


def _interval(right: Array) -> tuple[float, float]:
    if not len(right):
        return _UNKNOWN
    low, high = wilson(int(right.sum()), len(right))
    return float(low), float(high)
