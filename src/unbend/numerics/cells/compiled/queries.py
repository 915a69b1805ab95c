"""Questions to a finished mesh, compiled: areas, centres, the faces on both sides of an edge, the face of a point.

In: the arrays of a mesh. Out: arrays. Must not know networks.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Int32

from unbend._typing import Array, Float64, Int64
from unbend.numerics.cells.compiled.jit import entry, inlined, part
from unbend.numerics.compiled.addresses import new_empty, new_zeros

_REACH = 1e-12
"""How far outside a face a point may lie and still be in it, as a share of the window's size."""
_TINY = 1e-300
"""Keeps the width of a bucket above zero where all vertices share a coordinate."""


@entry
@no_type_check
def face_areas(
    xy: Float64[Array, "v 2"], corner: Int64[Array, "h"], ptr: Int64[Array, "f_plus_1"]
) -> Float64[Array, "f"]:
    """The area of every face, as a fan of triangles from its first corner."""
    out = new_empty(ptr.shape[0] - 1, np.float64)
    for face in range(out.shape[0]):
        begin, end = ptr[face], ptr[face + 1]
        # From the first corner, not from the origin: a small face far out would lose its digits.
        x, y = xy[corner[begin], 0], xy[corner[begin], 1]
        double = 0.0
        for index in range(begin + 1, end - 1):
            tail, head = corner[index], corner[index + 1]
            double += (xy[tail, 0] - x) * (xy[head, 1] - y) - (xy[head, 0] - x) * (xy[tail, 1] - y)
        out[face] = 0.5 * double
    return out


@entry
@no_type_check
def face_means(
    xy: Float64[Array, "v 2"], corner: Int64[Array, "h"], ptr: Int64[Array, "f_plus_1"]
) -> Float64[Array, "f 2"]:
    """The mean of every face's corners."""
    out = new_zeros((ptr.shape[0] - 1, 2), np.float64)
    for face in range(out.shape[0]):
        for index in range(ptr[face], ptr[face + 1]):
            for axis in range(2):
                out[face, axis] += xy[corner[index], axis]
        for axis in range(2):
            out[face, axis] /= ptr[face + 1] - ptr[face]
    return out


@entry
@no_type_check
def face_sides(
    edge: Int32[Array, "e 2"], ptr: Int64[Array, "f_plus_1"], half: Int32[Array, "h"]
) -> Int32[Array, "e 2"]:
    """For every edge the face on its left and on its right, -1 where there is none."""
    out = new_empty(edge.shape, np.int32)
    for e in range(edge.shape[0]):
        out[e, 0] = out[e, 1] = -1
    for face in range(ptr.shape[0] - 1):
        for index in range(ptr[face], ptr[face + 1]):
            # A half-edge is twice its edge, and one more where it runs backwards, with the face on its left.
            out[half[index] >> 1, half[index] & 1] = face
    return out


@entry
@no_type_check
def locate(
    points: Float64[Array, "n 2"],
    xy: Float64[Array, "v 2"],
    corner: Int64[Array, "h"],
    ptr: Int64[Array, "f_plus_1"],
) -> Int64[Array, "n"]:
    """The face of every point, -1 outside, by a grid of buckets with about one face each.

    Cost:
        A few faces per point, after one pass over the mesh.
    """
    # As many buckets as faces: fewer would hold too many faces each, more would cost more to fill than to ask.
    n = int(np.sqrt(ptr.shape[0] - 1)) + 1
    low, step = new_empty(2, np.float64), new_empty(2, np.float64)
    for axis in range(2):
        low[axis] = xy[:, axis].min()
        step[axis] = (xy[:, axis].max() - low[axis]) / n + _TINY
    start, faces = _fill_buckets(xy, corner, ptr, low, step, n)
    out = np.full(points.shape[0], -1, np.int64)
    for index in range(points.shape[0]):
        x, y = points[index, 0], points[index, 1]
        # The bucket of a NaN is no number, and would be read anywhere.
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        column = min(max(int((x - low[0]) / step[0]), 0), n - 1)
        row = min(max(int((y - low[1]) / step[1]), 0), n - 1)
        # Of the faces in the bucket the one it lies deepest in: rounding decides on an edge, and nothing falls between.
        deepest = -_REACH * n * (step[0] + step[1])
        for place in range(start[column * n + row], start[column * n + row + 1]):
            face = faces[place]
            depth = _depth(x, y, xy, corner, ptr[face], ptr[face + 1])
            if depth > deepest:
                deepest = depth
                out[index] = face
    return out


@part
@no_type_check
def _fill_buckets(xy, corner, ptr, low, step, n):
    """Where the faces of each bucket begin, and the faces whose bounding boxes meet it (a counting sort)."""
    n_face = ptr.shape[0] - 1
    count = new_zeros(n * n + 1, np.int64)
    for face in range(n_face):
        first, last = _span(xy, corner, ptr, face, low, step, n)
        for column in range(first[0], last[0] + 1):
            # One place further on, so that the running sum is where each bucket begins.
            count[column * n + first[1] + 1 : column * n + last[1] + 2] += 1
    start = np.cumsum(count)
    fill = start[:-1].copy()
    faces = new_empty(start[-1], np.int64)
    for face in range(n_face):
        first, last = _span(xy, corner, ptr, face, low, step, n)
        for column in range(first[0], last[0] + 1):
            for row in range(first[1], last[1] + 1):
                faces[fill[column * n + row]] = face
                fill[column * n + row] += 1
    return start, faces


@part
@no_type_check
def _span(xy, corner, ptr, face, low, step, n):
    """The buckets that the bounding box of a face covers."""
    # The box of a face, not the face: a bucket too many costs one look, an exact test would cost more.
    first, last = np.full(2, n - 1), new_zeros(2, np.int64)
    for index in range(ptr[face], ptr[face + 1]):
        for axis in range(2):
            bucket = int((xy[corner[index], axis] - low[axis]) / step[axis])
            bucket = min(max(bucket, 0), n - 1)
            first[axis] = min(first[axis], bucket)
            last[axis] = max(last[axis], bucket)
    return first, last


@inlined
@no_type_check
def _depth(x, y, xy, corner, begin, end):
    """How far inside a convex polygon a point is: the least signed distance to the line of a side."""
    least = np.inf
    for index in range(begin, end):
        tail = corner[index]
        head = corner[index + 1 if index + 1 < end else begin]
        along_x, along_y = xy[head, 0] - xy[tail, 0], xy[head, 1] - xy[tail, 1]
        length = np.sqrt(along_x * along_x + along_y * along_y)
        # A side of no length has no line to be on either side of.
        if length > 0.0:
            least = min(least, (along_x * (y - xy[tail, 1]) - along_y * (x - xy[tail, 0])) / length)
    return least
