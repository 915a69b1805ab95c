"""Subdivision by tiles: a kd-tree over the polygon, the network restricted to every tile, threads, one mesh.

In: a network of two inputs and a polygon. Out: a `TileRun`. Must not know which networks it pays for.

Wide networks gain three to fifteen times: on a small tile only a fraction of the hinges can switch. Memory is
that of the result. Tiles are cut off-centre, so that the walls of a symmetric network's tiles do not fall
on its own lines. Where the fast kernel is unsure, the tile is done in exact arithmetic. The tree, and so the
result, does not depend on the number of threads.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int32
from threadpoolctl import ThreadpoolController

from unbend._typing import Array, Float64, Int64
from unbend.errors import TiesError
from unbend.numerics.cells.compiled.mesh import WALL, Mesh
from unbend.numerics.cells.compiled.subdivide import DONE, TOO_MANY, subdivide
from unbend.numerics.cells.duplicates import Distinct, distinct
from unbend.numerics.cells.exact import exact_mesh
from unbend.numerics.cells.stitch import concatenate, stitch
from unbend.numerics.cells.tile_network import Box, TileNetwork
from unbend.numerics.piecewise import PiecewiseAffine

_LEAF = 192
"""Hinges at which a tile is small enough: with fewer there are more walls to stitch, with more the products grow."""
_TWICE = 1.7
"""A tile with so many times more is cut in four at once: one restriction less on the way, and both halves would be cut
again anyway."""
_DENSE = 3000
"""Hinges up to which a restricted network is handed down dense, some 40 MB; a larger one is restricted anew from the
sparse network."""
_DEPTH = 16
"""How often a tile is halved at most: where many hinges meet in one point no tile is ever small enough."""
_TASKS = 16
"""Tiles at which threads no longer share one: enough for even work, few enough for the start not to be serial."""
_SHARE = 0.5137
"""Where tiles are cut, as a share of their side: off the middle."""
MOST_EXACT = 10_000
"""Faces made in exact arithmetic, a millisecond each, before a run is given up."""

Point: TypeAlias = tuple[float, float]
"""A corner of a tile."""


class _Tile(NamedTuple):
    """A part of the polygon still to be cut.

    Attributes:
        corners: counter-clockwise.
        labels: of the side that leaves each corner.
        node: its number in the tree, 1 at the root, `2n` and `2n + 1` below `n`; walls are named by it.
        depth: how far below the root.
        above: the network restricted to a tile around this one.
    """

    corners: list[Point]
    labels: list[int]
    node: int
    depth: int
    above: TileNetwork | None


class _Leaf(NamedTuple):
    """A finished tile.

    Attributes:
        n_faces: how many there are, -1 for too many.
        n_wall_ends: of edges, where they are only counted.
        mesh: the faces, where they are built.
    """

    n_faces: int
    n_wall_ends: int
    mesh: Mesh


@dataclass(slots=True)
class _Budget:
    """What may still be made; shared by the threads, whose races cost no more than a few faces.

    Attributes:
        left: faces.
        exact: faces in exact arithmetic.
    """

    left: int
    exact: int


class TileRun(NamedTuple):
    """What came of a run.

    Attributes:
        mesh: the cells, None where they were only counted.
        n_faces: how many, -1 for too many.
        is_complete: whether the limit was kept.
    """

    mesh: Mesh | None
    n_faces: int
    is_complete: bool


def polygon_mesh(corners: Float64[Array, "m 2"], labels: Int64[Array, "m"]) -> Mesh:
    """A mesh of one face."""
    edge, ptr, half = _ring(len(corners))
    return Mesh(np.ascontiguousarray(corners, np.float64), edge, labels.astype(np.int32), ptr, half)


@cache
def _ring(m: int) -> tuple[Int32[Array, "m 2"], Int64[Array, "2"], Int32[Array, "m"]]:
    """Edges, faces and half-edges of a polygon."""
    edge = np.stack([np.arange(m), (np.arange(m) + 1) % m], axis=1).astype(np.int32)
    return edge, np.array([0, m]), np.arange(0, 2 * m, 2).astype(np.int32)


def cut_tiles(
    net: PiecewiseAffine,
    corners: Float64[Array, "m 2"],
    limit: int,
    *,
    threads: int,
    count_only: bool,
    cut_at: float = _SHARE,
) -> TileRun | None:
    """Cells of the whole polygon, tile by tile; None if two tiles disagree along their wall."""
    whole = _Tile([(x, y) for x, y in corners.tolist()], [-1 - i for i in range(len(corners))], 1, 0, None)
    budget = _Budget(2 * limit + 1000, MOST_EXACT)  # faces cut by walls are counted on both sides
    job = _Job(net, distinct(net), budget, count_only=count_only, cut_at=cut_at)
    with _one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        spread = pool.map if threads > 1 else map
        leaves = _all_leaves(job, whole, spread)
    if any(leaf.n_faces < 0 for leaf in leaves):
        return TileRun(None, -1, is_complete=False)
    if count_only:
        found = sum(leaf.n_faces for leaf in leaves) - (len(leaves) - 1)
        return TileRun(None, found - sum(leaf.n_wall_ends for leaf in leaves) // 2, is_complete=True)
    mesh = stitch(concatenate([leaf.mesh for leaf in leaves]))
    if mesh is None:
        return None
    n_faces = len(mesh.ptr) - 1
    return TileRun(mesh, n_faces, is_complete=n_faces <= limit)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _one_blas_thread() -> AbstractContextManager:
    """Products of tiles are small: threads of BLAS under ours would only wait for each other."""
    return _blas().limit(limits=1)


def _all_leaves(job: "_Job", whole: _Tile, spread: Callable[..., Iterable]) -> list[_Leaf]:
    """The finished tiles, in the order of the tree: first its upper levels, then each part to the bottom."""
    todo: list[_Tile | _Leaf] = [whole]
    while 0 < sum(isinstance(item, _Tile) for item in todo) < _TASKS:
        todo = [part for parts in spread(job.grow, todo) for part in parts]
    return [leaf for part in spread(job.finish, todo) for leaf in part]


@dataclass(frozen=True, slots=True)
class _Job:
    """One run over all tiles.

    Attributes:
        net: the network.
        same: the network without duplicate hinges.
        budget: what may still be made.
        count_only: whether faces are only counted.
        cut_at: where tiles are cut.
    """

    net: PiecewiseAffine
    same: Distinct
    budget: _Budget
    count_only: bool
    cut_at: float

    def finish(self, item: _Tile | _Leaf) -> list[_Leaf]:
        """The finished tiles inside one."""
        stack, done = [item], []
        while stack:
            parts = self.grow(stack.pop())
            if len(parts) == 1 and isinstance(parts[0], _Leaf):
                done.append(parts[0])
                if parts[0].n_faces < 0:
                    break
            else:
                stack.extend(reversed(parts))
        return done

    def grow(self, item: _Tile | _Leaf) -> list[_Tile | _Leaf]:
        """The finished tile, or the smaller ones that it is cut into."""
        if isinstance(item, _Leaf):
            return [item]
        box = Box.around(item.corners)
        if item.above is None or item.above.n_hinges > _DENSE:
            net = TileNetwork.of(self.same, box)
        else:
            net = item.above.on(box)
        if net.n_hinges <= _LEAF or item.depth >= _DEPTH:
            return [self.leaf(item, net)]
        parts = _halves(item._replace(above=net), self.cut_at)
        if net.n_hinges > _TWICE * _LEAF:
            parts = [quarter for part in parts for quarter in _halves(part, self.cut_at)]
        return list(parts)

    def leaf(self, tile: _Tile, net: TileNetwork) -> _Leaf:
        """One tile, by the fast kernel or in exact arithmetic."""
        limit = max(self.budget.left, 0)
        corners, labels = np.array(tile.corners), np.array(tile.labels)
        start = polygon_mesh(corners, labels)
        status, _, faces, ends, mesh = subdivide(net.program(), start, limit, self.count_only)
        if status not in (DONE, TOO_MANY):
            exact = exact_mesh(self.net, corners, labels, limit=max(min(limit, self.budget.exact), 0))
            if exact is not None:
                mesh, faces, ends = exact.mesh, len(exact.mesh.ptr) - 1, 0
                self.budget.exact -= faces
            elif self.budget.exact < limit:
                raise ties_error()
            else:
                status = TOO_MANY
        if status == TOO_MANY:
            self.budget.left = -1
            return _Leaf(-1, 0, start)
        self.budget.left -= faces
        return _Leaf(faces, ends + count_wall_ends(mesh) if self.count_only else 0, mesh)


def ties_error() -> TiesError:
    """What is said where too much would have to be told apart in exact arithmetic."""
    return TiesError(
        "cells: too many kinks coincide within rounding, as those of equal patches of images do. Move the plane a "
        "little (plane.jitter()), choose another one, or pass exact=True and wait: about a millisecond for each cell."
    )


def count_wall_ends(mesh: Mesh) -> int:
    """How many points lie inside walls, seen from this tile."""
    on_wall = mesh.label <= WALL
    return int(on_wall.sum() - len(np.unique(mesh.label[on_wall])))


def _halves(tile: _Tile, cut_at: float) -> list[_Tile]:
    """Two halves, cut across the longer side."""
    box = Box.around(tile.corners)
    axis = 0 if box.half_width >= box.half_height else 1
    at = (box.x, box.y)[axis] + (2.0 * cut_at - 1.0) * (box.half_width, box.half_height)[axis]
    halves = []
    for side, sign in enumerate((-1.0, 1.0)):
        inside = [sign * (point[axis] - at) for point in tile.corners]
        corners, labels = _clip(tile.corners, tile.labels, inside, WALL - tile.node)
        if len(corners) > 2:
            halves.append(_Tile(corners, labels, 2 * tile.node + side, tile.depth + 1, tile.above))
    return halves


def _clip(corners: list[Point], labels: list[int], inside: list[float], wall: int) -> tuple[list[Point], list[int]]:
    """The part of a convex polygon where `inside` (affine, given at the corners) is positive."""
    points, names = [], []
    after = zip(corners[1:] + corners[:1], inside[1:] + inside[:1], strict=True)
    for (point, here, label), (after_point, there) in zip(
        zip(corners, inside, labels, strict=True), after, strict=True
    ):
        if here > 0:
            points.append(point)
            names.append(label)
        if (here > 0) != (there > 0):
            share = here / (here - there)
            x, y = (at + share * (to - at) for at, to in zip(point, after_point, strict=True))
            points.append((x, y))
            names.append(wall if here > 0 else label)
    return points, names
