"""The parts of cells by class, and the distance to segments, compiled.

In: the outputs at all corners. Out: the class of every cell, or its convex parts and the segments between them. Must
not know what the boundary is for.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Int32

from unbend._typing import Array, Float64, Int64
from unbend.numerics.cells.compiled.jit import entry, inlined, part
from unbend.numerics.compiled.addresses import new_empty


@entry
@no_type_check
def uniform_class(
    values: Float64[Array, "v k"], corner: Int64[Array, "h"], ptr: Int64[Array, "f_plus_1"]
) -> Int64[Array, "f"]:
    """The class that is largest at all corners of a face, the lowest of several; -1 if there is none."""
    out = new_empty(ptr.shape[0] - 1, np.int64)
    for face in range(out.shape[0]):
        out[face] = -1
        for label in range(values.shape[1]):
            if _is_largest(values, corner, ptr[face], ptr[face + 1], label):
                out[face] = label
                break
    return out


@inlined
@no_type_check
def _is_largest(values, corner, begin, end, label):
    """Whether one output is largest at all corners of a face."""
    for index in range(begin, end):
        vertex = corner[index]
        for other in range(values.shape[1]):
            if values[vertex, other] > values[vertex, label]:
                return False
    return True


@entry
@no_type_check
def class_parts(
    vertices: Float64[Array, "v 2"],
    values: Float64[Array, "v k"],
    corner: Int64[Array, "h"],
    half: Int32[Array, "h"],
    ptr: Int64[Array, "f_plus_1"],
    faces: Int64[Array, "mixed"],
) -> tuple[
    Float64[Array, "p 2"], Int64[Array, "q_plus_1"], Int64[Array, "q 2"], Float64[Array, "s 4"], Int64[Array, "s 5"]
]:
    """Faces cut up by class: (corners of the parts, where each begins, their class and face, segments, their facts).

    A segment is its two ends; its facts are the two classes, the face, and the edges that it comes from and goes to, -1
    for another segment.

    Cost:
        Classes squared times corners.
    """
    n_class = values.shape[1]
    longest = 0
    for face in faces:
        longest = max(longest, ptr[face + 1] - ptr[face])
    # Each cut by a line adds at most one corner, for the corner and for the tie it may pass through.
    room = longest + 2 * n_class + 4
    xy, next_xy = new_empty((room, 2), np.float64), new_empty((room, 2), np.float64)
    row, next_row = new_empty((room, n_class), np.float64), new_empty((room, n_class), np.float64)
    side, next_side = new_empty(room, np.int64), new_empty(room, np.int64)
    # Their number is known only afterwards. Empty lists whose type numba can tell.
    points = [(0.0, 0.0) for _ in range(0)]
    ends = [(0,)]
    parts = [(0, 0) for _ in range(0)]
    segments = [(0.0, 0.0, 0.0, 0.0) for _ in range(0)]
    facts = [(0, 0, 0, 0, 0) for _ in range(0)]
    for face in faces:
        for label in range(n_class):
            n = _copy_face(face, vertices, values, corner, half, ptr, xy, row, side)
            # The part where this output is the largest: clipped by each other output in turn.
            for other in range(n_class):
                if other == label or n < 3:
                    continue
                n = _clip(n, xy, row, side, label, other, next_xy, next_row, next_side)
                xy, next_xy = next_xy, xy
                row, next_row = next_row, row
                side, next_side = next_side, side
                if other < label and n > 2 and _is_tied(n, row, label, other):
                    n = 0  # on a tie over a whole area the lower class wins
            if n < 3:
                continue
            for at in range(n):
                points.append((xy[at, 0], xy[at, 1]))
                # A side named by a class separates it from this one; told once, by the lower of the two.
                other = side[at]
                if label < other:
                    after = at + 1 if at + 1 < n else 0
                    segments.append((xy[at, 0], xy[at, 1], xy[after, 0], xy[after, 1]))
                    came, goes = side[at - 1 if at else n - 1], side[after]
                    facts.append((label, other, face, max(-1 - came, -1), max(-1 - goes, -1)))
            ends.append((len(points),))
            parts.append((label, face))
    return _reals(points, 2), _whole(ends, 1)[:, 0], _whole(parts, 2), _reals(segments, 4), _whole(facts, 5)


@inlined
@no_type_check
def _copy_face(face, vertices, values, corner, half, ptr, xy, row, side):
    """Write a face's corners, outputs and sides, edge `e` named `-1 - e`; how many corners."""
    n = ptr[face + 1] - ptr[face]
    for at in range(n):
        vertex = corner[ptr[face] + at]
        for axis in range(2):  # an assignment of rows compiles for seconds: it formats a sentence about their lengths
            xy[at, axis] = vertices[vertex, axis]
        for label in range(row.shape[1]):
            row[at, label] = values[vertex, label]
        side[at] = -1 - (half[ptr[face] + at] >> 1)
    return n


