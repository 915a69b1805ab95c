"""The fast subdivision of a planar mesh by stages of hinges: float64, serial, no lock, no reallocation.

One stage is four passes over the mesh:

1. Every vertex's columns are carried over from the last stage (a new vertex is a blend of two or four old
   ones), and `z` of every hinge is summed over the columns that are not zero. `z` is continuous, so one row
   serves all faces. Signs go 64 to a word.
2. The hinges that cut an edge are the bits in which its ends differ; their crossings are sorted along the
   edge once and shared by both faces, so the mesh has no cracks.
3. Per face, the crossings met on one walk round it pair up into `k` chords. Two chords meet just when their
   ends interleave. A face becomes `1 + k + X` faces (X meetings): every size is known before anything is
   written, and this pass alone is the exact count.
4. Per face, meetings are sorted along each chord and the new faces traced by turn rules without geometry.

Every decision (a sign, an order) is compared with a bound far above rounding. If one is too close to call,
the kernel gives up with `UNSURE` and the caller asks exact arithmetic: lines through a vertex, coinciding
lines and slivers never reach the turn rules.

Inner functions take plain arrays and are inlined: passing tuples of arrays costs more than the work, here and
in compile time.
"""
# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0911, PLR0912, PLR0913, PLR0915, PLR0917 - compiled kernels: flat loops over flat arrays are the point

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit, uint64
from numba.cpython.unsafe.numbers import trailing_zeros

from unbend._typing import Array

DONE, UNSURE, TOO_MANY = 0, 1, 2
_BLOCK = 1 << 16  # numbers evaluated at once: half a megabyte
_TIE = 1e-12  # relative size below which a sign or an order is left to exact arithmetic

# numba's stubs do not know the two options that save the compiling of unused wrappers
_inner = njit(  # type: ignore[call-overload]
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)
inlined = njit(  # type: ignore[call-overload]
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True
)
_sums = njit(  # type: ignore[call-overload]
    nogil=True,
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    forceinline=True,
    fastmath={"contract"},
)


class Mesh(NamedTuple):
    """A planar subdivision. Half-edge `2e + 1` is edge `e` walked backwards; faces are counter-clockwise."""

    xy: Array  # float64[V, 2]
    edge: Array  # int32[E, 2]
    label: Array  # int32[E]: hinge, or negative for a side of the polygon or a wall between tiles
    ptr: Array  # int64[F + 1]
    half: Array  # int32[ptr[-1]]


class Program(NamedTuple):
    """Stages of hinges, dense and flat. Columns: the constant 1, s, t, then the hinges that are kept."""

    sizes: Array  # int64[L]: hinges of a stage
    widths: Array  # int64[L]: columns a stage reads
    weight: Array  # float64: one (columns, hinges) matrix after the other
    keep: Array  # int64: per stage, the columns that go on to the next; nothing where all do
    kept: Array  # int64[L]: how many go on
    low: Array  # float64[N]
    high: Array  # float64[N]
    name: Array  # int32[N]: the hinge's number in the whole network


@_inner
@no_type_check
def _ties(weight, top):
    """Per hinge: the size below which its value may be rounding; `top` bounds the columns."""
    tie = np.zeros(weight.shape[1])
    for k in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            tie[j] += abs(weight[k, j]) * (_TIE * top[k])
    return tie


