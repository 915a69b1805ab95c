"""Compiled code of running sums: what a batch's rows add to what is held of a layer.

In: arrays, or the addresses of arrays in tables that are made once per layer and once per batch. Between the products
of a small net every line runs cold, and looking at a dozen arrays costs more than the sums themselves.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.compiled.addresses import at, new_empty, new_zeros
from unbend.numerics.compiled.jit import entry, part, within
from unbend.numerics.compiled.kernels import SUMS, group, judge, mix, sweep_rows

_LAYER = ["width", "n_segments", "is_rectifier", "sums", "ends", "counts", "seen", "room", "out", "out_ids"]
LAYER = np.dtype([("high", np.float64), *((name, np.int64) for name in _LAYER)])
"""Sizes and addresses of what is held of a layer, found of a batch, and put aside.

`is_rectifier`: it is an activation that is never negative and saturated at 0. `high`: from where on it is saturated
above. Of two parts each, held and found: `sums`, totals of each segment and squares [2, s + 1, d]; `ends`, lows and
highs [2, 2, d] float32; `counts`, zeros and values at or above `high` [2, 2, d]; `seen`, rows of each segment [2, s].
`out` [room, d] float32 and `out_ids` [room]: where rows of the row sample are put.
"""
_BATCH = ["n", "n_segments", "order", "starts", "ids", "n_chosen", "chosen", "places", "team"]
BATCH = np.dtype([(name, np.int64) for name in _BATCH])
"""Sizes and addresses of what all layers share of a batch, as `Segments`, `put` and `team.team` have it."""
TEAM = 7
"""Length of what `team.team` gives."""

_group, _judge, _sweep_rows = within(group), within(judge), within(sweep_rows)


@entry(set())
@no_type_check
def put(x, ids, chosen, places, out, out_ids):
    """Write the chosen rows of `x` [n, d] and their `ids` to their places in `out` and `out_ids`."""
    for i in range(len(chosen)):
        a, b = np.uint64(chosen[i]), np.uint64(places[i])
        out_ids[b] = ids[a]
        for k in range(x.shape[1]):
            out[b, np.uint64(k)] = x[a, np.uint64(k)]


@entry(SUMS)
@no_type_check
def run_at(values, layer, batch):
    """Sweep a batch, add it to what is held of a layer, put rows aside; False, with nothing done, if that may not be.

    It may not be if a value is not finite, or if an activation that is never negative is negative.

    Args:
        values: address of x [n, d], C-contiguous float32, for the n of the batch and the d of the layer.
        layer: address of the `LAYER`, whose arrays must still be there.
        batch: address of the `BATCH`.
    """
    of, now = at(layer, (1,), LAYER)[0], at(batch, (1,), BATCH)[0]
    if of.n_segments != now.n_segments:
        return False
    x = at(values, (now.n, of.width), np.float32)
    # Phase 1: the batch alone. It is judged as a whole before anything that is held changes.
    if not _find(x, layer, batch):
        return False
    # Phase 2: what was found joins what is held.
    _join(layer)
    # Phase 3: rows of the row sample, while they are in the cache.
    if of.room:
        chosen, places = at(now.chosen, (now.n_chosen,), np.int64), at(now.places, (now.n_chosen,), np.int64)
        out, out_ids = at(of.out, (of.room, of.width), np.float32), at(of.out_ids, (of.room,), np.int64)
        put(x, at(now.ids, (now.n,), np.int64), chosen, places, out, out_ids)
    return True


@part(SUMS)
@no_type_check
def _find(x, layer, batch):
    """Sums, extremes and counts of a batch; False if they may not be added."""
    of, now = at(layer, (1,), LAYER)[0], at(batch, (1,), BATCH)[0]
    d, k = of.width, of.n_segments
    order, starts = at(now.order, (now.n,), np.int64), at(now.starts, (k + 1,), np.int64)
    team = at(now.team, (TEAM,), np.int64)
    sums = at(of.sums, (2, k + 1, d), np.float64)[1]
    ends = at(of.ends, (2, 2, d), np.float32)[1]
    seen = at(of.seen, (2, k), np.int64)[1]
    # An array of length 0 tells the sweep to count no zeros: only those of a rectifier mean anything.
    zeros = new_zeros(d if of.is_rectifier else 0, np.int32)
    _sweep_rows(x, order, starts, sums[:k], sums[k], ends[0], ends[1], zeros, team)
    for s in range(k):
        seen[s] = starts[s + 1] - starts[s]
    if of.is_rectifier:
        _count(x, order, layer, zeros, team)
    # A NaN or an infinity shows in the squares; the extremes, compiled as if there were none, may hide it.
    whole = 0.0
    for j in range(d):
        whole += sums[k, j]
        if ends[0, j] < 0 and of.is_rectifier:
            return False
    return whole < np.inf


@part(SUMS)
@no_type_check
def _count(x, order, layer, zeros, team):
    """Enter zeros, and values where a rectifier is saturated above."""
    of = at(layer, (1,), LAYER)[0]
    counts = at(of.counts, (2, 2, of.width), np.int64)[1]
    high, again = new_zeros(of.width, np.int32), new_zeros(of.width, np.int32)
    # ReLU has no upper edge, and needs no second read of the batch.
    if of.high < np.inf:
        edges = new_empty(2, np.float32)
        edges[0], edges[1] = -np.inf, of.high
        _judge(x, x, order, edges, again, high, new_zeros(0, np.float64), team)
    for j in range(of.width):
        counts[0, j], counts[1, j] = zeros[j], high[j]


@part(SUMS)
@no_type_check
def _join(layer):
    """Add what was found in a batch to what is held."""
    of = at(layer, (1,), LAYER)[0]
    d, k = of.width, of.n_segments
    sums = at(of.sums, (2, k + 1, d), np.float64)
    ends = at(of.ends, (2, 2, d), np.float32)
    counts = at(of.counts, (2, 2, d), np.int64)
    seen = at(of.seen, (2, k), np.int64)
    for s in range(k):
        seen[0, s] += seen[1, s]
    for s in range(k + 1):
        for j in range(d):
            sums[0, s, j] += sums[1, s, j]
    for j in range(d):
        ends[0, 0, j] = min(ends[0, 0, j], ends[1, 0, j])
        ends[0, 1, j] = max(ends[0, 1, j], ends[1, 1, j])
    for i in range(2 if of.is_rectifier else 0):
        for j in range(d):
            counts[0, i, j] += counts[1, i, j]


@entry(set())
@no_type_check
def batch_table(order, starts, ids, chosen, places, team):
    """The `BATCH` of these arrays [1], and its address."""
    # Addresses only: whoever asked for the table keeps the arrays alive as long as it.
    table = new_empty(1, BATCH)
    of = table[0]
    of.n, of.n_segments, of.n_chosen = len(order), len(starts) - 1, len(chosen)
    of.order, of.starts, of.ids = order.ctypes.data, starts.ctypes.data, ids.ctypes.data
    of.chosen, of.places, of.team = chosen.ctypes.data, places.ctypes.data, team.ctypes.data
    return table, table.ctypes.data


_batch_table = within(batch_table)


@part(SUMS)
@no_type_check
def _centred_row(out, x, i, a, pivot):
    for k in range(len(pivot)):
        j = np.uint64(k)
        out[i, j] = np.float64(x[a, j]) - pivot[j]


@part(SUMS)
@no_type_check
def _row_sum(x, i):
    total = 0.0
    for k in range(x.shape[1]):
        total += x[i, np.uint64(k)]
    return total


@part(SUMS)
@no_type_check
def _add_row(out, x, a):
    for k in range(len(out)):
        out[k] += np.float64(x[a, np.uint64(k)])


@entry(SUMS)
@no_type_check
def mean_of(x, chosen):
    """Mean of the chosen rows of `x` [n, d], float64 [d]."""
    mean = new_zeros(x.shape[1], np.float64)
    for i in range(len(chosen)):
        _add_row(mean, x, np.uint64(chosen[i]))
    return mean / len(chosen)


@entry(set())
@no_type_check
def mirror(a):
    """Copy the upper triangle of `a` [d, d] to the lower one, in squares that stay in the cache."""
    # Row by row one side would be read across the whole matrix, a line of the cache for each number.
    d = a.shape[0]
    for i in range(0, d, 32):
        for j in range(i, d, 32):
            for r in range(i, min(i + 32, d)):
                for c in range(max(j, r + 1), min(j + 32, d)):
                    a[c, r] = a[r, c]


@entry(SUMS)
@no_type_check
def collect(x, y, chosen, pivot, y_pivot, room, y_room, fill):
    """Put the chosen rows of `x` [n, d] - `pivot` and targets `y` [m, t] - `y_pivot` into their rooms from `fill` on.

    Returns the sum of the rows: finite only if all of them are.
    """
    total = 0.0
    # The sum is taken of rows as they were put, while they are in the nearest cache: it finds a NaN for free.
    for i in range(len(chosen)):
        at = np.uint64(fill + i)
        _centred_row(room, x, at, np.uint64(chosen[i]), pivot)
        _centred_row(y_room, y, at, np.uint64(i), y_pivot)
        total += _row_sum(room, at)
    return total


@entry(SUMS)
@no_type_check
def prepare(label, ids, shift, n_classes, most, team):
    """What all layers share of a batch: labels `grouped`, row numbers hashed, which hashes are at most `most`.

    Last come a `batch_table`, as yet of no chosen rows, and its address.
    """
    order, starts = _group(label, n_classes)
    codes = mix(ids, shift)
    low, n = new_empty(len(codes), np.int64), 0
    # Written always, counted only if it fits: hashes are random, and a branch on them would be guessed wrong.
    for i in range(len(codes)):
        low[n] = i
        n += 1 if codes[i] <= most else 0
    table, address = _batch_table(order, starts, ids, low[:0], low[:0], team)
    return order, starts, codes, low[:n], table, address


@entry(set())
@no_type_check
def note(ids, codes, y, chosen, places, table, out_ids, out_codes, out_y):
    """Write number, hash and label or targets [n, t] of the chosen rows of a batch to their places, and enter them."""
    of = table[0]
    of.n_chosen, of.chosen, of.places = len(chosen), chosen.ctypes.data, places.ctypes.data
    for i in range(len(chosen)):
        a, b = np.uint64(chosen[i]), np.uint64(places[i])
        out_ids[b], out_codes[b] = ids[a], codes[a]
        for k in range(y.shape[1]):
            out_y[b, np.uint64(k)] = y[a, np.uint64(k)]
