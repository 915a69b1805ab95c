"""The fast subdivision of a planar mesh by stages of hinges: float64, serial, no lock, no reallocation.

One stage is four passes over the mesh:

1. `z` of every hinge at every vertex, one matrix product. `z` is continuous, so one row serves all faces.
2. Signs, 64 to a word. The hinges that cut an edge are the bits in which its ends differ; their crossings
   are sorted along the edge once and shared by both faces, so the mesh has no cracks.
3. Per face, the crossings met on one walk round it pair up into `k` chords. Two chords meet just when their
   ends interleave. A face becomes `1 + k + X` faces (X meetings): every size is known before anything is
   written, and this pass alone is the exact count.
4. Per face, meetings are sorted along each chord and the new faces traced by turn rules without geometry.

Every decision (a sign, an order) is compared with a bound far above rounding. If one is too close to call,
the kernel gives up with `UNSURE` and the caller asks exact arithmetic: lines through a vertex, coinciding
lines and slivers never reach the turn rules.
"""
# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0912, PLR0913, PLR0915, PLR0917 - compiled kernels: flat loops over flat arrays are the point

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit, uint64
from numba.cpython.unsafe.numbers import trailing_zeros

from unbend._typing import Array

DONE, UNSURE, TOO_MANY = 0, 1, 2
_TIE = 1e-12  # relative size below which a sign or an order is left to exact arithmetic


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
    keep: Array  # int64: per stage, the columns that go on to the next, `kept` of them
    kept: Array  # int64[L]
    low: Array  # float64[N]
    high: Array  # float64[N]
    name: Array  # int32[N]: the hinge's number in the whole network


class _Cuts(NamedTuple):
    """Where the hinges of a stage cross the edges: sorted along each edge."""

    start: Array  # int64[E + 1]
    hinge: Array  # int32[C]
    t: Array  # float64[C]
    slack: Array  # float64[C]: bound on the error of t
    edge: Array  # int32[C]


class _Meets(NamedTuple):
    """Where two chords meet: the crossings the first chord ends in, the parameter, the second's hinge."""

    a: Array
    b: Array
    s: Array
    hinge: Array


class _Scratch(NamedTuple):
    slot: Array
    p: Array
    q: Array
    unit: Array
    crossing: Array
    chord_at: Array
    after: Array
    rank: Array
    pair: Array
    at: Array
    at_slack: Array
    count: Array
    off: Array
    node: Array
    node_s: Array
    node_slack: Array
    seen: Array
    side: Array
    side_chord: Array
    of_segment: Array


@njit(cache=True, nogil=True)
@no_type_check
def _sign_words(z, tie, words):
    sure = True
    n = z.shape[1]
    for v in range(z.shape[0]):
        for w in range(words.shape[1]):
            x = uint64(0)
            lo = w * 64
            hi = min(n, lo + 64)
            close = 0
            for j in range(lo, hi):
                value = z[v, j]
                x |= uint64(value > 0.0) << uint64(j - lo)
                close += abs(value) <= tie[j]
            words[v, w] = x
            if close:
                sure = False
    return sure


@njit(cache=True, nogil=True)
@no_type_check
def _cut_edges(mesh, z, tie, words):
    """All crossings, sorted along the edges; False if two are too close to order."""
    edge = mesh.edge
    n_edges = edge.shape[0]
    start = np.empty(n_edges + 1, np.int64)
    start[0] = 0
    for e in range(n_edges):
        c = 0
        u = edge[e, 0]
        v = edge[e, 1]
        for w in range(words.shape[1]):
            x = words[u, w] ^ words[v, w]
            while x != uint64(0):
                x &= x - uint64(1)
                c += 1
        start[e + 1] = start[e] + c
    total = start[n_edges]
    hinge = np.empty(total, np.int32)
    t = np.empty(total)
    slack = np.empty(total)
    of = np.empty(total, np.int32)
    sure = True
    for e in range(n_edges):
        o = start[e]
        if start[e + 1] == o:
            continue
        u = edge[e, 0]
        v = edge[e, 1]
        m = o
        for w in range(words.shape[1]):
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
    return sure, _Cuts(start, hinge, t, slack, of)


