"""The compiled pass behind `UnitSums`: sums by class, and the rows to which every unit answers most and least.

In: answers [n, d] of float32, C-contiguous and finite. Out: sums and extremes, added to arrays the caller owns. A list
of extremes is sorted; an answer that does not beat its last one costs one comparison.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.compiled.jit import entry, part

BLOCK = 64
"""Units that are passed over together where none of their answers is among the extremes."""
SUMS = {"reassoc", "contract", "nsz", "arcp"}
EXTREMES = {"reassoc", "nsz", "nnan"}
"""NaN is ruled out by the caller, so that extremes vectorise."""


@part(set())
@no_type_check
def _enter(value, id_, place, values, ids, places):
    """Put an answer into a sorted list, greatest first, of equal ones the least number first; the last one now."""
    k = len(values) - 1
    while k > 0 and (value > values[k - 1] or (value == values[k - 1] and id_ < ids[k - 1])):
        values[k], ids[k], places[k] = values[k - 1], ids[k - 1], places[k - 1]
        k -= 1
    values[k], ids[k], places[k] = value, id_, place
    return values[len(values) - 1]


@entry(EXTREMES)
@no_type_check
def peaks_of_tokens(x, mask, value, place):
    """The greatest value of every unit over the tokens that count, and which token has it.

    Args:
        x: values [n, t, d], C-contiguous float32, finite.
        mask: which tokens count [n, t]; empty for all.
        value: out [n, d]; NaN where no token counts.
        place: out [n, d] (int32).
    """
    n, t, d = x.shape
    for i in range(n):
        is_first = True
        for a in range(t):
            if len(mask) and not mask[i, a]:
                continue
            if is_first:
                for j in range(d):
                    value[i, j], place[i, j] = x[i, a, j], a
                is_first = False
                continue
            for j in range(d):
                is_more = x[i, a, j] > value[i, j]
                place[i, j] = np.int32(a) if is_more else place[i, j]
                value[i, j] = x[i, a, j] if is_more else value[i, j]
        if is_first:
            value[i, :], place[i, :] = np.nan, 0


@entry(EXTREMES)
@no_type_check
def peaks_of_maps(x, value, place):
    """The greatest value of every channel over its positions, and where it is: two short loops, so that they vectorise.

    Args:
        x: values [n, d, p], C-contiguous float32, finite.
        value: out [n, d].
        place: out [n, d] (int32).
    """
    n, d, p = x.shape
    for i in range(n):
        for j in range(d):
            most = x[i, j, 0]
            for a in range(1, p):
                most = max(most, x[i, j, a])
            at = 0
            while x[i, j, at] != most:
                at += 1
            value[i, j], place[i, j] = most, at


@part(SUMS)
@no_type_check
def _add_rows(a, b, c, e, total, squares, fired):
    """Add four rows to the sums of their class: one load and one store of a sum for four answers."""
    for j in range(len(a)):
        p, q, r, s = np.float64(a[j]), np.float64(b[j]), np.float64(c[j]), np.float64(e[j])
        total[j] += (p + q) + (r + s)
        squares[j] += (p * p + q * q) + (r * r + s * s)
    for j in range(len(a)):
        fired[j] += np.float64(np.int32(a[j] > 0) + np.int32(b[j] > 0) + np.int32(c[j] > 0) + np.int32(e[j] > 0))


@part(SUMS)
@no_type_check
def _add_row(a, total, squares, fired):
    """The same for one row, where fewer than four of a class are left."""
    for j in range(len(a)):
        value = np.float64(a[j])
        total[j] += value
        squares[j] += value * value
        fired[j] += np.float64(np.int32(a[j] > 0))


@part(SUMS)
@no_type_check
def _add_by_class(x, order, starts, total, squares, fired):
    """Add all rows, class by class, so that the sums of one class stay in the cache."""
    for c in range(len(starts) - 1):
        i = starts[c]
        while i + 4 <= starts[c + 1]:
            _add_rows(x[order[i]], x[order[i + 1]], x[order[i + 2]], x[order[i + 3]], total[c], squares[c], fired[c])
            i += 4
        while i < starts[c + 1]:
            _add_row(x[order[i]], total[c], squares[c], fired[c])
            i += 1


@part(EXTREMES)
@no_type_check
def _beats(a, b, c, e, top, bottom, hit):
    """Which units have an answer among four rows that beats the last of their extremes, and whether any has."""
    hits = np.int32(0)
    for j in range(len(a)):
        beats = np.int32(max(max(a[j], b[j]), max(c[j], e[j])) > top[j])
        beats += np.int32(min(min(a[j], b[j]), min(c[j], e[j])) < bottom[j])
        hit[j] = beats
        hits += beats
    return hits > 0


@entry(set())
@no_type_check
def answer(  # noqa: C901  flat loops: a call for every answer would cost more than the answer
    x, at, ids, order, starts, total, squares, fired, high, high_ids, high_at, low, low_ids, low_at
):
    """Add the answers of a batch.

    Args:
        x: the answers [n, d].
        at: their places [n, d]; empty where there are no positions.
        ids: row numbers [n].
        order: the rows by class [n].
        starts: where each class begins in that order [k + 1].
        total: out, their sums by class are added [k, d].
        squares: out, the sums of their squares [k, d].
        fired: out, how many are above 0 [k, d] (float64).
        high: in and out, the greatest answers [d, m].
        high_ids: their rows.
        high_at: their places.
        low: in and out, the same of the negated answers [d, m].
        low_ids: their rows.
        low_at: their places.
    """
    n, d = x.shape
    _add_by_class(x, order, starts, total, squares, fired)
    last = high.shape[1] - 1
    # What an answer has to beat, side by side: two loads that run along with the answers.
    top, bottom = np.empty(d, np.float32), np.empty(d, np.float32)
    newest, hit = np.int64(-1), np.ones(BLOCK, np.int32)
    for j in range(d):
        top[j], bottom[j] = high[j, last], -low[j, last]
        for k in range(last + 1):
            newest = max(newest, high_ids[j, k], low_ids[j, k])
    for first in range(0, n, 4):
        rows = first, min(first + 1, n - 1), min(first + 2, n - 1), min(first + 3, n - 1)
        # An equal answer enters if its row's number is less; where rows rise, as they mostly do, none does.
        is_tied = False
        for i in range(first, min(first + 4, n)):
            is_tied = is_tied or ids[i] < newest
            newest = max(newest, ids[i])
        for start in range(0, d, BLOCK):
            end = min(start + BLOCK, d)
            if not is_tied and not _beats(
                x[rows[0], start:end], x[rows[1], start:end], x[rows[2], start:end], x[rows[3], start:end],
                top[start:end], bottom[start:end], hit,
            ):  # fmt: skip
                continue
            for j in range(start, end):
                if not (is_tied or hit[j - start]):
                    continue
                for i in range(first, min(first + 4, n)):
                    value, place = x[i, j], at[i, j] if len(at) else np.int32(0)
                    if value > top[j] or (is_tied and value == top[j] and ids[i] < high_ids[j, last]):
                        top[j] = _enter(np.float64(value), ids[i], place, high[j], high_ids[j], high_at[j])
                    if value < bottom[j] or (is_tied and value == bottom[j] and ids[i] < low_ids[j, last]):
                        bottom[j] = -_enter(-np.float64(value), ids[i], place, low[j], low_ids[j], low_at[j])
