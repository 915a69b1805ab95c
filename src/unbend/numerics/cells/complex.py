"""`Cells`: all cells of a piecewise-affine network on a convex polygon, as flat arrays with queries.

In: a finished mesh. Out: areas, patterns, affine maps, neighbours, the face a point lies in. Must not know the model
that the network was lowered from.
"""

import numpy as np
from jaxtyping import Int32, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unbend._notebook import in_html
from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.cells.compiled.queries import face_areas, face_means, locate
from unbend.numerics.cells.plane import Plane
from unbend.numerics.piecewise import PiecewiseAffine
from unbend.numerics.result import result

_NUMBERS = 1 << 22
"""How many numbers are made at once when many faces are evaluated: 32 MB."""
_SAME = 1e-10
"""Relative difference up to which two affine maps are one: well above the rounding of some hundred layers' products."""


@result
class Cells:
    """The cells (activation regions ∩ plane) of a network: vertices, edges, faces.

    What is counted: cells of equal *activation pattern*, two of which may carry the same affine map.
    `pieces()` unites neighbours of equal map.

    Attributes:
        plane: the polygon.
        network: the network on it; cut off after the stages that fit, if `is_complete` is False.
        vertices: in plane coordinates.
        edges: pairs of vertices.
        hinges: of every edge the hinge of `network` whose kink it is, or `-1 - i` on side `i` of the polygon.
        sides: the face left and right of every edge, -1 outside.
        face_ptr: where the half-edges of every face begin in `half_edges`, and the length of that.
        half_edges: round every face, counter-clockwise: `2e` walks edge `e` forwards and `2e + 1` backwards.
        is_complete: False if the limit on cells was met: then the cells are those of the first stages only.
        is_proved: whether all decisions were made in exact arithmetic.
        packed_bits: which hinges are on in every face, 8 to a byte, where exact arithmetic has told.
    """

    plane: Plane
    network: PiecewiseAffine
    vertices: Float64[Array, "v 2"]
    edges: Int32[Array, "e 2"]
    hinges: Int32[Array, "e"]
    sides: Int32[Array, "e 2"]
    face_ptr: Int64[Array, "f_plus_1"]
    half_edges: Int32[Array, "h"]
    is_complete: bool
    is_proved: bool
    packed_bits: UInt8[Array, "f bytes"] | None = None

    _repr_html_ = in_html

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
        return face_areas(self.vertices, self.corner_ids, self.face_ptr)

    def centres(self) -> Float64[Array, "f 2"]:
        """A point inside every face: the mean of its corners."""
        return face_means(self.vertices, self.corner_ids, self.face_ptr)

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
        chunk = max(1, _NUMBERS // (8 * (3 + self.network.n_hinges)))
        parts = [self.network.affine(self.bits(faces[at : at + chunk])) for at in range(0, max(1, len(faces)), chunk)]
        return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])

    def outputs(self) -> Float64[Array, "v k"]:
        """The network's values at all vertices."""
        chunk = max(1, _NUMBERS // (3 + self.network.n_hinges))
        parts = [self.network(self.vertices[at : at + chunk]) for at in range(0, len(self.vertices), chunk)]
        return np.concatenate(parts)

    def units_at(self, edge: int) -> tuple[tuple[str, int], ...]:
        """All units (layer, unit) that change piece across an edge; several if their kinks coincide."""
        left, right = self.sides[edge].tolist()
        if min(left, right) < 0:
            return ()
        states = self.states(np.array([left, right]))
        changed = np.flatnonzero(states[0] != states[1])
        names = [(group.name, unit) for group in self.network.groups for unit in range(group.n_units)]
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
        return locate(points, self.vertices, self.corner_ids, self.face_ptr)

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

    def hinge_names(self) -> tuple[str, ...]:
        """For every hinge, a readable name: layer, unit."""
        layer, unit = self.network.hinge_units()
        names = [group.name for group in self.network.groups]
        return tuple(f"{names[a]}[{b}]" for a, b in zip(layer.tolist(), unit.tolist(), strict=True))
