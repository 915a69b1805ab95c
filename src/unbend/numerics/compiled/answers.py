"""The compiled pass behind `UnitSums`: sums by class, and the rows to which every unit answers most and least.

In: answers [n, d] of float32, C-contiguous and finite. Out: sums and extremes, added to arrays the caller owns. A list
of extremes is sorted; an answer that does not beat its last one costs one comparison.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.compiled.addresses import compiled


@compiled(set())
@no_type_check
def _enter(value, id_, place, values, ids, places):
    """Put an answer into a sorted list, greatest first, of equal ones the least number first."""
    k = len(values) - 1
    while k > 0 and (value > values[k - 1] or (value == values[k - 1] and id_ < ids[k - 1])):
        values[k], ids[k], places[k] = values[k - 1], ids[k - 1], places[k - 1]
        k -= 1
    values[k], ids[k], places[k] = value, id_, place


@compiled(set())
@no_type_check
def answer(x, at, ids, label, total, squares, fired, high, high_ids, high_at, low, low_ids, low_at):
    """Add the answers of a batch.

    Args:
        x: the answers [n, d].
        at: their places [n, d]; empty where there are no positions.
        ids: row numbers [n].
        label: classes [n].
        total: out, their sums by class are added [k, d].
        squares: out, the sums of their squares [k, d].
        fired: out, how many are above 0 [k, d].
        high: in and out, the greatest answers [d, m].
        high_ids: their rows.
        high_at: their places.
        low: in and out, the same of the negated answers [d, m].
        low_ids: their rows.
        low_at: their places.
    """
    n, d = x.shape
    last = high.shape[1] - 1
    # What an answer has to beat, side by side: two loads that run along with the answers.
    top, bottom = np.empty(d, np.float32), np.empty(d, np.float32)
    for j in range(d):
        top[j], bottom[j] = high[j, last], -low[j, last]
    for i in range(n):
        c = label[i]
        for j in range(d):
            value = np.float64(x[i, j])
            total[c, j] += value
            squares[c, j] += value * value
            fired[c, j] += x[i, j] > 0
        for j in range(d):
            value = x[i, j]
            if value > top[j] or (value == top[j] and (high_ids[j, last] < 0 or ids[i] < high_ids[j, last])):
                _enter(np.float64(value), ids[i], at[i, j] if len(at) else 0, high[j], high_ids[j], high_at[j])
                top[j] = high[j, last]
            if value < bottom[j] or (value == bottom[j] and (low_ids[j, last] < 0 or ids[i] < low_ids[j, last])):
                _enter(-np.float64(value), ids[i], at[i, j] if len(at) else 0, low[j], low_ids[j], low_at[j])
                bottom[j] = -low[j, last]
