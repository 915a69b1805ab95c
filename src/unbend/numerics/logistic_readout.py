"""A logistic regression in the place of the closed form, and what it costs.

In: a closed-form `Readout`, the second moments and row samples of its layer. Out: the same with the planes of a
multinomial logistic regression fitted on the training sample, the closed form kept in it. A discriminant assumes
classes of one covariance, and of few rows its scatter is mostly noise; a logistic regression assumes neither, but has
no closed form.

It is fitted by L-BFGS along the eigenvectors of the scatter, which are at hand: there the curvature at zero is
diagonal, and some ten steps do for each penalty. `unbend.probe` fits all rows, and proves how near its optimum it is.
"""

from dataclasses import replace
from typing import Any, final

import numpy as np

from unbend._typing import Array, Bool, Float64, Int64, Shaped
from unbend.numerics.permuted import Fitted
from unbend.numerics.readout import Readout, score_classes
from unbend.numerics.sample import SampleState
from unbend.numerics.second import Eigen, SecondState, eigen
from unbend.numerics.yes_no import average, only

PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4)
"""Penalties tried, on standardised units and the mean loss. Twice as many, or weaker ones, move held-out accuracies by
a row or two."""
_EVERY = 5
"""One row in so many chooses the penalty, and is fitted with the others afterwards."""
_GAP = 1e-2
"""Relative distance from the optimum that is proved; ten times nearer, a row in a few thousand is read otherwise."""
_SMALL = 500_000
"""Numbers in a table up to which it is float64: there the same rows in another order give the same planes."""
_STEPS = 200
_ROUGH = 0.1
"""And at which one stops that only chooses the penalty."""
_START, _TURN, _ENTRY, _CELL = 0.02, 8e-11, 1.5e-9, 1.5e-7
"""Seconds of one core of 2024: for a fit; for each row, unit and direction, along which the rows are turned; for each
row, direction and class; for each row and class."""


def seconds(n: int, d: int, k: int) -> float:
    """What a fit takes, about, on one core of 2024.

    Args:
        n: rows.
        d: units.
        k: classes.

    Example:
        >>> seconds(1438, 64, 10) < 0.1, seconds(4096, 512, 10) < 2 < seconds(4096, 2048, 1000)
        (True, True)
    """
    r = min(n, d)
    return _START + _TURN * n * d * r + _ENTRY * n * r * k + _CELL * n * k


def logistic_readout(
    closed: Readout,
    state: SecondState,
    train: SampleState,
    held_out: SampleState,
) -> Readout:
    """The logistic read-out of a layer whose closed form is known; that closed form where none can be fitted.

    Args:
        closed: the closed form; it must be of classes, or of several yes/no labels.
        state: the second moments it was made of.
        train: rows to fit.
        held_out: rows to score.

    Cost:
        `seconds`, once for every yes/no label.
    """
    second = state.settle()
    basis = eigen(second)
    if not closed.labels:
        return _of_classes(closed, second, basis, (train, held_out))
    each = tuple(
        _of_classes(label, second, basis, (only(train, j), only(held_out, j))) for j, label in enumerate(closed.labels)
    )
    if any(label.reader != "logistic" for label in each):
        return closed
    found = average(each[0].n_fit, each)
    return replace(found, reader="logistic", closed=closed)


def _of_classes(
    closed: Readout, second: SecondState, basis: Eigen, samples: tuple[SampleState, SampleState]
) -> Readout:
    train, held_out = samples
    (rows, targets), ids = train.table(), train.settle().ids
    rows, targets = np.asarray(rows, np.float64), np.asarray(targets)
    is_finite = np.isfinite(rows).all(1)
    x, targets, ids = rows[is_finite], targets[is_finite], ids[is_finite]
    y = targets.argmax(1) if len(targets) else np.zeros(0, np.int64)
    seen, code = np.unique(y, return_inverse=True)
    if len(seen) < 2 or not basis.rank:
        return closed
    spread = basis.scale * np.sqrt(second.n)
    table = _Table(((x - second.mean) * spread) @ basis.vectors, code, len(seen), basis.values / second.n)
    l2, start = _choose(table)
    rotated = table.fit(l2, start, _GAP)
    weight, bias = np.zeros((len(closed.bias), x.shape[1])), np.full(len(closed.bias), -np.inf)
    weight[seen] = (rotated[:, :-1] @ basis.vectors.T) * spread
    bias[seen] = rotated[:, -1] - weight[seen] @ second.mean
    mine = replace(closed, n_fit=len(x), n_train=len(x), ridge=l2, reader="logistic", closed=closed)
    unseen, truth = held_out.table()
    return score_classes(
        mine, (weight, bias), Fitted(x, targets, ids), (np.asarray(unseen, np.float64), np.asarray(truth))
    )


