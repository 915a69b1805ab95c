"""The compiled pass behind units with positions: the greatest value over tokens or a map, and its place.

In: values [n, t, d] or [n, d, p] of float32, C-contiguous. Out: answers and places [n, d], and whether all values that
count are finite. Must not know what answers are for.

Why it looks as it does. The tensor is larger than any cache near to the processor, so it is read once: the sum, which
shows a NaN or an infinity, is taken in the same read. Of eight tokens one wins in pairs, so that no comparison waits
for the one before. What is held of a tile of columns is one array of float32, places included, at distances that LLVM
knows, as `kernels` says.
"""

from functools import cache
from typing import no_type_check

import numba as nb
import numpy as np

from unbend.numerics.compiled.addresses import at, new_empty, new_zeros
from unbend.numerics.compiled.jit import entry, part
from unbend.numerics.compiled.kernels import SUMS, own_parts, share

TILE = 1024
APART = TILE + 64
"""How far values, sums and places of a tile lie from each other: not by a multiple of 4,096 bytes."""
BLOCK = 256
"""Values of a map that are looked at together: they are read once more while they are in the nearest cache."""
MOST = 1 << 24
"""Positions that a number of float32 can count."""
_LEAST_RANK = np.int32(-(1 << 31))
_LEAST = 65_536
"""Fewer values than this are not worth a thread."""
_JOB = ["parts", "number", "n_threads", "n", "a", "b", "is_masked", "x", "mask", "value", "place", "totals"]
JOB = np.dtype([(name, np.int64) for name in _JOB])
"""Sizes and addresses of the arguments of `find_peaks`, and a sum of each part, for the threads of a team."""


