"""One mesh from the meshes of tiles: edges that run through a wall are joined, walls disappear.

In: meshes side by side, whose walls carry labels. Out: one mesh. Must not know networks. Purely combinatorial:
positions are only used to order the points along one wall.
"""

import numpy as np

from unbend.numerics.cells.compiled.mesh import WALL, Mesh
from unbend.numerics.cells.compiled.rebuild import rebuild
from unbend.numerics.cells.compiled.walls import match_walls, wall_faces


def concatenate(meshes: list[Mesh]) -> Mesh:
    """Several meshes side by side, not yet joined."""
    sizes = np.array([(len(m.xy), len(m.edge), len(m.half)) for m in meshes], np.int64)
    ends = np.concatenate([np.zeros((1, 3), np.int64), np.cumsum(sizes, axis=0)[:-1]])
    edge = np.concatenate([m.edge for m in meshes])
    edge += np.repeat(ends[:, 0].astype(np.int32), sizes[:, 1])[:, None]
    half = np.concatenate([m.half for m in meshes])
    half += np.repeat(2 * ends[:, 1].astype(np.int32), sizes[:, 2])
    faces = [len(m.ptr) - 1 for m in meshes]
    ptr = np.concatenate([np.zeros(1, np.int64), *[m.ptr[1:] for m in meshes]])
    ptr[1:] += np.repeat(ends[:, 2], faces)
    label = np.concatenate([m.label for m in meshes])
    return Mesh(np.concatenate([m.xy for m in meshes]), edge, label, ptr, half)


def stitch(mesh: Mesh) -> Mesh | None:
    """The mesh without its walls; None if the two sides of a wall do not agree on what crosses it."""
    walls = np.flatnonzero(mesh.label <= WALL).astype(np.int64)
    if not len(walls):
        return mesh
    face = wall_faces(mesh)
    start = np.where(face[walls] & 1, mesh.edge[walls, 1], mesh.edge[walls, 0])
    end = np.where(face[walls] & 1, mesh.edge[walls, 0], mesh.edge[walls, 1])
    step = mesh.xy[end] - mesh.xy[start]
    # Walls are parallel to an axis: the pieces of one are ordered along the other axis, those of either side apart.
    along = np.where(np.abs(step[:, 0]) > np.abs(step[:, 1]), 0, 1)
    is_rising = step[np.arange(len(walls)), along] > 0
    where = mesh.xy[start, along] + mesh.xy[end, along]
    order = np.lexsort((where, is_rising, -mesh.label[walls]))
    is_matched, parent, join = match_walls(
        mesh, walls[order], is_rising[order], np.where(is_rising, start, end)[order], face[walls][order] >> 1
    )
    return rebuild(mesh, mesh.label <= WALL, parent, join) if is_matched else None
