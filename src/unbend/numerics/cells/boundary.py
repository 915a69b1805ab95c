"""The exact decision boundary on a plane: where the two largest outputs are equal.

In: `Cells`. Out: `Boundary`: segments and polylines, areas of classes, the hinges whose kinks it crosses.
One output means two classes, cut at zero. On a tie over a whole area the lower class wins, as `argmax` has it.
"""
# ruff: noqa: ANN001, ANN202, C901, PLR0912, PLR0915 - compiled kernels: flat loops over flat arrays are the point

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import no_type_check

import numpy as np
from numba import njit
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from unbend._typing import Array, Float64, Int64
from unbend.errors import ShapeError
from unbend.numerics.cells.complex import Cells

_JOIN = 1e-9  # ends of segments nearer than this share of the polygon's size are one point


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """The decision boundary, and the classes on both sides of it.

    `segments[i]` separates the classes `pairs[i]` inside face `faces[i]`; `polylines` are the same segments
    in walking order. `face_class` is the class of a face, -1 if the boundary runs through it; those faces
    are cut into convex parts: corners `part_points[part_ptr[p]:part_ptr[p + 1]]` of class `part_class[p]`.
    `bends` are the hinges whose kinks the boundary crosses.
    """

    segments: Float64[Array, "s 2 2"]
    pairs: Int64[Array, "s 2"]
    faces: Int64[Array, "s"]
    polylines: tuple[Float64[Array, "_ 2"], ...]
    face_class: Int64[Array, "f"]
    part_points: Float64[Array, "pp 2"]
    part_ptr: Int64[Array, "parts_plus_1"]
    part_class: Int64[Array, "parts"]
    part_face: Int64[Array, "parts"]
    class_areas: Float64[Array, "k"]
    bends: Int64[Array, "bends"]

    @property
    def length(self) -> float:
        """Total length in plane coordinates."""
        return float(np.linalg.norm(self.segments[:, 1] - self.segments[:, 0], axis=1).sum())

    def distance(self, points: Float64[Array, "n 2"]) -> Float64[Array, "n"]:
        """The exact distance of points to the boundary, in plane coordinates; inf if there is none.

        Cost: points x segments.
        """
        return _distance(points, self.segments)


def boundary(cells: Cells) -> Boundary:
    """The exact decision boundary of the network that the cells belong to.

    Cost: linear in the cells that it runs through, times the square of the classes.
    """
    values = cells.outputs()
    if values.shape[1] < 1:
        raise ShapeError("network: expected at least one output, got none. Use the whole network's cells.")
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    corner = cells.corner_ids
    face_class = _uniform(values, corner, cells.face_ptr)
    mixed = np.flatnonzero(face_class < 0)
    parts = _parts(cells.vertices, values, corner, cells.half_edges, cells.face_ptr, mixed)
    points, ptr, part_class, part_face, segments, pairs, faces, crossed = parts
    keep = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1) > 0
    k = values.shape[1]
    areas = np.bincount(face_class[face_class >= 0], cells.areas()[face_class >= 0], minlength=k)
    own = [_area(points[a:b]) for a, b in pairwise(ptr)]
    areas = areas + np.bincount(part_class, own, minlength=k)
    bends = cells.bends[np.unique(crossed[crossed >= 0])].astype(np.int64)
    return Boundary(
        segments=segments[keep],
        pairs=pairs[keep],
        faces=faces[keep],
        polylines=_polylines(segments[keep], pairs[keep], _JOIN * float(np.ptp(cells.vertices, axis=0).max())),
        face_class=face_class,
        part_points=points,
        part_ptr=ptr,
        part_class=part_class,
        part_face=part_face,
        class_areas=areas,
        bends=np.unique(bends[bends >= 0]),
    )


def _area(corners: Array) -> float:
    x, y = (corners - corners[0]).T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _polylines(segments: Array, pairs: Array, reach: float) -> tuple[Array, ...]:
    """Segments of the same two classes joined end to end."""
    if not len(segments):
        return ()
    ends = segments.reshape(-1, 2)
    close = KDTree(ends).query_pairs(reach, output_type="ndarray")
    graph = coo_array((np.ones(len(close)), close.T), shape=(len(ends), len(ends)))
    node = connected_components(graph, directed=False)[1].reshape(-1, 2)
    at = defaultdict(list)
    for index, (a, b) in enumerate(node.tolist()):
        pair = tuple(pairs[index].tolist())
        at[a, pair].append(index)
        at[b, pair].append(index)
    left = set(range(len(segments)))
    ends_first = [i for i, (a, b) in enumerate(node.tolist())
                  if min(len(at[a, tuple(pairs[i].tolist())]), len(at[b, tuple(pairs[i].tolist())])) == 1]  # fmt: skip
    lines = []
    for start in [*ends_first, *range(len(segments))]:
        if start not in left:
            continue
        pair = tuple(pairs[start].tolist())
        side = int(len(at[int(node[start, 0]), pair]) != 1 and len(at[int(node[start, 1]), pair]) == 1)
        line, current = [segments[start, side]], start
        while current is not None:
            left.discard(current)
            line.append(segments[current, 1 - side])
            here = int(node[current, 1 - side])
            onward = [i for i in at[here, pair] if i in left]
            current = onward[0] if len(at[here, pair]) == 2 and onward else None
            if current is not None:
                side = int(node[current, 0] != here)
        lines.append(np.array(line))
    return tuple(lines)


