"""Phase 3 of a stage: how many chords and meetings every face has.

In: the crossings on all edges. Out: sizes. A face becomes `1 + chords + meetings` faces, so every size is known before
anything is written, and this phase alone is the exact count. Must not know the mesh to come.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.cells.compiled.chords import is_crowded, meet, walk
from unbend.numerics.cells.compiled.jit import inlined, part
from unbend.numerics.compiled.addresses import new_empty, new_zeros


@part
@no_type_check
def count_chords(ptr, half, start, crossed, hinge, along, slack, edge, value, tie, is_last):
    """Per face: (is sure, chords, meetings, pieces of its sides); not sure if crossings do not pair up.

    With `is_last`, where no phase follows that would find out, also not sure if three chords may meet in one point.
    """
    chords, sides, most, widest = _count_crossings(ptr, half, start)
    n_face = chords.shape[0]
    meetings = new_zeros(n_face, np.int32)
    chord_of = np.full(value.shape[1], -1, np.int32)
    # Scratch for the largest face, taken once: arrays made per face would cost more than the count.
    block = new_empty((4, most), np.int32)
    enter, leave, chord_hinge, crossing_at = block[0], block[1], block[2], block[3]
    block = new_empty((3, widest), np.int32)
    side, side_chord, after = block[0], block[1], block[2]
    at, bound = new_empty(most, np.float64), new_empty(most, np.float64)
    item, link, head = new_empty(most, np.int32), new_empty(most, np.int32), new_empty(2 * most + 8, np.int32)
    is_sure = True
    for face in range(n_face):
        if chords[face] == 0:
            continue
        n_chord, _ = walk(
            ptr[face], ptr[face + 1], half, start, hinge, chord_of, enter, leave, chord_hinge, crossing_at, side,
            side_chord, after,
        )  # fmt: skip
        # Crossings that do not pair up come of rounding: the stage is done anew, exactly.
        if n_chord < 0:
            is_sure = False
            break
        chords[face] = n_chord
        n_meeting = 0
        for chord in range(n_chord):
            last = leave[chord]
            n_here = np.int64(0)
            # Chords come by their start: those that start before this one ends, and end after it, interleave with it.
            for other in range(chord + 1, n_chord):
                if enter[other] > last:
                    break
                if leave[other] > last:
                    if is_last:
                        at[n_here], bound[n_here] = meet(
                            crossing_at[enter[chord]], crossing_at[last], chord_hinge[other], edge, crossed, along,
                            slack, value, tie,
                        )  # fmt: skip
                    n_here += 1
            n_meeting += n_here
            if n_here > 1 and is_last and is_crowded(at, bound, item, n_here, head, link):
                is_sure = False
        meetings[face] = n_meeting
        if not is_sure:
            break
    return is_sure, chords, meetings, sides


@inlined
@no_type_check
def _count_crossings(ptr, half, start):
    """Per face its crossings and the pieces of its sides; the most of each."""
    n_face = ptr.shape[0] - 1
    crossings = new_empty(n_face, np.int32)
    sides = new_empty(n_face, np.int32)
    most = 0
    widest = 0
    for face in range(n_face):
        n_here = 0
        for index in range(ptr[face], ptr[face + 1]):
            e = half[index] >> 1
            # Crossings of an edge lie in a row, from `start` on.
            n_here += start[e + 1] - start[e]
        most = max(most, n_here)
        crossings[face] = n_here
        sides[face] = n_here + ptr[face + 1] - ptr[face]
        widest = max(widest, sides[face])
    return crossings, sides, most, widest
