"""Compiled single-pass reductions over one activation tensor on the CPU.

In: C-contiguous float32 or float64 arrays. Out: float64 sums, extremes and counts, written into arrays the
caller owns. Knows nothing of torch, layers or labels: the caller hands over the order of the rows and where
each segment (a class, or the tokens of one sample) starts.

Why it looks as it does. A reduction over the rows of a matrix is bound by the loads and stores of its
accumulators, so eight rows are added at a time, in tiles of `TILE` columns with constant trip count. LLVM
vectorises a loop only if it can show in at most eight run-time checks that its arrays do not overlap: hence
one accumulator array per loop, and several short loops instead of one long one. All sums are float64.
"""

import numba as nb
import numpy as np

TILE = 64
_SUMS = {"reassoc", "contract", "nsz", "arcp"}
# Extremes vectorise only when NaN is ruled out; a NaN shows in the sums, and the caller then takes the slow path.
_EXTREMES = {"reassoc", "nsz", "nnan"}


def _compiled(flags):  # noqa: ANN001, ANN202
    return nb.njit(cache=True, nogil=True, fastmath=flags, error_model="numpy")


@_compiled(_SUMS)
def _sums(acc, a, b, c, d, e, f, g, h, start):  # noqa: ANN001, ANN202, PLR0913
    """Add eight rows of one tile to `acc`, laid out as sum | sum of squares."""
    for k in range(TILE):
        j = np.uint64(start) + np.uint64(k)
        v0, v1, v2, v3 = np.float64(a[j]), np.float64(b[j]), np.float64(c[j]), np.float64(d[j])
        v4, v5, v6, v7 = np.float64(e[j]), np.float64(f[j]), np.float64(g[j]), np.float64(h[j])
        acc[k] += ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))
        low = (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3)
        acc[k + TILE] += low + ((v4 * v4 + v5 * v5) + (v6 * v6 + v7 * v7))


@_compiled(_EXTREMES)
def _extremes(ext, a, b, c, d, e, f, g, h, start):  # noqa: ANN001, ANN202, PLR0913
    """Widen `ext`, laid out as lows | highs, by eight rows of one tile."""
    for k in range(TILE):
        j = np.uint64(start) + np.uint64(k)
        low = min(min(min(a[j], b[j]), min(c[j], d[j])), min(min(e[j], f[j]), min(g[j], h[j])))
        high = max(max(max(a[j], b[j]), max(c[j], d[j])), max(max(e[j], f[j]), max(g[j], h[j])))
        ext[k] = min(ext[k], low)
        ext[k + TILE] = max(ext[k + TILE], high)


@_compiled(_EXTREMES)
def _one_row_extremes(ext, row, start):  # noqa: ANN001, ANN202
    for k in range(min(TILE, len(row) - start)):
        v = row[np.uint64(start) + np.uint64(k)]
        ext[k] = min(ext[k], v)
        ext[k + TILE] = max(ext[k + TILE], v)


@_compiled(_SUMS)
def _one_row(acc, ext, row, start):  # noqa: ANN001, ANN202
    """The same for a single row, and for the last columns that fill no tile."""
    width = min(TILE, len(row) - start)
    for k in range(width):
        v = np.float64(row[np.uint64(start) + np.uint64(k)])
        acc[k] += v
        acc[k + TILE] += v * v
    _one_row_extremes(ext, row, start)


@_compiled(_SUMS)
def sweep_rows(x, order, starts, totals, squares, lows, highs):  # noqa: ANN001, ANN201
    """One pass over the rows of `x`, segment by segment.

    Args:
        x: values [m, d], C-contiguous.
        order: row numbers, segment after segment.
        starts: where each segment starts in `order` [s + 1].
        totals: out, sum of each segment [s, d].
        squares: out, sum of squares over all segments [d].
        lows: out, least value [d].
        highs: out, greatest value [d].
    """
    d = x.shape[1]
    n_tiles = (d + TILE - 1) // TILE
    n_full = d // TILE
    acc = np.zeros((n_tiles, 2 * TILE))
    ext = np.empty((n_tiles, 2 * TILE), x.dtype)
    for t in range(n_tiles):
        for k in range(TILE):
            ext[t, k] = np.inf
            ext[t, k + TILE] = -np.inf
    for s in range(len(starts) - 1):
        i = starts[s]
        end = starts[s + 1]
        while i + 8 <= end:
            a, b, c, e = x[order[i]], x[order[i + 1]], x[order[i + 2]], x[order[i + 3]]
            f, g, h, m = x[order[i + 4]], x[order[i + 5]], x[order[i + 6]], x[order[i + 7]]
            for t in range(n_full):
                _sums(acc[t], a, b, c, e, f, g, h, m, t * TILE)
                _extremes(ext[t], a, b, c, e, f, g, h, m, t * TILE)
            if n_full < n_tiles:
                for r in range(i, i + 8):
                    _one_row(acc[n_full], ext[n_full], x[order[r]], n_full * TILE)
            i += 8
        while i < end:
            for t in range(n_tiles):
                _one_row(acc[t], ext[t], x[order[i]], t * TILE)
            i += 1
        for j in range(d):
            t, k = j // TILE, j % TILE
            totals[s, j] = acc[t, k]
            acc[t, k] = 0.0
    for j in range(d):
        t, k = j // TILE, j % TILE
        squares[j] = acc[t, k + TILE]
        lows[j] = ext[t, k]
        highs[j] = ext[t, k + TILE]


