"""Linear pieces along a segment: exact breakpoints in any input dimension.

In: a `PiecewiseAffine` and two points. Out: `Slice`. Rule for ties as in the plane: a hinge makes a
breakpoint only where it changes sign strictly; breakpoints nearer than rounding are one.
"""

from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.errors import DataError, ShapeError
from unbend.numerics.piecewise import PiecewiseAffine

_TIE = 1e-13
_SAME = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """The network along `start + t * (end - start)`, `t` from 0 to 1.

    `t` holds both ends and all breakpoints; `bends[i]` is the hinge that makes breakpoint `t[i + 1]`;
    `values` the outputs at `t`; `slopes` their derivatives by `t` between.
    """

    t: Float64[Array, "b_plus_2"]
    bends: Int64[Array, "b"]
    values: Float64[Array, "b_plus_2 k"]
    slopes: Float64[Array, "b_plus_1 k"]

    @property
    def n_cells(self) -> int:
        """Intervals of equal activation pattern."""
        return len(self.t) - 1

    @property
    def n_pieces(self) -> int:
        """Linear pieces of `f`: neighbours whose slopes differ by less than 1e-10 of the largest are one."""
        jump = np.abs(np.diff(self.slopes, axis=0)) > _SAME * np.abs(self.slopes).max(axis=0, initial=0.0)
        return 1 + int(jump.any(axis=1).sum())


def slice_1d(net: PiecewiseAffine, start: Float64[Array, "d"], end: Float64[Array, "d"]) -> Slice:
    """All breakpoints of the network on the segment from `start` to `end`.

    Cost: breakpoints x hinges in time and memory.

    Example:
        >>> from unbend.numerics.piecewise import network
        >>> tent = network([np.array([[2.0], [4.0]])], [np.array([0.0, -2.0])],
        ...                np.array([[1.0, -1.0]]), np.zeros(1))
        >>> slice_1d(tent, np.array([0.0]), np.array([1.0])).t.tolist()
        [0.0, 0.5, 1.0]
    """
    if start.shape != (net.n_inputs,) or end.shape != (net.n_inputs,):
        raise ShapeError(f"start, end: expected points of {net.n_inputs} numbers, got {start.shape} and {end.shape}.")
    if np.array_equal(start, end):
        raise DataError("start, end: expected two different points, got one. Choose another end.")
    line = net.on(start, (end - start)[:, None])
    t, bends = np.array([0.0, 1.0]), np.zeros(2, np.int64)
    full = np.array([[1.0, 1.0], [0.0, 1.0]])
    for first, stage in zip(line.offsets, line.stages, strict=False):
        z = stage.weight @ full
        tie = _TIE * (abs(stage.weight.csr()) @ np.abs(full).max(axis=1))
        z[np.abs(z) <= tie[:, None]] = 0.0
        hinge, at = np.nonzero(z[:, :-1] * z[:, 1:] < 0)
        share = z[hinge, at] / (z[hinge, at] - z[hinge, at + 1])
        new = t[at] + share * (t[at + 1] - t[at])
        order = np.lexsort((new,))
        order = order[_apart(new[order], t)]
        hinge, at, share, new = hinge[order], at[order], share[order], new[order]
        columns = np.concatenate([full, z])
        made = columns[:, at] + share * (columns[:, at + 1] - columns[:, at])
        made[len(full) + hinge, np.arange(len(hinge))] = 0.0
        t, bends = np.concatenate([t, new]), np.concatenate([bends, first + hinge])
        order = np.argsort(t, kind="stable")
        t, bends = t[order], bends[order]
        columns = np.concatenate([columns, made], axis=1)[:, order]
        z = columns[len(full) :]
        full = columns
        full[-len(z) :] = np.where(z > 0, stage.high[:, None], stage.low[:, None]) * z
    middle = 0.5 * (t[:-1] + t[1:])[:, None]
    slopes, _ = line.affine(line.bits(middle))
    return Slice(t, bends[1:-1], (line.output @ full).T, np.ascontiguousarray(slopes[:, :, 0]))


def _apart(new: Array, old: Array) -> Array:
    """Which of the sorted new breakpoints differ from the one before and from all old ones."""
    if not len(new):
        return np.zeros(0, bool)
    near = np.searchsorted(old, new)
    gap = np.minimum(new - old[near - 1], old[np.minimum(near, len(old) - 1)] - new)
    before = np.diff(new, prepend=-1.0)
    return (gap > _TIE * 1e-3) & (before > _TIE * 1e-3)
