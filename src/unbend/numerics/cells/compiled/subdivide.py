"""The fast subdivision of a planar mesh by stages of hinges: float64, serial, no lock, no reallocation.

In: a `Program` and a `Mesh`. Out: the mesh cut by all stages, or only counts. Must not know networks, planes or
threads.

One stage is four passes over the mesh, each in a file of its own:

1. `vertex_values`: every vertex's columns are carried over from the last stage, and the value of every hinge is summed
   over the columns that are not zero. Signs go 64 to a word.
2. `crossings`: the hinges that cut an edge are the bits in which its ends differ; their crossings are sorted along the
   edge once and shared by both faces.
3. `count` (with `chords`): per face, the crossings met on one walk round it pair up into chords; chords meet where
   their ends interleave. Every size is known before anything is written.
4. `cut_faces` (with `turns`): per face, meetings are sorted along each chord and the new faces traced.

Every decision (a sign, an order) is compared with a bound far above rounding. If one is too close to call, the kernel
gives up with `UNSURE` and the caller asks exact arithmetic: lines through a vertex, coinciding lines and slivers never
reach the turn rules.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.cells.compiled.count import count_chords
from unbend.numerics.cells.compiled.crossings import cut_edges
from unbend.numerics.cells.compiled.cut_faces import cut_faces
from unbend.numerics.cells.compiled.jit import entry, inlined
from unbend.numerics.cells.compiled.mesh import WALL, Mesh, Program
from unbend.numerics.cells.compiled.vertex_values import evaluate, tie_sizes
from unbend.numerics.compiled.addresses import new_empty, new_zeros

DONE, UNSURE, TOO_MANY = 0, 1, 2
"""How a run ended: whole; a decision was too close to call; there are more faces than the limit."""


@entry
@no_type_check
def subdivide(program: Program, mesh: Mesh, limit: int, count_only: bool) -> tuple[int, int, int, int, Mesh]:
    """Cut the mesh by all stages: (status, stages done, faces, ends of new edges on walls, mesh).

    With `count_only` the last stage is counted and not built.

    Cost:
        Linear in the faces times the columns; one pass, one core.
    """
    sizes, widths, weights, keeps, n_keeps, lows, highs, all_names = program
    xy, edge, label, ptr, half = mesh
    n_stage = sizes.shape[0]
    n_face = ptr.shape[0] - 1
    columns, largest = _first_columns(xy)
    # No stage yet: no values, and no vertex that is a crossing or a meeting.
    value = new_empty((xy.shape[0], 0), np.float64)
    low, high = new_empty(0, np.float64), new_empty(0, np.float64)
    cut_edge = edge
    crossed = new_empty(0, np.int32)
    hinge, meet_from, meet_to, meet_hinge = crossed, crossed, crossed, crossed
    along, meet_share = low, low
    weight_at = 0
    first = 0
    keep_at = 0
    for stage in range(n_stage):
        # The stage's part of the program.
        n_hinge, width = sizes[stage], widths[stage]
        weight = weights[weight_at : weight_at + n_hinge * width].reshape(width, n_hinge)
        weight_at += n_hinge * width
        is_last = stage == n_stage - 1
        if is_last:
            keep = keeps[:0]
        elif n_keeps[stage] == width:
            keep = new_empty(width, np.int64)
            for column in range(width):
                keep[column] = column
        else:
            keep = keeps[keep_at : keep_at + n_keeps[stage]]
            keep_at += n_keeps[stage]
        # 1. The values of its hinges at all vertices.
        tie = tie_sizes(weight, largest)
        is_sure, columns, value, words, largest_value = evaluate(
            columns, value, low, high, cut_edge, crossed, along, hinge, meet_from, meet_to, meet_share, meet_hinge,
            weight, tie, keep,
        )  # fmt: skip
        if not is_sure:
            return UNSURE, stage, n_face, 0, mesh
        # 2. Where they cross edges.
        is_sure, start, crossed, hinge, along, slack = cut_edges(edge, value, tie, words)
        if not is_sure:
            return UNSURE, stage, n_face, 0, mesh
        # 3. What every face becomes.
        is_count = is_last and count_only
        is_sure, chords, meetings, sides = count_chords(
            ptr, half, start, crossed, hinge, along, slack, edge, value, tie, is_count
        )
        if not is_sure:
            return UNSURE, stage, n_face, 0, mesh
        for face in range(chords.shape[0]):
            n_face += chords[face] + meetings[face]
        if n_face > limit:
            return TOO_MANY, stage, n_face, 0, mesh
        if is_count:
            return DONE, n_stage, n_face, _count_on_walls(label, start), Mesh(xy, edge, label, ptr, half)
        # 4. The new mesh.
        cut_edge = edge
        is_sure, xy, edge, label, ptr, half, meet_from, meet_to, meet_share, meet_hinge = cut_faces(
            xy, edge, label, ptr, half, start, crossed, hinge, along, slack, value, tie, chords, meetings, sides,
            all_names[first : first + n_hinge],
        )  # fmt: skip
        if not is_sure:
            return UNSURE, stage, n_face, 0, mesh
        low, high = lows[first : first + n_hinge], highs[first : first + n_hinge]
        first += n_hinge
        largest = _next_largest(largest, keep, largest_value, low, high)
    return DONE, n_stage, n_face, 0, Mesh(xy, edge, label, ptr, half)


@inlined
@no_type_check
def _first_columns(xy):
    """The columns 1, s and t at the vertices, and the largest size of each."""
    columns = new_empty((xy.shape[0], 3), np.float64)
    largest = new_zeros(3, np.float64)
    largest[0] = 1.0
    for vertex in range(xy.shape[0]):
        columns[vertex, 0] = 1.0
        for axis in range(2):
            columns[vertex, 1 + axis] = xy[vertex, axis]
            largest[1 + axis] = max(largest[1 + axis], abs(xy[vertex, axis]))
    return columns, largest


@inlined
@no_type_check
def _count_on_walls(label, start):
    """Crossings on walls: each will be the end of a new edge."""
    count = 0
    for e in range(label.shape[0]):
        if label[e] <= WALL:
            count += start[e + 1] - start[e]
    return count


@inlined
@no_type_check
def _next_largest(largest, keep, largest_value, low, high):
    """The largest sizes of the next stage's columns: those kept, then the outputs of this stage's hinges."""
    n_hinge = low.shape[0]
    out = new_empty(keep.shape[0] + n_hinge, np.float64)
    for index in range(keep.shape[0]):
        out[index] = largest[keep[index]]
    for hinge in range(n_hinge):
        out[keep.shape[0] + hinge] = largest_value[hinge] * max(abs(low[hinge]), abs(high[hinge]))
    return out
