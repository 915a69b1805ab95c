"""Compiled single-pass reductions over one activation tensor on the CPU.

In: C-contiguous float32 or float64 arrays. Out: float64 sums, extremes and counts, written into arrays the
caller owns. Knows nothing of torch, layers or labels: the caller hands over the order of the rows and where
each segment (a class, or the tokens of one sample) starts.

Why it looks as it does. A reduction over the rows of a matrix is bound by the loads and stores of its
accumulators, so eight rows are added at a time, in tiles of up to `TILE` columns. LLVM
vectorises a loop only if it can show in at most eight run-time checks that its arrays do not overlap: hence
one accumulator array per loop, and several short loops instead of one long one. All sums are float64.
A load waits for an earlier store whose address differs by a multiple of 4,096 bytes: hence `APART`.
"""

# ruff: noqa: PLW3301 (nested min and max are trees: a flat one would be a chain of dependent operations)

from typing import no_type_check

import numba as nb
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

TILE = 512
LANES = 64
APART = TILE + 64
"""How far squares lie from sums: at `TILE`, 4,096 bytes, a sweep of 512 columns takes half as long again."""

_LAYER = [
    "width",
    "n_segments",
    "is_bent",
    "sums",
    "ends",
    "counts",
    "seen",
    "room",
    "out",
    "out_ids",
    "waits",
    "after",
]
LAYER = np.dtype([("flat", np.float64), *((name, np.int64) for name in _LAYER)])
"""Sizes and addresses of what is held of a layer, found of a batch, and put aside.

`flat`: from where on an activation is flat above. `is_bent`: it is one that is never negative. Of two parts each, held
and found: `sums`, totals of each segment and squares [2, s + 1, d]; `ends`, lows and highs [2, 2, d] float32; `counts`,
zeros and values at or above `flat` [2, 2, d]; `seen`, rows of each segment [2, s]. `out` [room, d] float32 and
`out_ids` [room]: where rows are put. `waits`: what was found is to be added. `after`: address of the `LAYER` of the
ReLU that it feeds; 0 for none.
"""
_BATCH = ["n", "n_segments", "order", "starts", "ids", "n_chosen", "chosen", "places"]
BATCH = np.dtype([(name, np.int64) for name in _BATCH])
"""Sizes and addresses of what all layers share of a batch, as `Segments` and `put` have it."""

_SUMS = {"reassoc", "contract", "nsz", "arcp"}
# Extremes vectorise only when NaN is ruled out; a NaN shows in the sums, and the caller then takes the slow path.
_EXTREMES = {"reassoc", "nsz", "nnan"}


def _compiled(flags):  # noqa: ANN001, ANN202
    return nb.njit(cache=True, nogil=True, fastmath=flags, error_model="numpy")


@_compiled(_SUMS)
@no_type_check
def _sums(acc, x, a, b, c, d, e, f, g, h, start, width):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Add rows a … h of one tile of `x` to `acc`: sums from 0 on, sums of squares from `APART` on."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        v0, v1, v2, v3 = np.float64(x[a, j]), np.float64(x[b, j]), np.float64(x[c, j]), np.float64(x[d, j])
        v4, v5, v6, v7 = np.float64(x[e, j]), np.float64(x[f, j]), np.float64(x[g, j]), np.float64(x[h, j])
        acc[k] += ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))
        low = (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3)
        acc[k + APART] += low + ((v4 * v4 + v5 * v5) + (v6 * v6 + v7 * v7))


@_compiled(_SUMS)
@no_type_check
def _few_sums(acc, x, a, b, start, width):  # noqa: ANN001, ANN202
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


@_compiled(_SUMS)
@no_type_check
def _both_sums(acc, x, a, b, c, d, e, f, g, h, start, width):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """The same for rows a … h and for what ReLU makes of them: the latter's sums follow from 2·`APART` on."""
    z = 0.0
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        v0, v1, v2, v3 = np.float64(x[a, j]), np.float64(x[b, j]), np.float64(x[c, j]), np.float64(x[d, j])
        v4, v5, v6, v7 = np.float64(x[e, j]), np.float64(x[f, j]), np.float64(x[g, j]), np.float64(x[h, j])
        acc[k] += ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))
        low = (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3)
        acc[k + APART] += low + ((v4 * v4 + v5 * v5) + (v6 * v6 + v7 * v7))
        v0, v1, v2, v3 = max(v0, z), max(v1, z), max(v2, z), max(v3, z)
        v4, v5, v6, v7 = max(v4, z), max(v5, z), max(v6, z), max(v7, z)
        acc[k + 2 * APART] += ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))
        low = (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3)
        acc[k + 3 * APART] += low + ((v4 * v4 + v5 * v5) + (v6 * v6 + v7 * v7))