@entry(SUMS)
@no_type_check
def find_peaks(x, mask, value, place, part, team):
    """The greatest value of every unit over the positions that count, and which position has it first.

    Args:
        x: values [n, t, d] or [n, d, p], C-contiguous float32, as `part` takes them; of at most `MOST` positions.
        mask: which tokens count [n, t], at least one of each row; empty for all, and for maps.
        value: out [n, d].
        place: out [n, d] (int32).
        part: what `of_tokens` or `of_maps` gives.
        team: threads, as `team.team` has them; the numbers do not depend on how many.

    Returns:
        False if a value that counts is not finite: then nothing that was found means anything.
    """
    n, a, b = x.shape
    parts = max(min(team[0], n, n * a * b // _LEAST), 1)
    totals = new_zeros(parts, np.float64)
    jobs = new_zeros(1, JOB)
    job = jobs[0]
    job.n, job.a, job.b, job.is_masked = n, a, b, len(mask)
    job.x, job.mask, job.totals = x.ctypes.data, mask.ctypes.data, totals.ctypes.data
    job.value, job.place = value.ctypes.data, place.ctypes.data
    share(jobs, parts, part, team)
    return abs(totals.sum()) < np.inf


@part(SUMS)
@no_type_check
def _look_at_eight(acc, x, a, b, c, d, e, f, g, h, start, width):
    """The greatest values so far, their sums and their places, in a tile of eight tokens more, in order."""
    pa, pb, pc, pd = np.float32(a), np.float32(b), np.float32(c), np.float32(d)
    pe, pf, pg, ph = np.float32(e), np.float32(f), np.float32(g), np.float32(h)
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        p, q, r, s, t, u, v, w = x[a, j], x[b, j], x[c, j], x[d, j], x[e, j], x[f, j], x[g, j], x[h, j]
        acc[k + APART] += ((p + q) + (r + s)) + ((t + u) + (v + w))
        pq, rs, tu, vw = max(p, q), max(r, s), max(t, u), max(v, w)
        at_pq, at_rs = pb if q > p else pa, pd if s > r else pc
        at_tu, at_vw = pf if u > t else pe, ph if w > v else pg
        left, right = max(pq, rs), max(tu, vw)
        at_left, at_right = at_rs if rs > pq else at_pq, at_vw if vw > tu else at_tu
        most, at_most = max(left, right), at_right if right > left else at_left
        acc[k + 2 * APART] = at_most if most > acc[k] else acc[k + 2 * APART]
        acc[k] = max(acc[k], most)


@part(SUMS)
@no_type_check
def _begin(acc, place, width):
    for k in range(width):
        acc[k], acc[k + 2 * APART] = -np.inf, place


@part(SUMS)
@no_type_check
def _hand_out(acc, value, place, start, width):
    for k in range(width):
        value[start + k] = acc[k]
    for k in range(width):
        place[start + k] = np.int32(acc[k + 2 * APART])


@part(SUMS)
@no_type_check
def _take_sum(acc, width):
    total = 0.0
    for k in range(width):
        total += acc[k + APART]
    for k in range(width):
        acc[k + APART] = 0
    return total


@part(set())
@no_type_check
def _peaks_of_tokens(acc, x, tokens, value, place):
    """The peaks of one row, over some of its tokens."""
    last, total = len(tokens) - 1, 0.0
    for start in range(0, x.shape[1], TILE):
        width = min(TILE, x.shape[1] - start)
        _begin(acc, np.float32(tokens[0]), width)
        # A token looked at twice changes no peak, so the last eight are filled up with the last token.
        for i in range(0, len(tokens), 8):
            a, b = np.uint64(tokens[i]), np.uint64(tokens[min(i + 1, last)])
            c, d = np.uint64(tokens[min(i + 2, last)]), np.uint64(tokens[min(i + 3, last)])
            e, f = np.uint64(tokens[min(i + 4, last)]), np.uint64(tokens[min(i + 5, last)])
            g, h = np.uint64(tokens[min(i + 6, last)]), np.uint64(tokens[min(i + 7, last)])
            _look_at_eight(acc, x, a, b, c, d, e, f, g, h, start, width)
        _hand_out(acc, value, place, start, width)
        total += _take_sum(acc, width)
    return total


@no_type_check
def _do_tokens(address):
    job = at(address, (1,), JOB)[0]
    n, t, d = job.n, job.a, job.b
    x, mask = at(job.x, (n, t, d), np.float32), at(job.mask, (job.is_masked, t), np.bool_)
    value, place = at(job.value, (n, d), np.float32), at(job.place, (n, d), np.int32)
    totals, tokens = at(job.totals, (job.parts,), np.float64), new_empty(t, np.int64)
    acc = new_zeros(3 * APART, np.float32)
    first, step = own_parts(job)
    for i in range(first, job.parts, step):
        for row in range(n * i // job.parts, n * (i + 1) // job.parts):
            valid = 0
            for a in range(t):
                tokens[valid] = a
                valid += 1 if job.is_masked == 0 or mask[row, a] else 0
            totals[i] += _peaks_of_tokens(acc, x[row], tokens[:valid], value[row], place[row])


@part(set())
@no_type_check
def _rank(bits):
    """Numbers of float32, read as integers, in their order; and back again."""
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@part(set())
@no_type_check
def _greatest(bits, start, end):
    """The rank of the greatest: a maximum of integers vectorises along one row, that of floats does not."""
    most = _LEAST_RANK
    for k in range(start, end):
        rank = _rank(bits[np.uint64(k)])
        most = max(most, rank)
    return most


@part(SUMS)
@no_type_check
def _sum(row, start, end):
    total = np.float32(0)
    for k in range(start, end):
        total += row[np.uint64(k)]
    return total


@part(set())
@no_type_check
def _first(row, start, end, value):
    """Where a value is first; `end` where it is not."""
    found = np.int32(end)
    for k in range(start, end):
        found = min(found, np.int32(k) if row[np.uint64(k)] == value else np.int32(end))
    return found


@no_type_check
def _do_maps(address):
    job = at(address, (1,), JOB)[0]
    n, d, p = job.n, job.a, job.b
    x, bits = at(job.x, (n, d, p), np.float32), at(job.x, (n, d, p), np.int32)
    totals, ranks = at(job.totals, (job.parts,), np.float64), at(job.value, (n, d), np.int32)
    value, place = at(job.value, (n, d), np.float32), at(job.place, (n, d), np.int32)
    first, step = own_parts(job)
    for i in range(first, job.parts, step):
        for row in range(n * i // job.parts, n * (i + 1) // job.parts):
            for u in range(d):
                one, most, block = x[row, u], _LEAST_RANK, np.int64(0)
                for start in range(0, p, BLOCK):
                    end = min(start + BLOCK, p)
                    here = _greatest(bits[row, u], start, end)
                    totals[i] += _sum(one, start, end)
                    if here > most:
                        most, block = here, start
                ranks[row, u] = _rank(most)
                place[row, u] = _first(one, block, min(block + BLOCK, p), value[row, u])


@cache
def of_tokens():
    """Address of the function that does a thread's parts of a `JOB` of tokens."""
    return nb.cfunc(nb.types.void(nb.types.intp), cache=True)(_do_tokens).address


@cache
def of_maps():
    """The same for maps."""
    return nb.cfunc(nb.types.void(nb.types.intp), cache=True)(_do_maps).address
