"""A read-out for k classes by Newton-CG on the softmax loss, as a source of candidate proofs.

In: rows and class codes. Out: weights of growing sharpness: the ridge shrinks from stage to stage, and each stage
starts where the last one stopped. Only rows whose loss still matters enter the Hessian products, in float32; whether
a read-out proves anything is for `argmax_clearance` to say.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

BLOCK = 8192
MATTERS = 1e-5  # rows with less loss than this are left out of gradient and Hessian
MOST_ACTIVE = 24_000
STAGES = 7
STEPS = 6  # Newton steps per stage


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """Weights in the units of the data, and how many rows they get wrong in float32."""

    weight: np.ndarray
    bias: np.ndarray
    errors: int
    confusion: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One pass over all rows: loss, gradient, the rows that matter and their probabilities."""

    loss: float
    gradient: np.ndarray
    active: np.ndarray
    p: np.ndarray
    errors: int
    confusion: np.ndarray


class _Problem:
    """The data with the shift and scale that standardise it, applied to the weights instead of the rows."""

    def __init__(self, x: np.ndarray, code: np.ndarray, k: int) -> None:
        self.x, self.code, self.k = x, code, k
        self.mean = x[:: max(1, len(x) // 8000)].mean(axis=0, dtype=np.float64)
        square = np.zeros(x.shape[1])
        for start in range(0, len(x), BLOCK):  # all rows: a unit may be still in a sample, and loud elsewhere
            part = x[start : start + BLOCK] - self.mean
            square += np.einsum("ij,ij->j", part, part)
        scale = np.sqrt(square / len(x))
        self.scale = np.where(scale > 0, scale, 1.0)

    def units(self, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight = V[:, :-1] / self.scale
        return weight, V[:, -1] - weight @ self.mean

    def sweep(self, V: np.ndarray) -> _Pass:
        weight, bias = self.units(V)
        w32, b32 = weight.T.astype(np.float32), bias.astype(np.float32)
        gradient = np.zeros((self.k, self.x.shape[1] + 1))
        loss, errors, confusion = 0.0, 0, np.zeros((self.k, self.k), np.int64)
        active, p = [], []
        for start in range(0, len(self.x), BLOCK):
            rows = self.x[start : start + BLOCK].astype(np.float32, copy=False)
            y = self.code[start : start + BLOCK]
            here = np.arange(len(y))
            s = rows @ w32 + b32
            s -= s.max(axis=1, keepdims=True)
            own = s[here, y].copy()
            guess = s.argmax(axis=1)
            wrong = (own < 0) | (guess != y)
            errors += int(wrong.sum())
            np.add.at(confusion, (y[wrong], guess[wrong]), 1)
            np.exp(s, out=s)
            total = s.sum(axis=1)
            losses = np.log(total) - own
            loss += float(losses.sum(dtype=np.float64))
            kept = np.flatnonzero(losses > MATTERS)
            q = s[kept] / total[kept, None]
            residual = q.copy()
            residual[np.arange(len(kept)), y[kept]] -= 1
            gradient[:, :-1] += residual.T @ rows[kept]
            gradient[:, -1] += residual.sum(axis=0, dtype=np.float64)
            active.append(kept + start)
            p.append(q)
        gradient[:, :-1] = (gradient[:, :-1] - np.outer(gradient[:, -1], self.mean)) / self.scale
        return _Pass(loss, gradient, np.concatenate(active), np.concatenate(p), errors, confusion)

    def standard(self, index: np.ndarray) -> np.ndarray:
        out = np.empty((len(index), self.x.shape[1] + 1), np.float32)
        np.subtract(self.x[index], self.mean, out=out[:, :-1], casting="unsafe")
        out[:, :-1] /= self.scale.astype(np.float32)
        out[:, -1] = 1
        return out


def readouts(
    x: np.ndarray, code: np.ndarray, k: int, deadline: float, start: tuple[np.ndarray, np.ndarray] | None = None
) -> Iterator[Readout]:
    """Read-outs, one per Newton step, each a little sharper than the last.

    Args:
        x: rows [n, d].
        code: class of each row, 0..k-1.
        k: number of classes.
        deadline: `time.monotonic()` after which to stop.
        start: weight and bias to begin from.
    """
    problem = _Problem(x, code, k)
    V = np.zeros((k, x.shape[1] + 1))
    if start is not None:
        V = np.hstack([start[0] * problem.scale, (start[1] + start[0] @ problem.mean)[:, None]])
    now = problem.sweep(V)
    for stage in range(STAGES):
        ridge = 10.0 ** (-2 * stage)
        for _ in range(STEPS):
            if time.monotonic() > deadline:
                return
            step = _newton_step(problem, V, now, ridge, 0.1 if stage < 2 else 0.03, deadline)
            V, now, gain = _walk(problem, V, now, ridge, step)
            weight, bias = problem.units(V)
            yield Readout(weight, bias, now.errors, now.confusion)
            if gain < 0.02:
                break


def _value(now: _Pass, V: np.ndarray, ridge: float) -> float:
    return now.loss + 0.5 * ridge * float((V[:, :-1] ** 2).sum())


def _walk(
    problem: _Problem, V: np.ndarray, now: _Pass, ridge: float, step: np.ndarray
) -> tuple[np.ndarray, _Pass, float]:
    """Halve the step until the loss falls; the relative gain tells when a stage is done."""
    before, t = _value(now, V, ridge), 1.0
    for _ in range(10):
        then = problem.sweep(V + t * step)
        after = _value(then, V + t * step, ridge)
        if after < before:
            return V + t * step, then, (before - after) / before
        t *= 0.5
    return V, now, 0.0


def _newton_step(problem: _Problem, V: np.ndarray, now: _Pass, ridge: float, eta: float, deadline: float) -> np.ndarray:
    """Conjugate gradients on the Hessian of the rows that matter, one Cholesky factor per class before it."""
    index, p, share = now.active, now.p, 1.0
    D = V.shape[1]
    if len(index) > MOST_ACTIVE:
        pick = np.sort(np.random.default_rng(0).choice(len(index), MOST_ACTIVE, replace=False))
        share = len(index) / MOST_ACTIVE
        index, p = index[pick], p[pick]
    X = problem.standard(index)
    gradient = now.gradient.copy()
    gradient[:, :-1] += ridge * V[:, :-1]
    factors = [_factor(X, p[:, c] * (1 - p[:, c]) * share, ridge) for c in range(problem.k)]

    def hessian(U: np.ndarray) -> np.ndarray:
        s = X @ U.T.astype(np.float32)
        r = p * s
        r -= p * r.sum(axis=1, keepdims=True)
        out = (r.T @ X).astype(np.float64) * share
        out[:, :-1] += ridge * U[:, :-1]
        return out

    def precondition(U: np.ndarray) -> np.ndarray:
        return np.stack([cho_solve(f, u, check_finite=False) for f, u in zip(factors, U, strict=True)])

    U, r = np.zeros((problem.k, D)), -gradient
    z = precondition(r)
    direction, rz = z.copy(), float((r * z).sum())
    first = rz
    for _ in range(80):
        h = hessian(direction)
        curvature = float((direction * h).sum())
        if not curvature > 0 or not math.isfinite(curvature):
            break
        a = rz / curvature
        U += a * direction
        r -= a * h
        z = precondition(r)
        new = float((r * z).sum())
        if new < eta**2 * first or time.monotonic() > deadline:
            break
        direction = z + new / rz * direction
        rz = new
    return U


def _factor(X: np.ndarray, weight: np.ndarray, ridge: float) -> tuple[np.ndarray, bool]:
    D = X.shape[1]
    heavy = np.flatnonzero(weight > 1e-3 * weight.max(initial=0.0))
    if len(heavy) > 6 * D:
        drawn = np.random.default_rng(1).choice(len(heavy), 6 * D, replace=False)
        weight = weight * (len(heavy) / (6 * D))
        heavy = heavy[drawn]
    A = X[heavy] * np.sqrt(weight[heavy])[:, None].astype(np.float32)
    H = (A.T @ A).astype(np.float64)
    diagonal = np.arange(D)
    size = max(float(np.trace(H)) / D, 1e-30)
    for noise in (1e-6, 1e-4, 1e-2):  # rounding of float32 sums may reach beyond the first
        H[diagonal, diagonal] += ridge + noise * size
        with contextlib.suppress(np.linalg.LinAlgError):
            factor, is_lower = cho_factor(H, lower=True, check_finite=False)
            return np.asarray(factor), bool(is_lower)
    return np.diag(np.sqrt(H[diagonal, diagonal])), True


def fewest_errors(x: np.ndarray, code: np.ndarray, k: int, deadline: float, steps: int = 10) -> Readout:
    """The read-out with the fewest errors among the first few."""
    flat = np.bincount(code, minlength=k) / len(code)
    best = Readout(np.zeros((k, x.shape[1])), flat, int((code != np.argmax(flat)).sum()), np.zeros((k, k), np.int64))
    for _, readout in zip(range(steps), readouts(x, code, k, deadline), strict=False):
        best = min(best, readout, key=lambda r: r.errors)
    return best
