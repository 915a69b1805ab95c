"""`Cells`: all cells of a piecewise-affine network on a convex polygon, as flat arrays with queries.

In: a finished mesh. Out: areas, patterns, affine maps, neighbours, the face a point lies in. Nothing here
needs the model that the network was lowered from.
"""
# ruff: noqa: ANN001, ANN201, ANN202, C901 - the compiled queries at the end: flat loops over flat arrays

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Int32, UInt8
from numba import njit
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.cells.plane import Plane
from unbend.numerics.piecewise import PiecewiseAffine

_ROWS = 1 << 22  # numbers held at once when many faces are evaluated
_SAME = 1e-10  # relative difference up to which two affine maps are one


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells (activation regions ∩ plane) of a network: vertices, edges, faces.

    `edges` holds pairs of vertices. `bends[e]` is the hinge of `network` whose kink the edge is, or `-1 - i`
    on side `i` of the polygon. `sides[e]` is the face left and right of the edge, -1 outside. The half-edges
    of face `f`, counter-clockwise, are `half_edges[face_ptr[f]:face_ptr[f + 1]]`; `2e` walks edge `e`
    forwards and `2e + 1` backwards.

    `is_complete` is False if the limit on cells was met: then the cells are those of the first stages only,
    and `network` is cut off after them. `is_proved` says that all decisions were made in exact arithmetic.

    What is counted: cells of equal *activation pattern*, two of which may carry the same affine map.
    `pieces()` unites neighbours of equal map.
    """

    plane: Plane
    network: PiecewiseAffine
    vertices: Float64[Array, "v 2"]
    edges: Int32[Array, "e 2"]
    bends: Int32[Array, "e"]
    sides: Int32[Array, "e 2"]
    face_ptr: Int64[Array, "f_plus_1"]
    half_edges: Int32[Array, "h"]
    is_complete: bool
    is_proved: bool
    packed_bits: UInt8[Array, "f bytes"] | None = None

    @property
    def n_faces(self) -> int:
        """How many cells."""
        return len(self.face_ptr) - 1

    @property
    def corner_ids(self) -> Int64[Array, "h"]:
        """The vertex each half-edge starts from; cut up by `face_ptr` these are the polygons."""
        return self.edges[self.half_edges >> 1, self.half_edges & 1].astype(np.int64)

    def corners(self, face: int) -> Float64[Array, "m 2"]:
        """The corners of one face, counter-clockwise, in plane coordinates."""
        return self.vertices[self.corner_ids[self.face_ptr[face] : self.face_ptr[face + 1]]]

    def areas(self) -> Float64[Array, "f"]:
        """The area of every face in plane coordinates. They add up to the polygon's."""
        return _areas(self.vertices, self.corner_ids, self.face_ptr)

    def centres(self) -> Float64[Array, "f 2"]:
        """A point inside every face: the mean of its corners."""
        return _means(self.vertices, self.corner_ids, self.face_ptr)

    def bits(self, faces: Int64[Array, "n"] | None = None) -> Bool[Array, "n hinges"]:
        """Which hinges are on in the faces (all faces, if none are named)."""
        faces = np.arange(self.n_faces) if faces is None else faces
        if self.packed_bits is not None:
            bits = np.unpackbits(self.packed_bits[faces], axis=1, count=self.network.n_hinges)
            return bits.astype(bool)
        return self.network.bits(self.centres()[faces])

    def states(self, faces: Int64[Array, "n"] | None = None) -> Int64[Array, "n units"]:
        """The activation pattern of the faces: for every unit of every layer, the piece it is on."""
        return self.network.states(self.bits(faces))

    def affine(self, faces: Int64[Array, "n"] | None = None) -> tuple[Float64[Array, "n k 2"], Float64[Array, "n k"]]:
        """The maps `A @ (s, t) + b` that the network is on the faces."""
        faces = np.arange(self.n_faces) if faces is None else faces
        chunk = max(1, _ROWS // (8 * (3 + self.network.n_hinges)))
        parts = [self.network.affine(self.bits(faces[at : at + chunk])) for at in range(0, max(1, len(faces)), chunk)]
        return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])

    def outputs(self) -> Float64[Array, "v k"]:
        """The network's values at all vertices."""
        chunk = max(1, _ROWS // (3 + self.network.n_hinges))
        parts = [self.network(self.vertices[at : at + chunk]) for at in range(0, len(self.vertices), chunk)]
        return np.concatenate(parts)

    def units_at(self, edge: int) -> tuple[tuple[str, int], ...]:
        """All units (layer, unit) that change piece across an edge; several if their kinks coincide."""
        left, right = self.sides[edge].tolist()
        if min(left, right) < 0:
            return ()
        states = self.states(np.array([left, right]))
        changed = np.flatnonzero(states[0] != states[1])
        names = [(layer.name, unit) for layer in self.network.layers for unit in range(layer.n_units)]
        return tuple(names[index] for index in changed)

    def neighbours(self, face: int) -> Int64[Array, "m"]:
        """The faces that share an edge with this one, in the order of its sides."""
        own = self.half_edges[self.face_ptr[face] : self.face_ptr[face + 1]]
        across = self.sides[own >> 1, 1 - (own & 1)].astype(np.int64)
        return across[across >= 0]

    def adjacency(self) -> Int64[Array, "inner 2"]:
        """The dual graph: pairs of faces with a common edge, one row per inner edge."""
        inner = self.sides.min(axis=1) >= 0
        return self.sides[inner].astype(np.int64)

    def locate(self, points: Float64[Array, "n 2"]) -> Int64[Array, "n"]:
        """The face each point lies in (one of them, on an edge), -1 outside the polygon."""
        return _locate(points, self.vertices, self.corner_ids, self.face_ptr)

    def pieces(self) -> Int64[Array, "f"]:
        """The linear region of `f` each face belongs to: connected faces with one affine map.

        Two neighbours are united if their maps differ by less than 1e-10 of the largest coefficient.
        """
        weight, bias = self.affine()
        maps = np.concatenate([weight.reshape(self.n_faces, -1), bias], axis=1)
        pairs = self.adjacency()
        scale = np.abs(maps).max(axis=0, initial=0.0) * _SAME
        same = (np.abs(maps[pairs[:, 0]] - maps[pairs[:, 1]]) <= scale).all(axis=1)
        a, b = pairs[same].T
        graph = coo_array((np.ones(len(a)), (a, b)), shape=(self.n_faces, self.n_faces))
        return connected_components(graph, directed=False)[1].astype(np.int64)

    def bend_names(self) -> tuple[str, ...]:
        """For every hinge, a readable name: layer, unit."""
        layer, unit = self.network.hinge_units()
        names = [entry.name for entry in self.network.layers]
        return tuple(f"{names[a]}[{b}]" for a, b in zip(layer.tolist(), unit.tolist(), strict=True))


@njit(cache=True, nogil=True)
@no_type_check
def _areas(xy, corner, ptr):
    out = np.empty(ptr.shape[0] - 1)
    for f in range(out.shape[0]):
        a, b = ptr[f], ptr[f + 1]
        x, y = xy[corner[a], 0], xy[corner[a], 1]
        total = 0.0
        for i in range(a + 1, b - 1):
            p, q = corner[i], corner[i + 1]
            total += (xy[p, 0] - x) * (xy[q, 1] - y) - (xy[q, 0] - x) * (xy[p, 1] - y)
        out[f] = 0.5 * total
    return out


@njit(cache=True, nogil=True)
@no_type_check
def _means(xy, corner, ptr):
    out = np.zeros((ptr.shape[0] - 1, 2))
    for f in range(out.shape[0]):
        for i in range(ptr[f], ptr[f + 1]):
            out[f] += xy[corner[i]]
        out[f] /= ptr[f + 1] - ptr[f]
    return out


@njit(cache=True, nogil=True)
@no_type_check
def face_sides(edge, ptr, half):
    """For every edge the face on its left and on its right, -1 where there is none."""
    out = np.full(edge.shape, -1, np.int32)
    for f in range(ptr.shape[0] - 1):
        for i in range(ptr[f], ptr[f + 1]):
            out[half[i] >> 1, half[i] & 1] = f
    return out


@njit(cache=True, nogil=True)
@no_type_check
def _inside(x, y, xy, corner, start, end):
    """How far inside a convex polygon a point is: the least signed area with one of its sides."""
    least = np.inf
    for i in range(start, end):
        p = corner[i]
        q = corner[i + 1 if i + 1 < end else start]
        dx, dy = xy[q, 0] - xy[p, 0], xy[q, 1] - xy[p, 1]
        length = np.sqrt(dx * dx + dy * dy)
        if length > 0.0:
            least = min(least, (dx * (y - xy[p, 1]) - dy * (x - xy[p, 0])) / length)
    return least


@njit(cache=True, nogil=True)
@no_type_check
def _spans(xy, corner, ptr, f, low, step, n):
    """The buckets that the bounding box of a face covers."""
    first, last = np.full(2, n - 1), np.zeros(2, np.int64)
    for i in range(ptr[f], ptr[f + 1]):
        for axis in range(2):
            bucket = int((xy[corner[i], axis] - low[axis]) / step[axis])
            bucket = min(max(bucket, 0), n - 1)
            first[axis] = min(first[axis], bucket)
            last[axis] = max(last[axis], bucket)
    return first, last


@njit(cache=True, nogil=True)
@no_type_check
def _locate(points, xy, corner, ptr):
    """Point location by a bucket grid with about one face per bucket."""
    n_face = ptr.shape[0] - 1
    n = int(np.sqrt(n_face)) + 1
    low, step = np.empty(2), np.empty(2)
    for axis in range(2):
        low[axis] = xy[:, axis].min()
        step[axis] = (xy[:, axis].max() - low[axis]) / n + 1e-300
    count = np.zeros(n * n + 1, np.int64)
    for f in range(n_face):
        first, last = _spans(xy, corner, ptr, f, low, step, n)
        for i in range(first[0], last[0] + 1):
            count[i * n + first[1] + 1 : i * n + last[1] + 2] += 1
    start = np.cumsum(count)
    fill = start[:-1].copy()
    faces = np.empty(start[-1], np.int64)
    for f in range(n_face):
        first, last = _spans(xy, corner, ptr, f, low, step, n)
        for i in range(first[0], last[0] + 1):
            for j in range(first[1], last[1] + 1):
                faces[fill[i * n + j]] = f
                fill[i * n + j] += 1
    out = np.full(points.shape[0], -1, np.int64)
    for r in range(points.shape[0]):
        x, y = points[r, 0], points[r, 1]
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        i = min(max(int((x - low[0]) / step[0]), 0), n - 1)
        j = min(max(int((y - low[1]) / step[1]), 0), n - 1)
        best = -1e-12 * n * (step[0] + step[1])
        for at in range(start[i * n + j], start[i * n + j + 1]):
            f = faces[at]
            depth = _inside(x, y, xy, corner, ptr[f], ptr[f + 1])
            if depth > best:
                best = depth
                out[r] = f
    return out
