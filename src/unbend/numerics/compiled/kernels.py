"""Compiled single-pass reductions over one activation tensor on the CPU.

In: C-contiguous arrays, float32 values and int64 row numbers. Out: float64 sums, extremes and counts, written into
arrays the caller owns. Knows nothing of torch, layers or labels: the caller hands over the order of the rows and where
each segment (a class, or the tokens of one sample) starts.

Why it looks as it does. A reduction over the rows of a matrix is bound by the loads and stores of its
accumulators, so eight rows are added at a time, in tiles of up to `TILE` columns. LLVM
vectorises a loop only if it can show in at most eight run-time checks that its arrays do not overlap: hence
one accumulator array per loop, and several short loops instead of one long one. All sums are float64.
A load waits for an earlier store whose address differs by a multiple of 4,096 bytes: hence `APART`.
"""

from functools import cache
from typing import no_type_check

import numba as nb
import numpy as np

from unbend.numerics.compiled.addresses import ask, at, new_empty, new_zeros, run, run_team
from unbend.numerics.compiled.jit import entry, part

TILE = 512
LANES = 64
APART = TILE + 64
"""How far squares lie from sums: at `TILE`, 4,096 bytes, a sweep of 512 columns takes half as long again."""

_ALIGNED = 32
"""Parts of rows begin at multiples of this many columns, so that no two threads write to one line of the cache."""
_LEAST = 16_384
"""Fewer values than this are not worth a thread."""
_JOB = ["parts", "number", "n_threads", "m", "d", "n", "n_segments", "n_zeros", "n_size", "x", "z", "order"]
_JOB += ["starts", "totals", "squares", "size", "lows", "highs", "zeros", "flat"]
JOB = np.dtype([(name, np.int64) for name in _JOB])
"""Sizes and addresses of the arguments of a function that is done in parts by the threads of a team."""

SUMS = {"reassoc", "contract", "nsz", "arcp"}
# Extremes vectorise only when NaN is ruled out; a NaN shows in the sums, and the caller then takes the slow path.
_EXTREMES = {"reassoc", "nsz", "nnan"}


@part(SUMS)
@no_type_check
def _sums(acc, x, a, b, c, d, e, f, g, h, start, width):
    """Add rows a … h of one tile of `x` to `acc`: sums from 0 on, sums of squares from `APART` on."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        v0, v1, v2, v3 = np.float64(x[a, j]), np.float64(x[b, j]), np.float64(x[c, j]), np.float64(x[d, j])
        v4, v5, v6, v7 = np.float64(x[e, j]), np.float64(x[f, j]), np.float64(x[g, j]), np.float64(x[h, j])
        # A tree of sums: one load and one store of the accumulator for eight rows, and no chain of eight additions.
        acc[k] += ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))
        low = (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3)
        acc[k + APART] += low + ((v4 * v4 + v5 * v5) + (v6 * v6 + v7 * v7))


@part(SUMS)
@no_type_check
def _few_sums(acc, x, a, b, start, width):
    """The same for rows a and b, the last of a segment; for a alone, if they are the same."""
    if a == b:
        for k in range(width):
            v = np.float64(x[a, np.uint64(start) + np.uint64(k)])
            acc[k] += v
            acc[k + APART] += v * v
        return
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        v, w = np.float64(x[a, j]), np.float64(x[b, j])
        acc[k] += v + w
        acc[k + APART] += v * v + w * w


@part(_EXTREMES)
@no_type_check
def _extremes(ext, x, a, b, c, d, e, f, g, h, start, width):
    """Widen `ext`, laid out as lows | highs, by rows a … h of one tile of `x`."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        low = min(min(min(x[a, j], x[b, j]), min(x[c, j], x[d, j])), min(min(x[e, j], x[f, j]), min(x[g, j], x[h, j])))
        high = max(max(max(x[a, j], x[b, j]), max(x[c, j], x[d, j])), max(max(x[e, j], x[f, j]), max(x[g, j], x[h, j])))
        ext[k] = min(ext[k], low)
        ext[k + TILE] = max(ext[k + TILE], high)