@njit(cache=True, nogil=True)
@no_type_check
def _chords(f, mesh, cuts, scratch):
    """Pair up the crossings met on a walk round face `f`; the number of chords, -1 if they do not pair."""
    slot, p, q, unit, crossing = scratch.slot, scratch.p, scratch.q, scratch.unit, scratch.crossing
    position = 0
    k = 0
    odd = 0
    for i in range(mesh.ptr[f], mesh.ptr[f + 1]):
        h = mesh.half[i]
        e = h >> 1
        o = cuts.start[e]
        m = cuts.start[e + 1] - o
        for r in range(m):
            c = o + r if (h & 1) == 0 else o + m - 1 - r
            j = cuts.hinge[c]
            s = slot[j]
            if s < 0:
                slot[j] = k
                unit[k] = j
                p[k] = position
                q[k] = -1
                k += 1
            elif q[s] < 0:
                q[s] = position
            else:
                odd += 1
            crossing[position] = c
            position += 1
    for a in range(k):
        slot[unit[a]] = -1
        if q[a] < 0:
            odd += 1
    return k if odd == 0 else -1


@njit(cache=True, nogil=True)
@no_type_check
def _meet(a, b, mesh, cuts, z, tie, scratch):
    """Where chord `a` meets chord `b`: the parameter along `a`, and a bound on its error."""
    c = scratch.crossing[scratch.p[a]]
    d = scratch.crossing[scratch.q[a]]
    j = scratch.unit[b]
    e = cuts.edge[c]
    u = z[mesh.edge[e, 0], j]
    rise = z[mesh.edge[e, 1], j] - u
    first = abs(u + cuts.t[c] * rise)
    slack = cuts.slack[c] * abs(rise)
    e = cuts.edge[d]
    u = z[mesh.edge[e, 0], j]
    rise = z[mesh.edge[e, 1], j] - u
    last = abs(u + cuts.t[d] * rise)
    slack += cuts.slack[d] * abs(rise)
    total = first + last
    if total <= slack:
        return 0.5, 1.0
    return first / total, (slack + 2.0 * tie[j]) / total


@njit(cache=True, nogil=True)
@no_type_check
def _sort_meetings(k, n_meet, scratch):
    """Meetings along every chord in order; False if two are too close to order."""
    count, off, node, s, slack = scratch.count, scratch.off, scratch.node, scratch.node_s, scratch.node_slack
    total = 0
    for a in range(k):
        off[a] = total
        total += count[a]
        count[a] = 0
    off[k] = total
    for m in range(2 * n_meet):
        a = scratch.pair[m]
        i = off[a] + count[a]
        count[a] += 1
        node[i] = m >> 1
        s[i] = scratch.at[m]
        slack[i] = scratch.at_slack[m]
    sure = True
    for a in range(k):
        lo = off[a]
        hi = off[a + 1]
        if hi - lo < 48:
            for r in range(lo + 1, hi):
                key = s[r]
                width = slack[r]
                m = node[r]
                i = r
                while i > lo and s[i - 1] > key:
                    s[i] = s[i - 1]
                    slack[i] = slack[i - 1]
                    node[i] = node[i - 1]
                    i -= 1
                s[i] = key
                slack[i] = width
                node[i] = m
        else:
            order = np.argsort(s[lo:hi])
            keys = s[lo:hi][order]
            widths = slack[lo:hi][order]
            nodes = node[lo:hi][order]
            s[lo:hi] = keys
            slack[lo:hi] = widths
            node[lo:hi] = nodes
        for i in range(lo, hi):
            if i > lo and s[i] - s[i - 1] <= slack[i] + slack[i - 1]:
                sure = False
            m = node[i]
            scratch.rank[2 * m + (scratch.pair[2 * m] != a)] = i - lo
    return sure