@part
@no_type_check
def _clip(n, xy, row, side, label, other, next_xy, next_row, next_side):
    """The part of a polygon where output `label` is at least output `other`; new sides are named `other`."""
    n_next = 0
    for at in range(n):
        after = at + 1 if at + 1 < n else 0
        here = row[at, label] - row[at, other]
        there = row[after, label] - row[after, other]
        # A corner that stays: inside, or on the line. Where the polygon leaves on it, the new side begins.
        if here >= 0.0:
            for axis in range(2):
                next_xy[n_next, axis] = xy[at, axis]
            for column in range(row.shape[1]):
                next_row[n_next, column] = row[at, column]
            next_side[n_next] = other if here == 0.0 and there < 0.0 else side[at]
            n_next += 1
        # A new corner, where a side crosses the line. Both outputs are made equal there, to the last bit.
        if (here > 0.0 > there) or (here < 0.0 < there):
            share = here / (here - there)
            for axis in range(2):
                next_xy[n_next, axis] = xy[at, axis] + share * (xy[after, axis] - xy[at, axis])
            for column in range(row.shape[1]):
                next_row[n_next, column] = row[at, column] + share * (row[after, column] - row[at, column])
            next_row[n_next, other] = next_row[n_next, label]
            next_side[n_next] = other if here > 0.0 else side[at]
            n_next += 1
    return n_next


@inlined
@no_type_check
def _is_tied(n, row, label, other):
    """Whether two outputs are equal at all corners."""
    for at in range(n):
        if row[at, label] != row[at, other]:
            return False
    return True


@inlined
@no_type_check
def _reals(rows, width):
    out = new_empty((len(rows), width), np.float64)
    for at in range(len(rows)):
        for column in range(width):
            out[at, column] = rows[at][column]
    return out


@inlined
@no_type_check
def _whole(rows, width):
    out = new_empty((len(rows), width), np.int64)
    for at in range(len(rows)):
        for column in range(width):
            out[at, column] = rows[at][column]
    return out


@entry
@no_type_check
def distances(points: Float64[Array, "n 2"], segments: Float64[Array, "s 2 2"]) -> Float64[Array, "n"]:
    """How far each point is from the nearest segment; inf if there is none."""
    out = np.full(points.shape[0], np.inf)
    for index in range(points.shape[0]):
        for segment in range(segments.shape[0]):
            x, y = points[index, 0] - segments[segment, 0, 0], points[index, 1] - segments[segment, 0, 1]
            along_x = segments[segment, 1, 0] - segments[segment, 0, 0]
            along_y = segments[segment, 1, 1] - segments[segment, 0, 1]
            # The nearest point of the line, or the end it lies behind.
            share = min(1.0, max(0.0, (x * along_x + y * along_y) / (along_x * along_x + along_y * along_y)))
            gap = (x - share * along_x) ** 2 + (y - share * along_y) ** 2
            out[index] = min(out[index], gap)
    return np.sqrt(out)