@_compiled(_SUMS)
def _map_sums(row):  # noqa: ANN001, ANN202
    total = 0.0
    square = 0.0
    for j in range(len(row)):
        v = np.float64(row[j])
        total += v
        square += v * v
    return total, square


@_compiled(_EXTREMES)
def _quad_extremes(ext, row, start):  # noqa: ANN001, ANN202
    for k in range(TILE):
        j = np.uint64(start) + np.uint64(k)
        a, b = row[j], row[j + np.uint64(TILE)]
        c, d = row[j + np.uint64(2 * TILE)], row[j + np.uint64(3 * TILE)]
        ext[k] = min(ext[k], min(min(a, b), min(c, d)))
        ext[k + TILE] = max(ext[k + TILE], max(max(a, b), max(c, d)))


@_compiled(_SUMS)
def sweep_maps(x, totals, squares, lows, highs):  # noqa: ANN001, ANN201
    """One pass over feature maps.

    The extremes are kept in `TILE` lanes per channel: a minimum along one row would not vectorise.

    Args:
        x: values [n, c, p], C-contiguous.
        totals: out, sum over positions [n, c].
        squares: out, sum of squares over positions [n, c].
        lows: out, least value of each channel [c].
        highs: out, greatest value of each channel [c].
    """
    n, c, p = x.shape
    n_quads = p // (4 * TILE)
    ext = np.empty((c, 2 * TILE), x.dtype)
    for u in range(c):
        for k in range(TILE):
            ext[u, k] = np.inf
            ext[u, k + TILE] = -np.inf
    for i in range(n):
        for u in range(c):
            row = x[i, u]
            for q in range(n_quads):
                _quad_extremes(ext[u], row, 4 * q * TILE)
            for start in range(4 * n_quads * TILE, p, TILE):
                _one_row_extremes(ext[u], row, start)
            totals[i, u], squares[i, u] = _map_sums(row)
    for u in range(c):
        lows[u] = ext[u, :TILE].min()
        highs[u] = ext[u, TILE:].max()


@_compiled(_SUMS)
def _row_counts(zeros, row, low, high, tails):  # noqa: ANN001, ANN202
    for j in range(len(row)):
        zeros[j] += 1 if row[j] == 0 else 0
    if low > -np.inf or high < np.inf:
        for j in range(len(row)):
            tails[j] += 1 if row[j] <= low or row[j] >= high else 0


@_compiled(_SUMS)
def count_rows(x, low, high, zeros, tails):  # noqa: ANN001, ANN201
    """Per column of `x` [m, d]: how many values are 0, and how many are <= low or >= high (int32)."""
    for i in range(x.shape[0]):
        _row_counts(zeros, x[i], low, high, tails)


@_compiled(_SUMS)
def _map_counts(row, low, high):  # noqa: ANN001, ANN202
    zeros = np.int32(0)
    tails = np.int32(0)
    for j in range(len(row)):
        zeros += np.int32(1) if row[j] == 0 else np.int32(0)
    if low > -np.inf or high < np.inf:
        for j in range(len(row)):
            tails += np.int32(1) if row[j] <= low or row[j] >= high else np.int32(0)
    return zeros, tails


@_compiled(_SUMS)
def count_maps(x, low, high, zeros, tails):  # noqa: ANN001, ANN201
    """The same per row of `x` [m, p]."""
    for i in range(x.shape[0]):
        zeros[i], tails[i] = _map_counts(x[i], low, high)
