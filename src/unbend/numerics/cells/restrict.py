"""Exact restriction of a network to a small box of the plane.

On a small box most hinges never bend. Those that stay off vanish, those that stay on are folded into the
affine part, and what is left is a far smaller network with the same values on the box. A loose bound only
leaves a hinge in: it costs time, never exactness.

Bounds: every hinge is enclosed in `slope * z + [lo, hi]` with the slope of its chord, so dependencies on
`s` and `t` are kept through all stages (the zonotope relaxation of Singh et al. 2018).
"""
# ruff: noqa: ANN001, ANN201, C901, PLR0912, PLR0915 - one compiled kernel: flat loops over flat arrays

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from unbend._typing import Array
from unbend.numerics.cells.kernel import Program
from unbend.numerics.piecewise import PiecewiseAffine, Sparse

_MARGIN = 1e-12


class Box(NamedTuple):
    """Centre and half-widths of an axis-parallel box."""

    x: float
    y: float
    rx: float
    ry: float

    @classmethod
    def of(cls, points: Array) -> "Box":
        """The smallest box round the points."""
        low, high = points.min(axis=0), points.max(axis=0)
        return cls(*(0.5 * (low + high)).tolist(), *(0.5 * (high - low)).tolist())


def root(net: PiecewiseAffine, box: Box) -> Program:
    """The network of two inputs, restricted to the box, dense."""
    folds = _Folds(net.n_hinges)
    sizes, weights, lows, highs, names = [], [], [], [], []
    for first, stage in zip(net.offsets, net.stages, strict=False):
        rows = folds.rows(stage.weight)
        lo, hi, level, tie = folds.enclose(rows, box)
        sleeping, awake = hi < -tie, lo > tie
        flat = ~np.any(rows, axis=1) | (stage.low == stage.high)
        open_ = ~(sleeping | awake | flat)
        slope = np.where(sleeping, stage.low, stage.high)
        index = first + np.arange(len(rows))
        folds.close(index[~open_], rows[~open_] * slope[~open_, None])
        folds.open(index[open_], rows[open_], (lo, hi, level), open_, stage.low, stage.high)
        sizes.append(int(open_.sum()))
        weights.append(np.ascontiguousarray(rows[open_].T).ravel())
        lows.append(stage.low[open_])
        highs.append(stage.high[open_])
        names.append(index[open_])
    return tile_program(
        np.array(sizes, np.int64),
        np.concatenate([np.zeros(0), *weights]),
        np.concatenate([np.zeros(0), *lows]),
        np.concatenate([np.zeros(0), *highs]),
        np.concatenate([np.zeros(0, np.int32), *names]).astype(np.int32),
    )


class _Folds:
    """The hinges seen so far: either a column of the restricted network, or an affine row of them."""

    __slots__ = ("affine", "closed", "closed_rows", "columns", "error")

    def __init__(self, n: int) -> None:
        self.columns = np.full(n, -1)
        self.closed = np.full(n, -1)
        self.closed_rows: list[Array] = []
        self.affine = np.eye(3)
        self.error = np.zeros((3, 2))

    def rows(self, weight: Sparse) -> Array:
        """The weights of a stage, in the columns of the restricted network."""
        whole = weight.csr()
        out = np.zeros((weight.n_rows, len(self.affine)))
        out[:, :3] = whole[:, :3].toarray()
        columns = self.columns[: weight.n_columns - 3]
        kept = np.flatnonzero(columns >= 0)
        out[:, 3 + columns[kept]] = whole[:, 3 + kept].toarray()
        closed = np.flatnonzero(self.closed[: weight.n_columns - 3] >= 0)
        if len(closed):
            known = np.zeros((len(closed), out.shape[1]))
            for row, index in zip(known, self.closed[closed], strict=True):
                part = self.closed_rows[index]
                row[: len(part)] = part
            out += whole[:, 3 + closed] @ known
        return out

    def enclose(self, rows: Array, box: Box) -> tuple[Array, Array, tuple[Array, ...], Array]:
        """Lowest and highest value on the box; (affine part, error interval); the size of rounding."""
        affine = rows @ self.affine
        up, down = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
        low = up @ self.error[:, 0] + down @ self.error[:, 1]
        high = up @ self.error[:, 1] + down @ self.error[:, 0]
        middle = affine[:, 0] + affine[:, 1] * box.x + affine[:, 2] * box.y
        radius = np.abs(affine[:, 1]) * box.rx + np.abs(affine[:, 2]) * box.ry
        size = np.abs(rows) @ (np.abs(self.affine).sum(axis=1) + self.error[:, 1] - self.error[:, 0])
        return middle - radius + low, middle + radius + high, (affine, low, high), _MARGIN * size

    def close(self, index: Array, rows: Array) -> None:
        """Hinges that do not bend on the box: affine rows; those that are zero are dropped."""
        alive = np.any(rows, axis=1)
        self.closed[index[alive]] = len(self.closed_rows) + np.arange(int(alive.sum()))
        self.closed_rows.extend(rows[alive])

    def open(self, index: Array, rows: Array, bounds: tuple, which: Array, low: Array, high: Array) -> None:
        """Hinges that may bend on the box: new columns, each enclosed between two parallel planes."""
        lo, hi, (affine, least, most) = bounds
        lo, hi = np.minimum(lo[which], 0.0), np.maximum(hi[which], 0.0)
        a, b = low[which], high[which]
        slope = (b * hi - a * lo) / np.maximum(hi - lo, np.finfo(float).tiny)
        gap = (a - slope) * lo
        ends = np.stack([slope * least[which], slope * most[which]])
        self.columns[index] = len(self.affine) - 3 + np.arange(len(rows))
        self.affine = np.concatenate([self.affine, slope[:, None] * affine[which]])
        error = np.stack([ends.min(axis=0) + np.minimum(gap, 0), ends.max(axis=0) + np.maximum(gap, 0)], 1)
        self.error = np.concatenate([self.error, error])