@njit(cache=True, nogil=True)
@no_type_check
def _two(f, mesh, cuts, new, edge_at, face_at, half_at):
    """A face cut by one chord."""
    ptr, half = mesh.ptr, mesh.half
    c = -1
    d = -1
    first = 0
    last = 0
    for i in range(ptr[f], ptr[f + 1]):
        e = half[i] >> 1
        if cuts.start[e + 1] > cuts.start[e]:
            if c < 0:
                c = cuts.start[e]
                first = i
            else:
                d = cuts.start[e]
                last = i
    base = mesh.xy.shape[0]
    new.edge[edge_at, 0] = base + c
    new.edge[edge_at, 1] = base + d
    new.label[edge_at] = cuts.hinge[c]
    o = half_at
    h = half[first]
    e = h >> 1
    new.half[o] = 2 * (e + c + 1) if (h & 1) == 0 else 2 * (e + c) + 1
    o += 1
    for i in range(first + 1, last):
        h = half[i]
        new.half[o] = h + 2 * cuts.start[h >> 1]
        o += 1
    h = half[last]
    e = h >> 1
    new.half[o] = 2 * (e + d) if (h & 1) == 0 else 2 * (e + d + 1) + 1
    new.half[o + 1] = 2 * edge_at + 1
    o += 2
    new.ptr[face_at + 1] = o
    new.half[o] = 2 * (e + d + 1) if (h & 1) == 0 else 2 * (e + d) + 1
    o += 1
    for i in range(last + 1, ptr[f + 1]):
        h = half[i]
        new.half[o] = h + 2 * cuts.start[h >> 1]
        o += 1
    for i in range(ptr[f], first):
        h = half[i]
        new.half[o] = h + 2 * cuts.start[h >> 1]
        o += 1
    h = half[first]
    e = h >> 1
    new.half[o] = 2 * (e + c) if (h & 1) == 0 else 2 * (e + c + 1) + 1
    new.half[o + 1] = 2 * edge_at
    new.ptr[face_at + 2] = o + 2


@njit(cache=True, nogil=True)
@no_type_check
def _many(f, k, mesh, cuts, z, tie, new, meets, meet_at, edge_at, face_at, half_at, scratch):
    """A face cut by several chords; False if an order is unsure or the traced faces are not 1 + k + X."""
    p, q, crossing, off = scratch.p, scratch.q, scratch.crossing, scratch.off
    base = mesh.xy.shape[0]
    first_meet = base + cuts.t.shape[0]
    for a in range(k):
        scratch.chord_at[p[a]] = 2 * a
        scratch.chord_at[q[a]] = 2 * a + 1
        scratch.count[a] = 0
    n_side = 0
    position = 0
    for i in range(mesh.ptr[f], mesh.ptr[f + 1]):
        h = mesh.half[i]
        e = h >> 1
        o = cuts.start[e]
        m = cuts.start[e + 1] - o
        for r in range(m + 1):
            scratch.side[n_side] = 2 * (e + o + r) if (h & 1) == 0 else 2 * (e + o + m - r) + 1
            if r < m:
                scratch.side_chord[n_side] = scratch.chord_at[position]
                scratch.after[position] = n_side + 1
                position += 1
            else:
                scratch.side_chord[n_side] = -1
            n_side += 1
    n_meet = 0
    for a in range(k):
        qa = q[a]
        for b in range(a + 1, k):
            if p[b] > qa:
                break
            if q[b] > qa:
                s, slack = _meet(a, b, mesh, cuts, z, tie, scratch)
                r, r_slack = _meet(b, a, mesh, cuts, z, tie, scratch)
                scratch.pair[2 * n_meet] = a
                scratch.pair[2 * n_meet + 1] = b
                scratch.at[2 * n_meet] = s
                scratch.at[2 * n_meet + 1] = r
                scratch.at_slack[2 * n_meet] = slack
                scratch.at_slack[2 * n_meet + 1] = r_slack
                scratch.count[a] += 1
                scratch.count[b] += 1
                c = crossing[p[a]]
                d = crossing[qa]
                m = meet_at + n_meet
                meets.a[m] = c
                meets.b[m] = d
                meets.s[m] = s
                meets.hinge[m] = scratch.unit[b]
                x = new.xy[base + c, 0]
                y = new.xy[base + c, 1]
                new.xy[first_meet + m, 0] = x + s * (new.xy[base + d, 0] - x)
                new.xy[first_meet + m, 1] = y + s * (new.xy[base + d, 1] - y)
                n_meet += 1
    sure = _sort_meetings(k, n_meet, scratch)
    node = scratch.node
    for a in range(k):
        before = base + crossing[p[a]]
        for i in range(off[a], off[a + 1] + 1):
            g = edge_at + i + a
            here = first_meet + meet_at + node[i] if i < off[a + 1] else base + crossing[q[a]]
            new.edge[g, 0] = before
            new.edge[g, 1] = here
            new.label[g] = scratch.unit[a]
            scratch.of_segment[i + a] = a
            before = here
    n_segment = k + 2 * n_meet
    for i in range(2 * n_segment):
        scratch.seen[i] = False
    n_face = 0
    o = half_at
    end = half_at + n_side + 2 * n_segment
    for begin in range(n_side + 2 * n_segment):
        on_side = begin < n_side
        current = begin if on_side else begin - n_side
        if (on_side and scratch.side[current] < 0) or (not on_side and scratch.seen[current]):
            continue
        start_side = on_side
        start = current
        while True:
            if o >= end:
                return False
            if on_side:
                new.half[o] = scratch.side[current]
                scratch.side[current] = -1
                o += 1
                c = scratch.side_chord[current]
                if c < 0:
                    current = current + 1 if current + 1 < n_side else 0
                else:
                    a = c >> 1
                    on_side = False
                    current = 2 * (off[a] + a) if (c & 1) == 0 else 2 * (off[a + 1] + a) + 1
            else:
                segment = current >> 1
                back = current & 1
                new.half[o] = 2 * (edge_at + segment) + back
                scratch.seen[current] = True
                o += 1
                a = scratch.of_segment[segment]
                r = segment - off[a] - a
                if back == 0 and r == off[a + 1] - off[a]:
                    on_side = True
                    current = scratch.after[q[a]]
                elif back == 1 and r == 0:
                    on_side = True
                    current = scratch.after[p[a]]
                else:
                    m = node[off[a] + r] if back == 0 else node[off[a] + r - 1]
                    if scratch.pair[2 * m] == a:
                        b = scratch.pair[2 * m + 1]
                        at = scratch.rank[2 * m + 1]
                        direction = back
                    else:
                        b = scratch.pair[2 * m]
                        at = scratch.rank[2 * m]
                        direction = 1 - back
                    current = 2 * (off[b] + b + at + 1 - direction) + direction
            if on_side == start_side and current == start:
                break
        n_face += 1
        if n_face > 1 + k + n_meet:
            return False
        new.ptr[face_at + n_face] = o
    return sure and n_face == 1 + k + n_meet


