"""Linear pieces along a segment: exact breakpoints in any input dimension.

In: a `PiecewiseAffine` and two points. Out: `Slice`. Must not know planes. Rule for ties as in the plane: a hinge
makes a breakpoint only where it changes sign strictly; breakpoints nearer than rounding are one.
"""

import numpy as np

from unbend._typing import Array, Bool, Float64, Int64
from unbend.errors import DataError, ShapeError
from unbend.numerics.piecewise import PiecewiseAffine
from unbend.numerics.result import result

_TIE = 1e-13
"""Of the sum of a hinge's terms: below, its sign is rounding and it counts as zero."""
_APART = 1e-16
"""Breakpoints nearer than this, in units of the segment, are one: the spacing of floats near 1."""
_SAME = 1e-10
"""Relative difference up to which two slopes are one, as for the maps of cells."""


@result
class Slice:
    """The network along `start + t * (end - start)`, `t` from 0 to 1.

    Attributes:
        t: both ends and all breakpoints.
        hinges: the hinge that makes breakpoint `t[i + 1]`.
        values: the outputs at `t`.
        slopes: their derivatives by `t` between.
    """

    t: Float64[Array, "b_plus_2"]
    hinges: Int64[Array, "b"]
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

    Cost:
        Breakpoints x hinges in time and memory.

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
    t, hinges = np.array([0.0, 1.0]), np.zeros(2, np.int64)
    columns = np.array([[1.0, 1.0], [0.0, 1.0]])
    for first, stage in zip(line.offsets, line.stages, strict=False):
        z = stage.weight @ columns
        tie = _TIE * (abs(stage.weight.csr()) @ np.abs(columns).max(axis=1))
        z[np.abs(z) <= tie[:, None]] = 0.0
        # The stage's hinges are affine between the points so far: where one changes sign there is a new point.
        hinge, at = np.nonzero(z[:, :-1] * z[:, 1:] < 0)
        share = z[hinge, at] / (z[hinge, at] - z[hinge, at + 1])
        new = t[at] + share * (t[at + 1] - t[at])
        order = np.argsort(new, kind="stable")
        order = order[_apart(new[order], t)]
        hinge, at, share, new = hinge[order], at[order], share[order], new[order]
        values = np.concatenate([columns, z])
        between = values[:, at] + share * (values[:, at + 1] - values[:, at])
        between[len(columns) + hinge, np.arange(len(hinge))] = 0.0
        t, hinges = np.concatenate([t, new]), np.concatenate([hinges, first + hinge])
        order = np.argsort(t, kind="stable")
        t, hinges = t[order], hinges[order]
        columns = np.concatenate([values, between], axis=1)[:, order]
        z = columns[len(values) - len(stage.low) :]
        columns[len(values) - len(stage.low) :] = np.where(z > 0, stage.high[:, None], stage.low[:, None]) * z
    middle = 0.5 * (t[:-1] + t[1:])[:, None]
    slopes, _ = line.affine(line.bits(middle))
    return Slice(
        t=t, hinges=hinges[1:-1], values=(line.output @ columns).T, slopes=np.ascontiguousarray(slopes[:, :, 0])
    )


def _apart(new: Float64[Array, "n"], old: Float64[Array, "m"]) -> Bool[Array, "n"]:
    """Which of the sorted new breakpoints differ from the one before and from all old ones."""
    if not len(new):
        return np.zeros(0, bool)
    near = np.searchsorted(old, new)
    gap = np.minimum(new - old[near - 1], old[np.minimum(near, len(old) - 1)] - new)
    before = np.diff(new, prepend=-1.0)
    return (gap > _APART) & (before > _APART)
