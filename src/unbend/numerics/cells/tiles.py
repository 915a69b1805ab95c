"""Subdivision by tiles: a kd-tree over the polygon, the network restricted to every tile, threads, one mesh.

Wide networks gain three to fifteen times: on a small tile only a fraction of the hinges can bend. Memory is
that of the result. Tiles are cut off-centre, so that the walls of a symmetric network's tiles do not fall
on its own lines. Where the fast kernel is unsure, the tile is done in exact arithmetic.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from unbend._typing import Array
from unbend.numerics.cells.exact import exact_mesh
from unbend.numerics.cells.kernel import DONE, TOO_MANY, Mesh, Program, subdivide
from unbend.numerics.cells.restrict import Box, restrict, root, tile_program
from unbend.numerics.cells.stitch import WALL, concatenate, stitch
from unbend.numerics.piecewise import PiecewiseAffine

_LEAF = 256  # hinges at which a tile is small enough
_TWICE = 1.7  # a tile with so many times more is cut in four at once: one restriction less on the way
_DENSE = 3000  # hinges up to which a restricted network is kept dense
_DEPTH = 16


class _Tile(NamedTuple):
    corners: Array
    labels: Array
    node: int
    depth: int
    program: Program | None


@dataclass(slots=True)
class _Budget:
    """Faces that may still be made; shared by the threads."""

    left: int


class Run(NamedTuple):
    """What came of a run: the mesh (None when only counted), faces, whether it is whole, its patterns."""

    mesh: Mesh | None
    n_faces: int
    is_complete: bool


def polygon_mesh(corners: Array, labels: Array) -> Mesh:
    """A mesh of one face."""
    m = len(corners)
    edge = np.stack([np.arange(m), (np.arange(m) + 1) % m], axis=1).astype(np.int32)
    return Mesh(
        np.ascontiguousarray(corners, np.float64),
        edge,
        labels.astype(np.int32),
        np.array([0, m]),
        np.arange(0, 2 * m, 2).astype(np.int32),
    )


def tiled(
    net: PiecewiseAffine, corners: Array, limit: int, *, threads: int, count_only: bool, off: float = 0.5137
) -> Run | None:
    """Cells of the whole polygon, tile by tile; None if two tiles disagree along their wall."""
    whole = _Tile(corners, -1 - np.arange(len(corners)), 1, 0, None)
    todo = [whole]
    for _ in range(3 if threads > 1 else 0):
        todo = [part for tile in todo for part in _split(tile, off)]

    budget = _Budget(2 * limit + 1000)  # faces cut by walls are counted on both sides

    def work(tile: _Tile) -> list[tuple[int, int, Mesh]]:
        return list(_leaves(net, tile, budget, count_only=count_only, off=off))

    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            leaves = [leaf for part in pool.map(work, todo) for leaf in part]
    else:
        leaves = [leaf for tile in todo for leaf in work(tile)]
    found = sum(faces for faces, _, _ in leaves)
    walls = sum(ends for _, ends, _ in leaves)
    if any(faces < 0 for faces, _, _ in leaves):
        return Run(None, -1, is_complete=False)
    if count_only:
        return Run(None, found - (len(leaves) - 1) - walls // 2, is_complete=True)
    mesh = stitch(concatenate([mesh for _, _, mesh in leaves]))
    if mesh is None:
        return None
    n_faces = len(mesh.ptr) - 1
    return Run(mesh, n_faces, is_complete=n_faces <= limit)


def _leaves(
    net: PiecewiseAffine, tile: _Tile, budget: _Budget, *, count_only: bool, off: float
) -> Iterator[tuple[int, int, Mesh]]:
    """The finished tiles inside one: (faces or -1 for too many, ends on walls, mesh)."""
    stack = [tile]
    while stack:
        tile = stack.pop()
        box = Box.of(tile.corners)
        if tile.program is None or len(tile.program.low) > _DENSE:
            program = root(net, box)
        else:
            program = tile_program(*restrict(tile.program, box))
        if len(program.low) > _LEAF and tile.depth < _DEPTH:
            parts = _split(tile._replace(program=program), off)
            if len(program.low) > _TWICE * _LEAF:
                parts = [quarter for part in parts for quarter in _split(part, off)]
            stack.extend(parts)
            continue
        faces, ends, mesh = _leaf(net, program, tile, budget.left, count_only=count_only)
        budget.left = -1 if faces < 0 else budget.left - faces
        yield faces, ends, mesh
        if budget.left < 0:
            yield -1, 0, mesh
            return


def _leaf(
    net: PiecewiseAffine, program: Program, tile: _Tile, limit: int, *, count_only: bool
) -> tuple[int, int, Mesh]:
    start = polygon_mesh(tile.corners, tile.labels)
    status, _, faces, ends, mesh = subdivide(_without_empty(program), start, max(limit, 0), count_only)
    if status == TOO_MANY:
        return -1, 0, start
    if status != DONE:
        exact = exact_mesh(net, tile.corners, tile.labels, limit=max(limit, 0))
        if exact is None:
            return -1, 0, start
        mesh = exact.mesh
        return len(mesh.ptr) - 1, wall_ends(mesh), mesh
    return faces, ends + wall_ends(mesh), mesh


def wall_ends(mesh: Mesh) -> int:
    """How many points lie inside walls, seen from this tile."""
    on_wall = mesh.label <= WALL
    return int(on_wall.sum() - len(np.unique(mesh.label[on_wall])))


def _without_empty(program: Program) -> Program:
    """The program without stages that have no hinge left."""
    if program.sizes.all():
        return program
    full = program.sizes > 0
    sizes = program.sizes[full]
    return tile_program(sizes, program.weight, program.low, program.high, program.name)


def _split(tile: _Tile, off: float) -> list[_Tile]:
    """Two halves, cut across the longer side, a little off the middle."""
    low, high = tile.corners.min(axis=0), tile.corners.max(axis=0)
    axis = int(np.argmax(high - low))
    at = low[axis] + off * (high[axis] - low[axis])
    wall = WALL - tile.node
    halves = []
    for side, sign in enumerate((-1.0, 1.0)):
        corners, labels = _clip(tile.corners, tile.labels, sign * (tile.corners[:, axis] - at), wall)
        if len(corners) > 2:
            halves.append(_Tile(corners, labels, 2 * tile.node + side, tile.depth + 1, tile.program))
    return halves


def _clip(corners: Array, labels: Array, inside: Array, wall: int) -> tuple[Array, Array]:
    """The part of a convex polygon where `inside` (affine, given at the corners) is positive."""
    points, names = [], []
    n = len(corners)
    for i in range(n):
        j = (i + 1) % n
        here, there = inside[i] > 0, inside[j] > 0
        if here:
            points.append(corners[i])
            names.append(labels[i])
        if here != there:
            t = inside[i] / (inside[i] - inside[j])
            points.append(corners[i] + t * (corners[j] - corners[i]))
            names.append(wall if here else labels[i])
    return np.array(points).reshape(-1, 2), np.array(names, np.int64)
