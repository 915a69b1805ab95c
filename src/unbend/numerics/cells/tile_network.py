"""Exact restriction of a network to a small box of the plane.

In: a network of two inputs and a box. Out: a `TileNetwork`, far smaller, with the same values on the box. Must not know
meshes.

On a small box most hinges never switch. Those that stay off vanish, those that stay on are absorbed into the affine
part, and what is left is a far smaller network. A loose bound only leaves a hinge in: it costs time, never exactness.

Bounds: every hinge is enclosed in `slope * z + [lo, hi]` with the slope of its chord, so dependencies on
`s` and `t` are kept through all stages (the zonotope relaxation of Singh et al. 2018).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.cells.compiled.mesh import ALL_COLUMNS, Program
from unbend.numerics.cells.compiled.restrict import MARGIN, restrict
from unbend.numerics.cells.duplicates import Distinct
from unbend.numerics.piecewise import Sparse


class Box(NamedTuple):
    """Centre and half-widths of an axis-parallel box.

    Attributes:
        x: of the centre.
        y: of the centre.
        half_width: along x.
        half_height: along y.
    """

    x: float
    y: float
    half_width: float
    half_height: float

    @classmethod
    def around(cls, points: list[tuple[float, float]]) -> "Box":
        """The smallest box round the points."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        low, high, left, right = min(ys), max(ys), min(xs), max(xs)
        return cls(0.5 * (left + right), 0.5 * (low + high), 0.5 * (right - left), 0.5 * (high - low))


class TileNetwork(NamedTuple):
    """A network restricted to a tile: every stage reads 1, s, t and all hinges before it, dense.

    Attributes:
        sizes: how many hinges each stage has left.
        weight: one (columns, hinges) matrix after the other.
        low: the slope of every hinge where it is off.
        high: the slope where it is on.
        name: the hinge's number in the whole network.
    """

    sizes: Int64[Array, "stages"]
    weight: Float64[Array, "weights"]
    low: Float64[Array, "hinges"]
    high: Float64[Array, "hinges"]
    name: Int32[Array, "hinges"]

    @classmethod
    def of(cls, same: Distinct, box: Box) -> "TileNetwork":
        """The network of two inputs, restricted to the box."""
        net, columns = same.net, _Columns(same.net.n_hinges)
        sizes: list[int] = []
        weights, lows, highs, names = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.int64)]
        for first, stage in zip(net.offsets, net.stages, strict=False):
            rows = columns.rows(stage.weight)
            bounds = columns.enclose(rows, box)
            is_off, is_on = bounds.highest < -bounds.tie, bounds.lowest > bounds.tie
            is_flat = ~np.any(rows, axis=1) | (stage.low == stage.high)
            is_open = ~(is_off | is_on | is_flat)
            slope = np.where(is_off, stage.low, stage.high)
            index = first + np.arange(len(rows))
            columns.absorb(index[~is_open], rows[~is_open] * slope[~is_open, None])
            columns.keep(index[is_open], bounds, is_open, stage.low, stage.high)
            sizes.append(int(is_open.sum()))
            weights.append(np.ascontiguousarray(rows[is_open].T).ravel())
            lows.append(stage.low[is_open])
            highs.append(stage.high[is_open])
            names.append(same.names[index[is_open]])
        return cls(
            np.array(sizes, np.int64),
            np.concatenate(weights),
            np.concatenate(lows),
            np.concatenate(highs),
            np.concatenate(names).astype(np.int32),
        )

    @property
    def n_hinges(self) -> int:
        """Hinges that may switch on the tile."""
        return len(self.low)

    def on(self, box: Box) -> "TileNetwork":
        """The network restricted to a smaller box."""
        return TileNetwork(*restrict(self.sizes, self.weight, self.low, self.high, self.name, box))

    def program(self) -> Program:
        """The same for `subdivide`, without stages that have no hinge left."""
        sizes = self.sizes[self.sizes > 0]
        widths = 3 + np.cumsum(sizes) - sizes
        return Program(sizes, widths, self.weight, ALL_COLUMNS, widths, self.low, self.high, self.name)


