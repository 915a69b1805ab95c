"""A read-out for k classes by Newton's method on the squared hinge loss, as a source of candidate proofs.

In: rows and class codes. Out: weights, one read-out per step, each with less loss than the last. The loss of a row
is Σ_c max(0, 1 - (s_y - s_c))² over its rivals c (Weston and Watkins 1999): a row that leads by one leaves gradient
and Hessian, so few rows are left when few errors are, and the loss of separable classes vanishes at finite weights.
Whether a read-out proves anything is for `argmax_clearance` to say.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, Shaped
from scipy.linalg import cho_factor, cho_solve, get_lapack_funcs

BLOCK = 8192
RIDGE = 1e-6
STEPS = 40
DAMPINGS = (1e-2, 1e-3, 1e-4, 1e-6)
"""Added to the diagonal of the Hessian, as a share of its mean: the next follows where a step gains little."""
LITTLE = 0.1
"""A step gains little that lowers the loss by less than this share; a tenth of it at the last damping is the end."""
LARGEST = 8000
"""Weights up to which the Hessian is factorised; beyond, conjugate gradients solve with it."""
WIDEST = 2048
"""Columns up to which the first read-out is one of least squares; beyond, it is zero and not told."""
MOST_ACTIVE = 24_000
"""Rows of which conjugate gradients form their products."""
MOST_PRODUCTS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Weights in the units of the data, and how many rows they get wrong in float32.

    Attributes:
        weight: of each class.
        bias: of each class.
        errors: rows it gets wrong.
        confusion: rows by their class and the one it says.
    """

    weight: Float64[np.ndarray, "k d"]
    bias: Float64[np.ndarray, "k"]
    errors: int
    confusion: Shaped[np.ndarray, "k k"]