@njit(cache=True, nogil=True)
@no_type_check
def _scratch(n, k, x, sides):
    i4, f8 = np.int32, np.float64
    return _Scratch(
        np.full(n, -1, i4),
        np.empty(k + 1, i4),
        np.empty(k + 1, i4),
        np.empty(k + 1, i4),
        np.empty(2 * k + 2, i4),
        np.empty(2 * k + 2, i4),
        np.empty(2 * k + 2, i4),
        np.empty(2 * x + 2, i4),
        np.empty(2 * x + 2, i4),
        np.empty(2 * x + 2, f8),
        np.empty(2 * x + 2, f8),
        np.empty(k + 1, i4),
        np.empty(k + 2, i4),
        np.empty(2 * x + 1, i4),
        np.empty(2 * x + 1, f8),
        np.empty(2 * x + 1, f8),
        np.empty(2 * (k + 2 * x) + 2, np.bool_),
        np.empty(sides + 2, np.int64),
        np.empty(sides + 2, i4),
        np.empty(k + 2 * x + 2, i4),
    )


@njit(cache=True, nogil=True)
@no_type_check
def _are_distinct(m, s, slack, head, follow):
    """Whether no two of `m` parameters are too close to order; buckets, so linear time."""
    n = 2 * m
    for i in range(n):
        head[i] = -1
    for i in range(m):
        if slack[i] * n >= 0.5:
            return False
        bucket = min(int(s[i] * n), n - 1)
        for near in range(max(bucket - 1, 0), min(bucket + 2, n)):
            other = head[near]
            while other >= 0:
                if abs(s[i] - s[other]) <= slack[i] + slack[other]:
                    return False
                other = follow[other]
        follow[i] = head[bucket]
        head[bucket] = i
    return True


