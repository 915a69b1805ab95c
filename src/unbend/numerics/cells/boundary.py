"""The exact decision boundary on a plane: where the two largest outputs are equal.

In: `Cells`. Out: `Boundary`: segments and polylines, areas of classes, the hinges whose kinks it crosses.
One output means two classes, cut at zero. On a tie over a whole area the lower class wins, as `argmax` has it.
Must not know modules.
"""

from collections import defaultdict
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from unbend._typing import Array, Float64, Int64
from unbend.errors import ShapeError
from unbend.numerics.cells.compiled.class_parts import class_parts, distances, uniform_class
from unbend.numerics.cells.complex import Cells
from unbend.numerics.result import result

_JOIN = 1e-9
"""Ends of segments nearer than this share of the polygon's size are one point: they are computed on both sides of an
edge, and differ by rounding."""


@result
class Boundary:
    """The decision boundary, and the classes on both sides of it.

    Attributes:
        segments: the pieces of the boundary, one inside one face.
        pairs: of each segment the two classes that it separates.
        faces: and the face it lies in.
        polylines: the same segments in walking order.
        face_class: the class of a face, -1 if the boundary runs through it.
        part_points: those faces cut into convex parts: the corners of all parts.
        part_ptr: where the corners of each part begin, and their number.
        part_class: the class of each part.
        part_face: the face it is a part of.
        class_areas: how much of the polygon each class takes, in plane coordinates.
        hinges: the hinges whose kinks the boundary crosses.
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
    hinges: Int64[Array, "crossed"]

    @property
    def length(self) -> float:
        """Total length in plane coordinates."""
        return float(np.linalg.norm(self.segments[:, 1] - self.segments[:, 0], axis=1).sum())

    def distance(self, points: Float64[Array, "n 2"]) -> Float64[Array, "n"]:
        """The exact distance of points to the boundary, in plane coordinates; inf if there is none.

        Cost:
            Points x segments.
        """
        return distances(points, self.segments)


def boundary(cells: Cells) -> Boundary:
    """The exact decision boundary of the network that the cells belong to.

    Raises:
        ShapeError: the network has no output, as one stopped after a layer or at `max_cells`.

    Cost:
        Linear in the cells that it runs through, times the square of the classes.
    """
    values = cells.outputs()
    if values.shape[1] < 1:
        raise ShapeError("network: expected at least one output, got none. Use the whole network's cells.")
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    corner = cells.corner_ids
    face_class = uniform_class(values, corner, cells.face_ptr)
    mixed = np.flatnonzero(face_class < 0)
    points, ptr, parts, ends, facts = class_parts(
        cells.vertices, values, corner, cells.half_edges, cells.face_ptr, mixed
    )
    segments = ends.reshape(-1, 2, 2)
    keep = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1) > 0
    part_class, part_face = parts.T.copy()
    edges = facts[:, 3:]
    hinges = cells.hinges[np.unique(edges[edges >= 0])].astype(np.int64)
    return Boundary(
        segments=segments[keep],
        pairs=facts[keep, :2],
        faces=facts[keep, 2],
        polylines=_polylines(segments[keep], facts[keep, :2], _JOIN * float(np.ptp(cells.vertices, axis=0).max())),
        face_class=face_class,
        part_points=points,
        part_ptr=ptr,
        part_class=part_class,
        part_face=part_face,
        class_areas=_class_areas(cells, face_class, points, ptr, part_class, values.shape[1]),
        hinges=np.unique(hinges[hinges >= 0]),
    )


def _class_areas(
    cells: Cells,
    face_class: Int64[Array, "f"],
    points: Float64[Array, "pp 2"],
    ptr: Int64[Array, "parts_plus_1"],
    part_class: Int64[Array, "parts"],
    n_classes: int,
) -> Float64[Array, "k"]:
    """The area of each class: that of its whole faces and of its parts."""
    is_whole = face_class >= 0
    whole = np.bincount(face_class[is_whole], cells.areas()[is_whole], minlength=n_classes)
    areas = [_area(points[begin:end]) for begin, end in pairwise(ptr)]
    return whole + np.bincount(part_class, areas, minlength=n_classes)


def _area(corners: Float64[Array, "m 2"]) -> float:
    x, y = (corners - corners[0]).T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _polylines(
    segments: Float64[Array, "s 2 2"], pairs: Int64[Array, "s 2"], reach: float
) -> tuple[Float64[Array, "_ 2"], ...]:
    """Segments of the same two classes joined end to end."""
    if not len(segments):
        return ()
    ends = _joints(segments, pairs, reach)
    left = dict.fromkeys(range(len(segments)))
    lone = [index for index, own in enumerate(ends) if min(len(at) for at in own) == 1]
    return tuple(_line(segments, ends, start, left) for start in [*lone, *range(len(segments))] if start in left)


def _joints(segments: Float64[Array, "s 2 2"], pairs: Int64[Array, "s 2"], reach: float) -> list[tuple[list[int], ...]]:
    """For both ends of every segment the segments of its two classes that end there."""
    ends = segments.reshape(-1, 2)
    close = KDTree(ends).query_pairs(reach, output_type="ndarray")
    graph = coo_array((np.ones(len(close)), close.T), shape=(len(ends), len(ends)))
    node = connected_components(graph, directed=False)[1].reshape(-1, 2).tolist()
    at: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    keys = [[(point, *pair) for point in own] for own, pair in zip(node, pairs.tolist(), strict=True)]
    for index, own in enumerate(keys):
        for key in own:
            at[key].append(index)
    return [tuple(at[key] for key in own) for own in keys]


def _line(
    segments: Float64[Array, "s 2 2"], ends: list[tuple[list[int], ...]], start: int, left: dict[int, None]
) -> Float64[Array, "_ 2"]:
    """The line that begins with one segment, to its end or once round; its segments leave `left`."""
    side = int(len(ends[start][0]) != 1 and len(ends[start][1]) == 1)  # begin at a loose end, if there is one
    line, current = [segments[start, side]], start
    while True:
        del left[current]
        line.append(segments[current, 1 - side])
        here = ends[current][1 - side]
        onward = [index for index in here if index in left]
        # At a point where three lines or more meet, each of them ends.
        if len(here) != 2 or not onward:
            return np.array(line)
        current = onward[0]
        side = int(ends[current][0] is not here)
