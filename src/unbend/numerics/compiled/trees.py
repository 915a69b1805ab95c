"""Extremely randomised trees, grown and asked in one go, compiled; `forest` says what they are for.

In: columns of the rows that are known and of those that are asked about, the targets of the first. Out: what every tree
says of each row that is asked about, added up. Must not know what targets mean: a class is a target of zeros and a one.

No tree is kept. A node is a range of the known rows and a range of the rows asked about that came to it; a split
partitions both in place, and a leaf gives its rows the mean target of its known ones. Nodes wait on a stack, where the
smaller side is put last, so that it is never deeper than the logarithm of the rows.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.compiled.jit import entry, part

_LIKE = np.float32(1e-7)
"""Values of a column that lie no farther apart are one value."""
_SAME = 1e-12
"""Mean squared deviation of targets, relative to their mean square, below which a node is pure."""


@entry(set())
@no_type_check
def ask_trees(x, y, one, new, n_trees, n_columns, smallest, seed, said):
    """Add what trees say of new rows to `said`, which `n_trees` then divides.

    Args:
        x: columns of the known rows [d, n], float32, finite.
        y: targets [n, t], float64.
        one: where each row's target is one and all others are zero [n], which is quicker to add; empty for no such.
        new: columns of the rows asked about [d, m], float32, finite.
        n_trees: how many trees.
        n_columns: columns tried at a node, at least one of them not constant there.
        smallest: known rows that each side of a split must keep.
        seed: of the draws [1], uint64; afterwards the state they left.
        said: out [m, t].
    """
    d, n = x.shape
    m = new.shape[1]
    rows, asked, columns = np.arange(n), np.arange(m), np.arange(d)
    values = np.empty(n, np.float32)
    stack = np.empty((130, 4), np.int64)
    room = np.empty((3, y.shape[1]))
    for _tree in range(n_trees):
        stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = 0, n, 0, m
        depth = 1
        while depth:
            depth -= 1
            start, end, first, last = stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3]
            if first == last:  # nobody asks what is told from here on
                continue
            column, bound = _split(x, y, one, rows[start:end], columns, values, (n_columns, smallest), seed, room)
            if column < 0:
                for i in range(first, last):
                    said[asked[i]] += room[0]
                continue
            middle = start + _part(x[column], rows[start:end], bound)
            between = first + _part(new[column], asked[first:last], bound)
            for side in range(2):
                is_left = (side == 0) == (middle - start > end - middle)
                stack[depth, 0], stack[depth, 1] = (start, middle) if is_left else (middle, end)
                stack[depth, 2], stack[depth, 3] = (first, between) if is_left else (between, last)
                depth += 1


@part(set())
@no_type_check
def _split(x, y, one, rows, columns, values, least, seed, room):
    """The best of some columns, each cut at a place drawn between its ends: column and place, -1 for a leaf.

    The first row of `room` is the mean target afterwards, the second the sum.
    """
    n_columns, smallest = least
    best, found, bound = -np.inf, -1, np.float32(0)
    if _is_pure(y, rows, room) or len(rows) < 2 * smallest:
        return found, bound
    tried, is_open, d = 0, False, len(columns)
    while tried < d and (tried < n_columns or not is_open):
        at = tried + np.int64(_draw(seed) * (d - tried))
        columns[tried], columns[at] = columns[at], columns[tried]
        low, high = _ends(x[columns[tried]], rows, values)
        tried += 1
        if high <= low + _LIKE:
            continue
        is_open = True
        cut = np.float32(low + _draw(seed) * (high - low))
        if cut == high:  # rounded up: every row would go left
            cut = low
        gain = _gain(y, one, rows, values, (cut, smallest), room)
        if gain > best:
            best, found, bound = gain, columns[tried - 1], cut
    return found, bound


@part(set())
@no_type_check
def _is_pure(y, rows, room):
    """Whether all rows have one target; the mean target and the sum are put into `room`."""
    n, t = len(rows), y.shape[1]
    mean, total = room[0], room[1]
    total[:] = 0
    square = between = 0.0
    for i in rows:
        for j in range(t):
            total[j] += y[i, j]
            square += y[i, j] * y[i, j]
    for j in range(t):
        mean[j] = total[j] / n
        between += total[j] * mean[j]
    return n < 2 or square - between <= _SAME * square


@part(set())
@no_type_check
def _ends(column, rows, values):
    """The least and the greatest value of a column over some rows, whose values are put into `values`."""
    low = high = column[rows[0]]
    for i in range(len(rows)):
        values[i] = column[rows[i]]
        low, high = min(low, values[i]), max(high, values[i])
    return low, high


@part(set())
@no_type_check
def _gain(y, one, rows, values, cut, room):
    """What a cut leaves between the means of its sides, larger where it tells more; -inf where a side is too small."""
    bound, smallest = cut
    n, t, n_left = len(rows), y.shape[1], 0
    total, left = room[1], room[2]
    left[:] = 0
    for i in range(n):
        if values[i] <= bound:
            n_left += 1
            if len(one):
                left[one[rows[i]]] += 1
            else:
                for j in range(t):
                    left[j] += y[rows[i], j]
    if min(n_left, n - n_left) < smallest:
        return -np.inf
    gain = 0.0
    for j in range(t):
        gain += left[j] * left[j] / n_left + (total[j] - left[j]) * (total[j] - left[j]) / (n - n_left)
    return gain


@part(set())
@no_type_check
def _part(column, rows, bound):
    """Put the rows up to a bound before the others, in place; how many they are."""
    low, high = 0, len(rows)
    while low < high:
        if column[rows[low]] <= bound:
            low += 1
        else:
            high -= 1
            rows[low], rows[high] = rows[high], rows[low]
    return low


@part(set())
@no_type_check
def _draw(seed):
    """A number from 0 up to 1, by SplitMix64 (Steele, Lea & Flood 2014)."""
    seed[0] += np.uint64(0x9E3779B97F4A7C15)
    z = seed[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)