class _Bounds(NamedTuple):
    """What is known of a stage's hinges on a box.

    Attributes:
        lowest: the least value of each.
        highest: the largest.
        affine: constant and slopes of the affine part.
        below: how far the value may lie below it.
        above: how far above.
        tie: the size that rounding may have.
    """

    lowest: Float64[Array, "n"]
    highest: Float64[Array, "n"]
    affine: Float64[Array, "n 3"]
    below: Float64[Array, "n"]
    above: Float64[Array, "n"]
    tie: Float64[Array, "n"]


class _Columns:
    """The hinges seen so far: either a column of the restricted network, or an affine row of them."""

    __slots__ = ("absorbed", "absorbed_rows", "affine", "column", "error")

    def __init__(self, n: int) -> None:
        self.column = np.full(n, -1)
        self.absorbed = np.full(n, -1)
        self.absorbed_rows: list[Array] = []
        self.affine = np.eye(3)
        self.error = np.zeros((3, 2))

    def rows(self, weight: Sparse) -> Float64[Array, "n columns"]:
        """The weights of a stage, in the columns of the restricted network."""
        whole = weight.csr()
        out = np.zeros((weight.n_rows, len(self.affine)))
        out[:, :3] = whole[:, :3].toarray()
        column = self.column[: weight.n_columns - 3]
        kept = np.flatnonzero(column >= 0)
        out[:, 3 + column[kept]] = whole[:, 3 + kept].toarray()
        absorbed = np.flatnonzero(self.absorbed[: weight.n_columns - 3] >= 0)
        if len(absorbed):
            known = np.zeros((len(absorbed), out.shape[1]))
            for row, index in zip(known, self.absorbed[absorbed], strict=True):
                part = self.absorbed_rows[index]
                row[: len(part)] = part
            out += whole[:, 3 + absorbed] @ known
        return out

    def enclose(self, rows: Float64[Array, "n columns"], box: Box) -> _Bounds:
        """What the rows are on the box."""
        affine = rows @ self.affine
        up, down = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
        below = up @ self.error[:, 0] + down @ self.error[:, 1]
        above = up @ self.error[:, 1] + down @ self.error[:, 0]
        middle = affine[:, 0] + affine[:, 1] * box.x + affine[:, 2] * box.y
        radius = np.abs(affine[:, 1]) * box.half_width + np.abs(affine[:, 2]) * box.half_height
        size = np.abs(rows) @ (np.abs(self.affine).sum(axis=1) + self.error[:, 1] - self.error[:, 0])
        return _Bounds(middle - radius + below, middle + radius + above, affine, below, above, MARGIN * size)

    def absorb(self, index: Int64[Array, "n"], rows: Float64[Array, "n columns"]) -> None:
        """Hinges that do not switch on the box: affine rows; those that are zero are dropped."""
        is_alive = np.any(rows, axis=1)
        self.absorbed[index[is_alive]] = len(self.absorbed_rows) + np.arange(int(is_alive.sum()))
        self.absorbed_rows.extend(rows[is_alive])

    def keep(
        self,
        index: Int64[Array, "open"],
        bounds: _Bounds,
        is_open: Bool[Array, "n"],
        low: Float64[Array, "n"],
        high: Float64[Array, "n"],
    ) -> None:
        """Hinges that may switch on the box: new columns, each enclosed between two parallel planes."""
        lowest, highest = np.minimum(bounds.lowest[is_open], 0.0), np.maximum(bounds.highest[is_open], 0.0)
        off, on = low[is_open], high[is_open]
        # The chord of the hinge; the hinge is convex or concave, so it lies on one side of it, farthest at the kink.
        slope = (on * highest - off * lowest) / np.maximum(highest - lowest, np.finfo(float).tiny)
        gap = (off - slope) * lowest
        ends = np.stack([slope * bounds.below[is_open], slope * bounds.above[is_open]])
        self.column[index] = len(self.affine) - 3 + np.arange(len(index))
        self.affine = np.concatenate([self.affine, slope[:, None] * bounds.affine[is_open]])
        error = np.stack([ends.min(axis=0) + np.minimum(gap, 0), ends.max(axis=0) + np.maximum(gap, 0)], 1)
        self.error = np.concatenate([self.error, error])
