"""Compiled single-pass reductions over one activation tensor on the CPU.

In: C-contiguous float32 or float64 arrays. Out: float64 sums, extremes and counts, written into arrays the
caller owns. Knows nothing of torch, layers or labels: the caller hands over the order of the rows and where
each segment (a class, or the tokens of one sample) starts.

Why it looks as it does. A reduction over the rows of a matrix is bound by the loads and stores of its
accumulators, so eight rows are added at a time, in tiles of up to `TILE` columns. LLVM
vectorises a loop only if it can show in at most eight run-time checks that its arrays do not overlap: hence
one accumulator array per loop, and several short loops instead of one long one. All sums are float64.
"""

# ruff: noqa: PLW3301 (nested min and max are trees: a flat one would be a chain of dependent operations)

from typing import no_type_check

import numba as nb
import numpy as np

TILE = 512
LANES = 64
_SUMS = {"reassoc", "contract", "nsz", "arcp"}
# Extremes vectorise only when NaN is ruled out; a NaN shows in the sums, and the caller then takes the slow path.
_EXTREMES = {"reassoc", "nsz", "nnan"}


def _compiled(flags):  # noqa: ANN001, ANN202
    return nb.njit(cache=True, nogil=True, fastmath=flags, error_model="numpy")


@_compiled(_SUMS)
@no_type_check
def _sums(acc, x, a, b, c, d, e, f, g, h, start, width):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Add rows a … h of one tile of `x` to `acc`, laid out as sum | sum of squares."""
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        v0, v1, v2, v3 = np.float64(x[a, j]), np.float64(x[b, j]), np.float64(x[c, j]), np.float64(x[d, j])
        v4, v5, v6, v7 = np.float64(x[e, j]), np.float64(x[f, j]), np.float64(x[g, j]), np.float64(x[h, j])
        acc[k] += ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))
        low = (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3)
        acc[k + TILE] += low + ((v4 * v4 + v5 * v5) + (v6 * v6 + v7 * v7))


@_compiled(_SUMS)
@no_type_check
def _few_sums(acc, x, a, b, start, width):  # noqa: ANN001, ANN202
    """The same for rows a and b, the last of a segment; for a alone, if they are the same."""
    if a == b:
        for k in range(width):
            v = np.float64(x[a, np.uint64(start) + np.uint64(k)])
            acc[k] += v
            acc[k + TILE] += v * v
        return
    for k in range(width):
        j = np.uint64(start) + np.uint64(k)
        v, w = np.float64(x[a, j]), np.float64(x[b, j])
        acc[k] += v + w
        acc[k + TILE] += v * v + w * w


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
def _few_zeros(count, x, a, start, width):  # noqa: ANN001, ANN202
    """The same for row a."""
    for k in range(start, start + width):
        count[k] += np.int32(x[a, np.uint64(k)] == 0)


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
    acc = np.zeros((n_tiles, 2 * TILE))
    ext = np.empty((n_tiles, 2 * TILE), x.dtype)
    ext[:, :TILE] = np.inf
    ext[:, TILE:] = -np.inf
    for s in range(len(starts) - 1):
        end = starts[s + 1]
        for i in range(starts[s], end, 8):
            # Past the end of the segment, extremes look at its last row again; sums go row by row.
            last = end - 1
            a, b = np.uint64(order[i]), np.uint64(order[min(i + 1, last)])
            c, e = np.uint64(order[min(i + 2, last)]), np.uint64(order[min(i + 3, last)])
            f, g = np.uint64(order[min(i + 4, last)]), np.uint64(order[min(i + 5, last)])
            h, m = np.uint64(order[min(i + 6, last)]), np.uint64(order[min(i + 7, last)])
            for t in range(n_tiles):
                start, width = t * TILE, min(TILE, d - t * TILE)
                if i + 8 <= end:
                    _sums(acc[t], x, a, b, c, e, f, g, h, m, start, width)
                    if len(zeros):
                        _zeros(zeros, x, a, b, c, e, f, g, h, m, start, width)
                else:
                    for r in range(i, end, 2):
                        _few_sums(acc[t], x, np.uint64(order[r]), np.uint64(order[min(r + 1, last)]), start, width)
                    for r in range(i, end if len(zeros) else i):
                        _few_zeros(zeros, x, np.uint64(order[r]), start, width)
                _extremes(ext[t], x, a, b, c, e, f, g, h, m, start, width)
        for t in range(n_tiles):
            start, width = t * TILE, min(TILE, d - t * TILE)
            totals[s, start : start + width] = acc[t, :width]
            acc[t, :width] = 0.0
    for t in range(n_tiles):
        start, width = t * TILE, min(TILE, d - t * TILE)
        squares[start : start + width] = acc[t, TILE : TILE + width]
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
def count_between(x, low, high, count):  # noqa: ANN001, ANN201
    """Add to `count` (int32), per column of `x` [m, d], how many values lie in [low, high]."""
    m = np.uint64(x.shape[0])
    whole = m - m % np.uint64(4)
    for i in range(np.uint64(0), whole, np.uint64(4)):
        _between(count, x, low, high, i, i + np.uint64(1), i + np.uint64(2), i + np.uint64(3))
    for i in range(whole, m):
        for k in range(len(count)):
            value = x[i, np.uint64(k)]
            count[k] += 1 if value >= low and value <= high else 0


@_compiled(_SUMS)
@no_type_check
def _sizes(total, x, a, b, c, d):  # noqa: ANN001, ANN202
    for k in range(len(total)):
        j = np.uint64(k)
        low = np.float64(abs(x[a, j])) + np.float64(abs(x[b, j]))
        total[k] += low + (np.float64(abs(x[c, j])) + np.float64(abs(x[d, j])))


@_compiled(_SUMS)
@no_type_check
def magnitudes(x, total):  # noqa: ANN001, ANN201
    """Add the sum of |x| per column of `x` [m, d] to `total` (float64)."""
    m = np.uint64(x.shape[0])
    whole = m - m % np.uint64(4)
    for i in range(np.uint64(0), whole, np.uint64(4)):
        _sizes(total, x, i, i + np.uint64(1), i + np.uint64(2), i + np.uint64(3))
    for i in range(whole, m):
        for k in range(len(total)):
            total[k] += abs(np.float64(x[i, np.uint64(k)]))


@_compiled(_SUMS)
@no_type_check
def run_rows(x, order, starts, flat, sums, ends, counts):  # noqa: ANN001, ANN201
    """Sweep a batch and add it to what is held; False, with nothing added, if that may not be.

    It may not be if a value is not finite, or if an activation, which is flat below 0, is negative.

    Args:
        x: values [n, d], C-contiguous.
        order: row numbers, segment after segment.
        starts: where each segment starts in `order` [s + 1].
        flat: from where on an activation is flat above; NaN for a layer that is no activation.
        sums: totals of each segment and squares, held and room for those of this batch [2, s + 1, d].
        ends: lows and highs in the same way [2, 2, d].
        counts: zeros, values at or above `flat`, and room for the zeros of this batch [3, d] (int32).
    """
    k, d = sums.shape[1] - 1, sums.shape[2]
    is_bent = flat == flat  # noqa: PLR0124  it is no NaN
    zeros = counts[2, : d if is_bent else 0]
    for j in range(len(zeros)):
        zeros[j] = 0
    sweep_rows(x, order, starts, sums[1, :k], sums[1, k], ends[1, 0], ends[1, 1], zeros)
    whole = 0.0
    for j in range(d):
        whole += sums[1, k, j]
        if ends[1, 0, j] < 0 and is_bent:
            return False
    if not whole < np.inf:
        return False
    for s in range(k + 1):
        for j in range(d):
            sums[0, s, j] += sums[1, s, j]
    for j in range(d):
        ends[0, 0, j] = min(ends[0, 0, j], ends[1, 0, j])
        ends[0, 1, j] = max(ends[0, 1, j], ends[1, 1, j])
    for j in range(len(zeros)):
        counts[0, j] += zeros[j]
    if is_bent and flat < np.inf:
        count_between(x, flat, np.float32(np.inf), counts[1])
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
    """SplitMix64 of `ids` [n] (uint64), each with `shift` added to it first."""
    out = np.empty(len(ids), np.uint64)
    for i in range(len(ids)):
        z = ids[i] + shift
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out[i] = z ^ (z >> np.uint64(31))
    return out
