"""What meets on the walls between tiles: which edges continue each other, and which faces become one.

In: tiles side by side, and the pieces of walls in order. Out: joins and unions, as `rebuild` takes them. Must not know
where any point lies.

A wall between two tiles, seen from both. `a` and `b` are edges that end on it; upper and lower side cut it up at the
same points, so the first, second, … end on one side continues the first, second, … on the other:

            upper tile      │ a      │ b
            ════════════════╪════════╪══════ wall         a and a' become one edge, so do b and b',
            lower tile      │ a'     │ b'                 and the faces that face each other one face
"""

from typing import no_type_check

import numpy as np

from unbend._typing import Array, Bool, Int64
from unbend.numerics.cells.compiled.jit import entry, inlined, part
from unbend.numerics.cells.compiled.mesh import WALL, Mesh
from unbend.numerics.cells.compiled.rebuild import find
from unbend.numerics.compiled.addresses import new_zeros

_NOT_ON_WALL, _CORNER = -2, -1
"""What a vertex is that no edge ends at: inside a tile, or the end of a wall."""


@entry
@no_type_check
def wall_faces(mesh: Mesh) -> Int64[Array, "e"]:
    """For every edge `2 * face + direction` of the last half-edge seen on it (walls have just one)."""
    face = new_zeros(mesh.edge.shape[0], np.int64)
    for f in range(mesh.ptr.shape[0] - 1):
        for index in range(mesh.ptr[f], mesh.ptr[f + 1]):
            face[mesh.half[index] >> 1] = 2 * f + (mesh.half[index] & 1)
    return face


@entry
@no_type_check
def match_walls(
    mesh: Mesh, walls: Int64[Array, "w"], is_rising: Bool[Array, "w"], lower: Int64[Array, "w"], face: Int64[Array, "w"]
) -> tuple[bool, Int64[Array, "f"], Int64[Array, "ends"]]:
    """Pair up what ends on the two sides of every wall; walls come sorted by (wall, side, position).

    Returns whether the sides agree, the union of faces, and the joins of ends of edges, as `rebuild` takes them.
    """
    is_matched, ending = _ends_on_walls(mesh, walls)
    parent = np.arange(mesh.ptr.shape[0] - 1)
    join = np.full(2 * mesh.edge.shape[0], -1, np.int64)
    n = walls.shape[0]
    begin = np.int64(0)
    while begin < n and is_matched:
        # The pieces of one wall: its falling side, then its rising one.
        label = mesh.label[walls[begin]]
        middle = begin
        while middle < n and mesh.label[walls[middle]] == label and not is_rising[middle]:
            middle += 1
        end = middle
        while end < n and mesh.label[walls[end]] == label:
            end += 1
        is_matched = (
            begin < middle < end
            and _match_wall(mesh, walls, lower, face, ending, parent, join, begin, middle, end)
            and _pair(mesh, ending[lower[begin]], ending[lower[middle]], join)
        )
        begin = end
    return is_matched, parent, join


@part
@no_type_check
def _ends_on_walls(mesh, walls):
    """For every vertex on a wall the edge that ends there, as `2 * edge + end`; whether there is at most one."""
    ending = np.full(mesh.xy.shape[0], _NOT_ON_WALL, np.int64)
    for wall in walls:
        ending[mesh.edge[wall, 0]] = _CORNER
        ending[mesh.edge[wall, 1]] = _CORNER
    is_single = True
    for e in range(mesh.edge.shape[0]):
        # Walls and borders end at corners; only what a hinge drew can be continued.
        if mesh.label[e] > WALL:
            for end in range(2):
                vertex = mesh.edge[e, end]
                if ending[vertex] == _CORNER:
                    ending[vertex] = 2 * e + end
                # Two lines that end in one point of a wall: which continues which is not known from the order.
                elif ending[vertex] >= 0:
                    is_single = False
    return is_single, ending


@part
@no_type_check
def _match_wall(mesh, walls, lower, face, ending, parent, join, begin, middle, end):
    """Unite the faces on both sides of one wall and join the edges that end on it, upwards; whether they agree."""
    left = begin
    right = middle
    while True:
        root = find(parent, face[left])
        parent[find(parent, face[right])] = root
        # Where another wall ends here nothing crosses: the piece above belongs to the same stretch between crossings.
        while left + 1 < middle and ending[_upper(mesh, walls[left], lower[left])] < 0:
            left += 1
            parent[find(parent, face[left])] = root
        while right + 1 < end and ending[_upper(mesh, walls[right], lower[right])] < 0:
            right += 1
            parent[find(parent, face[right])] = root
        on_left = ending[_upper(mesh, walls[left], lower[left])]
        on_right = ending[_upper(mesh, walls[right], lower[right])]
        if left + 1 == middle or right + 1 == end:
            return left + 1 == middle and right + 1 == end and _pair(mesh, on_left, on_right, join)
        if not _pair(mesh, on_left, on_right, join):
            return False
        left += 1
        right += 1


@inlined
@no_type_check
def _upper(mesh, wall, lower):
    """The end of a piece of wall that is not the lower one."""
    # No branch: the sum of both ends but for the one known.
    return mesh.edge[wall, 0] + mesh.edge[wall, 1] - lower


@part
@no_type_check
def _pair(mesh, one, other, join):
    """Join two ends of edges that meet on a wall; False if they are not the same line."""
    # Two corners agree; a corner across from a line is a sign of rounding.
    if one < 0 or other < 0:
        return one < 0 and other < 0
    if mesh.label[one >> 1] != mesh.label[other >> 1]:
        return False
    join[one] = other
    join[other] = one
    return True