@final
class _Table:
    """Standardised rows along the eigenvectors of their scatter, with their classes.

    Args:
        z: rows [n, r].
        y: classes 0..k-1.
        k: how many.
        variance: of the rows along each direction.
    """

    def __init__(self, z: Shaped[Array, "n r"], y: Int64[Array, "n"], k: int, variance: Float64[Array, "r"]) -> None:
        self.z: Shaped[Array, "n r"] = z if z.size <= _SMALL else z.astype(np.float32)
        self.y, self.k, self.variance = y, k, variance

    def some(self, chosen: Array) -> "_Table":
        """Some of the rows."""
        return _Table(self.z[chosen], self.y[chosen], self.k, self.variance)

    def fit(self, l2: float, start: Float64[Array, "k e"] | None, gap: float) -> Float64[Array, "k e"]:
        """Weights with the bias as last column, by estimate within a relative gap of the optimum at a penalty."""
        from scipy.optimize import minimize

        n, r = self.z.shape
        # the curvature of each class at equal probabilities, by which the weights are scaled
        scale = np.append(1 / np.sqrt(self.variance * (self.k - 1) / self.k**2 + l2), 2.0)
        hot = np.zeros((self.k, n), self.z.dtype)
        hot[self.y, np.arange(n)] = 1

        distance = np.inf

        def value(flat: Array) -> tuple[float, Array]:
            nonlocal distance
            weight = flat.reshape(self.k, r + 1) * scale
            loss, p = _softmax(self.scores(weight), self.y)
            p -= hot
            slopes = np.empty_like(weight)
            slopes[:, :-1] = (p @ self.z) / n + l2 * weight[:, :-1]
            slopes[:, -1] = p.sum(1, dtype=np.float64) / n
            objective = loss.mean() + 0.5 * l2 * float((weight[:, :-1] ** 2).sum())
            distance = float((slopes[:, :-1] ** 2).sum()) / (2 * l2 * objective)
            return objective, (slopes * scale).ravel()

        def stop(_flat: Array) -> None:
            if distance < gap:
                raise StopIteration

        begin = np.zeros((self.k, r + 1)) if start is None else start / scale
        options = {"maxiter": _STEPS, "gtol": 1e-7, "ftol": 1e-9}
        found: Any = minimize(value, begin.ravel(), jac=True, method="L-BFGS-B", callback=stop, options=options)  # type: ignore[no-matching-overload]
        return found.x.reshape(self.k, r + 1) * scale

    def scores(self, weight: Float64[Array, "k e"]) -> Shaped[Array, "k n"]:
        """The score of every class for each row."""
        weight = weight.astype(self.z.dtype)
        return weight[:, :-1] @ self.z.T + weight[:, -1:]


def _softmax(scores: Shaped[Array, "k n"], y: Int64[Array, "n"]) -> tuple[Float64[Array, "n"], Shaped[Array, "k n"]]:
    """Log-loss of each row, and the probabilities, which are written over the scores."""
    scores -= scores.max(0)
    own = scores[y, np.arange(len(y))].astype(np.float64)
    np.exp(scores, out=scores)
    mass = scores.sum(0)
    scores /= mass
    return np.log(mass.astype(np.float64)) - own, scores


def _choose(table: _Table) -> tuple[float, Float64[Array, "k e"] | None]:
    """The penalty with the least log-loss on rows that are left out, from strong to weak until it rises."""
    out = _left_out(table)
    if not out.any():
        return max(PENALTIES), None
    inside, outside = table.some(~out), table.some(out)
    tried: list[Array] = []
    losses: list[float] = []
    for l2 in PENALTIES:
        tried.append(inside.fit(l2, tried[-1] if tried else None, _ROUGH))
        losses.append(_softmax(outside.scores(tried[-1]), outside.y)[0].mean())
        if len(losses) > 1 and losses[-1] > losses[-2]:
            break
    best = int(np.argmin(losses))
    return PENALTIES[best], tried[best]


def _left_out(table: _Table) -> Bool[Array, "n"]:
    """Every fifth row of each class by its length, so that neither the numbers of the rows nor their order matters."""
    length = np.einsum("nr,nr->n", table.z, table.z)
    order = np.lexsort((length, table.y))
    counts = np.bincount(table.y)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place % _EVERY == _EVERY // 2