def tile_program(sizes: Array, weight: Array, low: Array, high: Array, name: Array) -> Program:
    """A program in which every stage keeps all columns."""
    widths = 3 + np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64) if len(sizes) else sizes
    keep = [np.arange(width) for width in widths]
    keep = np.concatenate([np.zeros(0, np.int64), *keep]).astype(np.int64)
    return Program(sizes, widths, weight, keep, widths, low, high, name)


@njit(cache=True, nogil=True)
@no_type_check
def restrict(program, box):
    """The program of a tile, restricted to a smaller box."""
    n_stage = program.sizes.shape[0]
    total = program.sizes.sum()
    state = np.empty(total, np.int64)  # column of the result, -1 gone, -2 folded
    fold = np.empty(total, np.int64)
    folded = np.zeros((total, 3 + total))
    affine = np.zeros((3 + total, 3))
    error = np.zeros((3 + total, 2))
    for i in range(3):
        affine[i, i] = 1.0
    sizes = np.zeros(n_stage, np.int64)
    weight = np.empty(program.weight.shape[0])
    low = np.empty(total)
    high = np.empty(total)
    name = np.empty(total, np.int32)
    at = 0
    out = 0
    seen = 0
    kept = 0
    n_fold = 0
    for stage in range(n_stage):
        n = program.sizes[stage]
        width = 3 + seen
        old = program.weight[at : at + n * width].reshape(width, n)
        at += n * width
        new = np.zeros((3 + kept, n))
        new[:3] = old[:3]
        picked = np.empty((n_fold, n))
        for k in range(seen):
            if state[k] >= 0:
                new[3 + state[k]] = old[3 + k]
            elif state[k] == -2:
                picked[fold[k]] = old[3 + k]
        if n_fold:
            new += np.dot(np.ascontiguousarray(folded[:n_fold, : 3 + kept].T), picked)
        part = np.zeros((3, n))
        least = np.zeros(n)
        most = np.zeros(n)
        size = np.zeros(n)
        for k in range(3 + kept):
            e0 = error[k, 0]
            e1 = error[k, 1]
            a0 = affine[k, 0]
            a1 = affine[k, 1]
            a2 = affine[k, 2]
            span = abs(a0) + abs(a1) + abs(a2) + e1 - e0
            for i in range(n):
                w = new[k, i]
                part[0, i] += w * a0
                part[1, i] += w * a1
                part[2, i] += w * a2
                size[i] += abs(w) * span
                least[i] += max(w, 0.0) * e0 + min(w, 0.0) * e1
                most[i] += max(w, 0.0) * e1 + min(w, 0.0) * e0
        first = kept
        is_open = np.zeros(n, np.bool_)
        for i in range(n):
            middle = part[0, i] + part[1, i] * box.x + part[2, i] * box.y
            radius = abs(part[1, i]) * box.rx + abs(part[2, i]) * box.ry
            lo = middle - radius + least[i]
            hi = middle + radius + most[i]
            tie = _MARGIN * size[i]
            a = program.low[seen + i]
            b = program.high[seen + i]
            slope = a if hi < -tie else b
            if (hi < -tie or lo > tie or size[i] == 0.0) and slope == 0.0:
                state[seen + i] = -1
            elif hi < -tie or lo > tie:
                state[seen + i] = -2
                fold[seen + i] = n_fold
                for k in range(3 + first):
                    folded[n_fold, k] = slope * new[k, i]
                n_fold += 1
            elif size[i] == 0.0:
                state[seen + i] = -1
            else:
                is_open[i] = True
                lo = min(lo, 0.0)
                hi = max(hi, 0.0)
                slope = (b * hi - a * lo) / max(hi - lo, 1e-300)
                gap = (a - slope) * lo
                e0 = slope * least[i]
                e1 = slope * most[i]
                for c in range(3):
                    affine[3 + kept, c] = slope * part[c, i]
                error[3 + kept, 0] = min(e0, e1) + min(gap, 0.0)
                error[3 + kept, 1] = max(e0, e1) + max(gap, 0.0)
                state[seen + i] = kept
                low[kept] = a
                high[kept] = b
                name[kept] = program.name[seen + i]
                kept += 1
        m = kept - first
        sizes[stage] = m
        if m:
            for k in range(3 + first):
                for i in range(n):
                    if is_open[i]:
                        weight[out] = new[k, i]
                        out += 1
        seen += n
    return sizes, weight[:out].copy(), low[:kept].copy(), high[:kept].copy(), name[:kept].copy()
