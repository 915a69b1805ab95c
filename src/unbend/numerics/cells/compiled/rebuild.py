"""A mesh without some of its edges: faces across them become one, edges left alone at a vertex become one.

In: a mesh, the edges to drop, which faces become one and which ends of edges. Out: the smaller mesh. Must not know why.

`parent` is a forest over the faces (union by path halving); `join[2 * edge + end]` is the end of another edge that this
end continues in, -1 for none.
"""

from typing import no_type_check

import numpy as np

from unbend._typing import Array, Bool, Int64
from unbend.numerics.cells.compiled.jit import entry, part
from unbend.numerics.cells.compiled.mesh import Mesh
from unbend.numerics.compiled.addresses import new_empty, new_zeros


@part
@no_type_check
def find(parent, face):
    """The root of a face, with the path halved on the way."""
    while parent[face] != face:
        # Halving needs no second walk, and keeps trees nearly as flat as compressing does.
        parent[face] = parent[parent[face]]
        face = parent[face]
    return face


@entry
@no_type_check
def joins_after(mesh: Mesh, drop: Bool[Array, "e"]) -> tuple[Int64[Array, "f"], Int64[Array, "ends"]]:
    """Union of faces across dropped edges, and joins of edges left alone at a vertex on one line."""
    parent = np.arange(mesh.ptr.shape[0] - 1)
    side = np.full(mesh.edge.shape[0], -1, np.int64)
    for face in range(mesh.ptr.shape[0] - 1):
        for index in range(mesh.ptr[face], mesh.ptr[face + 1]):
            e = mesh.half[index] >> 1
            if drop[e]:
                # The second face that is seen at an edge is the other one: every edge has at most two.
                if side[e] < 0:
                    side[e] = face
                else:
                    parent[find(parent, face)] = find(parent, side[e])
    # The edges that stay, at every vertex: their number, and the ends of the first two.
    n_vertex = mesh.xy.shape[0]
    degree = new_zeros(n_vertex, np.int64)
    is_touched = new_zeros(n_vertex, np.bool_)
    end_at = np.full((n_vertex, 2), -1, np.int64)
    for e in range(mesh.edge.shape[0]):
        for end in range(2):
            vertex = mesh.edge[e, end]
            if drop[e]:
                is_touched[vertex] = True
            else:
                if degree[vertex] < 2:
                    end_at[vertex, degree[vertex]] = 2 * e + end
                degree[vertex] += 1
    join = np.full(2 * mesh.edge.shape[0], -1, np.int64)
    for vertex in range(n_vertex):
        if is_touched[vertex] and degree[vertex] == 2:
            one, other = end_at[vertex, 0], end_at[vertex, 1]
            # Two edges of one label lie on one line, so nothing has to be computed.
            if mesh.label[one >> 1] == mesh.label[other >> 1]:
                join[one] = other
                join[other] = one
    return parent, join


@entry
@no_type_check
def rebuild(mesh: Mesh, drop: Bool[Array, "e"], parent: Int64[Array, "f"], join: Int64[Array, "ends"]) -> Mesh:
    """The mesh with edges dropped, faces united as `parent` says and ends of edges joined as `join` says.

    Cost:
        Linear in the mesh.
    """
    edge, label, new_half_of = _join_edges(mesh, drop, join)
    xy = _renumber_vertices(mesh.xy, edge)
    begin, member = _group_faces(parent)
    ptr, half = _outline_faces(mesh, edge, xy.shape[0], new_half_of, begin, member)
    return Mesh(xy, edge, label, ptr, half)


@part
@no_type_check
def _join_edges(mesh, drop, join):
    """The new edges with their labels; and for every old edge `2 * new + direction`, -1 for none.

    A chain of joined edges is walked from an end that is free. Chains have two: lines end at the border.
    """
    n_edge = mesh.edge.shape[0]
    new_half_of = np.full(n_edge, -1, np.int32)
    edge = new_empty((n_edge, 2), np.int32)
    label = new_empty(n_edge, np.int32)
    n_new = 0
    for e in range(n_edge):
        # From the middle of a chain the walk would have to go both ways.
        if drop[e] or new_half_of[e] >= 0 or (join[2 * e] >= 0 and join[2 * e + 1] >= 0):
            continue
        free = 0 if join[2 * e] < 0 else 1
        current = e
        end = free
        edge[n_new, 0] = mesh.edge[e, free]
        label[n_new] = mesh.label[e]
        while True:
            new_half_of[current] = 2 * n_new + end
            following = join[2 * current + 1 - end]
            if following < 0:
                break
            current = following >> 1
            end = following & 1
        edge[n_new, 1] = mesh.edge[current, 1 - end]
        n_new += 1
    return edge[:n_new].copy(), label[:n_new].copy(), new_half_of