@_sums
@no_type_check
def _columns(row, v, old, z, low, high, edge, of, t, hinge, meet_a, meet_b, meet_s, meet_hinge):
    """What vertex `v` hands on: the kept columns of the last stage, and the values of its hinges.

    At a crossing they are a blend of the ends of its edge, at a meeting one of the ends of two edges. The
    hinges that made the vertex are zero there.
    """
    n_old, n = z.shape
    m = old.shape[1]
    c = v - n_old
    i = c - t.shape[0]
    if c < 0:
        for j in range(m):
            row[j] = old[v, j]
        for j in range(n):
            row[m + j] = z[v, j]
    elif i < 0:
        p, q = edge[of[c], 0], edge[of[c], 1]
        b = t[c]
        a = 1.0 - b
        for j in range(m):
            row[j] = a * old[p, j] + b * old[q, j]
        for j in range(n):
            row[m + j] = a * z[p, j] + b * z[q, j]
        row[m + hinge[c]] = 0.0
    else:
        c, d = meet_a[i], meet_b[i]
        p, q, r, s = edge[of[c], 0], edge[of[c], 1], edge[of[d], 0], edge[of[d], 1]
        a0, a1 = (1.0 - meet_s[i]) * (1.0 - t[c]), (1.0 - meet_s[i]) * t[c]
        a2, a3 = meet_s[i] * (1.0 - t[d]), meet_s[i] * t[d]
        for j in range(m):
            row[j] = (a0 * old[p, j] + a1 * old[q, j]) + (a2 * old[r, j] + a3 * old[s, j])
        for j in range(n):
            row[m + j] = (a0 * z[p, j] + a1 * z[q, j]) + (a2 * z[r, j] + a3 * z[s, j])
        row[m + hinge[c]] = 0.0
        row[m + meet_hinge[i]] = 0.0
    for j in range(n):
        value = row[m + j]
        row[m + j] = max(value, 0.0) * high[j] + min(value, 0.0) * low[j]


@_inner
@no_type_check
def _signs(z, tie, words, top):
    """The signs, 64 to a word; whether none is too close to call. `top` gets the largest sizes."""
    n = z.shape[1]
    close = 0
    for v in range(z.shape[0]):
        row = z[v]
        for j in range(n):
            size = abs(row[j])
            close += size <= tie[j]
            top[j] = max(top[j], size)
        for w in range(words.shape[1]):
            x = uint64(0)
            for j in range(w * 64, min(n, w * 64 + 64)):
                x |= uint64(row[j] > 0.0) << uint64(j & 63)
            words[v, w] = x
    return close == 0


