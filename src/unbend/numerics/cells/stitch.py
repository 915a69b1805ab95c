"""One mesh from the meshes of tiles: edges that run through a wall are joined, walls disappear.

Also dissolves edges that turned out not to separate anything (a pair of candidates of a maximum that a
third one beats). Purely combinatorial: positions are only used to order the points along one wall.
"""
# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0912, PLR0915 - compiled kernels: flat loops over flat arrays are the point

from typing import no_type_check

import numpy as np
from numba import njit

from unbend.numerics.cells.kernel import Mesh

WALL = -(1 << 20)  # labels at or below are walls: WALL - index of the wall


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
    along = np.where(np.abs(step[:, 0]) > np.abs(step[:, 1]), 0, 1)
    rising = step[np.arange(len(walls)), along] > 0
    where = mesh.xy[start, along] + mesh.xy[end, along]
    order = np.lexsort((where, rising, -mesh.label[walls]))
    ok, parent, join = _match(
        mesh, walls[order], rising[order], np.where(rising, start, end)[order], face[walls][order] >> 1
    )
    return rebuild(mesh, mesh.label <= WALL, parent, join) if ok else None


@njit(cache=True, nogil=True)
@no_type_check
def wall_faces(mesh):
    """For every edge `2 * face + direction` of the last half-edge seen on it (walls have just one)."""
    face = np.zeros(mesh.edge.shape[0], np.int64)
    for f in range(mesh.ptr.shape[0] - 1):
        for i in range(mesh.ptr[f], mesh.ptr[f + 1]):
            face[mesh.half[i] >> 1] = 2 * f + (mesh.half[i] & 1)
    return face


@njit(cache=True, nogil=True)
@no_type_check
def find(parent, f):
    """The root of `f`, with the path halved on the way."""
    while parent[f] != f:
        parent[f] = parent[parent[f]]
        f = parent[f]
    return f


@njit(cache=True, nogil=True)
@no_type_check
def _match(mesh, walls, rising, lower, face):
    """Pair up what ends on the two sides of every wall; walls come sorted by (wall, side, position)."""
    n_edge = mesh.edge.shape[0]
    other = np.full(mesh.xy.shape[0], -2, np.int64)  # -2 not on a wall, -1 a corner, else 2 * edge + end
    for e in walls:
        other[mesh.edge[e, 0]] = -1
        other[mesh.edge[e, 1]] = -1
    ok = True
    for e in range(n_edge):
        if mesh.label[e] > WALL:
            for end in range(2):
                v = mesh.edge[e, end]
                if other[v] == -1:
                    other[v] = 2 * e + end
                elif other[v] >= 0:
                    ok = False
    parent = np.arange(mesh.ptr.shape[0] - 1)
    join = np.full(2 * n_edge, -1, np.int64)
    n = walls.shape[0]
    i = 0
    while i < n and ok:
        label = mesh.label[walls[i]]
        middle = i
        while middle < n and mesh.label[walls[middle]] == label and not rising[middle]:
            middle += 1
        end = middle
        while end < n and mesh.label[walls[end]] == label:
            end += 1
        a = i
        b = middle
        if a == middle or b == end:
            ok = False
            break
        while True:
            root = find(parent, face[a])
            parent[find(parent, face[b])] = root
            while a + 1 < middle and other[_upper(mesh, walls[a], lower[a])] < 0:
                a += 1
                parent[find(parent, face[a])] = root
            while b + 1 < end and other[_upper(mesh, walls[b], lower[b])] < 0:
                b += 1
                parent[find(parent, face[b])] = root
            ea = other[_upper(mesh, walls[a], lower[a])]
            eb = other[_upper(mesh, walls[b], lower[b])]
            if a + 1 == middle or b + 1 == end:
                ok = ok and a + 1 == middle and b + 1 == end
                ok = ok and _pair(mesh, ea, eb, join)
                break
            a += 1
            b += 1
            if not _pair(mesh, ea, eb, join):
                ok = False
                break
        ok = ok and _pair(mesh, other[lower[i]], other[lower[middle]], join)
        i = end
    return ok, parent, join


@njit(cache=True, nogil=True)
@no_type_check
def _upper(mesh, e, lower):
    return mesh.edge[e, 0] + mesh.edge[e, 1] - lower


@njit(cache=True, nogil=True)
@no_type_check
def _pair(mesh, a, b, join):
    """Join two ends of edges that meet on a wall; False if they are not the same line."""
    if a < 0 or b < 0:
        return a < 0 and b < 0
    if mesh.label[a >> 1] != mesh.label[b >> 1]:
        return False
    join[a] = b
    join[b] = a
    return True


