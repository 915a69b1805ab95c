"""Phase 1 of a stage: what every vertex of the mesh hands on, and the value of every hinge there.

In: the columns of the last stage at the old vertices, and how the new vertices came about. Out: the columns of this
stage and the values of its hinges at all vertices, with their signs. Must not know edges' order or faces.

A hinge's `value` (its affine function, before the slopes) is continuous, so one row per vertex serves all faces
around it.
"""

from typing import no_type_check

import numpy as np
from numba import uint64

from unbend.numerics.cells.compiled.jit import part, summing
from unbend.numerics.compiled.addresses import new_empty, new_zeros

_BLOCK = 1 << 16
"""Numbers evaluated at once: half a megabyte, which stays in the second-level cache."""
_TIE = 1e-12
"""Relative size below which a sign or an order is left to exact arithmetic: about a thousand times the rounding of a
sum."""


@part
@no_type_check
def tie_sizes(weight, largest):
    """Per hinge: the size below which its value may be rounding; `largest` bounds the columns."""
    tie = new_zeros(weight.shape[1], np.float64)
    for column in range(weight.shape[0]):
        for hinge in range(weight.shape[1]):
            tie[hinge] += abs(weight[column, hinge]) * (_TIE * largest[column])
    return tie


@part
@no_type_check
def evaluate(
    old, value, low, high, edge, crossed, along, hinge, meet_from, meet_to, meet_share, meet_hinge, weight, tie, keep
):
    """This stage at all vertices: (is sure, columns to keep, values, signs 64 to a word, largest size per hinge).

    Not sure if a sign is too close to call; the rest is then unfinished.

    Args:
        old: the columns of the last stage at the vertices it had.
        value: the values of its hinges there.
        low: the slopes of those hinges where they are off.
        high: and where they are on.
        edge: the edges that the last stage cut.
        crossed: per crossing the edge it lies on, for the vertices that the last stage added; then
        along: how far along that edge, from 0 to 1, and
        hinge: which hinge is zero there.
        meet_from: per meeting of two chords the crossing where the first begins, for the vertices after those; then
        meet_to: the crossing where it ends,
        meet_share: how far along it they meet, and
        meet_hinge: the hinge of the second chord.
        weight: (columns, hinges) of this stage.
        tie: per hinge, the size below which a value may be rounding.
        keep: the columns that the next stage reads.
    """
    n_vertex = value.shape[0] + along.shape[0] + meet_share.shape[0]
    width, n_hinge = weight.shape
    kept = new_empty((n_vertex, keep.shape[0]), np.float64)
    new_value = new_empty((n_vertex, n_hinge), np.float64)
    words = new_empty((n_vertex, (n_hinge + 63) // 64), np.uint64)
    largest = new_zeros(n_hinge, np.float64)
    # In blocks of rows: columns are made, multiplied and judged before they leave the cache.
    block = min(n_vertex, max(32, _BLOCK // (width + n_hinge)))
    rows = new_empty((block, width), np.float64)
    is_sure = True
    for begin in range(0, n_vertex, block):
        end = min(begin + block, n_vertex)
        for vertex in range(begin, end):
            row = rows[vertex - begin]
            _columns_at(
                row, vertex, old, value, low, high, edge, crossed, along, hinge, meet_from, meet_to, meet_share,
                meet_hinge,
            )  # fmt: skip
            for index in range(keep.shape[0]):
                kept[vertex, index] = row[keep[index]]
        np.dot(rows[: end - begin], weight, new_value[begin:end])
        if not _read_signs(new_value[begin:end], tie, words[begin:end], largest):
            is_sure = False
            break
    return is_sure, kept, new_value, words, largest


@summing
@no_type_check
def _columns_at(
    row, vertex, old, value, low, high, edge, crossed, along, hinge, meet_from, meet_to, meet_share, meet_hinge
):
    """The columns of this stage at one vertex: the kept ones of the last, then the outputs of its hinges.

    Vertices are numbered old ones first, then crossings, then meetings.
    """
    n_old, n_hinge = value.shape
    n_column = old.shape[1]
    crossing = vertex - n_old
    meeting = crossing - along.shape[0]
    if crossing < 0:
        for column in range(n_column):
            row[column] = old[vertex, column]
        for other in range(n_hinge):
            row[n_column + other] = value[vertex, other]
    elif meeting < 0:
        # A crossing is a blend of the two ends of its edge; the hinge that made it is zero there, exactly.
        _blend_two(row, old, value, edge[crossed[crossing], 0], edge[crossed[crossing], 1], along[crossing])
        row[n_column + hinge[crossing]] = 0.0
    else:
        # A meeting is a blend of two crossings, each one of the ends of its edge; two hinges are zero there.
        first, last = meet_from[meeting], meet_to[meeting]
        _blend_four(
            row, old, value, edge[crossed[first], 0], edge[crossed[first], 1], edge[crossed[last], 0],
            edge[crossed[last], 1], along[first], along[last], meet_share[meeting],
        )  # fmt: skip
        row[n_column + hinge[first]] = 0.0
        row[n_column + meet_hinge[meeting]] = 0.0
    # Before the slopes a value is affine along an edge, so it can be blended; after them it may have a kink.
    for other in range(n_hinge):
        here = row[n_column + other]
        row[n_column + other] = max(here, 0.0) * high[other] + min(here, 0.0) * low[other]


@summing
@no_type_check
def _blend_two(row, old, value, tail, head, to_head):
    """Columns and values at a point of an edge."""
    n_column = old.shape[1]
    to_tail = 1.0 - to_head
    for column in range(n_column):
        row[column] = to_tail * old[tail, column] + to_head * old[head, column]
    for hinge in range(value.shape[1]):
        row[n_column + hinge] = to_tail * value[tail, hinge] + to_head * value[head, hinge]


@summing
@no_type_check
def _blend_four(row, old, value, tail, head, other_tail, other_head, along, other_along, share):
    """Columns and values at a point between points of two edges."""
    n_column = old.shape[1]
    to_tail, to_head = (1.0 - share) * (1.0 - along), (1.0 - share) * along
    to_other_tail, to_other_head = share * (1.0 - other_along), share * other_along
    for column in range(n_column):
        row[column] = (to_tail * old[tail, column] + to_head * old[head, column]) + (
            to_other_tail * old[other_tail, column] + to_other_head * old[other_head, column]
        )
    for hinge in range(value.shape[1]):
        row[n_column + hinge] = (to_tail * value[tail, hinge] + to_head * value[head, hinge]) + (
            to_other_tail * value[other_tail, hinge] + to_other_head * value[other_head, hinge]
        )


@part
@no_type_check
def _read_signs(value, tie, words, largest):
    """Write the signs, 64 to a word, and the largest sizes; whether none is too close to call."""
    n_hinge = value.shape[1]
    n_close = 0
    for vertex in range(value.shape[0]):
        row = value[vertex]
        for hinge in range(n_hinge):
            size = abs(row[hinge])
            # Counted, not branched on, so that the loop is vectorised.
            n_close += size <= tie[hinge]
            largest[hinge] = max(largest[hinge], size)
        for word in range(words.shape[1]):
            bits = uint64(0)
            for hinge in range(word * 64, min(n_hinge, word * 64 + 64)):
                bits |= uint64(row[hinge] > 0.0) << uint64(hinge & 63)
            words[vertex, word] = bits
    return n_close == 0
