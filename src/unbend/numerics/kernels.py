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

TILE = 512
LANES = 64
APART = TILE + 64
"""How far squares lie from sums: at `TILE`, 4,096 bytes, a sweep of 512 columns takes half as long again."""

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
    """Count the zeros of rows a … h of one tile of `x`."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        left = np.int32(x[a, j] == 0) + np.int32(x[b, j] == 0) + (np.int32(x[c, j] == 0) + np.int32(x[d, j] == 0))
        right = np.int32(x[e, j] == 0) + np.int32(x[f, j] == 0) + (np.int32(x[g, j] == 0) + np.int32(x[h, j] == 0))
        count[j] += left + right


@_compiled(_SUMS)
@no_type_check
def _few_zeros(count, x, a):  # noqa: ANN001, ANN202
    """The same for row a."""
    for k in range(len(count)):
        count[k] += np.int32(x[a, np.uint64(k)] == 0)


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
def sweep_rows(x, order, starts, totals, squares, lows, highs, zeros):  # noqa: ANN001, ANN201
    """One pass over the rows of `x`, segment by segment.

    Args:
        x: values [m, d], C-contiguous.
        order: row numbers, segment after segment.
        starts: where each segment starts in `order` [s + 1].
        totals: out, sum of each segment [s, d].
        squares: out, sum of squares over all segments [d].
        lows: out, least value [d].
        highs: out, greatest value [d].
        zeros: out, how many zeros are added [d] (int32); of length 0 if they are not counted.
    """
    d = x.shape[1]
    n_tiles = (d + TILE - 1) // TILE
    acc = np.zeros((n_tiles, 2 * APART))
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
            for t in range(n_tiles):
                start, width = t * TILE, min(TILE, d - t * TILE)
                _sums(acc[t], x, a, b, c, e, f, g, h, m, start, width)
                _extremes(ext[t], x, a, b, c, e, f, g, h, m, start, width)
                if len(zeros):
                    _zeros(zeros, x, a, b, c, e, f, g, h, m, start, width)
        for i in range(whole, end, 2):
            a, b = np.uint64(order[i]), np.uint64(order[min(i + 1, end - 1)])
            for t in range(n_tiles):
                _few_sums(acc[t], x, a, b, t * TILE, min(TILE, d - t * TILE))
        for i in range(whole, end):
            rest[n_rest] = order[i]
            n_rest += 1
        for t in range(n_tiles):
            start, width = t * TILE, min(TILE, d - t * TILE)
            totals[s, start : start + width] = acc[t, :width]
            acc[t, :width] = 0.0
    _left_over(ext, zeros, x, rest[:n_rest])
    for t in range(n_tiles):
        start, width = t * TILE, min(TILE, d - t * TILE)
        squares[start : start + width] = acc[t, APART : APART + width]
        lows[start : start + width] = ext[t, :width]
        highs[start : start + width] = ext[t, TILE : TILE + width]


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


@_compiled(_SUMS)
@no_type_check
def run_rows(x, order, starts, flat, sums, ends, counts, seen, ids, chosen, places, out, out_ids):  # noqa: ANN001, ANN201, PLR0913, PLR0917
    """Sweep a batch and add it to what is held; False, with nothing added, if that may not be. Put the chosen rows.

    It may not be if a value is not finite, or if an activation, which is flat below 0, is negative. Of a tensor that is
    not [n, d] nothing is taken at all.

    Args:
        x: values [n, d], C-contiguous.
        order: row numbers, segment after segment.
        starts: where each segment starts in `order` [s + 1].
        flat: from where on an activation is flat above; NaN for a layer that is no activation.
        sums: totals of each segment and squares, held and room for those of this batch [2, s + 1, d].
        ends: lows and highs in the same way [2, 2, d].
        counts: zeros, and values at or above `flat` [2, d].
        seen: rows of each segment [s].
        ids: number of each row in the data set [n]; from here on as in `put`, which is done even then.
        chosen: rows to put.
        places: where to.
        out: rows held.
        out_ids: their numbers.
    """
    k, d = sums.shape[1] - 1, sums.shape[2]
    if x.shape[0] != len(order) or x.shape[1] != d:
        return False
    put(x, ids, chosen, places, out, out_ids)
    is_bent = flat == flat  # noqa: PLR0124  it is no NaN
    zeros = np.zeros(d if is_bent else 0, np.int32)
    sweep_rows(x, order, starts, sums[1, :k], sums[1, k], ends[1, 0], ends[1, 1], zeros)
    if not _may_add(sums[1, k], ends[1, 0], is_bent):
        return False
    for s in range(k):
        seen[s] += starts[s + 1] - starts[s]
    for s in range(k + 1):
        for j in range(d):
            sums[0, s, j] += sums[1, s, j]
    for j in range(d):
        ends[0, 0, j] = min(ends[0, 0, j], ends[1, 0, j])
        ends[0, 1, j] = max(ends[0, 1, j], ends[1, 1, j])
    for j in range(len(zeros)):
        counts[0, j] += zeros[j]
    if is_bent and flat < np.inf:
        edges = np.array([-np.inf, flat], np.float32)
        high = np.zeros(d, np.int32)
        judge(x, x, order, edges, zeros, high, np.zeros(0))
        for j in range(d):
            counts[1, j] += high[j]
    return True


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
    """What all layers share of a batch: labels `grouped`, row numbers hashed, and which hashes are at most `most`."""
    order, starts = grouped(label, n_classes)
    codes = mixed(ids, shift)
    low, n = np.empty(len(codes), np.int64), 0
    for i in range(len(codes)):
        low[n] = i
        n += 1 if codes[i] <= most else 0
    return order, starts, codes, low[:n]


@_compiled(set())
@no_type_check
def note(ids, codes, y, chosen, places, out_ids, out_codes, out_y):  # noqa: ANN001, ANN201
    """Write number, hash and label or targets [n, t] of the chosen rows of a batch to their places."""
    for i in range(len(chosen)):
        a, b = np.uint64(chosen[i]), np.uint64(places[i])
        out_ids[b], out_codes[b] = ids[a], codes[a]
        for k in range(y.shape[1]):
            out_y[b, np.uint64(k)] = y[a, np.uint64(k)]
