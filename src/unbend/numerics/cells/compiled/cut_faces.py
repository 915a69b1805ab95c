"""Phase 4 of a stage: the new mesh.

In: the old mesh, its crossings, and the sizes of what every face becomes. Out: the new mesh, and how the new vertices
came about. Every array is written once, at a place known from the sizes. Must not know weights.

The order of what is written:

    vertices   old | crossings | meetings                 edges   parts of old ones | segments of chords
    faces      those of old face 0 | of old face 1 | …    half-edges   as the faces
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.cells.compiled.chords import meet, sort_by, walk
from unbend.numerics.cells.compiled.jit import inlined, part
from unbend.numerics.cells.compiled.turns import trace
from unbend.numerics.compiled.addresses import new_empty


@part
@no_type_check
def cut_faces(
    xy, edge, label, ptr, half, start, crossed, hinge, along, slack, value, tie, chords, meetings, sides, names
):
    """(is sure, the five arrays of the new mesh, per meeting: first chord's ends, how far along it, second's hinge).

    Not sure if two meetings on one chord are too close to order, or turns do not close.
    """
    n_face = ptr.shape[0] - 1
    n_crossing_vertex = xy.shape[0] + along.shape[0]  # old vertices and crossings
    n_part = edge.shape[0] + along.shape[0]  # parts of old edges
    n_chord, n_meeting, n_half, most_chords, most_meetings, widest = _sizes(chords, meetings, sides)

    # The new mesh, with the border of every face cut at its crossings.
    new_xy = new_empty((n_crossing_vertex + n_meeting, 2), np.float64)
    new_edge = new_empty((n_part + n_chord + 2 * n_meeting, 2), np.int32)
    new_label = new_empty(n_part + n_chord + 2 * n_meeting, np.int32)
    new_ptr = new_empty(n_face + n_chord + n_meeting + 1, np.int64)
    new_half = new_empty(n_half, np.int32)
    block = new_empty((3, n_meeting), np.int32)
    meet_from, meet_to, meet_hinge = block[0], block[1], block[2]
    meet_share = new_empty(n_meeting, np.float64)
    _split_edges(xy, edge, label, start, along, new_xy, new_edge, new_label)

    # Scratch for one face, as large as the largest needs.
    chord_of = np.full(value.shape[1], -1, np.int32)
    block = new_empty((5, most_chords + 1), np.int32)
    enter, leave, chord_hinge, count, first_node = block[0], block[1], block[2], block[3], block[4]
    block = new_empty((4, widest + 1), np.int32)
    crossing_at, side, side_chord, after = block[0], block[1], block[2], block[3]
    block = new_empty((3, 2 * most_meetings), np.int32)
    rank, chord_at, node = block[0], block[1], block[2]
    reals = new_empty((3, 2 * most_meetings), np.float64)
    at, bound, key = reals[0], reals[1], reals[2]
    chord_of_segment = new_empty(most_chords + 2 * most_meetings, np.int32)
    is_walked = new_empty(2 * (most_chords + 2 * most_meetings), np.bool_)

    is_sure = True
    meeting_at = face_at = half_at = np.int64(0)
    edge_at = n_part
    new_ptr[0] = 0
    for face in range(n_face):
        n_here = chords[face]
        begin, end = ptr[face], ptr[face + 1]
        # Most faces of a late stage are cut by no chord or by one, and need no tables.
        if n_here == 0:
            half_at = _copy_sides(begin, end, half, start, new_half, half_at)
            face_at += 1
            new_ptr[face_at] = half_at
            continue
        if n_here == 1:
            first, last = _cut_in_two(begin, end, half, start, new_half, new_ptr, edge_at, face_at, half_at)
            _write_edge(edge_at, xy.shape[0] + first, xy.shape[0] + last, names[hinge[first]], new_edge, new_label)
            edge_at += 1
            face_at += 2
            half_at = new_ptr[face_at]
            continue
        # The border, and the chords that its crossings pair up into.
        _, n_side = walk(
            begin, end, half, start, hinge, chord_of, enter, leave, chord_hinge, crossing_at, side, side_chord, after
        )
        # The meetings of all pairs of chords, …
        n_met = _meet_all(
            n_here, enter, leave, chord_hinge, crossing_at, edge, crossed, along, slack, value, tie, at, bound,
            chord_at, count, meeting_at, xy.shape[0], n_crossing_vertex, meet_from, meet_to, meet_share, meet_hinge,
            new_xy,
        )  # fmt: skip
        # … sorted along each chord, which they cut into segments, …
        if not _segments(
            n_here, n_met, enter, leave, chord_hinge, crossing_at, at, bound, chord_at, count, first_node, key, node,
            rank, names, edge_at, xy.shape[0], n_crossing_vertex + meeting_at, new_edge, new_label, chord_of_segment,
        ):  # fmt: skip
            is_sure = False
            break
        # … and the new faces between segments and border.
        half_end = half_at + n_side + 2 * (n_here + 2 * n_met)
        n_new = trace(
            n_side, side, side_chord, after, enter, leave, first_node, node, rank, chord_at, chord_of_segment,
            is_walked, new_half, new_ptr, edge_at, face_at, half_at, half_end,
        )  # fmt: skip
        if n_new != 1 + n_here + n_met:
            is_sure = False
            break
        meeting_at += n_met
        edge_at += n_here + 2 * n_met
        face_at += n_new
        half_at = half_end
    return is_sure, new_xy, new_edge, new_label, new_ptr, new_half, meet_from, meet_to, meet_share, meet_hinge


@inlined
@no_type_check
def _sizes(chords, meetings, sides):
    """Chords, meetings and new half-edges of all faces; most chords, most meetings and most sides of one.

    Every meeting cuts two chords once, so a face's chords become `chords + 2 * meetings` segments of two half-edges.
    """
    n_chord = 0
    n_meeting = 0
    n_half = 0
    most_chords = 0
    most_meetings = 0
    widest = 0
    for face in range(chords.shape[0]):
        n_chord += chords[face]
        n_meeting += meetings[face]
        n_half += sides[face] + 2 * (chords[face] + 2 * meetings[face])
        most_chords = max(most_chords, chords[face])
        most_meetings = max(most_meetings, meetings[face])
        widest = max(widest, sides[face])
    return n_chord, n_meeting, n_half, most_chords, most_meetings, widest


@inlined
@no_type_check
def _split_edges(xy, edge, label, start, along, new_xy, new_edge, new_label):
    """Write the old vertices, the crossings, and the edges cut at them: `e` begins as edge `e + start[e]`."""
    n_old = xy.shape[0]
    for vertex in range(n_old):
        new_xy[vertex, 0] = xy[vertex, 0]
        new_xy[vertex, 1] = xy[vertex, 1]
    for e in range(edge.shape[0]):
        tail = edge[e, 0]
        head = edge[e, 1]
        place = e + start[e]
        name = label[e]
        new_edge[place, 0] = tail
        for crossing in range(start[e], start[e + 1]):
            new_xy[n_old + crossing, 0] = xy[tail, 0] + along[crossing] * (xy[head, 0] - xy[tail, 0])
            new_xy[n_old + crossing, 1] = xy[tail, 1] + along[crossing] * (xy[head, 1] - xy[tail, 1])
            new_edge[place, 1] = n_old + crossing
            new_label[place] = name
            place += 1
            new_edge[place, 0] = n_old + crossing
        new_edge[place, 1] = head
        new_label[place] = name


@inlined
@no_type_check
def _copy_sides(begin, end, half, start, new_half, half_at):
    """Write sides without a crossing, under the new numbers of their edges; the place after them."""
    for index in range(begin, end):
        new_half[half_at] = half[index] + 2 * start[half[index] >> 1]
        half_at += 1
    return half_at


@inlined
@no_type_check
def _write_edge(e, tail, head, name, new_edge, new_label):
    new_edge[e, 0] = tail
    new_edge[e, 1] = head
    new_label[e] = name


@inlined
@no_type_check
def _cut_in_two(begin, end, half, start, new_half, new_ptr, edge_at, face_at, half_at):
    """Write the two faces that one chord makes; the crossings it runs between.

    The chord goes from the first side with a crossing to the last. The face on its right takes the sides between, the
    face on its left the others.
    """
    enters = begin
    while start[(half[enters] >> 1) + 1] == start[half[enters] >> 1]:
        enters += 1
    leaves = enters + 1
    while start[(half[leaves] >> 1) + 1] == start[half[leaves] >> 1]:
        leaves += 1
    enter_half = half[enters]
    enter_edge = enter_half >> 1
    first = start[enter_edge]
    leave_half = half[leaves]
    leave_edge = leave_half >> 1
    last = start[leave_edge]
    # An edge `e` cut at its crossing `c` is now `e + c` and `e + c + 1`, met the other way round when walked backwards.
    new_half[half_at] = 2 * (enter_edge + first) + 1 if enter_half & 1 else 2 * (enter_edge + first + 1)
    half_at = _copy_sides(enters + 1, leaves, half, start, new_half, half_at + 1)
    new_half[half_at] = 2 * (leave_edge + last + 1) + 1 if leave_half & 1 else 2 * (leave_edge + last)
    new_half[half_at + 1] = 2 * edge_at + 1
    half_at += 2
    new_ptr[face_at + 1] = half_at
    new_half[half_at] = 2 * (leave_edge + last) + 1 if leave_half & 1 else 2 * (leave_edge + last + 1)
    half_at = _copy_sides(leaves + 1, end, half, start, new_half, half_at + 1)
    half_at = _copy_sides(begin, enters, half, start, new_half, half_at)
    new_half[half_at] = 2 * (enter_edge + first + 1) + 1 if enter_half & 1 else 2 * (enter_edge + first)
    new_half[half_at + 1] = 2 * edge_at
    new_ptr[face_at + 2] = half_at + 2
    return first, last


@inlined
@no_type_check
def _meet_all(
    n_chord, enter, leave, chord_hinge, crossing_at, edge, crossed, along, slack, value, tie, at, bound, chord_at,
    count, meeting_at, n_old, n_crossing_vertex, meet_from, meet_to, meet_share, meet_hinge, new_xy,
):  # fmt: skip
    """Write the meetings of one face; how many.

    Meeting `m` is told twice: `2m` is its place on its first chord, `2m + 1` on its second. `count` gets how many are
    on each chord.
    """
    for chord in range(n_chord):
        count[chord] = 0
    n_met = 0
    for chord in range(n_chord):
        position = leave[chord]
        first = crossing_at[enter[chord]]
        last = crossing_at[position]
        # Chords come by their start: those that start before this one ends, and end after it, interleave with it.
        for other in range(chord + 1, n_chord):
            if enter[other] > position:
                break
            if leave[other] > position:
                item = 2 * n_met
                share, width = meet(first, last, chord_hinge[other], edge, crossed, along, slack, value, tie)
                at[item] = share
                bound[item] = width
                chord_at[item] = chord
                other_first, other_last = crossing_at[enter[other]], crossing_at[leave[other]]
                at[item + 1], bound[item + 1] = meet(
                    other_first, other_last, chord_hinge[chord], edge, crossed, along, slack, value, tie
                )
                chord_at[item + 1] = other
                count[chord] += 1
                count[other] += 1
                meeting = meeting_at + n_met
                meet_from[meeting] = first
                meet_to[meeting] = last
                meet_share[meeting] = share
                meet_hinge[meeting] = chord_hinge[other]
                tail = n_old + first
                head = n_old + last
                new_xy[n_crossing_vertex + meeting, 0] = new_xy[tail, 0] + share * (new_xy[head, 0] - new_xy[tail, 0])
                new_xy[n_crossing_vertex + meeting, 1] = new_xy[tail, 1] + share * (new_xy[head, 1] - new_xy[tail, 1])
                n_met += 1
    return n_met


@inlined
@no_type_check
def _segments(
    n_chord, n_met, enter, leave, chord_hinge, crossing_at, at, bound, chord_at, count, first_node, key, node, rank,
    names, edge_at, n_old, first_meeting_vertex, new_edge, new_label, chord_of_segment,
):  # fmt: skip
    """Write the segments that meetings cut the chords of one face into; False if two are too close to order."""
    # The meetings by chord: a counting sort, in which `count` turns into the next free place of each chord.
    n_node = 0
    for chord in range(n_chord):
        first_node[chord] = n_node
        n_node += count[chord]
        count[chord] = first_node[chord]
    first_node[n_chord] = n_node
    for item in range(2 * n_met):
        chord = chord_at[item]
        key[count[chord]] = at[item]
        node[count[chord]] = item
        count[chord] += 1
    is_sure = True
    for chord in range(n_chord):
        # Along the chord: they must lie apart by more than their errors, or three chords meet in one point.
        begin, end = first_node[chord], first_node[chord + 1]
        sort_by(key, node, np.int64(begin), np.int64(end))
        before = n_old + crossing_at[enter[chord]]
        name = names[chord_hinge[chord]]
        new = edge_at + begin + chord
        for index in range(begin, end):
            item = node[index]
            rank[item] = index - begin
            if index > begin and key[index] - key[index - 1] <= bound[item] + bound[node[index - 1]]:
                is_sure = False
            here = first_meeting_vertex + (item >> 1)
            _write_edge(new, before, here, name, new_edge, new_label)
            chord_of_segment[new - edge_at] = chord
            before = here
            new += 1
        _write_edge(new, before, n_old + crossing_at[leave[chord]], name, new_edge, new_label)
        chord_of_segment[new - edge_at] = chord
    return is_sure