@njit(cache=True, nogil=True)
@no_type_check
def _count(mesh, cuts, z, tie, check, chords, meetings, sides):
    """Per face: chords, meetings, pieces of its sides; False if crossings do not pair up.

    With `check`, also if three chords may meet in one point (building the faces would find that out).
    """
    longest = 0
    for f in range(mesh.ptr.shape[0] - 1):
        c = 0
        for i in range(mesh.ptr[f], mesh.ptr[f + 1]):
            e = mesh.half[i] >> 1
            c += cuts.start[e + 1] - cuts.start[e]
        longest = max(longest, c)
        chords[f] = c
        sides[f] = c + mesh.ptr[f + 1] - mesh.ptr[f]
    scratch = _scratch(z.shape[1], longest, longest if check else 0, 0)
    p, q = scratch.p, scratch.q
    for f in range(mesh.ptr.shape[0] - 1):
        meetings[f] = 0
        if chords[f] == 0:
            continue
        k = _chords(f, mesh, cuts, scratch)
        if k < 0:
            return False
        chords[f] = k
        x = 0
        for a in range(k):
            end = q[a]
            before = x
            for b in range(a + 1, k):
                if p[b] > end:
                    break
                if q[b] > end:
                    if check:
                        s, slack = _meet(a, b, mesh, cuts, z, tie, scratch)
                        scratch.at[x - before] = s
                        scratch.at_slack[x - before] = slack
                    x += 1
            if check and x - before > 1:
                m = x - before
                if not _are_distinct(m, scratch.at, scratch.at_slack, scratch.rank, scratch.node):
                    return False
        meetings[f] = x
    return True


@njit(cache=True, nogil=True)
@no_type_check
def _cross_edges(mesh, cuts, new):
    """The pieces of the old edges, and the points between them."""
    base = mesh.xy.shape[0]
    new.xy[:base] = mesh.xy
    for e in range(mesh.edge.shape[0]):
        u = mesh.edge[e, 0]
        v = mesh.edge[e, 1]
        before = u
        for c in range(cuts.start[e], cuts.start[e + 1]):
            t = cuts.t[c]
            new.xy[base + c, 0] = mesh.xy[u, 0] + t * (mesh.xy[v, 0] - mesh.xy[u, 0])
            new.xy[base + c, 1] = mesh.xy[u, 1] + t * (mesh.xy[v, 1] - mesh.xy[u, 1])
            new.edge[e + c, 0] = before
            new.edge[e + c, 1] = base + c
            new.label[e + c] = mesh.label[e]
            before = base + c
        o = e + cuts.start[e + 1]
        new.edge[o, 0] = before
        new.edge[o, 1] = v
        new.label[o] = mesh.label[e]


@njit(cache=True, nogil=True)
@no_type_check
def _cut_faces(mesh, cuts, z, tie, chords, meetings, sides, totals, names):
    """The new mesh, with the meetings of its chords."""
    n_cut = cuts.t.shape[0]
    n_vertex = mesh.xy.shape[0] + n_cut
    n_edge = mesh.edge.shape[0] + n_cut
    x, segments, faces, halves = totals
    new = Mesh(
        np.empty((n_vertex + x, 2)),
        np.empty((n_edge + segments, 2), np.int32),
        np.empty(n_edge + segments, np.int32),
        np.empty(faces + 1, np.int64),
        np.empty(halves, np.int32),
    )
    new.ptr[0] = 0
    meets = _Meets(np.empty(x, np.int32), np.empty(x, np.int32), np.empty(x), np.empty(x, np.int32))
    _cross_edges(mesh, cuts, new)
    scratch = _scratch(z.shape[1], chords.max(), meetings.max(), sides.max())
    sure = True
    meet_at = 0
    edge_at = n_edge
    face_at = 0
    half_at = 0
    for f in range(mesh.ptr.shape[0] - 1):
        k = chords[f]
        if k == 0:
            o = half_at
            for i in range(mesh.ptr[f], mesh.ptr[f + 1]):
                h = mesh.half[i]
                new.half[o] = h + 2 * cuts.start[h >> 1]
                o += 1
            new.ptr[face_at + 1] = o
        elif k == 1:
            _two(f, mesh, cuts, new, edge_at, face_at, half_at)
        else:
            _chords(f, mesh, cuts, scratch)
            if not _many(f, k, mesh, cuts, z, tie, new, meets, meet_at, edge_at, face_at, half_at, scratch):
                sure = False
                break
        meet_at += meetings[f]
        edge_at += k + 2 * meetings[f]
        face_at += 1 + k + meetings[f]
        half_at += sides[f] + 2 * (k + 2 * meetings[f])
    for e in range(n_edge, new.label.shape[0]):
        new.label[e] = names[new.label[e]]
    return sure, new, meets