@part
@no_type_check
def _renumber_vertices(xy, edge):
    """The vertices that edges still use, in the order of the edges, under whose new numbers `edge` is rewritten."""
    number = np.full(xy.shape[0], -1, np.int32)
    n_vertex = 0
    for e in range(edge.shape[0]):
        for end in range(2):
            vertex = edge[e, end]
            # Numbers by first use, so that neighbours in the mesh are neighbours in memory.
            if number[vertex] < 0:
                number[vertex] = n_vertex
                n_vertex += 1
            edge[e, end] = number[vertex]
    out = new_empty((n_vertex, 2), np.float64)
    for vertex in range(xy.shape[0]):
        if number[vertex] >= 0:
            for axis in range(2):
                out[number[vertex], axis] = xy[vertex, axis]
    return out


@part
@no_type_check
def _group_faces(parent):
    """The faces by their root (a counting sort): where those of each root begin, and the faces."""
    n_face = parent.shape[0]
    size = new_zeros(n_face + 1, np.int64)
    for face in range(n_face):
        # One place further on, so that the running sum is where each group begins.
        size[find(parent, face) + 1] += 1
    begin = np.cumsum(size)
    fill = begin[:-1].copy()
    member = new_empty(n_face, np.int64)
    for face in range(n_face):
        root = find(parent, face)
        member[fill[root]] = face
        fill[root] += 1
    return begin, member


@part
@no_type_check
def _outline_faces(mesh, edge, n_vertex, new_half_of, begin, member):
    """The new faces: where each begins, and the half-edges round it.

    A face that stays alone keeps its order. Faces that become one have their sides collected, and chained up by the
    vertex that each leaves from; no vertex is met twice, because the union is convex.
    """
    n_face = mesh.ptr.shape[0] - 1
    ptr = new_empty(n_face + 1, np.int64)
    ptr[0] = 0
    half = new_empty(mesh.half.shape[0], np.int32)
    leaving = new_empty(n_vertex, np.int32)
    used = np.full(edge.shape[0], -1, np.int32)
    n_new = 0
    half_at = 0
    for root in range(n_face):
        if begin[root] == begin[root + 1]:
            continue
        start = half_at
        is_alone = begin[root + 1] - begin[root] == 1
        for place in range(begin[root], begin[root + 1]):
            face = member[place]
            for index in range(mesh.ptr[face], mesh.ptr[face + 1]):
                e = mesh.half[index] >> 1
                if new_half_of[e] < 0:
                    continue
                new = new_half_of[e] ^ (mesh.half[index] & 1)
                # Parts of one edge become one side: in one face they follow each other, in several they may not.
                if is_alone:
                    if half_at > start and half[half_at - 1] == new:
                        continue
                elif used[new >> 1] == root:
                    continue
                else:
                    used[new >> 1] = root
                half[half_at] = new
                half_at += 1
        if is_alone:
            # The last side may be a part of the first: the walk began in the middle of an edge.
            half_at -= half_at > start + 1 and half[half_at - 1] == half[start]
        else:
            _chain_up(half, start, half_at, edge, leaving)
        n_new += 1
        ptr[n_new] = half_at
    return ptr[: n_new + 1].copy(), half[:half_at].copy()


@part
@no_type_check
def _chain_up(half, start, end, edge, leaving):
    """Put the half-edges of one face in walking order; `leaving` is scratch, one per vertex."""
    for index in range(start, end):
        leaving[edge[half[index] >> 1, half[index] & 1]] = half[index]
    current = half[start]
    for index in range(start, end):
        half[index] = current
        current = leaving[edge[current >> 1, 1 - (current & 1)]]