@njit(cache=True, nogil=True)
@no_type_check
def _uniform(values, corner, ptr):
    """The class that is largest at all corners of a face, the lowest of several; -1 if there is none."""
    out = np.full(ptr.shape[0] - 1, -1, np.int64)
    for f in range(out.shape[0]):
        for c in range(values.shape[1]):
            wins = True
            for i in range(ptr[f], ptr[f + 1]):
                v = corner[i]
                for j in range(values.shape[1]):
                    if values[v, j] > values[v, c]:
                        wins = False
                        break
                if not wins:
                    break
            if wins:
                out[f] = c
                break
    return out


@njit(cache=True, nogil=True)
@no_type_check
def _clip(n, xy, row, side, i, j, xy2, row2, side2):
    """The part of a polygon where output `i` is at least output `j`; new sides are named `j`."""
    m = 0
    for a in range(n):
        b = a + 1 if a + 1 < n else 0
        here = row[a, i] - row[a, j]
        there = row[b, i] - row[b, j]
        if here > 0.0 or (here == 0.0 and there > 0.0):
            xy2[m] = xy[a]
            row2[m] = row[a]
            side2[m] = side[a]
            m += 1
        elif here == 0.0:
            xy2[m] = xy[a]
            row2[m] = row[a]
            side2[m] = j if there < 0.0 else side[a]
            m += 1
        if (here > 0.0 > there) or (here < 0.0 < there):
            t = here / (here - there)
            xy2[m] = xy[a] + t * (xy[b] - xy[a])
            row2[m] = row[a] + t * (row[b] - row[a])
            row2[m, j] = row2[m, i]
            side2[m] = j if here > 0.0 else side[a]
            m += 1
    return m


@njit(cache=True, nogil=True)
@no_type_check
def _parts(vertices, values, corner, half, ptr, mixed):
    """Mixed faces cut up by class, and the segments between the parts."""
    k = values.shape[1]
    longest = 0
    for f in mixed:
        longest = max(longest, ptr[f + 1] - ptr[f])
    room = longest + 2 * k + 4
    points = [np.zeros(2) for _ in range(0)]
    ends = [np.int64(0)]
    classes = [np.int64(0) for _ in range(0)]
    faces = [np.int64(0) for _ in range(0)]
    segments = [np.zeros(4) for _ in range(0)]
    about = [np.zeros(5, np.int64) for _ in range(0)]
    xy, xy2 = np.empty((room, 2)), np.empty((room, 2))
    row, row2 = np.empty((room, k)), np.empty((room, k))
    side, side2 = np.empty(room, np.int64), np.empty(room, np.int64)
    for f in mixed:
        for i in range(k):
            n = ptr[f + 1] - ptr[f]
            for a in range(n):
                v = corner[ptr[f] + a]
                xy[a] = vertices[v]
                row[a] = values[v]
                side[a] = -1 - (half[ptr[f] + a] >> 1)
            for j in range(k):
                if j == i or n < 3:
                    continue
                m = _clip(n, xy, row, side, i, j, xy2, row2, side2)
                xy, xy2 = xy2, xy
                row, row2 = row2, row
                side, side2 = side2, side
                n = m
                if j < i and n > 2:
                    tied = True
                    for a in range(n):
                        tied = tied and row[a, i] == row[a, j]
                    if tied:
                        n = 0
            if n < 3:
                continue
            for a in range(n):
                points.append(xy[a].copy())
                j = side[a]
                if j >= 0 and i < j:
                    b = a + 1 if a + 1 < n else 0
                    segments.append(np.array([xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1]]))
                    before = side[a - 1 if a else n - 1]
                    after = side[b]
                    about.append(
                        np.array([i, j, f, -1 - before if before < 0 else -1, -1 - after if after < 0 else -1])
                    )
            ends.append(np.int64(len(points)))
            classes.append(np.int64(i))
            faces.append(f)
    out = np.empty((len(points), 2))
    for a in range(len(points)):
        out[a] = points[a]
    lines = np.empty((len(segments), 2, 2))
    pairs = np.empty((len(segments), 2), np.int64)
    where = np.empty(len(segments), np.int64)
    crossed = np.empty((len(segments), 2), np.int64)
    for a in range(len(segments)):
        lines[a, 0] = segments[a][:2]
        lines[a, 1] = segments[a][2:]
        pairs[a] = about[a][:2]
        where[a] = about[a][2]
        crossed[a] = about[a][3:]
    return out, np.array(ends), _ints(classes), _ints(faces), lines, pairs, where, crossed


@njit(cache=True, nogil=True)
@no_type_check
def _ints(values):
    out = np.empty(len(values), np.int64)
    for i in range(len(values)):
        out[i] = values[i]
    return out


@njit(cache=True, nogil=True)
@no_type_check
def _distance(points, segments):
    out = np.full(points.shape[0], np.inf)
    for r in range(points.shape[0]):
        for s in range(segments.shape[0]):
            px, py = points[r, 0] - segments[s, 0, 0], points[r, 1] - segments[s, 0, 1]
            dx, dy = segments[s, 1, 0] - segments[s, 0, 0], segments[s, 1, 1] - segments[s, 0, 1]
            t = min(1.0, max(0.0, (px * dx + py * dy) / (dx * dx + dy * dy)))
            gap = (px - t * dx) ** 2 + (py - t * dy) ** 2
            out[r] = min(out[r], gap)
    return np.sqrt(out)
