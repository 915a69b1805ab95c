"""Compiled code of running sums: what a batch's rows add to what is held of a layer.

In: arrays, or the addresses of arrays in tables that are made once per layer and once per batch. Between the products
of a small net every line runs cold, and looking at a dozen arrays costs more than the sums themselves.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.compiled.addresses import at, compiled
from unbend.numerics.compiled.kernels import SUMS, grouped, judge, mixed, sweep_rows

_LAYER = ["width", "n_segments", "is_bent", "sums", "ends", "counts", "seen", "room", "out"]
_LAYER += ["out_ids", "waits", "after"]
LAYER = np.dtype([("flat", np.float64), *((name, np.int64) for name in _LAYER)])
"""Sizes and addresses of what is held of a layer, found of a batch, and put aside.

`flat`: from where on an activation is flat above. `is_bent`: it is one that is never negative. Of two parts each, held
and found: `sums`, totals of each segment and squares [2, s + 1, d]; `ends`, lows and highs [2, 2, d] float32; `counts`,
zeros and values at or above `flat` [2, 2, d]; `seen`, rows of each segment [2, s]. `out` [room, d] float32 and
`out_ids` [room]: where rows are put. `waits`: what was found is to be added. `after`: address of the `LAYER` of the
ReLU that it feeds; 0 for none.
"""
_BATCH = ["n", "n_segments", "order", "starts", "ids", "n_chosen", "chosen", "places", "team"]
BATCH = np.dtype([(name, np.int64) for name in _BATCH])
"""Sizes and addresses of what all layers share of a batch, as `Segments`, `put` and `team.team` have it."""
TEAM = 7
"""Length of what `team.team` gives."""


@compiled(set())
@no_type_check
def put(x, ids, chosen, places, out, out_ids):  # noqa: ANN001, ANN201
    """Write the chosen rows of `x` [n, d] and their `ids` to their places in `out` and `out_ids`."""
    for i in range(len(chosen)):
        a, b = np.uint64(chosen[i]), np.uint64(places[i])
        out_ids[b] = ids[a]
        for k in range(x.shape[1]):
            out[b, np.uint64(k)] = x[a, np.uint64(k)]


@compiled(SUMS)
@no_type_check
def _may_add(squares, lows, is_bent):  # noqa: ANN001, ANN202
    whole = 0.0
    for j in range(len(squares)):
        whole += squares[j]
        if lows[j] < 0 and is_bent:
            return False
    return whole < np.inf


@compiled(SUMS)
@no_type_check
def settle(layer):  # noqa: ANN001, ANN201
    """Add what was found in a batch to what is held, of the `LAYER` at this address."""
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
    for i in range(2 if of.is_bent else 0):
        for j in range(d):
            counts[0, i, j] += counts[1, i, j]
    at(layer, (1,), LAYER)[0].waits = 0


@compiled(SUMS)
@no_type_check
def _find(x, order, starts, layer, after, team):  # noqa: ANN001, ANN202
    """Sums, extremes and counts of a batch, of one layer, and of the ReLU after it (0 for none)."""
    of = at(layer, (1,), LAYER)[0]
    d, k = of.width, of.n_segments
    sums = at(of.sums, (2, k + 1, d), np.float64)[1]
    ends = at(of.ends, (2, 2, d), np.float32)[1]
    zeros = np.zeros(d if of.is_bent or after else 0, np.int32)
    if not after:
        sweep_rows(x, order, starts, sums[:k], sums[k], ends[0], ends[1], zeros, sums[:0], team)
        _count(x, order, starts, layer, zeros, team)
        return _may_add(sums[k], ends[0], of.is_bent)
    bent = at(after, (1,), LAYER)[0]
    bent_sums = at(bent.sums, (2, k + 1, d), np.float64)[1]
    bent_ends = at(bent.ends, (2, 2, d), np.float32)[1]
    sweep_rows(x, order, starts, sums[:k], sums[k], ends[0], ends[1], zeros, bent_sums, team)
    for j in range(d):
        bent_ends[0, j], bent_ends[1, j] = max(ends[0, j], np.float32(0)), max(ends[1, j], np.float32(0))
    _count(x, order, starts, layer, zeros[:0], team)
    _count(x, order, starts, after, zeros, team)
    return _may_add(sums[k], ends[0], False)


@compiled(SUMS)
@no_type_check
def _count(x, order, starts, layer, zeros, team):  # noqa: ANN001, ANN202
    """Enter the rows of each segment, zeros, and values where an activation is flat above."""
    of = at(layer, (1,), LAYER)[0]
    seen = at(of.seen, (2, of.n_segments), np.int64)[1]
    for s in range(len(seen)):
        seen[s] = starts[s + 1] - starts[s]
    if not of.is_bent:
        return
    counts = at(of.counts, (2, 2, of.width), np.int64)[1]
    high, again = np.zeros(of.width, np.int32), np.zeros(of.width, np.int32)
    if of.flat < np.inf:
        judge(x, x, order, np.array([-np.inf, of.flat], np.float32), again, high, np.zeros(0), team)
    for j in range(of.width):
        counts[0, j], counts[1, j] = zeros[j], high[j]


@compiled(SUMS)
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
    of, now = at(layer, (1,), LAYER)[0], at(batch, (1,), BATCH)[0]
    if of.n_segments != now.n_segments:
        return False
    x = at(values, (now.n, of.width), np.float32)
    order = at(now.order, (now.n,), np.int64)
    starts = at(now.starts, (now.n_segments + 1,), np.int64)
    _put_at(x, layer, batch, False)
    if of.waits:
        settle(layer)
    if of.after:
        _put_at(x, of.after, batch, True)
        if at(of.after, (1,), LAYER)[0].waits:
            settle(of.after)
    may = _find(x, order, starts, layer, of.after, at(now.team, (TEAM,), np.int64))
    if may:
        settle(layer)
    return may


@compiled(set())
@no_type_check
def _put_at(x, layer, batch, bent):  # noqa: ANN001, ANN202
    """Put the rows of a batch that have a place, and their numbers; or what ReLU makes of them, without numbers."""
    of, now = at(layer, (1,), LAYER)[0], at(batch, (1,), BATCH)[0]
    if not of.room:
        return
    chosen, places = at(now.chosen, (now.n_chosen,), np.int64), at(now.places, (now.n_chosen,), np.int64)
    out = at(of.out, (of.room, of.width), np.float32)
    if not bent:
        put(x, at(now.ids, (now.n,), np.int64), chosen, places, out, at(of.out_ids, (of.room,), np.int64))
        return
    for i in range(len(chosen)):
        a, b = np.uint64(chosen[i]), np.uint64(places[i])
        for k in range(x.shape[1]):
            out[b, np.uint64(k)] = max(x[a, np.uint64(k)], np.float32(0))


@compiled(set())
@no_type_check
def batch_table(order, starts, ids, chosen, places, team):  # noqa: ANN001, ANN201
    """The `BATCH` of these arrays [1], and its address."""
    table = np.empty(1, BATCH)
    of = table[0]
    of.n, of.n_segments, of.n_chosen = len(order), len(starts) - 1, len(chosen)
    of.order, of.starts, of.ids = order.ctypes.data, starts.ctypes.data, ids.ctypes.data
    of.chosen, of.places, of.team = chosen.ctypes.data, places.ctypes.data, team.ctypes.data
    return table, table.ctypes.data


@compiled(SUMS)
@no_type_check
def _centred_row(out, x, i, a, pivot):  # noqa: ANN001, ANN202
    for k in range(len(pivot)):
        j = np.uint64(k)
        out[i, j] = np.float64(x[a, j]) - pivot[j]


@compiled(SUMS)
@no_type_check
def _row_sum(x, i):  # noqa: ANN001, ANN202
    total = 0.0
    for k in range(x.shape[1]):
        total += x[i, np.uint64(k)]
    return total


@compiled(SUMS)
@no_type_check
def _add_row(out, x, a):  # noqa: ANN001, ANN202
    for k in range(len(out)):
        out[k] += np.float64(x[a, np.uint64(k)])


@compiled(SUMS)
@no_type_check
def mean_of(x, chosen):  # noqa: ANN001, ANN201
    """Mean of the chosen rows of `x` [n, d], float64 [d]."""
    mean = np.zeros(x.shape[1])
    for i in range(len(chosen)):
        _add_row(mean, x, np.uint64(chosen[i]))
    return mean / len(chosen)


@compiled(set())
@no_type_check
def mirror(a):  # noqa: ANN001, ANN201
    """Copy the upper triangle of `a` [d, d] to the lower one, in squares that stay in the cache."""
    d = a.shape[0]
    for i in range(0, d, 32):
        for j in range(i, d, 32):
            for r in range(i, min(i + 32, d)):
                for c in range(max(j, r + 1), min(j + 32, d)):
                    a[c, r] = a[r, c]


@compiled(SUMS)
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


@compiled(SUMS)
@no_type_check
def prepared(label, ids, shift, n_classes, most, team):  # noqa: ANN001, ANN201
    """What all layers share of a batch: labels `grouped`, row numbers hashed, which hashes are at most `most`.

    Last come a `batch_table`, as yet of no chosen rows, and its address.
    """
    order, starts = grouped(label, n_classes)
    codes = mixed(ids, shift)
    low, n = np.empty(len(codes), np.int64), 0
    for i in range(len(codes)):
        low[n] = i
        n += 1 if codes[i] <= most else 0
    table, address = batch_table(order, starts, ids, low[:0], low[:0], team)
    return order, starts, codes, low[:n], table, address


@compiled(set())
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
