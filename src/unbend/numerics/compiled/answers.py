"""The compiled pass behind `UnitSums`: sums by class, and the rows to which every unit answers most and least.

In: answers [n, d] of float32, C-contiguous. Out: sums and extremes, added to arrays the caller owns. Must not know
where the answers come from.

Why it looks as it does. Eight rows of a class are read, a tile of columns at a time, for their sums in float64 and, in
the nearest cache by then, in float32 for how many are above 0 and which units answer beyond the last of their extremes.
After some batches few do, and only those, which are bits, are looked at one by one: eight rows later, since their lists
have to come from far. What is summed lies in one array, at distances that LLVM knows, as `kernels` says. A NaN or an
infinity makes a sum of squares no number: the rows of that class are added anew then, value by value.
"""

from functools import cache
from typing import no_type_check

import numba as nb
import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from unbend.numerics.compiled.addresses import at, fetch, new_empty, new_zeros, not_zero
from unbend.numerics.compiled.jit import entry, part
from unbend.numerics.compiled.kernels import SUMS, begins, n_parts, own_parts, share
from unbend.numerics.compiled.running import BATCH, TEAM

TILE = 512
APART = TILE + 64
"""How far what is summed of a tile lies from each other: not by a multiple of 4,096 bytes."""
BLOCK = 64
"""Units whose marks are the bits of one number."""
_FIRED, _TOP, _BOTTOM = 1, 2, 3
"""Parts of a tile's room after the marks of units: how many answers are above 0, and what answers have to beat."""

_UNITS = ["width", "n_classes", "kept", "newest", "work", "sums", "seen", "missing", "edges", "edge_ids"]
_UNITS += ["high", "high_ids", "high_at", "low", "low_ids", "low_at"]
UNITS = np.dtype([(name, np.int64) for name in _UNITS])
"""Sizes and addresses of what is held of a layer's units.

`kept`: extremes m of a unit. `newest`: greatest number of a row so far; -1 before the first. `work`: what `work` gives.
`sums`, answers, their squares and how many are above 0 [3, k, d]; `seen`, rows [k]; `missing`, those whose answer is
not finite [k, d]. `edges`, the last of the extremes, greatest answers and least ones negated [2, d], and `edge_ids`,
their rows. `high`, `high_ids`, `high_at`, the greatest answers, their rows and places [d, m]; `low` …, the same of the
negated answers.
"""
_JOB = ["parts", "number", "n_threads", "d", "oldest", "is_rising", "values", "places", "layer", "batch"]
JOB = np.dtype([(name, np.int64) for name in _JOB])
"""Arguments of `answer_at`, the least number of a row, and whether these rise, for the threads of a team."""


@part(SUMS)
@no_type_check
def _add_eight(acc, x, a, b, c, d, e, f, g, h, n_again, start, width):
    """Add rows a … h of one class to a tile: sums and squares; row h, which came `n_again` times too often, once."""
    again = np.float64(n_again)
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        p, q, r, s = np.float64(x[a, j]), np.float64(x[b, j]), np.float64(x[c, j]), np.float64(x[d, j])
        t, u, v, w = np.float64(x[e, j]), np.float64(x[f, j]), np.float64(x[g, j]), np.float64(x[h, j])
        acc[k] += (((p + q) + (r + s)) + ((t + u) + (v + w))) - again * w
        square = ((p * p + q * q) + (r * r + s * s)) + ((t * t + u * u) + (v * v + w * w))
        acc[k + APART] += square - again * (w * w)


@part(SUMS)
@no_type_check
def _judge_eight(ext, x, a, b, c, d, e, f, g, h, n_again, start, width):
    """Count the answers above 0 of these rows, and mark the units of which one may be among the extremes."""
    one, once = np.float32(1), np.float32(1 - n_again)
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        p, q, r, s, t, u, v, w = x[a, j], x[b, j], x[c, j], x[d, j], x[e, j], x[f, j], x[g, j], x[h, j]
        fired = ext[k + _FIRED * APART]
        fired = fired + one if p > 0 else fired
        fired = fired + one if q > 0 else fired
        fired = fired + one if r > 0 else fired
        fired = fired + one if s > 0 else fired
        others = once if w > 0 else np.float32(0)
        others = others + one if t > 0 else others
        others = others + one if u > 0 else others
        others = others + one if v > 0 else others
        ext[k + _FIRED * APART] = fired + others
        most = max(max(max(p, q), max(r, s)), max(max(t, u), max(v, w)))
        least = min(min(min(p, q), min(r, s)), min(min(t, u), min(v, w)))
        total = ((p + q) + (r + s)) + ((t + u) + (v + w))
        # A NaN may hide the answer that counts: the unit is looked at row by row then.
        mark = np.float32(0) if most <= ext[k + _TOP * APART] else np.float32(1)
        mark = mark if least >= ext[k + _BOTTOM * APART] else np.float32(1)
        ext[k] = mark if abs(total) < np.inf else np.float32(1)