@_compiled(_SUMS)
@no_type_check
def _few_both_sums(acc, x, a, b, start, width):  # noqa: ANN001, ANN202
    """The same for rows a and b; for a alone, if they are the same."""
    once = 0.0 if a == b else 1.0
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        v, w = np.float64(x[a, j]), once * np.float64(x[b, j])
        acc[k] += v + w
        acc[k + APART] += v * v + w * w
        v, w = max(v, 0.0), max(w, 0.0)
        acc[k + 2 * APART] += v + w
        acc[k + 3 * APART] += v * v + w * w


@_compiled(_EXTREMES)
@no_type_check
def _extremes(ext, x, a, b, c, d, e, f, g, h, start, width):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Widen `ext`, laid out as lows | highs, by rows a … h of one tile of `x`."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        low = min(min(min(x[a, j], x[b, j]), min(x[c, j], x[d, j])), min(min(x[e, j], x[f, j]), min(x[g, j], x[h, j])))
        high = max(max(max(x[a, j], x[b, j]), max(x[c, j], x[d, j])), max(max(x[e, j], x[f, j]), max(x[g, j], x[h, j])))
        ext[k] = min(ext[k], low)
        ext[k + TILE] = max(ext[k + TILE], high)


@_compiled(_SUMS)
@no_type_check
def _zeros(count, x, a, b, c, d, e, f, g, h, start, width):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Count the values of rows a … h of one tile of `x` that are at most 0: the zeros of an activation, or of ReLU."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        left = np.int32(x[a, j] <= 0) + np.int32(x[b, j] <= 0) + (np.int32(x[c, j] <= 0) + np.int32(x[d, j] <= 0))
        right = np.int32(x[e, j] <= 0) + np.int32(x[f, j] <= 0) + (np.int32(x[g, j] <= 0) + np.int32(x[h, j] <= 0))
        count[j] += left + right


@_compiled(_SUMS)
@no_type_check
def _few_zeros(count, x, a):  # noqa: ANN001, ANN202
    """The same for row a."""
    for k in range(len(count)):
        count[k] += np.int32(x[a, np.uint64(k)] <= 0)


@_compiled(_SUMS)
@no_type_check
def _left_over(ext, zeros, x, rows):  # noqa: ANN001, ANN202
    """Extremes and zeros, which know no segments, of rows left over: eight by eight, the last as often as needed."""
    d, last = x.shape[1], len(rows) - 1
    for i in range(0, len(rows), 8):
        a, b = np.uint64(rows[i]), np.uint64(rows[min(i + 1, last)])
        c, e = np.uint64(rows[min(i + 2, last)]), np.uint64(rows[min(i + 3, last)])
        f, g = np.uint64(rows[min(i + 4, last)]), np.uint64(rows[min(i + 5, last)])
        h, m = np.uint64(rows[min(i + 6, last)]), np.uint64(rows[min(i + 7, last)])
        for t in range(len(ext)):
            start, width = t * TILE, min(TILE, d - t * TILE)
            _extremes(ext[t], x, a, b, c, e, f, g, h, m, start, width)
            if len(zeros) and i + 8 <= len(rows):
                _zeros(zeros, x, a, b, c, e, f, g, h, m, start, width)
    for i in range(len(rows) - len(rows) % 8 if len(zeros) else len(rows), len(rows)):
        _few_zeros(zeros, x, np.uint64(rows[i]))