@part(SUMS)
@no_type_check
def _zeros(count, x, a, b, c, d, e, f, g, h, start, width):
    """Count the values of rows a … h of one tile of `x` that are at most 0: zeros, of a rectifier."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        left = np.int32(x[a, j] <= 0) + np.int32(x[b, j] <= 0) + (np.int32(x[c, j] <= 0) + np.int32(x[d, j] <= 0))
        right = np.int32(x[e, j] <= 0) + np.int32(x[f, j] <= 0) + (np.int32(x[g, j] <= 0) + np.int32(x[h, j] <= 0))
        count[j] += left + right


@part(SUMS)
@no_type_check
def _few_zeros(count, x, a, start, width):
    """The same for row a."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        count[j] += np.int32(x[a, j] <= 0)


@part(SUMS)
@no_type_check
def _left_over(ext, zeros, x, rows, lo, hi):
    """Extremes and zeros, which know no segments, of rows left over: eight by eight, the last as often as needed."""
    # A row looked at twice changes no extreme, so the last eight are filled up with the last row.
    last = len(rows) - 1
    for i in range(0, len(rows), 8):
        a, b = np.uint64(rows[i]), np.uint64(rows[min(i + 1, last)])
        c, e = np.uint64(rows[min(i + 2, last)]), np.uint64(rows[min(i + 3, last)])
        f, g = np.uint64(rows[min(i + 4, last)]), np.uint64(rows[min(i + 5, last)])
        h, m = np.uint64(rows[min(i + 6, last)]), np.uint64(rows[min(i + 7, last)])
        for t in range(len(ext)):
            start, width = lo + t * TILE, min(TILE, hi - lo - t * TILE)
            _extremes(ext[t], x, a, b, c, e, f, g, h, m, start, width)
            # It would change a count, so eight are counted at once only where there are eight.
            if len(zeros) and i + 8 <= len(rows):
                _zeros(zeros, x, a, b, c, e, f, g, h, m, start, width)
    for i in range(len(rows) - len(rows) % 8 if len(zeros) else len(rows), len(rows)):
        _few_zeros(zeros, x, np.uint64(rows[i]), lo, hi - lo)


@part(set())
@no_type_check
def _no_extremes(n, width, x):
    """Lows | highs of nothing, n times."""
    ext = new_empty((n, 2 * width), x.dtype)
    for i in range(n):
        for k in range(width):
            ext[i, k], ext[i, k + width] = np.inf, -np.inf
    return ext


@part(set())
@no_type_check
def _move(out, start, acc, first, width):
    """Take `width` numbers of `acc` from `first` on over into `out` from `start` on, and begin again at 0."""
    for k in range(width):
        out[start + k] = acc[first + k]
        acc[first + k] = 0


@part(SUMS)
@no_type_check
def _add_eight(acc, ext, zeros, x, a, b, c, d, e, f, g, h, lo, hi):
    """Add eight rows of a segment, tile by tile."""
    for t in range(len(acc)):
        start, width = lo + t * TILE, min(TILE, hi - lo - t * TILE)
        _sums(acc[t], x, a, b, c, d, e, f, g, h, start, width)
        _extremes(ext[t], x, a, b, c, d, e, f, g, h, start, width)
        if len(zeros):
            _zeros(zeros, x, a, b, c, d, e, f, g, h, start, width)


@part(SUMS)
@no_type_check
def _add_two(acc, x, a, b, lo, hi):
    """Add the last two rows of a segment, or the last one twice over, to the sums."""
    for t in range(len(acc)):
        start, width = lo + t * TILE, min(TILE, hi - lo - t * TILE)
        _few_sums(acc[t], x, a, b, start, width)


