"""Restriction of a restricted network to a smaller box, compiled.

In: the arrays of a `TileNetwork` and a box inside its own. Out: the arrays of a smaller one. Must not know tiles.

Per stage: the weights are rewritten in the columns that are left, hinges are enclosed on the box, and each is dropped,
absorbed into the affine part, or kept as a column. What encloses them is told in `tile_network`.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Int32

from unbend._typing import Array, Float64, Int64
from unbend.numerics.cells.compiled.jit import entry, inlined, part
from unbend.numerics.compiled.addresses import new_empty, new_zeros

MARGIN = 1e-12
"""Share of the sum of terms by which a hinge must stay away from zero to count as one that does not switch: about a
thousand times the rounding of the sum."""
_TINY = 1e-300
"""Keeps a division by a span of zero finite; far below any span that matters."""


@entry
@no_type_check
def restrict(
    sizes: Int64[Array, "stages"],
    weights: Float64[Array, "_"],
    lows: Float64[Array, "hinges"],
    highs: Float64[Array, "hinges"],
    names: Int32[Array, "hinges"],
    box: tuple[float, float, float, float],
) -> tuple[
    Int64[Array, "stages"], Float64[Array, "_"], Float64[Array, "_"], Float64[Array, "_"], Int32[Array, "_"]
]:  # fmt: skip
    """The fields of a `TileNetwork`, restricted to a smaller box.

    Cost:
        As one product of the weights with themselves, most of it by BLAS.
    """
    n_stage = sizes.shape[0]
    n_hinge = sizes.sum()
    # Of every column: its affine part, and the middle and half-width of its distance from that.
    affine = new_zeros((3 + n_hinge, 3), np.float64)
    middle, radius = new_zeros(3 + n_hinge, np.float64), new_zeros(3 + n_hinge, np.float64)
    for axis in range(3):
        affine[axis, axis] = 1.0
    column = new_empty(n_hinge, np.int64)  # a hinge's column in the result, -1 for none
    # Absorbed hinges as rows of the result's columns; transposed, one (columns, hinges) matrix per stage.
    absorbed = new_empty(weights.shape[0], np.float64)
    absorbed_at, absorbed_width = new_zeros(n_stage + 1, np.int64), new_zeros(n_stage, np.int64)
    absorbed_hinge, absorbed_end = new_empty(n_hinge, np.int64), new_zeros(n_stage + 1, np.int64)
    new_sizes, new_weight = new_zeros(n_stage, np.int64), new_empty(weights.shape[0], np.float64)
    low, high, name = new_empty(n_hinge, np.float64), new_empty(n_hinge, np.float64), new_empty(n_hinge, np.int32)
    weight_at = 0
    new_weight_at = 0
    first = n_kept = np.int64(0)  # hinge of the stage, and hinges kept before it
    for stage in range(n_stage):
        n = sizes[stage]
        old = weights[weight_at : weight_at + n * (3 + first)].reshape(3 + first, n)
        weight_at += n * (3 + first)
        # The stage's weights in the result's columns: those of kept hinges, and through absorbed ones.
        rows = _kept_rows(old, column[:first], n_kept)
        for before in range(stage):
            begin, end = absorbed_end[before], absorbed_end[before + 1]
            if begin < end:
                matrix = absorbed[absorbed_at[before] : absorbed_at[before + 1]].reshape(
                    absorbed_width[before], end - begin
                )
                _add_absorbed(rows, matrix, old, absorbed_hinge[begin:end])
        # What becomes of each hinge.
        bounds = new_empty((6, n), np.float64)
        _enclose(rows, affine, middle, radius, bounds)
        width = 3 + n_kept
        opened, closed, factor = new_empty(n, np.int64), new_empty(n, np.int64), new_empty(n, np.float64)
        n_open, n_closed = _judge(
            bounds, box, first, n_kept, lows, highs, names, affine, middle, radius, column, low, high, name, opened,
            closed, factor,
        )  # fmt: skip
        n_kept += n_open
        # The rows of those kept, and of those absorbed times their slope.
        new_sizes[stage] = n_open
        for index in range(width):
            for place in range(n_open):
                new_weight[new_weight_at + place] = rows[index, opened[place]]
            new_weight_at += n_open
        place_at = absorbed_at[stage]
        for index in range(width):
            for place in range(n_closed):
                absorbed[place_at + place] = factor[place] * rows[index, closed[place]]
            place_at += n_closed
        for place in range(n_closed):
            absorbed_hinge[absorbed_end[stage] + place] = first + closed[place]
        absorbed_at[stage + 1] = place_at
        absorbed_end[stage + 1] = absorbed_end[stage] + n_closed
        absorbed_width[stage] = width
        first += n
    return (
        new_sizes, new_weight[:new_weight_at].copy(), low[:n_kept].copy(), high[:n_kept].copy(), name[:n_kept].copy()
    )  # fmt: skip


@part
@no_type_check
def _kept_rows(old, column, n_kept):
    """The weights that read 1, s, t and kept hinges, in the result's columns."""
    n = old.shape[1]
    rows = new_empty((3 + n_kept, n), np.float64)
    for axis in range(3):
        for hinge in range(n):
            rows[axis, hinge] = old[axis, hinge]
    for before in range(column.shape[0]):
        if column[before] >= 0:
            for hinge in range(n):
                rows[3 + column[before], hinge] = old[3 + before, hinge]
    return rows