@_inner
@no_type_check
def _evaluate(old, z, low, high, edge, of, t, hinge, meet_a, meet_b, meet_s, meet_hinge, weight, tie, keep):
    """The next stage at all vertices, old and new: the columns to keep, `z`, its signs and largest sizes.

    In blocks of rows that stay in cache. The first value is False if a sign is too close to call.
    """
    total = z.shape[0] + t.shape[0] + meet_s.shape[0]
    width, n = weight.shape
    kept = np.empty((total, keep.shape[0]))
    out = np.empty((total, n))
    words = np.empty((total, (n + 63) // 64), np.uint64)
    top = np.zeros(n)
    block = min(total, max(32, _BLOCK // (width + n)))
    rows = np.empty((block, width))
    sure = True
    for begin in range(0, total, block):
        end = min(begin + block, total)
        for v in range(begin, end):
            row = rows[v - begin]
            _columns(row, v, old, z, low, high, edge, of, t, hinge, meet_a, meet_b, meet_s, meet_hinge)
            for j in range(keep.shape[0]):
                kept[v, j] = row[keep[j]]
        np.dot(rows[: end - begin], weight, out[begin:end])
        if not _signs(out[begin:end], tie, words[begin:end], top):
            sure = False
            break
    return sure, kept, out, words, top


@_inner
@no_type_check
def _cut_edges(edge, z, tie, words):
    """All crossings, sorted along the edges: where each edge's begin, edge, hinge, `t`, bound on its error.

    The first value is False if two are too close to order.
    """
    n_edges = edge.shape[0]
    n_word = words.shape[1]
    start = np.empty(n_edges + 1, np.int32)
    start[0] = 0
    for e in range(n_edges):
        c = 0
        u = edge[e, 0]
        v = edge[e, 1]
        for w in range(n_word):
            x = words[u, w] ^ words[v, w]
            while x != uint64(0):
                x &= x - uint64(1)
                c += 1
        start[e + 1] = start[e] + c
    total = start[n_edges]
    of = np.empty(total, np.int32)
    hinge = np.empty(total, np.int32)
    t = np.empty(total)
    slack = np.empty(total)
    sure = True
    for e in range(n_edges):
        o = start[e]
        if start[e + 1] == o:
            continue
        u = edge[e, 0]
        v = edge[e, 1]
        m = o
        for w in range(n_word):
            x = words[u, w] ^ words[v, w]
            while x != uint64(0):
                j = w * 64 + np.int64(trailing_zeros(x))
                x &= x - uint64(1)
                a = z[u, j]
                inverse = 1.0 / (a - z[v, j])
                at = a * inverse
                i = m
                while i > o and t[i - 1] > at:
                    t[i] = t[i - 1]
                    hinge[i] = hinge[i - 1]
                    slack[i] = slack[i - 1]
                    i -= 1
                t[i] = at
                hinge[i] = j
                slack[i] = tie[j] * abs(inverse)
                of[m] = e
                m += 1
        for i in range(o + 1, m):
            if t[i] - t[i - 1] <= slack[i] + slack[i - 1]:
                sure = False
    return sure, start, of, hinge, t, slack


@inlined
@no_type_check
def _walk(begin, end, half, start, hinge, slot, p, q, unit, crossing, side, side_chord, after):
    """Once round a face: its crossings in order, paired up into chords, and the pieces of its sides.

    Returns the number of chords, -1 if crossings do not pair, and the number of pieces. Chord `a` goes from
    position `p[a]` to `q[a]`; a piece ends at chord end `side_chord` (-1 at a corner).
    """
    position = 0
    n_side = 0
    k = 0
    odd = 0
    for i in range(begin, end):
        h = half[i]
        e = h >> 1
        back = h & 1
        o = start[e]
        m = start[e + 1] - o
        for r in range(m):
            c = o + m - 1 - r if back else o + r
            side[n_side] = 2 * (c + e + back) + back
            j = hinge[c]
            s = slot[j]
            if s < 0:
                slot[j] = k
                unit[k] = j
                p[k] = position
                q[k] = -1
                side_chord[n_side] = 2 * k
                k += 1
            else:
                odd += q[s] >= 0
                q[s] = position
                side_chord[n_side] = 2 * s + 1
            crossing[position] = c
            n_side += 1
            after[position] = n_side
            position += 1
        side[n_side] = 2 * (o + e) + 1 if back else 2 * (o + m + e)
        side_chord[n_side] = -1
        n_side += 1
    for a in range(k):
        slot[unit[a]] = -1
        odd += q[a] < 0
    return (k if odd == 0 else -1), n_side


@inlined
@no_type_check
def _meet(c, d, j, edge, of, t, slack, z, tie):
    """Where the chord from crossing `c` to `d` meets hinge `j`: the parameter, and a bound on its error."""
    e = of[c]
    u = z[edge[e, 0], j]
    rise = z[edge[e, 1], j] - u
    first = abs(u + t[c] * rise)
    bound = slack[c] * abs(rise)
    e = of[d]
    u = z[edge[e, 0], j]
    rise = z[edge[e, 1], j] - u
    last = abs(u + t[d] * rise)
    bound += slack[d] * abs(rise)
    total = first + last
    if total <= bound:
        return 0.5, 1.0
    share = 1.0 / total
    return first * share, (bound + 2.0 * tie[j]) * share


@inlined
@no_type_check
def _sort(key, item, lo, hi):
    """Sort a part of two arrays by the first (Shell's method: short parts are sorted by insertion)."""
    gap = 1
    while 9 * gap < hi - lo:
        gap = 3 * gap + 1
    while gap > 0:
        for r in range(lo + gap, hi):
            value = key[r]
            what = item[r]
            i = r
            while i >= lo + gap and key[i - gap] > value:
                key[i] = key[i - gap]
                item[i] = item[i - gap]
                i -= gap
            key[i] = value
            item[i] = what
        gap //= 3


@inlined
@no_type_check
def _is_crowded(at, bound, item, n, head, link):
    """Whether two of some parameters in [0, 1] may be equal, given a bound on the error of each.

    They are spread over buckets wider than any two errors, so that only neighbours are compared; where errors are too
    large for that, they are sorted.
    """
    n_bucket = 8
    while n_bucket < n:
        n_bucket *= 2
    worst = 0.0
    for i in range(n):
        worst = max(worst, bound[i])
        item[i] = i
    if 2.0 * worst * n_bucket >= 1.0:
        _sort(at, item, 0, n)
        i = 1
        while i < n and at[i] - at[i - 1] > bound[item[i]] + bound[item[i - 1]]:
            i += 1
        return i < n
    for i in range(n_bucket):
        head[i] = -1
    for i in range(n):
        here = min(int(at[i] * n_bucket), n_bucket - 1)
        for near in range(max(here - 1, 0), min(here + 2, n_bucket)):
            other = head[near]
            while other >= 0:
                if abs(at[i] - at[other]) <= bound[i] + bound[other]:
                    return True
                other = link[other]
        link[i] = head[here]
        head[here] = i
    return False


@_inner
@no_type_check
def _count(ptr, half, start, of, hinge, t, slack, edge, z, tie, check):
    """Per face: chords, meetings, pieces of its sides; the first value is False if crossings do not pair up.

    With `check`, also if three chords may meet in one point (building the faces would find that out).
    """
    n_face = ptr.shape[0] - 1
    chords = np.empty(n_face, np.int32)
    meetings = np.zeros(n_face, np.int32)
    sides = np.empty(n_face, np.int32)
    most = 0
    widest = 0
    for f in range(n_face):
        c = 0
        for i in range(ptr[f], ptr[f + 1]):
            e = half[i] >> 1
            c += start[e + 1] - start[e]
        most = max(most, c)
        chords[f] = c
        sides[f] = c + ptr[f + 1] - ptr[f]
        widest = max(widest, sides[f])
    slot = np.full(z.shape[1], -1, np.int32)
    block = np.empty((4, most), np.int32)
    p, q, unit, crossing = block[0], block[1], block[2], block[3]
    block = np.empty((3, widest), np.int32)
    side, side_chord, after = block[0], block[1], block[2]
    at, bound = np.empty(most), np.empty(most)
    item, link, head = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(2 * most + 8, np.int32)
    sure = True
    for f in range(n_face):
        if chords[f] == 0:
            continue
        begin, end = ptr[f], ptr[f + 1]
        k, _ = _walk(begin, end, half, start, hinge, slot, p, q, unit, crossing, side, side_chord, after)
        if k < 0:
            sure = False
            break
        chords[f] = k
        x = 0
        for a in range(k):
            last = q[a]
            n_here = 0
            for b in range(a + 1, k):
                if p[b] > last:
                    break
                if q[b] > last:
                    if check:
                        c, d = crossing[p[a]], crossing[last]
                        at[n_here], bound[n_here] = _meet(c, d, unit[b], edge, of, t, slack, z, tie)
                    n_here += 1
            x += n_here
            if n_here > 1 and check and _is_crowded(at, bound, item, n_here, head, link):
                sure = False
        meetings[f] = x
        if not sure:
            break
    return sure, chords, meetings, sides


@inlined
@no_type_check
def _shifted(begin, end, half, start, new_half, o):
    """Sides without a crossing, under the new numbers of their edges; the place after them."""
    for i in range(begin, end):
        h = half[i]
        new_half[o] = h + 2 * start[h >> 1]
        o += 1
    return o


@inlined
@no_type_check
def _two(begin, end, half, start, new_half, new_ptr, edge_at, face_at, o):
    """A face cut by one chord; the crossings it runs between."""
    first = begin
    while start[(half[first] >> 1) + 1] == start[half[first] >> 1]:
        first += 1
    last = first + 1
    while start[(half[last] >> 1) + 1] == start[half[last] >> 1]:
        last += 1
    h = half[first]
    e = h >> 1
    c = start[e]
    g = half[last]
    i = g >> 1
    d = start[i]
    new_half[o] = 2 * (e + c) + 1 if h & 1 else 2 * (e + c + 1)
    o = _shifted(first + 1, last, half, start, new_half, o + 1)
    new_half[o] = 2 * (i + d + 1) + 1 if g & 1 else 2 * (i + d)
    new_half[o + 1] = 2 * edge_at + 1
    o += 2
    new_ptr[face_at + 1] = o
    new_half[o] = 2 * (i + d) + 1 if g & 1 else 2 * (i + d + 1)
    o = _shifted(last + 1, end, half, start, new_half, o + 1)
    o = _shifted(begin, first, half, start, new_half, o)
    new_half[o] = 2 * (e + c + 1) + 1 if h & 1 else 2 * (e + c)
    new_half[o + 1] = 2 * edge_at
    new_ptr[face_at + 2] = o + 2
    return c, d


@inlined
@no_type_check
def _trace(
    n_side,
    side,
    side_chord,
    after,
    p,
    q,
    off,
    node,
    rank,
    pair,
    of_segment,
    seen,
    new_half,
    new_ptr,
    edge_at,
    face_at,
    o,
    end,
):
    """The new faces of one face, each walked once round; how many, -1 if the turns do not close."""
    n_segment = (end - o - n_side) >> 1
    for i in range(2 * n_segment):
        seen[i] = False
    n_face = 0
    for begin in range(n_side + 2 * n_segment):
        on_side = begin < n_side
        current = begin if on_side else begin - n_side
        if (on_side and side[current] < 0) or (not on_side and seen[current]):
            continue
        start_side = on_side
        start = current
        while True:
            if o >= end:
                return -1
            if on_side:
                new_half[o] = side[current]
                side[current] = -1
                o += 1
                c = side_chord[current]
                if c < 0:
                    current = current + 1 if current + 1 < n_side else 0
                else:
                    a = c >> 1
                    on_side = False
                    current = 2 * (off[a + 1] + a) + 1 if c & 1 else 2 * (off[a] + a)
            else:
                segment = current >> 1
                back = current & 1
                new_half[o] = 2 * (edge_at + segment) + back
                seen[current] = True
                o += 1
                a = of_segment[segment]
                r = segment - a
                if back == 0 and r == off[a + 1]:
                    on_side = True
                    current = after[q[a]]
                elif back == 1 and r == off[a]:
                    on_side = True
                    current = after[p[a]]
                else:
                    item = node[r - back]
                    b = pair[item ^ 1]
                    direction = back ^ (item & 1)
                    current = 2 * (off[b] + b + rank[item ^ 1] + 1 - direction) + direction
            if on_side == start_side and current == start:
                break
        n_face += 1
        new_ptr[face_at + n_face] = o
    return n_face if o == end else -1


@_inner
@no_type_check
def _cut_faces(xy, edge, label, ptr, half, start, of, hinge, t, slack, z, tie, chords, meetings, sides, names):
    """The new mesh, and per meeting of two chords: the ends of the first, where along it, the second's hinge."""
    n_old = xy.shape[0]
    n_cut = t.shape[0]
    n_edge = edge.shape[0] + n_cut
    n_face = ptr.shape[0] - 1
    x = 0
    k = 0
    n_half = 0
    most_k = 0
    most_x = 0
    widest = 0
    for f in range(n_face):
        k += chords[f]
        x += meetings[f]
        n_half += sides[f] + 2 * (chords[f] + 2 * meetings[f])
        most_k = max(most_k, chords[f])
        most_x = max(most_x, meetings[f])
        widest = max(widest, sides[f])
    new_xy = np.empty((n_old + n_cut + x, 2))
    new_edge = np.empty((n_edge + k + 2 * x, 2), np.int32)
    new_label = np.empty(n_edge + k + 2 * x, np.int32)
    new_ptr = np.empty(n_face + k + x + 1, np.int64)
    new_half = np.empty(n_half, np.int32)
    block = np.empty((3, x), np.int32)
    meet_a, meet_b, meet_hinge = block[0], block[1], block[2]
    meet_s = np.empty(x)
    for v in range(n_old):
        new_xy[v, 0] = xy[v, 0]
        new_xy[v, 1] = xy[v, 1]
    for e in range(edge.shape[0]):
        u = edge[e, 0]
        v = edge[e, 1]
        o = e + start[e]
        name = label[e]
        new_edge[o, 0] = u
        for c in range(start[e], start[e + 1]):
            new_xy[n_old + c, 0] = xy[u, 0] + t[c] * (xy[v, 0] - xy[u, 0])
            new_xy[n_old + c, 1] = xy[u, 1] + t[c] * (xy[v, 1] - xy[u, 1])
            new_edge[o, 1] = n_old + c
            new_label[o] = name
            o += 1
            new_edge[o, 0] = n_old + c
        new_edge[o, 1] = v
        new_label[o] = name
    slot = np.full(z.shape[1], -1, np.int32)
    block = np.empty((5, most_k + 1), np.int32)
    p, q, unit, count, off = block[0], block[1], block[2], block[3], block[4]
    block = np.empty((4, widest + 1), np.int32)
    crossing, side, side_chord, after = block[0], block[1], block[2], block[3]
    block = np.empty((3, 2 * most_x), np.int32)
    rank, pair, node = block[0], block[1], block[2]
    reals = np.empty((3, 2 * most_x))
    at, bound, key = reals[0], reals[1], reals[2]
    of_segment = np.empty(most_k + 2 * most_x, np.int32)
    seen = np.empty(2 * (most_k + 2 * most_x), np.bool_)
    sure = True
    first_meet = n_old + n_cut
    meet_at = 0
    edge_at = n_edge
    face_at = 0
    half_at = 0
    new_ptr[0] = 0
    for f in range(n_face):
        k = chords[f]
        begin, end = ptr[f], ptr[f + 1]
        if k == 0:
            half_at = _shifted(begin, end, half, start, new_half, half_at)
            face_at += 1
            new_ptr[face_at] = half_at
            continue
        if k == 1:
            c, d = _two(begin, end, half, start, new_half, new_ptr, edge_at, face_at, half_at)
            new_edge[edge_at, 0] = n_old + c
            new_edge[edge_at, 1] = n_old + d
            new_label[edge_at] = names[hinge[c]]
            edge_at += 1
            face_at += 2
            half_at = new_ptr[face_at]
            continue
        _, n_side = _walk(begin, end, half, start, hinge, slot, p, q, unit, crossing, side, side_chord, after)
        for a in range(k):
            count[a] = 0
        n_meet = 0
        for a in range(k):
            last = q[a]
            c = crossing[p[a]]
            d = crossing[last]
            for b in range(a + 1, k):
                if p[b] > last:
                    break
                if q[b] > last:
                    i = 2 * n_meet
                    s, width = _meet(c, d, unit[b], edge, of, t, slack, z, tie)
                    at[i] = s
                    bound[i] = width
                    pair[i] = a
                    g, h = crossing[p[b]], crossing[q[b]]
                    at[i + 1], bound[i + 1] = _meet(g, h, unit[a], edge, of, t, slack, z, tie)
                    pair[i + 1] = b
                    count[a] += 1
                    count[b] += 1
                    m = meet_at + n_meet
                    meet_a[m] = c
                    meet_b[m] = d
                    meet_s[m] = s
                    meet_hinge[m] = unit[b]
                    u = n_old + c
                    v = n_old + d
                    new_xy[first_meet + m, 0] = new_xy[u, 0] + s * (new_xy[v, 0] - new_xy[u, 0])
                    new_xy[first_meet + m, 1] = new_xy[u, 1] + s * (new_xy[v, 1] - new_xy[u, 1])
                    n_meet += 1
        total = 0
        for a in range(k):
            off[a] = total
            total += count[a]
            count[a] = off[a]
        off[k] = total
        for i in range(2 * n_meet):
            a = pair[i]
            key[count[a]] = at[i]
            node[count[a]] = i
            count[a] += 1
        for a in range(k):
            lo, hi = off[a], off[a + 1]
            _sort(key, node, lo, hi)
            before = n_old + crossing[p[a]]
            name = names[unit[a]]
            g = edge_at + lo + a
            for i in range(lo, hi):
                item = node[i]
                rank[item] = i - lo
                if i > lo and key[i] - key[i - 1] <= bound[item] + bound[node[i - 1]]:
                    sure = False
                here = first_meet + meet_at + (item >> 1)
                new_edge[g, 0] = before
                new_edge[g, 1] = here
                new_label[g] = name
                of_segment[g - edge_at] = a
                before = here
                g += 1
            new_edge[g, 0] = before
            new_edge[g, 1] = n_old + crossing[q[a]]
            new_label[g] = name
            of_segment[g - edge_at] = a
        if not sure:
            break
        half_end = half_at + n_side + 2 * (k + 2 * n_meet)
        made = _trace(
            n_side, side, side_chord, after, p, q, off, node, rank, pair, of_segment, seen, new_half, new_ptr, edge_at,
            face_at, half_at, half_end,
        )  # fmt: skip
        if made != 1 + k + n_meet:
            sure = False
            break
        meet_at += n_meet
        edge_at += k + 2 * n_meet
        face_at += made
        half_at = half_end
    return sure, new_xy, new_edge, new_label, new_ptr, new_half, meet_a, meet_b, meet_s, meet_hinge


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def subdivide(program, mesh, limit, count_only):
    """Cut the mesh by all stages. Returns (status, stages done, faces, wall crossings, mesh).

    With `count_only` the last stage is counted and not built. Wall crossings: ends of edges on walls.
    """
    sizes, widths, weights, keeps, n_keeps, lows, highs, all_names = program
    xy, edge, label, ptr, half = mesh
    n_stage = sizes.shape[0]
    n_face = ptr.shape[0] - 1
    kept = np.ones((xy.shape[0], 3))
    top = np.zeros(3)
    top[0] = 1.0
    for v in range(xy.shape[0]):
        for j in range(2):
            kept[v, 1 + j] = xy[v, j]
            top[1 + j] = max(top[1 + j], abs(xy[v, j]))
    z = np.empty((xy.shape[0], 0))
    low, high = np.empty(0), np.empty(0)
    ends = edge
    of = np.empty(0, np.int32)
    hinge, meet_a, meet_b, meet_hinge = of, of, of, of
    t, meet_s = low, low
    at = 0
    first = 0
    keep_at = 0
    for stage in range(n_stage):
        n = sizes[stage]
        weight = weights[at : at + n * widths[stage]].reshape(widths[stage], n)
        at += n * widths[stage]
        last = stage == n_stage - 1
        if last:
            keep = keeps[:0]
        elif n_keeps[stage] == widths[stage]:
            keep = np.arange(widths[stage])
        else:
            keep = keeps[keep_at : keep_at + n_keeps[stage]]
            keep_at += n_keeps[stage]
        tie = _ties(weight, top)
        sure, kept, z, words, z_top = _evaluate(
            kept, z, low, high, ends, of, t, hinge, meet_a, meet_b, meet_s, meet_hinge, weight, tie, keep
        )
        if not sure:
            return UNSURE, stage, n_face, 0, mesh
        sure, start, of, hinge, t, slack = _cut_edges(edge, z, tie, words)
        if not sure:
            return UNSURE, stage, n_face, 0, mesh
        check = last and count_only
        sure, chords, meetings, sides = _count(ptr, half, start, of, hinge, t, slack, edge, z, tie, check)
        if not sure:
            return UNSURE, stage, n_face, 0, mesh
        for f in range(chords.shape[0]):
            n_face += chords[f] + meetings[f]
        if n_face > limit:
            return TOO_MANY, stage, n_face, 0, mesh
        if check:
            cut_walls = 0
            for e in range(edge.shape[0]):
                if label[e] < -1000:
                    cut_walls += start[e + 1] - start[e]
            return DONE, n_stage, n_face, cut_walls, Mesh(xy, edge, label, ptr, half)
        names = all_names[first : first + n]
        ends = edge
        sure, xy, edge, label, ptr, half, meet_a, meet_b, meet_s, meet_hinge = _cut_faces(
            xy, edge, label, ptr, half, start, of, hinge, t, slack, z, tie, chords, meetings, sides, names
        )
        if not sure:
            return UNSURE, stage, n_face, 0, mesh
        low, high = lows[first : first + n], highs[first : first + n]
        first += n
        before, top = top, np.empty(keep.shape[0] + n)
        for j in range(keep.shape[0]):
            top[j] = before[keep[j]]
        for j in range(n):
            top[keep.shape[0] + j] = z_top[j] * max(abs(low[j]), abs(high[j]))
    return DONE, n_stage, n_face, 0, Mesh(xy, edge, label, ptr, half)