@njit(cache=True, nogil=True)
@no_type_check
def _carry(phi, z, mesh, cuts, meets, keep, low, high):
    """The columns of the next stage at all vertices, old and new: kept ones, then this stage's hinges."""
    n_old = phi.shape[0]
    n_cut = cuts.t.shape[0]
    n_meet = meets.s.shape[0]
    m = keep.shape[0]
    n = z.shape[1]
    out = np.empty((n_old + n_cut + n_meet, m + n))
    for v in range(n_old):
        for j in range(m):
            out[v, j] = phi[v, keep[j]]
        for j in range(n):
            out[v, m + j] = z[v, j]
    for c in range(n_cut):
        e = cuts.edge[c]
        u = mesh.edge[e, 0]
        v = mesh.edge[e, 1]
        t = cuts.t[c]
        row = out[n_old + c]
        for j in range(m + n):
            row[j] = out[u, j] + t * (out[v, j] - out[u, j])
        row[m + cuts.hinge[c]] = 0.0
    for i in range(n_meet):
        a = out[n_old + meets.a[i]]
        b = out[n_old + meets.b[i]]
        s = meets.s[i]
        row = out[n_old + n_cut + i]
        for j in range(m + n):
            row[j] = a[j] + s * (b[j] - a[j])
        row[m + meets.hinge[i]] = 0.0
    for v in range(out.shape[0]):
        for j in range(n):
            value = out[v, m + j]
            out[v, m + j] = max(value, 0.0) * high[j] + min(value, 0.0) * low[j]
    return out


@njit(cache=True, nogil=True)
@no_type_check
def _ties(phi, weight):
    """Per hinge: the size below which its value may be rounding."""
    top = np.zeros(phi.shape[1])
    for v in range(phi.shape[0]):
        for k in range(phi.shape[1]):
            top[k] = max(top[k], abs(phi[v, k]))
    tie = np.zeros(weight.shape[1])
    for k in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            tie[j] += abs(weight[k, j]) * top[k]
    return tie * _TIE


@njit(cache=True, nogil=True)
@no_type_check
def subdivide(program, mesh, limit, count_only):
    """Cut the mesh by all stages. Returns (status, stages done, faces, wall crossings, mesh).

    With `count_only` the last stage is counted and not built. Wall crossings: ends of edges on walls.
    """
    phi = np.ones((mesh.xy.shape[0], 3))
    phi[:, 1:] = mesh.xy
    n_face = mesh.ptr.shape[0] - 1
    n_stage = program.sizes.shape[0]
    at = 0
    hinge = 0
    keep_at = 0
    cut_walls = 0
    for stage in range(n_stage):
        n = program.sizes[stage]
        width = program.widths[stage]
        weight = program.weight[at : at + n * width].reshape(width, n)
        at += n * width
        keep = program.keep[keep_at : keep_at + program.kept[stage]]
        keep_at += program.kept[stage]
        z = np.dot(phi, weight)
        tie = _ties(phi, weight)
        words = np.empty((z.shape[0], (n + 63) // 64), np.uint64)
        if not _sign_words(z, tie, words):
            return UNSURE, stage, n_face, cut_walls, mesh
        sure, cuts = _cut_edges(mesh, z, tie, words)
        if not sure:
            return UNSURE, stage, n_face, cut_walls, mesh
        chords = np.empty(n_face, np.int64)
        meetings = np.empty(n_face, np.int64)
        sides = np.empty(n_face, np.int64)
        last = stage == n_stage - 1
        if not _count(mesh, cuts, z, tie, last and count_only, chords, meetings, sides):
            return UNSURE, stage, n_face, cut_walls, mesh
        x = meetings.sum()
        k = chords.sum()
        after = n_face + k + x
        if after > limit:
            return TOO_MANY, stage, after, cut_walls, mesh
        if last and count_only:
            n_face = after
            for e in range(mesh.edge.shape[0]):
                if mesh.label[e] < -1000:
                    cut_walls += cuts.start[e + 1] - cuts.start[e]
            break
        totals = (x, k + 2 * x, after, sides.sum() + 2 * (k + 2 * x))
        names = program.name[hinge : hinge + n]
        sure, new, meets = _cut_faces(mesh, cuts, z, tie, chords, meetings, sides, totals, names)
        if not sure:
            return UNSURE, stage, n_face, cut_walls, mesh
        if not last:
            low = program.low[hinge : hinge + n]
            high = program.high[hinge : hinge + n]
            phi = _carry(phi, z, mesh, cuts, meets, keep, low, high)
        mesh = new
        n_face = after
        hinge += n
    return DONE, n_stage, n_face, cut_walls, mesh