@_compiled(_SUMS)
@no_type_check
def _add_eight(acc, ext, zeros, x, a, b, c, d, e, f, g, h, both):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Add eight rows of a segment, tile by tile."""
    for t in range(len(acc)):
        start, width = t * TILE, min(TILE, x.shape[1] - t * TILE)
        if both:
            _both_sums(acc[t], x, a, b, c, d, e, f, g, h, start, width)
        else:
            _sums(acc[t], x, a, b, c, d, e, f, g, h, start, width)
        _extremes(ext[t], x, a, b, c, d, e, f, g, h, start, width)
        if len(zeros):
            _zeros(zeros, x, a, b, c, d, e, f, g, h, start, width)


@_compiled(_SUMS)
@no_type_check
def _add_two(acc, x, a, b, both):  # noqa: ANN001, ANN202
    """Add the last two rows of a segment, or the last one twice over, to the sums."""
    for t in range(len(acc)):
        start, width = t * TILE, min(TILE, x.shape[1] - t * TILE)
        if both:
            _few_both_sums(acc[t], x, a, b, start, width)
        else:
            _few_sums(acc[t], x, a, b, start, width)


@_compiled(_SUMS)
@no_type_check
def sweep_rows(x, order, starts, totals, squares, lows, highs, zeros, bent):  # noqa: ANN001, ANN201
    """One pass over the rows of `x`, segment by segment.

    Args:
        x: values [m, d], C-contiguous.
        order: row numbers, segment after segment.
        starts: where each segment starts in `order` [s + 1].
        totals: out, sum of each segment [s, d].
        squares: out, sum of squares over all segments [d].
        lows: out, least value [d].
        highs: out, greatest value [d].
        zeros: out, how many values are at most 0 is added [d] (int32); of length 0 if they are not counted.
        bent: out, totals and squares of what ReLU makes of `x` [s + 1, d]; of length 0 if they are not wanted.
    """
    d = x.shape[1]
    n_tiles = (d + TILE - 1) // TILE
    both = len(bent) > 0
    acc = np.zeros((n_tiles, (4 if both else 2) * APART))
    ext = np.empty((n_tiles, 2 * TILE), x.dtype)
    ext[:, :TILE] = np.inf
    ext[:, TILE:] = -np.inf
    rest, n_rest = np.empty(min(7 * (len(starts) - 1), len(order)), np.int64), 0
    for s in range(len(starts) - 1):
        end = starts[s + 1]
        whole = end - (end - starts[s]) % 8
        for i in range(starts[s], whole, 8):
            a, b, c, e = np.uint64(order[i]), np.uint64(order[i + 1]), np.uint64(order[i + 2]), np.uint64(order[i + 3])
            f, g = np.uint64(order[i + 4]), np.uint64(order[i + 5])
            h, m = np.uint64(order[i + 6]), np.uint64(order[i + 7])
            _add_eight(acc, ext, zeros, x, a, b, c, e, f, g, h, m, both)
        for i in range(whole, end, 2):
            _add_two(acc, x, np.uint64(order[i]), np.uint64(order[min(i + 1, end - 1)]), both)
        for i in range(whole, end):
            rest[n_rest] = order[i]
            n_rest += 1
        for t in range(n_tiles):
            start, width = t * TILE, min(TILE, d - t * TILE)
            totals[s, start : start + width] = acc[t, :width]
            acc[t, :width] = 0.0
            if both:
                bent[s, start : start + width] = acc[t, 2 * APART : 2 * APART + width]
                acc[t, 2 * APART : 2 * APART + width] = 0.0
    _left_over(ext, zeros, x, rest[:n_rest])
    for t in range(n_tiles):
        start, width = t * TILE, min(TILE, d - t * TILE)
        squares[start : start + width] = acc[t, APART : APART + width]
        lows[start : start + width] = ext[t, :width]
        highs[start : start + width] = ext[t, TILE : TILE + width]
        if both:
            bent[-1, start : start + width] = acc[t, 3 * APART : 3 * APART + width]


@_compiled(_SUMS)
@no_type_check
def _map_sums(row):  # noqa: ANN001, ANN202
    total = 0.0
    square = 0.0
    for j in range(len(row)):
        v = np.float64(row[j])
        total += v
        square += v * v
    return total, square


@_compiled(_EXTREMES)
@no_type_check
def _lane_extremes(ext, row, start):  # noqa: ANN001, ANN202
    for k in range(min(LANES, len(row) - start)):
        v = row[np.uint64(start) + np.uint64(k)]
        ext[k] = min(ext[k], v)
        ext[k + LANES] = max(ext[k + LANES], v)


@_compiled(_EXTREMES)
@no_type_check
def _quad_extremes(ext, row, start):  # noqa: ANN001, ANN202
    for k in range(LANES):
        j = np.uint64(start) + np.uint64(k)
        a, b = row[j], row[j + np.uint64(LANES)]
        c, d = row[j + np.uint64(2 * LANES)], row[j + np.uint64(3 * LANES)]
        ext[k] = min(ext[k], min(min(a, b), min(c, d)))
        ext[k + LANES] = max(ext[k + LANES], max(max(a, b), max(c, d)))


@_compiled(_SUMS)
@no_type_check
def sweep_maps(x, totals, squares, lows, highs):  # noqa: ANN001, ANN201
    """One pass over feature maps.

    The extremes are kept in `LANES` lanes per channel: a minimum along one row would not vectorise.

    Args:
        x: values [n, c, p], C-contiguous.
        totals: out, sum over positions [n, c].
        squares: out, sum of squares over positions [n, c].
        lows: out, least value of each channel [c].
        highs: out, greatest value of each channel [c].
    """
    n, c, p = x.shape
    n_quads = p // (4 * LANES)
    ext = np.empty((c, 2 * LANES), x.dtype)
    for u in range(c):
        for k in range(LANES):
            ext[u, k] = np.inf
            ext[u, k + LANES] = -np.inf
    for i in range(n):
        for u in range(c):
            row = x[i, u]
            for q in range(n_quads):
                _quad_extremes(ext[u], row, 4 * q * LANES)
            for start in range(4 * n_quads * LANES, p, LANES):
                _lane_extremes(ext[u], row, start)
            totals[i, u], squares[i, u] = _map_sums(row)
    for u in range(c):
        lows[u] = ext[u, :LANES].min()
        highs[u] = ext[u, LANES:].max()


@_compiled(_SUMS)
@no_type_check
def _between(count, x, low, high, a, b, c, d):  # noqa: ANN001, ANN202
    """Count the values of rows a … d of `x` that lie in [low, high]."""
    for k in range(len(count)):
        j = np.uint64(k)
        p, q, r, s = x[a, j], x[b, j], x[c, j], x[d, j]
        left = np.int32((p >= low) & (p <= high)) + np.int32((q >= low) & (q <= high))
        count[k] += left + (np.int32((r >= low) & (r <= high)) + np.int32((s >= low) & (s <= high)))


@_compiled(_SUMS)
@no_type_check
def _sizes(total, x, a, b, c, d):  # noqa: ANN001, ANN202
    for k in range(len(total)):
        j = np.uint64(k)
        low = np.float64(abs(x[a, j])) + np.float64(abs(x[b, j]))
        total[k] += low + (np.float64(abs(x[c, j])) + np.float64(abs(x[d, j])))


@_compiled(_SUMS)
@no_type_check
def _judge_row(x, z, a, edges, zeros, flat, size):  # noqa: ANN001, ANN202
    for k in range(x.shape[1]):
        zeros[k] += 1 if x[a, k] == 0 else 0
        flat[k] += 1 if z[a, k] <= edges[0] or z[a, k] >= edges[1] else 0
    for k in range(len(size)):
        size[k] += abs(np.float64(x[a, k]))


@_compiled(_SUMS)
@no_type_check
def judge(x, z, rows, edges, zeros, flat, size):  # noqa: ANN001, ANN201
    """Count and measure the chosen rows of an activation's output, column by column.

    Args:
        x: values [m, d], C-contiguous.
        z: what the edges are about: `x` itself, or the activation's input [m, d], C-contiguous.
        rows: the rows that count.
        edges: values at or below the first and at or above the second are flat; infinite for none.
        zeros: out, how many values are 0 is added [d] (int32).
        flat: out, how many are flat is added [d] (int32).
        size: out, Σ|x| is added [d]; of length 0 if it is not wanted.
    """
    zero, most = np.float32(0), np.float32(np.inf)
    whole = len(rows) - len(rows) % 4
    for i in range(0, whole, 4):
        a, b, c, d = np.uint64(rows[i]), np.uint64(rows[i + 1]), np.uint64(rows[i + 2]), np.uint64(rows[i + 3])
        _between(zeros, x, zero, zero, a, b, c, d)
        if edges[0] > -most:
            _between(flat, z, -most, edges[0], a, b, c, d)
        if edges[1] < most:
            _between(flat, z, edges[1], most, a, b, c, d)
        if len(size):
            _sizes(size, x, a, b, c, d)
    for i in range(whole, len(rows)):
        _judge_row(x, z, np.uint64(rows[i]), edges, zeros, flat, size)


@_compiled(set())
@no_type_check
def put(x, ids, chosen, places, out, out_ids):  # noqa: ANN001, ANN201
    """Write the chosen rows of `x` [n, d] and their `ids` to their places in `out` and `out_ids`."""
    for i in range(len(chosen)):
        a, b = np.uint64(chosen[i]), np.uint64(places[i])
        out_ids[b] = ids[a]
        for k in range(x.shape[1]):
            out[b, np.uint64(k)] = x[a, np.uint64(k)]


@_compiled(_SUMS)
@no_type_check
def _may_add(squares, lows, is_bent):  # noqa: ANN001, ANN202
    whole = 0.0
    for j in range(len(squares)):
        whole += squares[j]
        if lows[j] < 0 and is_bent:
            return False
    return whole < np.inf


@intrinsic
@no_type_check
def _address(_context, number):  # noqa: ANN001, ANN202
    """An integer taken for an address."""

    def made(_context, builder, _signature, arguments):  # noqa: ANN001, ANN202
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return nb.types.voidptr(number), made


@_compiled(set())
@no_type_check
def _at(address, shape, kind):  # noqa: ANN001, ANN202
    """The array at an address."""
    return nb.carray(_address(address), shape, kind)


@_compiled(_SUMS)
@no_type_check
def settle(layer):  # noqa: ANN001, ANN201
    """Add what was found in a batch to what is held, of the `LAYER` at this address."""
    of = _at(layer, (1,), LAYER)[0]
    d, k = of.width, of.n_segments
    sums = _at(of.sums, (2, k + 1, d), np.float64)
    ends = _at(of.ends, (2, 2, d), np.float32)
    counts = _at(of.counts, (2, 2, d), np.int64)
    seen = _at(of.seen, (2, k), np.int64)
    for s in range(k):
        seen[0, s] += seen[1, s]
    for s in range(k + 1):
        for j in range(d):
            sums[0, s, j] += sums[1, s, j]
    for j in range(d):
        ends[0, 0, j] = min(ends[0, 0, j], ends[1, 0, j])
        ends[0, 1, j] = max(ends[0, 1, j], ends[1, 1, j])
    for i in range(2 if of.is_bent else 0):
        for j in range(d):
            counts[0, i, j] += counts[1, i, j]
    _at(layer, (1,), LAYER)[0].waits = 0


@_compiled(_SUMS)
@no_type_check
def _find(x, order, starts, layer, after):  # noqa: ANN001, ANN202
    """Sums, extremes and counts of a batch, of one layer, and of the ReLU after it (0 for none)."""
    of = _at(layer, (1,), LAYER)[0]
    d, k = of.width, of.n_segments
    sums = _at(of.sums, (2, k + 1, d), np.float64)[1]
    ends = _at(of.ends, (2, 2, d), np.float32)[1]
    zeros = np.zeros(d if of.is_bent or after else 0, np.int32)
    if not after:
        sweep_rows(x, order, starts, sums[:k], sums[k], ends[0], ends[1], zeros, sums[:0])
        _count(x, order, starts, layer, zeros)
        return _may_add(sums[k], ends[0], of.is_bent)
    bent = _at(after, (1,), LAYER)[0]
    bent_sums = _at(bent.sums, (2, k + 1, d), np.float64)[1]
    bent_ends = _at(bent.ends, (2, 2, d), np.float32)[1]
    sweep_rows(x, order, starts, sums[:k], sums[k], ends[0], ends[1], zeros, bent_sums)
    for j in range(d):
        bent_ends[0, j], bent_ends[1, j] = max(ends[0, j], np.float32(0)), max(ends[1, j], np.float32(0))
    _count(x, order, starts, layer, zeros[:0])
    _count(x, order, starts, after, zeros)
    return _may_add(sums[k], ends[0], False)


@_compiled(_SUMS)
@no_type_check
def _count(x, order, starts, layer, zeros):  # noqa: ANN001, ANN202
    """Enter the rows of each segment, zeros, and values where an activation is flat above."""
    of = _at(layer, (1,), LAYER)[0]
    seen = _at(of.seen, (2, of.n_segments), np.int64)[1]
    for s in range(len(seen)):
        seen[s] = starts[s + 1] - starts[s]
    if not of.is_bent:
        return
    counts = _at(of.counts, (2, 2, of.width), np.int64)[1]
    high = np.zeros(of.width, np.int32)
    if of.flat < np.inf:
        judge(x, x, order, np.array([-np.inf, of.flat], np.float32), np.zeros(of.width, np.int32), high, np.zeros(0))
    for j in range(of.width):
        counts[0, j], counts[1, j] = zeros[j], high[j]


@_compiled(_SUMS)
@no_type_check
def run_at(values, layer, batch):  # noqa: ANN001, ANN201
    """Sweep a batch and add it to what is held of a layer; False, with nothing added, if that may not be.

    It may not be if a value is not finite, or if an activation, which is flat below 0, is negative. Rows that have a
    place are put there even then. Of a layer that feeds a ReLU both are swept at once; what was found of the ReLU is
    added only when its table says that it `waits`, before anything else is found, and its rows have no numbers yet.

    Args:
        values: address of x [n, d], C-contiguous float32, for the n of the batch and the d of the layer.
        layer: address of the `LAYER`, whose arrays must still be there.
        batch: address of the `BATCH`.
    """
    of, now = _at(layer, (1,), LAYER)[0], _at(batch, (1,), BATCH)[0]
    if of.n_segments != now.n_segments:
        return False
    x = _at(values, (now.n, of.width), np.float32)
    order = _at(now.order, (now.n,), np.int64)
    starts = _at(now.starts, (now.n_segments + 1,), np.int64)
    _put_at(x, layer, batch, False)
    if of.waits:
        settle(layer)
    if of.after:
        _put_at(x, of.after, batch, True)
        if _at(of.after, (1,), LAYER)[0].waits:
            settle(of.after)
    may = _find(x, order, starts, layer, of.after)
    if may:
        settle(layer)
    return may


@_compiled(set())
@no_type_check
def _put_at(x, layer, batch, bent):  # noqa: ANN001, ANN202
    """Put the rows of a batch that have a place, and their numbers; or what ReLU makes of them, without numbers."""
    of, now = _at(layer, (1,), LAYER)[0], _at(batch, (1,), BATCH)[0]
    if not of.room:
        return
    chosen, places = _at(now.chosen, (now.n_chosen,), np.int64), _at(now.places, (now.n_chosen,), np.int64)
    out = _at(of.out, (of.room, of.width), np.float32)
    if not bent:
        put(x, _at(now.ids, (now.n,), np.int64), chosen, places, out, _at(of.out_ids, (of.room,), np.int64))
        return
    for i in range(len(chosen)):
        a, b = np.uint64(chosen[i]), np.uint64(places[i])
        for k in range(x.shape[1]):
            out[b, np.uint64(k)] = max(x[a, np.uint64(k)], np.float32(0))


@_compiled(set())
@no_type_check
def batch_table(order, starts, ids, chosen, places):  # noqa: ANN001, ANN201
    """The `BATCH` of these arrays [1], and its address."""
    table = np.empty(1, BATCH)
    of = table[0]
    of.n, of.n_segments, of.n_chosen = len(order), len(starts) - 1, len(chosen)
    of.order, of.starts, of.ids = order.ctypes.data, starts.ctypes.data, ids.ctypes.data
    of.chosen, of.places = chosen.ctypes.data, places.ctypes.data
    return table, table.ctypes.data


@_compiled(_SUMS)
@no_type_check
def _centred_row(out, x, i, a, pivot):  # noqa: ANN001, ANN202
    for k in range(len(pivot)):
        j = np.uint64(k)
        out[i, j] = np.float64(x[a, j]) - pivot[j]


@_compiled(_SUMS)
@no_type_check
def _row_sum(x, i):  # noqa: ANN001, ANN202
    total = 0.0
    for k in range(x.shape[1]):
        total += x[i, np.uint64(k)]
    return total


@_compiled(_SUMS)
@no_type_check
def _add_row(out, x, a):  # noqa: ANN001, ANN202
    for k in range(len(out)):
        out[k] += np.float64(x[a, np.uint64(k)])


@_compiled(_SUMS)
@no_type_check
def mean_of(x, chosen):  # noqa: ANN001, ANN201
    """Mean of the chosen rows of `x` [n, d], float64 [d]."""
    mean = np.zeros(x.shape[1])
    for i in range(len(chosen)):
        _add_row(mean, x, np.uint64(chosen[i]))
    return mean / len(chosen)


@_compiled(set())
@no_type_check
def mirror(a):  # noqa: ANN001, ANN201
    """Copy the upper triangle of `a` [d, d] to the lower one, in squares that stay in the cache."""
    d = a.shape[0]
    for i in range(0, d, 32):
        for j in range(i, d, 32):
            for r in range(i, min(i + 32, d)):
                for c in range(max(j, r + 1), min(j + 32, d)):
                    a[c, r] = a[r, c]


@_compiled(_SUMS)
@no_type_check
def collect(x, y, chosen, pivot, y_pivot, room, y_room, fill):  # noqa: ANN001, ANN201
    """Put the chosen rows of `x` [n, d] - `pivot` and targets `y` [m, t] - `y_pivot` into their rooms from `fill` on.

    Returns the sum of the rows: finite only if all of them are.
    """
    total = 0.0
    for i in range(len(chosen)):
        at = np.uint64(fill + i)
        _centred_row(room, x, at, np.uint64(chosen[i]), pivot)
        _centred_row(y_room, y, at, np.uint64(i), y_pivot)
        total += _row_sum(room, at)
    return total


@_compiled(_SUMS)
@no_type_check
def grouped(label, n_classes):  # noqa: ANN001, ANN201
    """Positions of each class in turn [n], and where each class starts [k + 1]; no positions if a label is no class."""
    starts = np.zeros(n_classes + 1, np.int64)
    for i in range(len(label)):
        if label[i] < 0 or label[i] >= n_classes:
            return np.zeros(0, np.int64), starts
        starts[label[i] + 1] += 1
    for c in range(n_classes):
        starts[c + 1] += starts[c]
    order, end = np.empty(len(label), np.int64), starts[:-1].copy()
    for i in range(len(label)):
        order[end[label[i]]] = i
        end[label[i]] += 1
    return order, starts


@_compiled(_SUMS)
@no_type_check
def mixed(ids, shift):  # noqa: ANN001, ANN201
    """SplitMix64 of `ids` [n], each with `shift` added to it first."""
    out = np.empty(len(ids), np.uint64)
    for i in range(len(ids)):
        z = np.uint64(ids[i]) + shift
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out[i] = z ^ (z >> np.uint64(31))
    return out


@_compiled(_SUMS)
@no_type_check
def prepared(label, ids, shift, n_classes, most):  # noqa: ANN001, ANN201
    """What all layers share of a batch: labels `grouped`, row numbers hashed, which hashes are at most `most`.

    Last come a `batch_table`, as yet of no chosen rows, and its address.
    """
    order, starts = grouped(label, n_classes)
    codes = mixed(ids, shift)
    low, n = np.empty(len(codes), np.int64), 0
    for i in range(len(codes)):
        low[n] = i
        n += 1 if codes[i] <= most else 0
    table, address = batch_table(order, starts, ids, low[:0], low[:0])
    return order, starts, codes, low[:n], table, address


@_compiled(set())
@no_type_check
def note(ids, codes, y, chosen, places, table, out_ids, out_codes, out_y):  # noqa: ANN001, ANN201
    """Write number, hash and label or targets [n, t] of the chosen rows of a batch to their places, and enter them."""
    of = table[0]
    of.n_chosen, of.chosen, of.places = len(chosen), chosen.ctypes.data, places.ctypes.data
    for i in range(len(chosen)):
        a, b = np.uint64(chosen[i]), np.uint64(places[i])
        out_ids[b], out_codes[b] = ids[a], codes[a]
        for k in range(y.shape[1]):
            out_y[b, np.uint64(k)] = y[a, np.uint64(k)]
