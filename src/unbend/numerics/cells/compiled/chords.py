"""Chords: what the crossings on the sides of one face pair up into, and where they meet.

In: the crossings on the sides of a face. Out: its chords, and for two chords the point where they meet. Must not know
how a face is cut.

A face of four sides with two chords. The walk goes counter-clockwise from corner A and meets crossings at the
positions 0 to 3; chord a goes from position 0 to 2, chord b from 1 to 3:

            D ───────2──────── C         side pieces, in walking order:
            │        │a        │           A→0  0→B  B→1  1→C  C→2  2→D  D→3  3→A
            │        │         │         their `side_chord`, the end of a chord that a piece runs into:
            3 ───────M──────── 1  b        a0   -    b0   -    a1   -    b1   -
            │        │         │
            │        │         │         A hinge is affine on a face, so it crosses the sides in two points or in
            A ───────0──────── B         none: equal hinges pair up. Two chords meet just when their ends
                                         interleave, and no three in one point: 2 chords + 1 meeting make 1 + 2 + 1
                                         faces, 0 ‥ 3 above.

Chord `a` starts at position `enter[a]` and ends at `leave[a]`; chords are numbered by their start.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.cells.compiled.jit import inlined


@inlined
@no_type_check
def walk(
    begin, end, half, start, crossing_hinge, chord_of, enter, leave, chord_hinge, crossing_at, side, side_chord, after
):
    """Once round a face: its crossings in order, paired up into chords, and the pieces of its sides.

    Returns the number of chords, -1 if crossings do not pair, and the number of pieces.

    Args:
        begin: first half-edge of the face in `half`.
        end: one past its last.
        half: all half-edges.
        start: where each edge's crossings begin.
        crossing_hinge: per crossing its hinge.
        chord_of: scratch, -1 for every hinge before and after.
        enter: (out) per chord the position where it starts.
        leave: (out) per chord the position where it ends.
        chord_hinge: (out) per chord its hinge.
        crossing_at: (out) per position the crossing.
        side: (out) the pieces of the sides as half-edges of the new mesh.
        side_chord: (out) per piece `2 * chord`, or one more at the chord's end, that it runs into; -1 at a corner.
        after: (out) per position the piece that follows it.
    """
    position = 0
    n_side = 0
    n_chord = 0
    n_odd = 0
    for index in range(begin, end):
        # Edge `e` with crossings c, c + 1, … becomes the edges `e + c`, `e + c + 1`, … of the new mesh.
        e = half[index] >> 1
        is_back = half[index] & 1
        first = start[e]
        n_here = start[e + 1] - first
        for step in range(n_here):
            crossing = first + n_here - 1 - step if is_back else first + step
            side[n_side] = 2 * (crossing + e + is_back) + is_back
            hinge = crossing_hinge[crossing]
            chord = chord_of[hinge]
            if chord < 0:
                chord_of[hinge] = n_chord
                chord_hinge[n_chord] = hinge
                enter[n_chord] = position
                leave[n_chord] = -1
                side_chord[n_side] = 2 * n_chord
                n_chord += 1
            else:
                n_odd += leave[chord] >= 0  # a third crossing
                leave[chord] = position
                side_chord[n_side] = 2 * chord + 1
            crossing_at[position] = crossing
            n_side += 1
            after[position] = n_side
            position += 1
        side[n_side] = 2 * (first + e) + 1 if is_back else 2 * (first + n_here + e)
        side_chord[n_side] = -1
        n_side += 1
    for chord in range(n_chord):
        chord_of[chord_hinge[chord]] = -1
        n_odd += leave[chord] < 0  # a lone crossing
    return (n_chord if n_odd == 0 else -1), n_side


@inlined
@no_type_check
def meet(first, last, hinge, edge, crossed, along, slack, value, tie):
    """Where the chord from crossing `first` to `last` meets a hinge: how far along it, and a bound on the error.

    The hinge has opposite signs at the ends, and is affine between.
    """
    e = crossed[first]
    at_tail = value[edge[e, 0], hinge]
    rise = value[edge[e, 1], hinge] - at_tail
    at_first = abs(at_tail + along[first] * rise)
    bound = slack[first] * abs(rise)
    e = crossed[last]
    at_tail = value[edge[e, 0], hinge]
    rise = value[edge[e, 1], hinge] - at_tail
    at_last = abs(at_tail + along[last] * rise)
    bound += slack[last] * abs(rise)
    total = at_first + at_last
    if total <= bound:
        return 0.5, 1.0  # the hinge may be zero all along: it could meet anywhere
    share = 1.0 / total
    return at_first * share, (bound + 2.0 * tie[hinge]) * share


@inlined
@no_type_check
def sort_by(key, item, begin, end):
    """Sort a part of two arrays by the first (Shell's method: short parts are sorted by insertion)."""
    gap = 1
    while 9 * gap < end - begin:
        gap = 3 * gap + 1  # Knuth's gaps 1, 4, 13, 40, …
    while gap > 0:
        for index in range(begin + gap, end):
            moving_key = key[index]
            moving_item = item[index]
            place = index
            while place >= begin + gap and key[place - gap] > moving_key:
                key[place] = key[place - gap]
                item[place] = item[place - gap]
                place -= gap
            key[place] = moving_key
            item[place] = moving_item
        gap //= 3


@inlined
@no_type_check
def is_crowded(at, bound, item, n, head, link):
    """Whether two of `n` parameters in [0, 1] may be equal, given a bound on the error of each.

    They are spread over buckets wider than any two errors, so that only neighbours are compared; where errors are too
    large for that, they are sorted. `head` and `link` are scratch: the last parameter of a bucket, the one before it.
    """
    n_bucket = 8
    while n_bucket < n:
        n_bucket *= 2
    largest = 0.0
    for index in range(n):
        largest = max(largest, bound[index])
        item[index] = index
    if 2.0 * largest * n_bucket >= 1.0:
        sort_by(at, item, np.int64(0), n)
        index = 1
        while index < n and at[index] - at[index - 1] > bound[item[index]] + bound[item[index - 1]]:
            index += 1
        return index < n
    for bucket in range(n_bucket):
        head[bucket] = -1
    for index in range(n):
        here = min(np.int64(at[index] * n_bucket), n_bucket - 1)
        for bucket in range(max(here - 1, 0), min(here + 2, n_bucket)):
            other = head[bucket]
            while other >= 0:
                if abs(at[index] - at[other]) <= bound[index] + bound[other]:
                    return True
                other = link[other]
        link[index] = head[here]
        head[here] = index
    return False