def readouts(
    x: Float[np.ndarray, "n d"],
    code: Int64[np.ndarray, "n"],
    k: int,
    deadline: float,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> Iterator[Candidate]:
    """Read-outs, one per Newton step, each with less loss than the last.

    Args:
        x: rows [n, d].
        code: class of each row, 0..k-1.
        k: number of classes.
        deadline: `time.monotonic()` after which to stop.
        start: weight and bias to begin from.

    Cost:
        Per step two passes over x and, up to `LARGEST` weights, one Cholesky factor of (k - 1)(d + 1) columns.
    """
    problem = _Problem(x, code, k)
    V, margins = problem.as_long_as_best(problem.least_squares() if start is None else problem.weights_of(*start))
    if start is None:
        yield problem.readout(V, margins)
    loss, at, last = _loss(V, margins), 0, len(DAMPINGS) - 1
    for _ in range(STEPS):
        if time.monotonic() > deadline or not (margins < 1).any():
            return
        step = problem.newton_step(V, margins, DAMPINGS[at], deadline)
        if step is None:
            if at == 0:
                return
            last = at = at - 1
            continue
        slope_of_margins = problem.margins(step)
        t = _length(V, step, margins, slope_of_margins)
        V += t * step
        margins += np.float32(t) * slope_of_margins
        before, loss = loss, _loss(V, margins)
        yield problem.readout(V, margins)
        if before - loss < LITTLE * before:
            if at == last and before - loss < 0.1 * LITTLE * before:
                return
            at = min(at + 1, last)


def fewest_errors(
    x: Float[np.ndarray, "n d"], code: Int64[np.ndarray, "n"], k: int, deadline: float, steps: int = 10
) -> Candidate:
    """The read-out with the fewest errors among the first few."""
    flat = np.bincount(code, minlength=k) / len(code)
    best = Candidate(np.zeros((k, x.shape[1])), flat, int((code != np.argmax(flat)).sum()), np.zeros((k, k), np.int64))
    for _, readout in zip(range(steps), readouts(x, code, k, deadline), strict=False):
        best = min(best, readout, key=lambda r: r.errors)
    return best


def _loss(V: Float64[np.ndarray, "k e"], margins: Float32[np.ndarray, "n k"]) -> float:
    slack = _slack(margins)
    return 0.5 * RIDGE * float((V * V).sum()) + 0.5 * float(np.einsum("ij,ij", slack, slack, dtype=np.float64))


def _slack(margins: Float32[np.ndarray, "n k"]) -> Float32[np.ndarray, "n k"]:
    """What each lead lacks of one; a row has an infinite lead over its own class."""
    return np.maximum(np.float32(1) - margins, 0)


def _length(
    V: Float64[np.ndarray, "k e"],
    step: Float64[np.ndarray, "k e"],
    margins: Float32[np.ndarray, "n k"],
    slope_of_margins: Float32[np.ndarray, "n k"],
) -> float:
    """Where the loss along a step is least: its slope rises, so bisection finds the sign change."""
    own = np.isinf(margins)
    gain = np.where(own, 0, slope_of_margins)

    def slope(t: float) -> float:
        slack = _slack(margins + np.float32(t) * gain)
        return RIDGE * float((step * (V + t * step)).sum()) - float(np.einsum("ij,ij", slack, gain, dtype=np.float64))

    low, high = 0.0, 1.0
    while slope(high) < 0 and high < 64:
        low, high = high, 2 * high
    for _ in range(6):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 0.5 * (low + high)


class _Problem:
    """The rows, standardised a block at a time in float32, and which of them belong to each class."""

    def __init__(self, x: Float[np.ndarray, "n d"], code: Int64[np.ndarray, "n"], k: int) -> None:
        self.x, self.code, self.k = x, code, k
        self.mean = x[:: max(1, len(x) // 8000)].mean(axis=0, dtype=np.float64)
        square = np.zeros(x.shape[1])
        for start in range(0, len(x), BLOCK):  # all rows: a unit may be still in a sample, and loud elsewhere
            part = x[start : start + BLOCK] - self.mean
            square += np.einsum("ij,ij->j", part, part)
        scale = np.sqrt(square / len(x))
        self.scale = np.where(scale > 0, scale, 1.0)
        self.members = [np.flatnonzero(code == c) for c in range(k)]

    def weights_of(
        self, weight: Float64[np.ndarray, "k d"], bias: Float64[np.ndarray, "k"]
    ) -> Float64[np.ndarray, "k e"]:
        """Weights [k, d + 1] for standardised rows."""
        return np.hstack([weight * self.scale, (bias + weight @ self.mean)[:, None]])

    def least_squares(self) -> Float64[np.ndarray, "k e"]:
        """The read-out fitted to 1 for the own class and -1 for the others: for the price of one product."""
        D = self.x.shape[1] + 1
        if D > WIDEST:
            return np.zeros((self.k, D))
        gram, sums = np.zeros((D, D)), np.zeros((self.k, D))
        for c, members in enumerate(self.members):
            own = self._gram(members)
            gram += own
            sums[c] = own[-1]  # the last column is ones
        gram[np.arange(D), np.arange(D)] += DAMPINGS[1] * np.trace(gram) / D
        factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        return np.asarray(cho_solve(factor, (2 * sums - sums.sum(axis=0)).T, check_finite=False)).T

    def as_long_as_best(
        self, V: Float64[np.ndarray, "k e"]
    ) -> tuple[Float64[np.ndarray, "k e"], Float32[np.ndarray, "n k"]]:
        """Weights of the length that loses least, and their margins."""
        margins = self.margins(V)
        sizes = 10.0 ** np.arange(-3, 3.1, 0.5)
        best = min(sizes, key=lambda size: _loss(V * size, margins * np.float32(size)))
        return V * best, margins * np.float32(best)

    def readout(self, V: Float64[np.ndarray, "k e"], margins: Float32[np.ndarray, "n k"]) -> Candidate:
        """Weights in the units of the data; a row that does not lead counts for the rival that is furthest ahead."""
        weight = V[:, :-1] / self.scale
        wrong = np.flatnonzero(margins.min(axis=1) <= 0)
        confusion = np.zeros((self.k, self.k), np.int64)
        np.add.at(confusion, (self.code[wrong], margins[wrong].argmin(axis=1)), 1)
        return Candidate(weight, V[:, -1] - weight @ self.mean, len(wrong), confusion)

    def standard(self, index: Int64[np.ndarray, "m"] | slice) -> Float32[np.ndarray, "m e"]:
        """Some rows, standardised, with a column of ones [m, d + 1]."""
        rows = self.x[index]
        out = np.empty((len(rows), self.x.shape[1] + 1), np.float32)
        np.divide(rows - self.mean, self.scale, out=out[:, :-1], casting="unsafe")
        out[:, -1] = 1
        return out

    def margins(self, V: Float64[np.ndarray, "k e"]) -> Float32[np.ndarray, "n k"]:
        """How far each row's own score is ahead of each rival's [n, k]; infinite for itself."""
        out = np.empty((len(self.x), self.k), np.float32)
        weight = V.T.astype(np.float32)
        for start in range(0, len(self.x), BLOCK):
            s = self.standard(slice(start, start + BLOCK)) @ weight
            own = self.code[start : start + BLOCK, None]
            np.subtract(np.take_along_axis(s, own, axis=1), s, out=out[start : start + BLOCK])
        np.put_along_axis(out, self.code[:, None], np.float32(np.inf), axis=1)
        return out

    def newton_step(
        self, V: Float64[np.ndarray, "k e"], margins: Float32[np.ndarray, "n k"], damping: float, deadline: float
    ) -> Float64[np.ndarray, "k e"] | None:
        """Down the loss; None where the rounding of float32 sums left the damped Hessian indefinite."""
        slack = _slack(margins)
        active = np.flatnonzero(slack.any(axis=1))
        gradient = RIDGE * V
        for start in range(0, len(active), BLOCK):
            index = active[start : start + BLOCK]
            pull = slack[index]
            np.put_along_axis(pull, self.code[index, None], -pull.sum(axis=1, keepdims=True), axis=1)
            gradient += pull.T @ self.standard(index)
        if gradient[:-1].size <= LARGEST:
            return self._by_factor(gradient, margins < 1, damping)
        with contextlib.suppress(np.linalg.LinAlgError):
            return self._by_products(gradient, active, slack[active] > 0, damping, deadline)
        return None

    def _by_factor(
        self, gradient: Float64[np.ndarray, "k e"], is_active: Bool[np.ndarray, "n k"], damping: float
    ) -> Float64[np.ndarray, "k e"] | None:
        """One Cholesky factor of the Hessian of all classes but the last, which stays where it is."""
        D = self.x.shape[1] + 1
        size = (self.k - 1) * D
        H = np.zeros((size, size))
        for a in range(self.k):
            whole: np.ndarray | None = None
            for b in range(self.k):
                chosen = is_active[self.members[a], b]
                if a == b or not chosen.any():
                    continue
                if 2 * chosen.sum() > len(chosen):  # fewer rows to leave out than to take in
                    whole = self._gram(self.members[a]) if whole is None else whole
                    gram = whole - self._gram(self.members[a][~chosen])
                else:
                    gram = self._gram(self.members[a][chosen])
                for i, j, sign in ((a, a, 1), (b, b, 1), (max(a, b), min(a, b), -1)):
                    if i < self.k - 1:
                        H[i * D : (i + 1) * D, j * D : (j + 1) * D] += sign * gram
        diagonal = np.arange(size)
        H[diagonal, diagonal] += RIDGE + damping * np.trace(H) / size
        potrf, potrs = get_lapack_funcs(("potrf", "potrs"), dtype=np.float64)  # pyrefly: ignore
        factor, failed = potrf(H.T, lower=0, overwrite_a=1, clean=0)
        if failed:
            return None
        step = np.zeros(gradient.shape)
        step[:-1] = -np.asarray(potrs(factor, gradient[:-1].ravel(), lower=0)[0]).reshape(self.k - 1, D)
        return step

    def _gram(self, index: Int64[np.ndarray, "m"]) -> Float64[np.ndarray, "e e"]:
        """Σ x xᵀ of some standardised rows [d + 1, d + 1]."""
        total = np.zeros((self.x.shape[1] + 1,) * 2)
        for start in range(0, len(index), BLOCK):
            part = self.standard(index[start : start + BLOCK])
            total += part.T @ part
        return total

    def _by_products(
        self,
        gradient: Float64[np.ndarray, "k e"],
        active: Int64[np.ndarray, "m"],
        is_active: Bool[np.ndarray, "m k"],
        damping: float,
        deadline: float,
    ) -> Float64[np.ndarray, "k e"]:
        """Conjugate gradients, one Cholesky factor per class before them."""
        share = max(1.0, len(active) / MOST_ACTIVE)
        if share > 1:
            drawn = np.sort(np.random.default_rng(0).choice(len(active), MOST_ACTIVE, replace=False))
            active, is_active = active[drawn], is_active[drawn]
        X, own = self.standard(active), self.code[active, None]
        weight = is_active.astype(np.float32)
        np.put_along_axis(weight, own, weight.sum(axis=1, keepdims=True), axis=1)  # the diagonal of each row's block
        shift = RIDGE + damping * share * float(weight.sum()) / self.k
        solvers = [_solver(X, weight[:, c], share, shift) for c in range(self.k)]
        np.put_along_axis(weight, own, np.float32(0), axis=1)

        def hessian(U: Float64[np.ndarray, "k e"]) -> Float64[np.ndarray, "k e"]:
            s = X @ U.T.astype(np.float32)
            r = weight * (s - np.take_along_axis(s, own, axis=1))
            np.put_along_axis(r, own, -r.sum(axis=1, keepdims=True), axis=1)
            return share * (r.T @ X).astype(np.float64) + shift * U

        def precondition(U: Float64[np.ndarray, "k e"]) -> Float64[np.ndarray, "k e"]:
            return np.stack([solve(u) for solve, u in zip(solvers, U, strict=True)])

        return _conjugate(hessian, precondition, -gradient, deadline)


def _solver(
    X: Float32[np.ndarray, "m e"], weight: Float32[np.ndarray, "m"], share: float, shift: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Solves with Σ weight x xᵀ + shift, of at most six rows for each column."""
    D = X.shape[1]
    rows = np.flatnonzero(weight)
    if len(rows) > 6 * D:
        share *= len(rows) / (6 * D)
        rows = np.random.default_rng(1).choice(rows, 6 * D, replace=False)
    A = X[rows] * np.sqrt(weight[rows])[:, None]
    H = share * (A.T @ A).astype(np.float64)
    H[np.arange(D), np.arange(D)] += shift
    factor = cho_factor(H, lower=True, overwrite_a=True, check_finite=False)
    return lambda u: np.asarray(cho_solve(factor, u, check_finite=False))


def _conjugate(
    hessian: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    r: Float64[np.ndarray, "k e"],
    deadline: float,
) -> Float64[np.ndarray, "k e"]:
    """Preconditioned conjugate gradients from zero, to a tenth of the first residual."""
    U = np.zeros(r.shape)
    z = precondition(r)
    direction, rz = z.copy(), float((r * z).sum())
    first = rz
    for _ in range(MOST_PRODUCTS):
        h = hessian(direction)
        curvature = float((direction * h).sum())
        if not curvature > 0 or not math.isfinite(curvature):
            break
        U += rz / curvature * direction
        r = r - rz / curvature * h
        z = precondition(r)
        new = float((r * z).sum())
        if new < 0.01 * first or time.monotonic() > deadline:
            break
        direction = z + new / rz * direction
        rz = new
    return U
