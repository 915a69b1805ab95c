"""The answers to "is it linearly separable?", each a claim that anyone can check again.

A verdict holds numbers only, never the data. `verify(x, y)` checks it against the data with the checkers of
`clearance` and `dependency`; the solver that found it plays no part. Rows whose label takes no part in the
question (a pair of classes among many) are passed over, so that `y` is always the labels as the user has them.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float64, Int64

from unbend.numerics.floating import as_shipped
from unbend.numerics.result import result
from unbend.numerics.separable.clearance import Hyperplane, argmax_clearance, clearance, is_right
from unbend.numerics.separable.dependency import dependency
from unbend.numerics.separable.rows import ArrayLike, rows

SLACK = 1 + 1e-9
"""A stated bound may be larger than the recomputed one by rounding, not more."""


def sides(y: Int64[np.ndarray, "n"], positive: int, negative: int | None) -> Float64[np.ndarray, "n"]:
    """+1 for the rows of `positive`, -1 for those of `negative` (None: all others), 0 for the rest."""
    sign = (y == positive).astype(np.float64)
    sign -= (y != positive) if negative is None else (y == negative)
    return sign


@result
class Separation:
    """A hyperplane with every row of class `positive` strictly above it and every row of `negative` below.

    Attributes:
        positive: the class above the hyperplane.
        negative: the class below it; None means every other class.
        n: rows that take part.
        d: width of a row.
        weight: normal of the hyperplane, `x @ weight + bias > 0` for the positive class.
        bias: its offset.
        margin: proved lower bound of the distance of the nearest row to the hyperplane.
        robustness: proved lower bound of the change, relative to each stored number, that this hyperplane survives.
        tightest: row numbers that survive least.
        weight_low: second word of the normal, where one float64 is too coarse.
        bias_low: second word of the offset.
    """

    positive: int
    negative: int | None
    n: int
    d: int
    weight: Float64[np.ndarray, "d"]
    bias: float
    margin: float
    robustness: float
    tightest: Int64[np.ndarray, "s"]
    weight_low: Float64[np.ndarray, "d"] | None = None
    bias_low: float = 0.0

    @property
    def plane(self) -> Hyperplane:
        """The coefficients as one value."""
        return Hyperplane(self.weight, self.bias, self.weight_low, self.bias_low)

    @as_shipped()
    def verify(self, x: ArrayLike, y: ArrayLike) -> bool:
        """Whether every row of `x` provably lies on its own side, by at least the stated margin and robustness.

        Args:
            x: the rows that were asked about [n, d].
            y: their labels [n].

        Raises:
            DataError: a value is not finite, or there are no rows.
            ShapeError: not one label per row.

        Cost:
            One pass over `x` at the speed of memory; exact arithmetic for the few rows that a rounding-error
            bound leaves open.
        """
        x, y = rows(x, y)
        sign = sides(y, self.positive, self.negative)
        which = np.flatnonzero(sign)
        if x.shape[1] != self.d or len(which) != self.n or not _is_plane(self.weight, self.bias, self.d):
            return False
        if len(which) < len(x):
            x, sign = x[which], sign[which]
        if len(x) == 0:
            return True
        found = clearance(x, sign, self.plane)
        return found.wrong == 0 and self.margin <= found.margin * SLACK and self.robustness <= found.robustness * SLACK


@result
class Overlap:
    """A common point of the two convex hulls, so that no hyperplane separates the classes.

    Some exact weights near `weights`, all positive, have the same sum on each side, in general one, and give both
    sides the same weighted mean. At most d + 2 rows take part (Kirchberger 1903).

    Attributes:
        positive: one class.
        negative: the other class; None means every other class.
        n: rows that take part in the question.
        d: width of a row.
        rows: row numbers of the witnesses.
        weights: their weights, to about 1e-6 of each.
        robustness: a change, relative to each stored number, that the common point provably survives; 0.0 where
            none is proved (equal rows, hulls that touch).
    """

    positive: int
    negative: int | None
    n: int
    d: int
    rows: Int64[np.ndarray, "s"]
    weights: Float64[np.ndarray, "s"]
    robustness: float

    @as_shipped()
    def verify(self, x: ArrayLike, y: ArrayLike) -> bool:
        """Whether the witnesses alone provably exclude every hyperplane, in exact or interval arithmetic.

        Args:
            x: the rows that were asked about [n, d].
            y: their labels [n].

        Raises:
            DataError: a value is not finite, or there are no rows.
            ShapeError: not one label per row.

        Cost:
            O(d³) for d + 2 witnesses, whatever the number of rows.
        """
        return overlap_holds(self, *rows(x, y))


@result
class JointSeparation:
    """A linear read-out whose greatest score is strictly that of the own class, in every row.

    Attributes:
        n: rows.
        d: width of a row.
        classes: the labels, in the order of the rows of `weight`.
        weight: one normal per class, `classes[argmax(x @ weight.T + bias)]` is the label.
        bias: one offset per class.
        margin: proved lower bound of the distance of a row to the boundary between its class and another.
        robustness: proved lower bound of the relative change of each stored number that every row survives.
        tightest: row numbers that survive least.
        low: second words of weight and bias [k, d + 1], where one float64 is too coarse.
    """

    n: int
    d: int
    classes: Int64[np.ndarray, "k"]
    weight: Float64[np.ndarray, "k d"]
    bias: Float64[np.ndarray, "k"]
    margin: float
    robustness: float
    tightest: Int64[np.ndarray, "s"]
    low: Float64[np.ndarray, "k d1"] | None = None

    @as_shipped()
    def verify(self, x: ArrayLike, y: ArrayLike) -> bool:
        """Whether the read-out is provably right in every row, by at least the stated margin and robustness.

        Args:
            x: the rows that were asked about [n, d].
            y: their labels [n].

        Raises:
            DataError: a value is not finite, or there are no rows.
            ShapeError: not one label per row.

        Cost:
            One pass over `x`; exact arithmetic for the few rows that a rounding-error bound leaves open.
        """
        x, y = rows(x, y)
        code = codes(y, self.classes)
        if x.shape != (self.n, self.d) or self.weight.shape != (len(self.classes), self.d) or code is None:
            return False
        found = argmax_clearance(x, code, self.weight, self.bias, self.low)
        return found.wrong == 0 and self.margin <= found.margin * SLACK and self.robustness <= found.robustness * SLACK


@result
class JointOverlap:
    """A circulation of mass between classes, so that no linear read-out is right in every row.

    Witness i sends `weights[i]` of its own row from its class to class `rivals[i]`. Every class sends out and
    receives the same mass with the same mean. A right read-out would gain on every transfer, yet the sum of all
    gains is zero. At most (k - 1)(d + 1) + 1 transfers take part.

    Attributes:
        n: rows.
        d: width of a row.
        rows: row number of each transfer.
        rivals: class that receives it.
        weights: mass of each transfer, to about 1e-6 of each.
        robustness: a relative change of every stored number that the proof survives; 0.0 where none is proved.
    """

    n: int
    d: int
    rows: Int64[np.ndarray, "s"]
    rivals: Int64[np.ndarray, "s"]
    weights: Float64[np.ndarray, "s"]
    robustness: float

    @as_shipped()
    def verify(self, x: ArrayLike, y: ArrayLike) -> bool:
        """Whether the transfers alone provably exclude every linear read-out.

        Args:
            x: the rows that were asked about [n, d].
            y: their labels [n].

        Raises:
            DataError: a value is not finite, or there are no rows.
            ShapeError: not one label per row.

        Cost:
            That of `Overlap.verify`, for the columns of all classes but one.
        """
        return overlap_holds(self, *rows(x, y))


@result
class Undecided:
    """The search stopped before it found a proof; what it knows is a bracket, not a guess.

    Attributes:
        positive: class above the hyperplane; None for the joint question.
        negative: class below it; None means every other class, or the joint question.
        n: rows that take part.
        d: width of a row.
        reason: what stopped the search.
        weight: the best hyperplane found, [1, d], or one per class, [k, d].
        bias: its offset, [1] or [k].
        errors: rows it does not provably get right: no more rows than that need be in the way.
        hull_distance: distance of two points found in the hulls; the true distance is at most that.
        classes: the labels, in the order of the rows of `weight`, for the joint question.
    """

    positive: int | None
    negative: int | None
    n: int
    d: int
    reason: str
    weight: Float64[np.ndarray, "c d"]
    bias: Float64[np.ndarray, "c"]
    errors: int
    hull_distance: float
    classes: Int64[np.ndarray, "c"] | None = None

    @as_shipped()
    def verify(self, x: ArrayLike, y: ArrayLike) -> bool:
        """Whether the best hyperplane really errs on no more rows than stated. It proves no more than that.

        Args:
            x: the rows that were asked about [n, d].
            y: their labels [n].

        Raises:
            DataError: a value is not finite, or there are no rows.
            ShapeError: not one label per row.

        Cost:
            One pass over `x`.
        """
        x, y = rows(x, y)
        return x.shape[1] == self.d and self._errors(x, y) <= self.errors

    def _errors(self, x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"]) -> int:
        if self.positive is None:
            code = codes(y, self.classes) if self.classes is not None else None
            return len(x) if code is None else argmax_clearance(x, code, self.weight, self.bias, None).wrong
        sign = sides(y, self.positive, self.negative)
        which = np.flatnonzero(sign)
        plane = Hyperplane(self.weight[0], float(self.bias[0]))
        return int((~is_right(x[which], sign[which], plane)).sum())


Verdict: TypeAlias = Separation | Overlap | JointSeparation | JointOverlap | Undecided


@result
class Answers:
    """One binary verdict for each of several questions about the same rows.

    Attributes:
        form: "one-vs-rest" or "pairwise".
        verdicts: one for each class, or for each pair of classes; `positive` and `negative` say which.
    """

    form: str
    verdicts: tuple[Separation | Overlap | Undecided, ...]

    @property
    def is_separable(self) -> bool | None:
        """True if every question is proved separable, False if one is proved not to be, else None."""
        if any(isinstance(v, Overlap) for v in self.verdicts):
            return False
        return None if any(isinstance(v, Undecided) for v in self.verdicts) else True

    @as_shipped()
    def verify(self, x: ArrayLike, y: ArrayLike) -> bool:
        """Whether each single verdict verifies.

        Args:
            x: the rows that were asked about [n, d].
            y: their labels [n].

        Raises:
            DataError: a value is not finite, or there are no rows.
            ShapeError: not one label per row.

        Cost:
            That of each.
        """
        x, y = rows(x, y)
        return all(verdict.verify(x, y) for verdict in self.verdicts)


def overlap_holds(overlap: Overlap | JointOverlap, x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"]) -> bool:
    """`verify` of an overlap, for arrays that are already checked."""
    vectors = _witness_vectors(overlap, x, y) if isinstance(overlap, Overlap) else _transfer_vectors(overlap, x, y)
    if vectors is None:
        return False
    survived = dependency(vectors, overlap.weights)
    return survived is not None and overlap.robustness <= survived * SLACK


def _witness_vectors(
    overlap: Overlap, x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"]
) -> Float64[np.ndarray, "m 1 d1"] | None:
    """The signed witnesses; None if they are not distinct rows of the question."""
    if x.shape[1] != overlap.d or not _are_row_numbers(overlap.rows, len(x), overlap.d + 2):
        return None
    sign = sides(y, overlap.positive, overlap.negative)
    if int((sign != 0).sum()) != overlap.n or not sign[overlap.rows].all():
        return None
    return binary_vectors(x[overlap.rows], sign[overlap.rows])


def _transfer_vectors(
    overlap: JointOverlap, x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"]
) -> Float64[np.ndarray, "m b d1"] | None:
    """The transfers as Kesler vectors; None if they are not distinct, or stay within a class."""
    which, rivals = overlap.rows, overlap.rivals
    if x.shape != (overlap.n, overlap.d) or len(rivals) != len(which) or not len(which):
        return None
    pairs = np.stack([which, rivals], axis=1)
    is_inside = which.min() >= 0 and which.max() < len(x)
    if not is_inside or len(np.unique(pairs, axis=0)) < len(pairs) or (y[which] == rivals).any():
        return None
    return joint_vectors(x[which], y[which], rivals)


def binary_vectors(x: Float[np.ndarray, "n d"], sign: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n 1 d1"]:
    """`sign_i (x_i, 1)`, as one block per row."""
    return (sign[:, None] * np.hstack([x.astype(np.float64), np.ones((len(x), 1))]))[:, None, :]


def joint_vectors(
    x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], rivals: Int64[np.ndarray, "n"]
) -> Float64[np.ndarray, "n b d1"]:
    """`(x_i, 1)` in the block of the own class, its negative in the block of the rival (Kesler)."""
    classes, code = np.unique(np.concatenate([y, rivals]), return_inverse=True)
    m = len(x)
    out = np.zeros((m, len(classes), x.shape[1] + 1))
    long = np.hstack([x.astype(np.float64), np.ones((m, 1))])
    out[np.arange(m), code[:m]] = long
    out[np.arange(m), code[m:]] = -long
    return out


def codes(y: Int64[np.ndarray, "n"], classes: Int64[np.ndarray, "k"]) -> Int64[np.ndarray, "n"] | None:
    """The position of each label in the sorted `classes`; None if one is not among them."""
    code = np.searchsorted(classes, y)
    code[code == len(classes)] = 0
    return code if (classes[code] == y).all() else None


def _is_plane(weight: Float[np.ndarray, "..."], bias: float, d: int) -> bool:
    return weight.shape == (d,) and bool(np.isfinite(weight).all() and np.isfinite(bias))


def _are_row_numbers(numbers: Int64[np.ndarray, "s"], n: int, most: int) -> bool:
    distinct = len(np.unique(numbers)) == len(numbers)
    return bool(0 < len(numbers) <= most and distinct and numbers.min() >= 0 and numbers.max() < n)
