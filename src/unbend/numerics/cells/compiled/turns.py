"""Phase 4b of a stage: the new faces inside one face, walked by turn rules without geometry.

In: the pieces of a face's sides and the segments of its chords, in order. Out: the new faces as half-edges. Must not
know where any point lies.

A new face is walked counter-clockwise, always taking the leftmost way. What comes next is known from the order alone:

    on a piece of a side      that ends at a corner: the next piece of the side
                              that runs into a chord's end: the chord, inwards
    on a segment of a chord   that ends at the border: the piece of the side that follows there
                              that ends at a meeting: the other chord, to the left. The second chord crosses the
                              first from right to left, so left is forwards on it; backwards the other way round.

Segments are numbered along chords, one chord after the other: chord `c` with `m` meetings has `m + 1`, from
`first_node[c] + c` on. Half-edge `2 * segment + 1` walks one backwards.
"""

from typing import no_type_check

from unbend.numerics.cells.compiled.jit import inlined


@inlined
@no_type_check
def trace(
    n_side,
    side,
    side_chord,
    after,
    enter,
    leave,
    first_node,
    node,
    rank,
    chord_at,
    chord_of_segment,
    is_walked,
    new_half,
    new_ptr,
    edge_at,
    face_at,
    half_at,
    half_end,
):
    """The new faces of one face, each walked once round; how many, -1 if the turns do not close.

    Args:
        n_side: pieces of the sides.
        side: per piece its half-edge in the new mesh; -1 when walked.
        side_chord: per piece the chord end it runs into, -1 at a corner.
        after: per position on the border the piece that follows.
        enter: per chord the position where it starts.
        leave: per chord the position where it ends.
        first_node: per chord where its meetings begin in `node`.
        node: meetings along the chords: `2 * meeting`, or one more seen from its second chord.
        rank: per such number its place along the chord.
        chord_at: per such number the chord.
        chord_of_segment: per segment its chord.
        is_walked: scratch, two per segment.
        new_half: (out) the half-edges of the new faces.
        new_ptr: (out) where they begin.
        edge_at: the first edge of the new mesh that is a segment of this face.
        face_at: the first new face.
        half_at: where its half-edges go.
        half_end: where those of the last new face end.
    """
    n_segment = (half_end - half_at - n_side) >> 1
    for index in range(2 * n_segment):
        # Scratch is shared by all faces, and only as much of it as this one has is made clean.
        is_walked[index] = False
    n_face = 0
    for begin in range(n_side + 2 * n_segment):
        on_side = begin < n_side
        current = begin if on_side else begin - n_side
        if (on_side and side[current] < 0) or (not on_side and is_walked[current]):
            continue
        starts_on_side = on_side
        start = current
        while True:
            # Half-edges are as many as were counted: a walk that takes more does not close.
            if half_at >= half_end:
                return -1
            if on_side:
                new_half[half_at] = side[current]
                side[current] = -1
                half_at += 1
                end = side_chord[current]
                if end < 0:
                    current = current + 1 if current + 1 < n_side else 0
                else:
                    # Inwards: the chord's first segment forwards, or its last backwards.
                    chord = end >> 1
                    on_side = False
                    current = 2 * (first_node[chord + 1] + chord) + 1 if end & 1 else 2 * (first_node[chord] + chord)
            else:
                segment = current >> 1
                is_back = current & 1
                new_half[half_at] = 2 * (edge_at + segment) + is_back
                is_walked[current] = True
                half_at += 1
                chord = chord_of_segment[segment]
                place = segment - chord  # of the node that the segment ends at, in `node`
                if is_back == 0 and place == first_node[chord + 1]:
                    on_side = True
                    current = after[leave[chord]]
                elif is_back == 1 and place == first_node[chord]:
                    on_side = True
                    current = after[enter[chord]]
                else:
                    item = node[place - is_back]
                    other = chord_at[item ^ 1]
                    turns_back = is_back ^ (item & 1)
                    current = 2 * (first_node[other] + other + rank[item ^ 1] + 1 - turns_back) + turns_back
            if on_side == starts_on_side and current == start:
                break
        n_face += 1
        new_ptr[face_at + n_face] = half_at
    return n_face if half_at == half_end else -1
