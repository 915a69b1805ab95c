"""The check behind "separable": does a hyperplane leave every row on its own side, with certainty.

In: arrays as stored and the coefficients of a claim. Out: how far the worst row clears. Almost every row is
settled by a rounding-error bound, the rest in two words of precision, the last few in exact rationals.
Nothing here searches, and nothing of the solver is used.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from unbend.numerics.separable.rounding import (
    UNDERFLOW,
    dot2,
    dot2_error,
    gamma,
    margins,
    require_gradual_underflow,
    scores,
)

BLOCK = 8192
"""Rows held in float64 at a time."""
AT_ONCE = 512
"""Values of which the least is looked at first."""
UNIT_SUM = 2.0**-52


@dataclass(frozen=True, slots=True, eq=False)
class Hyperplane:
    """`x·(weight + weight_low) + bias + bias_low`: two words where one float64 is too coarse.

    Attributes:
        weight: its normal.
        bias: its offset.
        weight_low: second word of the normal.
        bias_low: second word of the offset.
    """

    weight: Float64[np.ndarray, "d"]
    bias: float
    weight_low: Float64[np.ndarray, "d"] | None = None
    bias_low: float = 0.0

    def fractions(self) -> tuple[list[Fraction], Fraction]:
        """The exact coefficients."""
        weight = [Fraction(float(a)) for a in self.weight]
        if self.weight_low is not None:
            weight = [a + Fraction(float(b)) for a, b in zip(weight, self.weight_low, strict=True)]
        return weight, Fraction(self.bias) + Fraction(self.bias_low)


@dataclass(frozen=True, slots=True, eq=False)
class Clearance:
    """How far every row lies on its own side.

    Attributes:
        values: lower bounds of the scores, one per row or per row and rival.
        wrong: rows that are not proved right.
        margin: lower bound of the distance of the nearest row; -inf where a row is wrong.
        robustness: lower bound of the relative change that every row survives.
        tightest: the rows that survive least, where all are right.
    """

    values: Float64[np.ndarray, "n"] | Float64[np.ndarray, "n k"]
    wrong: int
    margin: float
    robustness: float
    tightest: Int64[np.ndarray, "s"]


def clearance(
    x: Float[np.ndarray, "n d"], sign: Float64[np.ndarray, "n"], plane: Hyperplane, n_tightest: int = 8
) -> Clearance:
    """Check `sign_i (x_i·w + b) > 0` for every row; `margin` and `robustness` are lower bounds.

    `robustness` is the least `|score| / Σ_j |x_ij w_j|`: below it, no change of each stored number by that
    fraction of itself moves a row to the other side.
    """
    require_gradual_underflow()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        low_end, size = _low_ends(x, sign, plane)
        wrong = len(x) - int(np.count_nonzero(low_end > 0))
        if wrong:
            return Clearance(low_end, wrong, -math.inf, -math.inf, np.zeros(0, np.int64))
        relative = low_end / size  # no row has size 0, unless the weight is 0 and nothing can change
        length = _norm(plane.weight) if plane.weight_low is None else _norm(plane.weight) * (1 + 1e-15)
        margin = float(low_end.min()) / length * (1 - 1e-15) if length > 0 else math.inf
    return Clearance(low_end, 0, margin, float(relative.min()), _least(relative, n_tightest))


def _low_ends(
    x: Float[np.ndarray, "n d"], sign: Float64[np.ndarray, "n"], plane: Hyperplane
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """Lower bounds of the signed scores, and the sums of magnitudes behind them."""
    if plane.weight_low is None:
        low_end, size, n_open = margins(x, sign, plane.weight, plane.bias)
        open_rows = np.flatnonzero(np.isnan(low_end)) if n_open else np.zeros(0, np.int64)
        if not plane.weight.any():
            size = np.zeros(len(x))
    else:
        total, error, size = scores(x, plane.weight, plane.bias)
        low, low_error, low_size = scores(x, plane.weight_low, plane.bias_low)
        error = error + np.abs(low) + low_error
        size = size + low_size
        open_rows = np.flatnonzero(~(np.abs(total) > error))
        sure = sign * total - error
        low_end = sure - np.abs(sure) * 4e-16
    if len(open_rows):
        sure = _refine_scores(x, sign, plane, open_rows)
        low_end[open_rows] = sure - np.abs(sure) * 4e-16
    return low_end, size


def _least(values: Float64[np.ndarray, "n"], count: int) -> Int64[np.ndarray, "s"]:
    """Positions of the least values, rising; looked for only where a block has one of the least minima."""
    count = min(count, len(values))
    whole = len(values) // AT_ONCE * AT_ONCE
    least = values[:whole].reshape(-1, AT_ONCE).min(axis=1)
    if len(least) > count:
        near = np.sort(np.argpartition(least, count - 1)[:count])
        some = np.concatenate([(near[:, None] * AT_ONCE + np.arange(AT_ONCE)).ravel(), np.arange(whole, len(values))])
    else:
        some = np.arange(len(values))
    first = some[np.argpartition(values[some], count - 1)[:count]] if count else some
    return first[np.argsort(values[first], kind="stable")]


def is_right(x: Float[np.ndarray, "n d"], sign: Float64[np.ndarray, "n"], plane: Hyperplane) -> Bool[np.ndarray, "n"]:
    """Which rows lie strictly on their own side, decided exactly."""
    total, error, _ = scores(x, plane.weight, plane.bias)
    if plane.weight_low is not None:
        low, low_error, _ = scores(x, plane.weight_low, plane.bias_low)
        total, error = total + low, error + low_error + np.abs(total) * 2.0**-52
    with np.errstate(invalid="ignore"):
        right = sign * total > error
        unsure = np.flatnonzero(~(np.abs(total) > error))
    if len(unsure):
        right[unsure] = _refine_scores(x, sign, plane, unsure) > 0
    return right


def _norm(weight: Float64[np.ndarray, "d"]) -> float:
    top = float(np.abs(weight).max(initial=0.0))
    if top == 0.0:
        return 0.0
    return top * float(np.linalg.norm(weight / top)) * (1 + gamma(len(weight) + 4))


def _refine_scores(
    x: Float[np.ndarray, "n d"], sign: Float64[np.ndarray, "n"], plane: Hyperplane, which: Int64[np.ndarray, "s"]
) -> Float64[np.ndarray, "s"]:
    """Lower bounds of `sign * score` for a few rows: two words of precision, then exact rationals."""
    rows = np.hstack([x[which].astype(np.float64), np.ones((len(which), 1))])
    words = np.append(plane.weight, plane.bias)[None]
    low = np.zeros(words.shape) if plane.weight_low is None else np.append(plane.weight_low, plane.bias_low)[None]
    k = rows.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        high = dot2(rows, words)[:, 0]
        extra = dot2(rows, low)[:, 0]
        size = (np.abs(rows) @ np.abs(words[0]) + UNDERFLOW * k) * (1 + gamma(k + 2))
        error = dot2_error(high, size, k) + dot2_error(extra, size, k) + 2 * UNIT_SUM * np.abs(high)
        sure = sign[which] * (high + extra) - error
    for i in np.flatnonzero(~(sure > 0)):
        sure[i] = _exact_score(x[which[i]], plane) * int(sign[which[i]])
    return sure


def _exact_score(row: Float[np.ndarray, "d"], plane: Hyperplane) -> float:
    """The score of one row, its sign exact and its size rounded towards zero."""
    weight, bias = plane.fractions()
    score = sum((Fraction(float(a)) * b for a, b in zip(row, weight, strict=True)), bias)
    if score == 0:
        return 0.0
    size = abs(score)
    rounded = float(size) if size < Fraction(2) ** 1023 else 2.0**1023
    rounded = max(math.nextafter(rounded, 0.0), 5e-324)
    return rounded if score > 0 else -rounded


def argmax_clearance(
    x: Float[np.ndarray, "n d"],
    y: Int64[np.ndarray, "n"],
    weight: Float64[np.ndarray, "k d"],
    bias: Float64[np.ndarray, "k"],
    low: Float64[np.ndarray, "k d1"] | None,
    n_tightest: int = 8,
) -> Clearance:
    """Check that class `y_i` has the strictly greatest score in every row; `low` holds second words [k, d+1]."""
    require_gradual_underflow()
    n, k = len(x), len(bias)
    lower_ends = np.empty((n, k))
    worst, relative = np.empty(n), np.empty(n)
    length = np.array([[_norm(weight[a] - weight[b]) for b in range(k)] for a in range(k)])
    length *= 1 + 1e-15
    for start in range(0, n, BLOCK):
        part = slice(start, min(start + BLOCK, n))
        margin, size = _margins(x[part], y[part], weight, bias, low)
        lower_ends[part] = margin
        own = np.arange(len(margin)), y[part]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            distance = np.where(length[y[part]] > 0, margin / length[y[part]], np.where(margin > 0, np.inf, -np.inf))
            share = np.where(size > 0, margin / size, np.where(margin > 0, np.inf, -np.inf))
        distance[own], share[own] = np.inf, np.inf
        distance[~(margin > 0)] = share[~(margin > 0)] = -np.inf
        worst[part], relative[part] = distance.min(axis=1), share.min(axis=1)
    return Clearance(
        lower_ends,
        int((~(lower_ends > 0).all(axis=1)).sum()),
        float(worst.min()) * (1 - 1e-15),
        float(relative.min()) * (1 - 1e-15),
        _least(relative, n_tightest),
    )


def _margins(
    x: Float[np.ndarray, "n d"],
    y: Int64[np.ndarray, "n"],
    weight: Float64[np.ndarray, "k d"],
    bias: Float64[np.ndarray, "k"],
    low: Float64[np.ndarray, "k d1"] | None,
) -> tuple[Float64[np.ndarray, "n k"], Float64[np.ndarray, "n k"]]:
    """Lower bounds of the margin of the own class over each other class, and the sums of magnitudes behind them."""
    rows = x.astype(np.float64)
    d = rows.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        score = rows @ weight.T + bias
        size = (np.abs(rows) @ np.abs(weight).T) * (1 + gamma(d + 2)) + (d + 2) * UNDERFLOW
        error = (size + np.abs(bias)) * gamma(d + 3) + (d + 2) * UNDERFLOW
        if low is not None:
            error = error + (np.abs(rows) @ np.abs(low[:, :-1]).T + np.abs(low[:, -1])) * (1 + gamma(d + 2))
        here = np.arange(len(y)), y
        margin = score[here][:, None] - score
        error = error[here][:, None] + error + 4 * UNIT_SUM * (np.abs(score) + np.abs(score[here])[:, None])
        is_open = ~(np.abs(margin) > error)
        margin -= error
        size = (size + size[here][:, None]) * (1 + 1e-15)
    margin[here], is_open[here] = np.inf, False
    for i, c in zip(*np.nonzero(is_open), strict=True):
        words = [(weight[y[i]], bias[y[i]], 1), (weight[c], bias[c], -1)]
        if low is not None:
            words += [(low[y[i], :-1], low[y[i], -1], 1), (low[c, :-1], low[c, -1], -1)]
        elif bias[y[i]] == bias[c] and np.array_equal(weight[y[i]], weight[c]):
            continue
        margin[i, c] = _exact_margin(rows[i], words)
    return margin, size


def _exact_margin(row: Float64[np.ndarray, "d"], words: list[tuple[Float64[np.ndarray, "d"], float, int]]) -> float:
    """Lower bound of a difference of scores: two words of precision first, then exact rationals."""
    long = np.concatenate([s * row for _, _, s in words] + [np.array([float(s) for _, _, s in words])])[None]
    long_weight = np.concatenate([w for w, _, _ in words] + [np.array([b for _, b, _ in words])])[None]
    k = long.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        value = float(dot2(long, long_weight)[0, 0])
        size = float((np.abs(long) @ np.abs(long_weight).T)[0, 0]) * (1 + gamma(k + 2)) + k * UNDERFLOW
        sure = value - float(dot2_error(np.array(value), np.array(size), k))
    if sure > 0:
        return sure
    if value + (value - sure) < 0:
        return -math.inf
    exact = sum(
        (Fraction(float(a)) * Fraction(float(b)) for a, b in zip(long[0], long_weight[0], strict=True)), Fraction(0)
    )
    return max(math.nextafter(float(exact), 0.0), 5e-324) if exact > 0 else -math.inf