@entry(SUMS)
@no_type_check
def sweep_rows(x, order, starts, totals, squares, lows, highs, zeros, team):
    """One pass over the rows of `x`, segment by segment.

    Args:
        x: values [m, d], C-contiguous float32.
        order: row numbers, segment after segment.
        starts: where each segment starts in `order` [s + 1].
        totals: out, sum of each segment [s, d].
        squares: out, sum of squares over all segments [d].
        lows: out, least value [d].
        highs: out, greatest value [d].
        zeros: out, how many values are at most 0 is added [d] (int32); of length 0 if they are not counted.
        team: threads, as `team.team` has them; the numbers do not depend on how many.
    """
    assert (x.itemsize, order.itemsize, starts.itemsize) == (4, 8, 8)  # from here on nothing is checked
    d = x.shape[1]
    parts = n_parts(len(order) * d, d // _ALIGNED, team)
    jobs = new_zeros(1, JOB)
    job = jobs[0]
    job.m, job.d, job.n, job.n_segments = x.shape[0], d, len(order), len(starts) - 1
    job.n_zeros = len(zeros)
    job.x, job.order, job.starts = x.ctypes.data, order.ctypes.data, starts.ctypes.data
    job.totals, job.squares = totals.ctypes.data, squares.ctypes.data
    job.lows, job.highs, job.zeros = lows.ctypes.data, highs.ctypes.data, zeros.ctypes.data
    share(jobs, parts, team[4], team)


@part(SUMS)
@no_type_check
def _sweep_rows(x, order, starts, totals, squares, lows, highs, zeros, lo, hi):
    """The same for columns lo … hi - 1."""
    # Only columns are divided among threads: the order in which rows are added, and so every bit, stays the same.
    n_tiles = (hi - lo + TILE - 1) // TILE
    # Accumulators of a tile lie together and stay in the nearest cache while the rows of a segment pass by.
    acc = new_zeros((n_tiles, 2 * APART), np.float64)
    ext = _no_extremes(n_tiles, TILE, x)
    rest, n_rest = new_empty(min(7 * (len(starts) - 1), len(order)), np.int64), 0
    # Phase 1: sums of each segment. Its last rows, fewer than eight, are summed now; their extremes wait in `rest`.
    for s in range(len(starts) - 1):
        end = starts[s + 1]
        whole = end - (end - starts[s]) % 8
        for i in range(starts[s], whole, 8):
            a, b, c, e = np.uint64(order[i]), np.uint64(order[i + 1]), np.uint64(order[i + 2]), np.uint64(order[i + 3])
            f, g = np.uint64(order[i + 4]), np.uint64(order[i + 5])
            h, m = np.uint64(order[i + 6]), np.uint64(order[i + 7])
            _add_eight(acc, ext, zeros, x, a, b, c, e, f, g, h, m, lo, hi)
        # With many small segments most rows come through here: by twos, since a loop over one row is bound by stores.
        for i in range(whole, end, 2):
            _add_two(acc, x, np.uint64(order[i]), np.uint64(order[min(i + 1, end - 1)]), lo, hi)
        for i in range(whole, end):
            rest[n_rest] = order[i]
            n_rest += 1
        # Totals begin again for the next segment; squares and extremes know no segments and go on.
        for t in range(n_tiles):
            start, width = lo + t * TILE, min(TILE, hi - lo - t * TILE)
            _move(totals[s], start, acc[t], 0, width)
    # Phase 2: extremes and zeros of the rows that waited, eight at a time again.
    _left_over(ext, zeros, x, rest[:n_rest], lo, hi)
    # Phase 3: what knows no segments is handed out.
    for t in range(n_tiles):
        start, width = lo + t * TILE, min(TILE, hi - lo - t * TILE)
        _move(squares, start, acc[t], APART, width)
        _move(lows, start, ext[t], 0, width)
        _move(highs, start, ext[t], TILE, width)


@part(SUMS)
@no_type_check
def _map_sums(row):
    total = 0.0
    square = 0.0
    for j in range(len(row)):
        v = np.float64(row[j])
        total += v
        square += v * v
    return total, square


@part(SUMS)
@no_type_check
def _map_zeros(row):
    count = np.int32(0)
    for j in range(len(row)):
        count += np.int32(row[np.uint64(j)] <= 0)
    return count


@part(_EXTREMES)
@no_type_check
def _lane_extremes(ext, row, start):
    for k in range(min(LANES, len(row) - start)):
        v = row[np.uint64(start) + np.uint64(k)]
        ext[k] = min(ext[k], v)
        ext[k + LANES] = max(ext[k + LANES], v)


@part(_EXTREMES)
@no_type_check
def _quad_extremes(ext, row, start):
    for k in range(LANES):
        j = np.uint64(start) + np.uint64(k)
        a, b = row[j], row[j + np.uint64(LANES)]
        c, d = row[j + np.uint64(2 * LANES)], row[j + np.uint64(3 * LANES)]
        ext[k] = min(ext[k], min(min(a, b), min(c, d)))
        ext[k + LANES] = max(ext[k + LANES], max(max(a, b), max(c, d)))


@entry(SUMS)
@no_type_check
def sweep_maps(x, totals, squares, lows, highs, zeros, team):
    """One pass over feature maps.

    The extremes are kept in `LANES` lanes per channel: a minimum along one row would not vectorise.

    Args:
        x: values [n, c, p], C-contiguous float32.
        totals: out, sum over positions [n, c].
        squares: out, sum of squares over positions [n, c].
        lows: out, least value of each channel [c].
        highs: out, greatest value of each channel [c].
        zeros: out, how many values are at most 0 [c] (int32); of length 0 if they are not counted.
        team: threads, as `team.team` has them; the numbers do not depend on how many.
    """
    assert x.itemsize == 4  # from here on nothing is checked
    n, c, p = x.shape
    parts = n_parts(n * c * p, c, team)
    jobs = new_zeros(1, JOB)
    job = jobs[0]
    job.m, job.d, job.n, job.n_zeros = n, c, p, len(zeros)
    job.x, job.totals, job.squares = x.ctypes.data, totals.ctypes.data, squares.ctypes.data
    job.lows, job.highs, job.zeros = lows.ctypes.data, highs.ctypes.data, zeros.ctypes.data
    share(jobs, parts, team[5], team)


@part(SUMS)
@no_type_check
def _sweep_maps(x, totals, squares, lows, highs, zeros, lo, hi):
    """The same for channels lo … hi - 1."""
    n, _, p = x.shape
    n_quads = p // (4 * LANES)
    ext = _no_extremes(hi - lo, LANES, x)
    for i in range(n):
        for u in range(lo, hi):
            row = x[i, u]
            # Four vectors a turn: the minimum of two waits for nothing, that of an accumulator for the turn before.
            for q in range(n_quads):
                _quad_extremes(ext[u - lo], row, 4 * q * LANES)
            for start in range(4 * n_quads * LANES, p, LANES):
                _lane_extremes(ext[u - lo], row, start)
            totals[i, u], squares[i, u] = _map_sums(row)
            # The row, just read, is still in the nearest cache.
            if len(zeros):
                zeros[u] += _map_zeros(row)
    # The lanes of a channel are one channel.
    for u in range(lo, hi):
        lows[u], highs[u] = np.inf, -np.inf
        for k in range(LANES):
            lows[u], highs[u] = min(lows[u], ext[u - lo, k]), max(highs[u], ext[u - lo, k + LANES])


@part(SUMS)
@no_type_check
def _between(count, x, low, high, a, b, c, d, start, end):
    """Count the values of rows a … d of `x` that lie in [low, high]."""
    for k in range(start, end):
        j = np.uint64(k)
        p, q, r, s = x[a, j], x[b, j], x[c, j], x[d, j]
        left = np.int32((p >= low) & (p <= high)) + np.int32((q >= low) & (q <= high))
        count[j] += left + (np.int32((r >= low) & (r <= high)) + np.int32((s >= low) & (s <= high)))


@part(SUMS)
@no_type_check
def _sizes(total, x, a, b, c, d, start, end):
    for k in range(start, end):
        j = np.uint64(k)
        low = np.float64(abs(x[a, j])) + np.float64(abs(x[b, j]))
        total[j] += low + (np.float64(abs(x[c, j])) + np.float64(abs(x[d, j])))


@part(SUMS)
@no_type_check
def _judge_row(x, z, a, edges, zeros, flat, size, lo, hi):
    for k in range(lo, hi):
        zeros[k] += 1 if x[a, k] == 0 else 0
        flat[k] += 1 if z[a, k] <= edges[0] or z[a, k] >= edges[1] else 0
    for k in range(lo, hi if len(size) else lo):
        size[k] += abs(np.float64(x[a, k]))


@entry(SUMS)
@no_type_check
def judge(x, z, rows, edges, zeros, flat, size, team):
    """Count and measure the chosen rows of an activation's output, column by column.

    Args:
        x: values [m, d], C-contiguous float32.
        z: what the edges are about: `x` itself, or the activation's input [m, d], C-contiguous.
        rows: the rows that count.
        edges: values at or below the first and at or above the second are flat; infinite for none [2] (float32).
        zeros: out, how many values are 0 is added [d] (int32).
        flat: out, how many are flat is added [d] (int32).
        size: out, Σ|x| is added [d]; of length 0 if it is not wanted.
        team: threads, as `team.team` has them; the numbers do not depend on how many.
    """
    assert (x.itemsize, z.itemsize, rows.itemsize, edges.itemsize) == (4, 4, 8, 4)  # as above
    d = x.shape[1]
    parts = n_parts(len(rows) * d, d // _ALIGNED, team)
    jobs = new_zeros(1, JOB)
    job = jobs[0]
    job.m, job.d, job.n, job.n_size = x.shape[0], d, len(rows), len(size)
    job.x, job.z, job.order, job.starts = x.ctypes.data, z.ctypes.data, rows.ctypes.data, edges.ctypes.data
    job.zeros, job.flat, job.size = zeros.ctypes.data, flat.ctypes.data, size.ctypes.data
    share(jobs, parts, team[6], team)


@part(SUMS)
@no_type_check
def _judge(x, z, rows, edges, zeros, flat, size, lo, hi):
    """The same for columns lo … hi - 1."""
    zero, most = np.float32(0), np.float32(np.inf)
    whole = len(rows) - len(rows) % 4
    for i in range(0, whole, 4):
        a, b, c, d = np.uint64(rows[i]), np.uint64(rows[i + 1]), np.uint64(rows[i + 2]), np.uint64(rows[i + 3])
        # Each question is a loop of its own: with two counts in one LLVM cannot show that they do not overlap.
        _between(zeros, x, zero, zero, a, b, c, d, lo, hi)
        if edges[0] > -most:
            _between(flat, z, -most, edges[0], a, b, c, d, lo, hi)
        if edges[1] < most:
            _between(flat, z, edges[1], most, a, b, c, d, lo, hi)
        if len(size):
            _sizes(size, x, a, b, c, d, lo, hi)
    for i in range(whole, len(rows)):
        _judge_row(x, z, np.uint64(rows[i]), edges, zeros, flat, size, lo, hi)


@entry(SUMS)
@no_type_check
def group(label, n_classes):
    """Positions of each class in turn [n], and where each class starts [k + 1]; no positions if a label is no class."""
    # A counting sort: how many of each class, then where each starts, then each to its place, in the order seen.
    starts = new_zeros(n_classes + 1, np.int64)
    for i in range(len(label)):
        if label[i] < 0 or label[i] >= n_classes:
            return new_zeros(0, np.int64), starts
        starts[label[i] + 1] += 1
    for c in range(n_classes):
        starts[c + 1] += starts[c]
    order, end = new_empty(len(label), np.int64), starts[:-1].copy()
    for i in range(len(label)):
        order[end[label[i]]] = i
        end[label[i]] += 1
    return order, starts


@entry(SUMS)
@no_type_check
def mix(ids, shift):
    """SplitMix64 of `ids` [n], each with `shift` added to it first."""
    out = new_empty(len(ids), np.uint64)
    for i in range(len(ids)):
        z = np.uint64(ids[i]) + shift
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out[i] = z ^ (z >> np.uint64(31))
    return out


@part(set())
@no_type_check
def n_parts(n_values, most, team):
    """Into how many parts work is worth dividing."""
    # Zero or one part is the caller's own thread, which wakes nobody.
    return min(team[0], most, n_values // _LEAST)


@part(set())
@no_type_check
def share(jobs, parts, part, team):
    """Do a job in parts, on the threads of the team, or at once."""
    jobs[0].parts, jobs[0].number, jobs[0].n_threads = max(parts, 1), team[2], team[3]
    if parts > 1:
        run_team(team[1], part, jobs.ctypes.data, parts)
    else:
        run(part, jobs.ctypes.data)


@part(set())
@no_type_check
def own_parts(job):
    """The first of this thread's parts, and how far it is to the next; all of them, if it is the only thread."""
    # OpenMP may give fewer threads than were asked for, so each does every n-th part and none is left out.
    return (ask(job.number), ask(job.n_threads)) if job.parts > 1 else (0, 1)


@part(set())
@no_type_check
def begins(job, i):
    """The column at which a part begins."""
    return job.d if i == job.parts else job.d * i // job.parts // _ALIGNED * _ALIGNED


# These three are called by their addresses only: what is compiled into each of its callers is compiled over and over.
@no_type_check
def _do_rows(place):
    job = at(place, (1,), JOB)[0]
    d, k = job.d, job.n_segments
    x, order = at(job.x, (job.m, d), np.float32), at(job.order, (job.n,), np.int64)
    starts, zeros = at(job.starts, (k + 1,), np.int64), at(job.zeros, (job.n_zeros,), np.int32)
    totals, squares = at(job.totals, (k, d), np.float64), at(job.squares, (d,), np.float64)
    lows, highs = at(job.lows, (d,), np.float32), at(job.highs, (d,), np.float32)
    first, step = own_parts(job)
    for i in range(first, job.parts, step):
        lo, hi = begins(job, i), begins(job, i + 1)
        _sweep_rows(x, order, starts, totals, squares, lows, highs, zeros, lo, hi)


@no_type_check
def _do_maps(place):
    job = at(place, (1,), JOB)[0]
    x, c = at(job.x, (job.m, job.d, job.n), np.float32), job.d
    totals, squares = at(job.totals, (job.m, c), np.float64), at(job.squares, (job.m, c), np.float64)
    lows, highs = at(job.lows, (c,), np.float32), at(job.highs, (c,), np.float32)
    zeros = at(job.zeros, (job.n_zeros,), np.int32)
    first, step = own_parts(job)
    for i in range(first, job.parts, step):
        _sweep_maps(x, totals, squares, lows, highs, zeros, c * i // job.parts, c * (i + 1) // job.parts)


@no_type_check
def _do_judge(place):
    job = at(place, (1,), JOB)[0]
    d = job.d
    x, z = at(job.x, (job.m, d), np.float32), at(job.z, (job.m, d), np.float32)
    rows, edges = at(job.order, (job.n,), np.int64), at(job.starts, (2,), np.float32)
    zeros, flat = at(job.zeros, (d,), np.int32), at(job.flat, (d,), np.int32)
    size = at(job.size, (job.n_size,), np.float64)
    first, step = own_parts(job)
    for i in range(first, job.parts, step):
        _judge(x, z, rows, edges, zeros, flat, size, begins(job, i), begins(job, i + 1))


@cache
def _compile(do):
    return nb.cfunc(nb.types.void(nb.types.intp), cache=True)(do)


def parts(*, maps: bool) -> list[int]:
    """Addresses of the functions that do a thread's parts of a `JOB`: of `sweep_rows`, `sweep_maps` and `judge`.

    Those of maps, which few networks have, are compiled where they are asked for; else theirs is 0.
    """
    return [_compile(do).address or 0 if maps or do is not _do_maps else 0 for do in (_do_rows, _do_maps, _do_judge)]