@njit(cache=True, nogil=True)
@no_type_check
def joins_after(mesh, drop):
    """Union of faces across dropped edges, and joins of edges left alone at a vertex on one line."""
    parent = np.arange(mesh.ptr.shape[0] - 1)
    side = np.full(mesh.edge.shape[0], -1, np.int64)
    for f in range(mesh.ptr.shape[0] - 1):
        for i in range(mesh.ptr[f], mesh.ptr[f + 1]):
            e = mesh.half[i] >> 1
            if drop[e]:
                if side[e] < 0:
                    side[e] = f
                else:
                    parent[find(parent, f)] = find(parent, side[e])
    n_vertex = mesh.xy.shape[0]
    degree = np.zeros(n_vertex, np.int64)
    touched = np.zeros(n_vertex, np.bool_)
    end_at = np.full((n_vertex, 2), -1, np.int64)
    for e in range(mesh.edge.shape[0]):
        for end in range(2):
            v = mesh.edge[e, end]
            if drop[e]:
                touched[v] = True
            else:
                if degree[v] < 2:
                    end_at[v, degree[v]] = 2 * e + end
                degree[v] += 1
    join = np.full(2 * mesh.edge.shape[0], -1, np.int64)
    for v in range(n_vertex):
        if touched[v] and degree[v] == 2:
            a = end_at[v, 0]
            b = end_at[v, 1]
            if mesh.label[a >> 1] == mesh.label[b >> 1]:
                join[a] = b
                join[b] = a
    return parent, join


@njit(cache=True, nogil=True)
@no_type_check
def rebuild(mesh, drop, parent, join):
    """The mesh with edges dropped, faces united as told and ends of edges joined as told."""
    n_edge = mesh.edge.shape[0]
    to = np.full(n_edge, -1, np.int32)  # 2 * new edge + direction
    edge = np.empty((n_edge, 2), np.int32)
    label = np.empty(n_edge, np.int32)
    n_new = 0
    for e in range(n_edge):
        if drop[e] or to[e] >= 0 or (join[2 * e] >= 0 and join[2 * e + 1] >= 0):
            continue
        free = 0 if join[2 * e] < 0 else 1
        current = e
        end = free
        edge[n_new, 0] = mesh.edge[e, free]
        label[n_new] = mesh.label[e]
        while True:
            to[current] = 2 * n_new + end
            following = join[2 * current + 1 - end]
            if following < 0:
                break
            current = following >> 1
            end = following & 1
        edge[n_new, 1] = mesh.edge[current, 1 - end]
        n_new += 1
    vertex = np.full(mesh.xy.shape[0], -1, np.int32)
    n_vertex = 0
    for e in range(n_new):
        for end in range(2):
            v = edge[e, end]
            if vertex[v] < 0:
                vertex[v] = n_vertex
                n_vertex += 1
            edge[e, end] = vertex[v]
    xy = np.empty((n_vertex, 2))
    for v in range(mesh.xy.shape[0]):
        if vertex[v] >= 0:
            xy[vertex[v]] = mesh.xy[v]
    n_face = mesh.ptr.shape[0] - 1
    size = np.zeros(n_face + 1, np.int64)
    for f in range(n_face):
        size[find(parent, f) + 1] += 1
    begin = np.cumsum(size)
    fill = begin[:-1].copy()
    member = np.empty(n_face, np.int64)
    for f in range(n_face):
        r = find(parent, f)
        member[fill[r]] = f
        fill[r] += 1
    ptr = np.empty(n_face + 1, np.int64)
    ptr[0] = 0
    half = np.empty(mesh.half.shape[0], np.int32)
    leaving = np.empty(n_vertex, np.int32)
    used = np.full(n_new, -1, np.int32)
    n_new_face = 0
    o = 0
    for root in range(n_face):
        if begin[root] == begin[root + 1]:
            continue
        start = o
        is_alone = begin[root + 1] - begin[root] == 1
        for m in range(begin[root], begin[root + 1]):
            f = member[m]
            for i in range(mesh.ptr[f], mesh.ptr[f + 1]):
                e = mesh.half[i] >> 1
                if to[e] < 0:
                    continue
                h = to[e] ^ (mesh.half[i] & 1)
                if is_alone:  # parts of one edge follow each other
                    if o > start and half[o - 1] == h:
                        continue
                elif used[h >> 1] == root:
                    continue
                else:
                    used[h >> 1] = root
                half[o] = h
                o += 1
        if is_alone:
            o -= o > start + 1 and half[o - 1] == half[start]
        else:
            for i in range(start, o):
                leaving[edge[half[i] >> 1, half[i] & 1]] = half[i]
            h = half[start]
            for i in range(start, o):
                half[i] = h
                h = leaving[edge[h >> 1, 1 - (h & 1)]]
        n_new_face += 1
        ptr[n_new_face] = o
    return Mesh(xy, edge[:n_new].copy(), label[:n_new].copy(), ptr[: n_new_face + 1].copy(), half[:o].copy())
