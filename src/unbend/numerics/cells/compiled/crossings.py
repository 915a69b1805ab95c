"""Phase 2 of a stage: where hinges cross edges.

In: the signs of all hinges at all vertices. Out: the crossings, sorted along every edge. Must not know faces: both
faces of an edge share its crossings, so the mesh has no cracks.
"""

from typing import no_type_check

import numpy as np
from numba import uint64
from numba.cpython.unsafe.numbers import trailing_zeros

from unbend.numerics.cells.compiled.jit import inlined, part
from unbend.numerics.compiled.addresses import new_empty


@part
@no_type_check
def cut_edges(edge, value, tie, words):
    """All crossings: (is sure, where each edge's begin, edge, hinge, how far along, bound on its error).

    Not sure if two on one edge are too close to order.
    """
    n_edge = edge.shape[0]
    # A hinge crosses an edge where the signs at its ends differ: their number is known before any is computed.
    start = new_empty(n_edge + 1, np.int32)
    start[0] = 0
    for e in range(n_edge):
        start[e + 1] = start[e] + _count_differing(words[edge[e, 0]], words[edge[e, 1]])
    n_crossing = start[n_edge]
    crossed = new_empty(n_crossing, np.int32)
    hinge = new_empty(n_crossing, np.int32)
    along = new_empty(n_crossing, np.float64)
    slack = new_empty(n_crossing, np.float64)
    is_sure = True
    for e in range(n_edge):
        first, last = start[e], start[e + 1]
        if last == first:
            continue
        _cross(words, value, tie, edge[e, 0], edge[e, 1], first, hinge, along, slack)
        for crossing in range(first, last):
            crossed[crossing] = e
        # Two crossings whose errors may overlap have no certain order: lines through one point of an edge.
        for crossing in range(first + 1, last):
            if along[crossing] - along[crossing - 1] <= slack[crossing] + slack[crossing - 1]:
                is_sure = False
    return is_sure, start, crossed, hinge, along, slack


@inlined
@no_type_check
def _count_differing(words, other):
    """In how many bits two rows of words differ."""
    count = 0
    for word in range(words.shape[0]):
        bits = words[word] ^ other[word]
        while bits != uint64(0):
            bits &= bits - uint64(1)  # clears the lowest bit that is set
            count += 1
    return count


@inlined
@no_type_check
def _cross(words, value, tie, tail, head, first, hinge, along, slack):
    """Write the crossings of one edge from `first` on, sorted by insertion: an edge has a few."""
    end = first
    for word in range(words.shape[1]):
        bits = words[tail, word] ^ words[head, word]
        while bits != uint64(0):
            crossing_hinge = word * 64 + np.int64(trailing_zeros(bits))
            bits &= bits - uint64(1)
            at_tail = value[tail, crossing_hinge]
            inverse = 1.0 / (at_tail - value[head, crossing_hinge])
            here = at_tail * inverse
            place = end
            while place > first and along[place - 1] > here:
                along[place] = along[place - 1]
                hinge[place] = hinge[place - 1]
                slack[place] = slack[place - 1]
                place -= 1
            along[place] = here
            hinge[place] = crossing_hinge
            # An error of `tie` in the values moves the zero by `tie / slope`.
            slack[place] = tie[crossing_hinge] * abs(inverse)
            end += 1