@part
@no_type_check
def _add_absorbed(rows, matrix, old, absorbed_hinge):
    """Add what the weights read through absorbed hinges of one earlier stage."""
    n = old.shape[1]
    weights = new_empty((absorbed_hinge.shape[0], n), np.float64)
    for index in range(absorbed_hinge.shape[0]):
        before = absorbed_hinge[index]
        for hinge in range(n):
            weights[index, hinge] = old[3 + before, hinge]
    added = np.dot(matrix, weights)
    for column in range(matrix.shape[0]):
        for hinge in range(n):
            rows[column, hinge] += added[column, hinge]


@inlined
@no_type_check
def _enclose(rows, affine, middle, radius, bounds):
    """Into `bounds`, per hinge: constant, slopes, middle and half-width of the error, size of the terms."""
    for hinge in range(rows.shape[1]):
        for field in range(6):
            bounds[field, hinge] = 0.0
    constant, slope_s, slope_t, centre, spread, size = bounds[0], bounds[1], bounds[2], bounds[3], bounds[4], bounds[5]
    for column in range(rows.shape[0]):
        row = rows[column]
        at_0, along_s, along_t = affine[column, 0], affine[column, 1], affine[column, 2]
        own_middle, own_radius = middle[column], radius[column]
        span = abs(at_0) + abs(along_s) + abs(along_t) + 2.0 * own_radius
        for hinge in range(rows.shape[1]):
            weight = row[hinge]
            constant[hinge] += weight * at_0
            slope_s[hinge] += weight * along_s
            slope_t[hinge] += weight * along_t
            centre[hinge] += weight * own_middle
            spread[hinge] += abs(weight) * own_radius
            size[hinge] += abs(weight) * span


@inlined
@no_type_check
def _judge(
    bounds, box, first, n_kept, lows, highs, names, affine, middle, radius, column, low, high, name, opened, closed,
    factor,
):  # fmt: skip
    """Tell apart the hinges that may switch on the box, which become columns, and those that do not: how many of each.

    Writes `opened`, and `closed` with the slope of each in `factor`; a slope of zero, or no weights, leaves nothing.
    """
    x, y, half_width, half_height = box
    n_open = 0
    n_closed = 0
    for hinge in range(bounds.shape[1]):
        value = bounds[0, hinge] + bounds[1, hinge] * x + bounds[2, hinge] * y
        reach = abs(bounds[1, hinge]) * half_width + abs(bounds[2, hinge]) * half_height
        least, most = bounds[3, hinge] - bounds[4, hinge], bounds[3, hinge] + bounds[4, hinge]
        lowest, highest = value - reach + least, value + reach + most
        tie = MARGIN * bounds[5, hinge]
        off, on = lows[first + hinge], highs[first + hinge]
        column[first + hinge] = -1
        if bounds[5, hinge] == 0.0:
            continue
        if highest < -tie or lowest > tie:
            slope = off if highest < -tie else on
            if slope != 0.0:
                closed[n_closed] = hinge
                factor[n_closed] = slope
                n_closed += 1
            continue
        # The chord from the lowest to the highest value; the hinge lies within `gap` of it, on one side.
        lowest, highest = min(lowest, 0.0), max(highest, 0.0)
        slope = (on * highest - off * lowest) / max(highest - lowest, _TINY)
        gap = (off - slope) * lowest
        kept = n_kept + n_open
        for axis in range(3):
            affine[3 + kept, axis] = slope * bounds[axis, hinge]
        middle[3 + kept] = slope * bounds[3, hinge] + 0.5 * gap
        radius[3 + kept] = abs(slope) * bounds[4, hinge] + 0.5 * abs(gap)
        column[first + hinge] = kept
        low[kept], high[kept], name[kept] = off, on, names[first + hinge]
        opened[n_open] = hinge
        n_open += 1
    return n_open, n_closed