@part(set(), is_inlined=True)
@no_type_check
def _edge(edge, is_tied):
    """What an answer has to beat: a little less than the last of the extremes where an equal one may enter."""
    return edge - (abs(edge) * 1e-6 + 1e-37) if is_tied else edge


@part({"reassoc", "nsz"})
@no_type_check
def _set_edges(ext, first, edges, ids, oldest, sign, start, width):
    """What answers of rows from number `oldest` on have to beat, of the units of a tile."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        ext[np.uint64(first) + np.uint64(k)] = np.float32(sign * _edge(edges[j], ids[j] > oldest))


@part(set(), is_inlined=True)
@no_type_check
def _enter(value, id_, place, values, ids, places):
    """Put an answer into a sorted list, greatest first, of equal ones the least number first, if it belongs there.

    A negative place says that there are none: what is not read need not be fetched.
    """
    k = len(values) - 1
    if value < values[k] or (value == values[k] and id_ > ids[k]):
        return
    while k > 0 and (value > values[k - 1] or (value == values[k - 1] and id_ < ids[k - 1])):
        values[k], ids[k] = values[k - 1], ids[k - 1]
        if place >= 0:
            places[k] = places[k - 1]
        k -= 1
    values[k], ids[k] = value, id_
    if place >= 0:
        places[k] = place


@part(set())
@no_type_check
def _mark(marks, ext, of, start, width):
    """Which units of a tile are to be looked at, as bits; their lists begin to come into the nearest cache."""
    line = 8 * of.kept
    for block in range((width + BLOCK - 1) // BLOCK):
        left = marks[block] = not_zero(ext.ctypes.data + 4 * BLOCK * block)
        while left:
            place = line * (start + BLOCK * block + np.int64(trailing_zeros(left)))
            left &= left - np.uint64(1)
            fetch(of.high + place)
            fetch(of.high_ids + place)
            fetch(of.low + place)
            fetch(of.low_ids + place)


@part(set())
@no_type_check
def _rank(marks, ext, x, place, order, ids, of, oldest, start, width):
    """Enter the answers of the rows `order` that lie beyond the extremes of the units that are marked."""
    m = of.kept
    high, low = at(of.high, (of.width, m), np.float64), at(of.low, (of.width, m), np.float64)
    high_ids, low_ids = at(of.high_ids, (of.width, m), np.int64), at(of.low_ids, (of.width, m), np.int64)
    high_at, low_at = at(of.high_at, (of.width, m), np.int64), at(of.low_at, (of.width, m), np.int64)
    edges, edge_ids = at(of.edges, (2, of.width), np.float64), at(of.edge_ids, (2, of.width), np.int64)
    for block in range((width + BLOCK - 1) // BLOCK):
        left = marks[block]
        while left:
            k = BLOCK * block + np.int64(trailing_zeros(left))
            left &= left - np.uint64(1)
            j = start + k
            top, bottom = _edge(edges[0, j], edge_ids[0, j] > oldest), -_edge(edges[1, j], edge_ids[1, j] > oldest)
            for i in range(len(order)):
                row = order[i]
                value, where = np.float64(x[row, j]), np.int64(place[row, j]) if len(place) else np.int64(-1)
                if value > top and value < np.inf:
                    _enter(value, ids[row], where, high[j], high_ids[j], high_at[j])
                    edges[0, j], edge_ids[0, j] = high[j, m - 1], high_ids[j, m - 1]
                    top = _edge(edges[0, j], edge_ids[0, j] > oldest)
                    ext[_TOP * APART + k] = np.float32(top)
                if value < bottom and value > -np.inf:
                    _enter(-value, ids[row], where, low[j], low_ids[j], low_at[j])
                    edges[1, j], edge_ids[1, j] = low[j, m - 1], low_ids[j, m - 1]
                    bottom = -_edge(edges[1, j], edge_ids[1, j] > oldest)
                    ext[_BOTTOM * APART + k] = np.float32(bottom)


@part(SUMS)
@no_type_check
def _is_finite(acc, width):
    """Whether all answers of a class were: a square of float32 is a number of float64, and so is their sum."""
    total = 0.0
    for k in range(width):
        total += acc[k + APART]
    return total < np.inf


@part(set())
@no_type_check
def _add_finite(acc, ext, missing, x, order, start, width):
    """The sums of a class in a batch anew, without the answers that are not finite, which are counted."""
    for k in range(width):
        acc[k], acc[k + APART], ext[k + _FIRED * APART] = 0, 0, 0
        for i in range(len(order)):
            value = np.float64(x[order[i], start + k])
            if abs(value) < np.inf:
                acc[k] += value
                acc[k + APART] += value * value
                ext[k + _FIRED * APART] += 1 if value > 0 else 0
            else:
                missing[start + k] += 1


@part(SUMS)
@no_type_check
def _take_over(out, start, acc, first, width):
    """Add `width` sums from `first` on to `out` from `start` on, and begin again at 0."""
    for k in range(width):
        out[start + k] += acc[first + k]
        acc[first + k] = 0


@part(set())
@no_type_check
def _rank_first(ext, marks, x, place, ids, of, newest, start, width):
    """Enter the answers of the first batch, whose rows rise: row after row, so that no equal answer enters again."""
    last = len(x) - 1
    for i in range(0, len(x), 8):
        p, q, r, s = np.uint64(i), np.uint64(min(i + 1, last)), np.uint64(min(i + 2, last)), np.uint64(min(i + 3, last))
        t, u = np.uint64(min(i + 4, last)), np.uint64(min(i + 5, last))
        v, w = np.uint64(min(i + 6, last)), np.uint64(min(i + 7, last))
        _judge_eight(ext, x, p, q, r, s, t, u, v, w, 0, start, width)
        _mark(marks[0], ext, of, start, width)
        rows = new_empty(min(8, len(x) - i), np.int64)
        for e in range(len(rows)):
            rows[e] = i + e
        _rank(marks[0], ext, x, place, rows, ids, of, newest, start, width)
    # Marks are done with, and counts are made once more, class by class.
    for k in range(width):
        ext[k], ext[k + _FIRED * APART] = 0, 0


@part(set())
@no_type_check
def _answer(acc, ext, marks, x, place, order, starts, ids, of, oldest, is_rising, start, width):
    """Add the answers of the units of a tile."""
    k = of.n_classes
    sums, missing = at(of.sums, (3, k, of.width), np.float64), at(of.missing, (k, of.width), np.int64)
    edges, edge_ids = at(of.edges, (2, of.width), np.float64), at(of.edge_ids, (2, of.width), np.int64)
    ext[:TILE] = 0
    marks[:, :] = 0
    turn, ranked = 0, 0
    _set_edges(ext, _TOP * APART, edges[0], edge_ids[0], oldest, 1.0, start, width)
    _set_edges(ext, _BOTTOM * APART, edges[1], edge_ids[1], oldest, -1.0, start, width)
    # Of equal answers the row of the least number is kept. Where rows rise from batch to batch, no answer that is equal
    # to one of an earlier batch enters; else, and in the first batch, whose rows come class by class, one may: of the
    # zeros of a ReLU most would. Where its rows rise, they are ranked on their own.
    is_tied, is_ranked = of.newest >= oldest or of.newest < 0, False
    if of.newest < 0 and is_rising:
        _rank_first(ext, marks, x, place, ids, of, ids[len(ids) - 1], start, width)
        is_tied, is_ranked = False, True
        marks[:, :] = 0
    for c in range(k):
        end = starts[c + 1]
        i = starts[c]
        while i < end:
            n = min(8, end - i)
            if is_tied:
                eldest = ids[order[i]]
                for e in range(1, n):
                    eldest = min(eldest, ids[order[i + e]])
                _set_edges(ext, _TOP * APART, edges[0], edge_ids[0], eldest, 1.0, start, width)
                _set_edges(ext, _BOTTOM * APART, edges[1], edge_ids[1], eldest, -1.0, start, width)
            last = end - 1
            p, q = np.uint64(order[i]), np.uint64(order[min(i + 1, last)])
            r, s = np.uint64(order[min(i + 2, last)]), np.uint64(order[min(i + 3, last)])
            t, u = np.uint64(order[min(i + 4, last)]), np.uint64(order[min(i + 5, last)])
            v, w = np.uint64(order[min(i + 6, last)]), np.uint64(order[min(i + 7, last)])
            _add_eight(acc, x, p, q, r, s, t, u, v, w, 8 - n, start, width)
            _judge_eight(ext, x, p, q, r, s, t, u, v, w, 8 - n, start, width)
            # Those of the eight rows before are ranked now: their lists have had the time to come.
            if not is_ranked:
                _mark(marks[turn], ext, of, start, width)
            turn = 1 - turn
            _rank(marks[turn], ext, x, place, order[ranked:i], ids, of, oldest, start, width)
            ranked = i
            i += n
        if not _is_finite(acc, width):
            _add_finite(acc, ext, missing[c], x, order[starts[c] : end], start, width)
        for what in range(2):
            _take_over(sums[what, c], start, acc, what * APART, width)
        _take_over(sums[2, c], start, ext, _FIRED * APART, width)
    _rank(marks[1 - turn], ext, x, place, order[ranked:], ids, of, oldest, start, width)


@no_type_check
def _do_answers(place):
    job = at(place, (1,), JOB)[0]
    of, now = at(job.layer, (1,), UNITS)[0], at(job.batch, (1,), BATCH)[0]
    order, starts = at(now.order, (now.n,), np.int64), at(now.starts, (now.n_segments + 1,), np.int64)
    ids, x = at(now.ids, (now.n,), np.int64), at(job.values, (now.n, of.width), np.float32)
    places = at(job.places, (now.n if job.places else 0, of.width), np.int32)
    acc, ext = new_zeros(2 * APART, np.float64), new_zeros(4 * APART, np.float32)
    marks = new_zeros((2, TILE // BLOCK), np.uint64)
    first, step = own_parts(job)
    for i in range(first, job.parts, step):
        end = begins(job, i + 1)
        for start in range(begins(job, i), end, TILE):
            width = min(TILE, end - start)
            _answer(acc, ext, marks, x, places, order, starts, ids, of, job.oldest, job.is_rising, start, width)


@entry(set())
@no_type_check
def answer_at(values, places, layer, batch):
    """Add the answers of a batch to what is held of a layer's units; False, with nothing done, for other classes.

    Args:
        values: address of the answers [n, d], for the n of the batch and the d of the layer.
        places: address of their places [n, d] (int32); 0 where there are no positions.
        layer: address of the `UNITS`, whose arrays must still be there.
        batch: address of the `BATCH`.
    """
    of, now = at(layer, (1,), UNITS)[0], at(batch, (1,), BATCH)[0]
    if of.n_classes != now.n_segments or now.n == 0:
        return False
    ids, starts = at(now.ids, (now.n,), np.int64), at(now.starts, (now.n_segments + 1,), np.int64)
    team, seen = at(now.team, (TEAM,), np.int64), at(of.seen, (of.n_classes,), np.int64)
    oldest, newest, is_rising = ids[0], ids[0], True
    for i in range(1, now.n):
        oldest, newest, is_rising = min(oldest, ids[i]), max(newest, ids[i]), is_rising and ids[i] > ids[i - 1]
    jobs = new_zeros(1, JOB)
    job = jobs[0]
    job.d, job.oldest, job.values, job.places, job.layer, job.batch = of.width, oldest, values, places, layer, batch
    job.is_rising = is_rising
    share(jobs, n_parts(now.n * of.width, of.width // BLOCK, team), of.work, team)
    of.newest = max(of.newest, newest)
    for c in range(of.n_classes):
        seen[c] += starts[c + 1] - starts[c]
    return True


@cache
def work():
    """Address of the function that does a thread's parts of a `JOB`."""
    return nb.cfunc(nb.types.void(nb.types.intp), cache=True)(_do_answers).address
