"""Exact restriction of a network to a small box of the plane.

On a small box most hinges never bend. Those that stay off vanish, those that stay on are folded into the
affine part, and what is left is a far smaller network with the same values on the box. A loose bound only
leaves a hinge in: it costs time, never exactness.

Bounds: every hinge is enclosed in `slope * z + [lo, hi]` with the slope of its chord, so dependencies on
`s` and `t` are kept through all stages (the zonotope relaxation of Singh et al. 2018).
"""
# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0912, PLR0915 - one compiled kernel: flat loops over flat arrays

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from unbend._typing import Array
from unbend.numerics.cells.kernel import Program, inlined
from unbend.numerics.cells.twins import Distinct
from unbend.numerics.piecewise import Sparse

_MARGIN = 1e-12
_ALL = np.zeros(0, np.int64)  # every column is kept


class Box(NamedTuple):
    """Centre and half-widths of an axis-parallel box."""

    x: float
    y: float
    rx: float
    ry: float

    @classmethod
    def round(cls, points: list[tuple[float, float]]) -> "Box":
        """The smallest box round the points."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        low, high, left, right = min(ys), max(ys), min(xs), max(xs)
        return cls(0.5 * (left + right), 0.5 * (low + high), 0.5 * (right - left), 0.5 * (high - low))


class Tree(NamedTuple):
    """A network restricted to a tile: every stage reads 1, s, t and all hinges before it, dense."""

    sizes: Array  # int64[L]
    weight: Array  # float64: one (columns, hinges) matrix after the other
    low: Array
    high: Array
    name: Array  # int32[N]: the hinge's number in the whole network

    @property
    def n_hinges(self) -> int:
        """Hinges that may bend on the tile."""
        return len(self.low)

    def program(self) -> Program:
        """The same for the kernel, without stages that have no hinge left."""
        sizes = self.sizes[self.sizes > 0]
        widths = 3 + np.cumsum(sizes) - sizes
        return Program(sizes, widths, self.weight, _ALL, widths, self.low, self.high, self.name)


def root(same: Distinct, box: Box) -> Tree:
    """The network of two inputs, restricted to the box."""
    net = same.net
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
        names.append(same.names[index[open_]])
    return Tree(
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


@inlined
@no_type_check
def _enclose(rows, affine, middle, radius, bounds):
    """Into `bounds`, per hinge: constant, slopes, middle and half-width of the error, size of the terms."""
    for i in range(rows.shape[1]):
        for c in range(6):
            bounds[c, i] = 0.0
    part, slope_s, slope_t, centre, spread, size = bounds[0], bounds[1], bounds[2], bounds[3], bounds[4], bounds[5]
    for k in range(rows.shape[0]):
        row = rows[k]
        a0, a1, a2, mid, rad = affine[k, 0], affine[k, 1], affine[k, 2], middle[k], radius[k]
        span = abs(a0) + abs(a1) + abs(a2) + 2.0 * rad
        for i in range(rows.shape[1]):
            w = row[i]
            part[i] += w * a0
            slope_s[i] += w * a1
            slope_t[i] += w * a2
            centre[i] += w * mid
            spread[i] += abs(w) * rad
            size[i] += abs(w) * span


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def restrict(sizes, weights, lows, highs, names, box):
    """The fields of a `Tree`, restricted to a smaller box."""
    x, y, rx, ry = box
    n_stage = sizes.shape[0]
    total = sizes.sum()
    column = np.empty(total, np.int64)  # of the result; -1 gone
    affine = np.zeros((3 + total, 3))
    middle = np.zeros(3 + total)
    radius = np.zeros(3 + total)
    for i in range(3):
        affine[i, i] = 1.0
    # rows of hinges that do not bend here, transposed, one (columns, hinges) matrix per stage
    fold = np.empty(weights.shape[0])
    fold_at = np.zeros(n_stage + 1, np.int64)
    fold_width = np.zeros(n_stage, np.int64)
    folded = np.empty(total, np.int64)
    fold_end = np.zeros(n_stage + 1, np.int64)
    out_sizes = np.zeros(n_stage, np.int64)
    weight = np.empty(weights.shape[0])
    low, high = np.empty(total), np.empty(total)
    name = np.empty(total, np.int32)
    at = 0
    out = 0
    seen = 0
    kept = 0
    n_fold = 0
    for stage in range(n_stage):
        n = sizes[stage]
        old = weights[at : at + n * (3 + seen)].reshape(3 + seen, n)
        at += n * (3 + seen)
        rows = np.empty((3 + kept, n))
        for k in range(3):
            for i in range(n):
                rows[k, i] = old[k, i]
        for k in range(seen):
            if column[k] >= 0:
                for i in range(n):
                    rows[3 + column[k], i] = old[3 + k, i]
        for g in range(stage):
            m = fold_end[g + 1] - fold_end[g]
            if m == 0:
                continue
            wide = fold_width[g]
            picked = np.empty((m, n))
            for f in range(m):
                k = folded[fold_end[g] + f]
                for i in range(n):
                    picked[f, i] = old[3 + k, i]
            added = np.dot(fold[fold_at[g] : fold_at[g + 1]].reshape(wide, m), picked)
            for k in range(wide):
                for i in range(n):
                    rows[k, i] += added[k, i]
        bounds = np.empty((6, n))
        _enclose(rows, affine, middle, radius, bounds)
        width = 3 + kept
        opened = np.empty(n, np.int64)
        closed = np.empty(n, np.int64)
        factor = np.empty(n)
        n_open = 0
        n_closed = 0
        for i in range(n):
            value = bounds[0, i] + bounds[1, i] * x + bounds[2, i] * y
            reach = abs(bounds[1, i]) * rx + abs(bounds[2, i]) * ry
            least, most = bounds[3, i] - bounds[4, i], bounds[3, i] + bounds[4, i]
            lo, hi = value - reach + least, value + reach + most
            tie = _MARGIN * bounds[5, i]
            a, b = lows[seen + i], highs[seen + i]
            column[seen + i] = -1
            if bounds[5, i] == 0.0:
                continue
            if hi < -tie or lo > tie:
                slope = a if hi < -tie else b
                if slope != 0.0:
                    closed[n_closed] = i
                    factor[n_closed] = slope
                    n_closed += 1
                continue
            lo, hi = min(lo, 0.0), max(hi, 0.0)
            slope = (b * hi - a * lo) / max(hi - lo, 1e-300)
            gap = (a - slope) * lo
            for c in range(3):
                affine[3 + kept, c] = slope * bounds[c, i]
            middle[3 + kept] = slope * bounds[3, i] + 0.5 * gap
            radius[3 + kept] = abs(slope) * bounds[4, i] + 0.5 * abs(gap)
            column[seen + i] = kept
            low[kept], high[kept], name[kept] = a, b, names[seen + i]
            opened[n_open] = i
            n_open += 1
            kept += 1
        out_sizes[stage] = n_open
        for k in range(width):
            for i in range(n_open):
                weight[out + i] = rows[k, opened[i]]
            out += n_open
        base = fold_at[stage]
        for k in range(width):
            for f in range(n_closed):
                fold[base + f] = factor[f] * rows[k, closed[f]]
            base += n_closed
        for f in range(n_closed):
            folded[n_fold + f] = seen + closed[f]
        n_fold += n_closed
        fold_at[stage + 1] = base
        fold_end[stage + 1] = n_fold
        fold_width[stage] = width
        seen += n
    return out_sizes, weight[:out].copy(), low[:kept].copy(), high[:kept].copy(), name[:kept].copy()
