"""Proof that the cells are right and none is missing, without trusting the engine that found them.

In: `Cells`. Out: a `Certificate`. Must not use what the engines computed but the cells themselves.

Two steps, both under a rigorous bound on float64 rounding (Higham 2002, section 3.1):

- *Witness.* In every face a point at which the sign of every hinge is certain. All patterns differ, so
  there are at least so many activation regions.
- *Closure.* At every vertex, all hinges but those of its own edges have a certain sign, the one they have
  in each face around it; faces on two sides of an edge differ in the edge's hinge alone. So the true
  region of every face's pattern is the polygon drawn, every side of it leads to another certified face or
  out of the window, and nothing is missing.

Where float64 cannot tell (degenerate networks), small cases are proved in rational arithmetic instead: the
exact regions of the claimed patterns have positive areas that add up to the window's area, exactly.
"""

from fractions import Fraction
from math import gcd
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.cells.complex import Cells
from unbend.numerics.cells.exact import Point, dyadic, homogeneous, polygon_area
from unbend.numerics.cells.find import with_beaten_pairs
from unbend.numerics.piecewise import PiecewiseAffine
from unbend.numerics.result import result

_UNIT = 2.0**-53
"""Unit roundoff of float64."""
_INFLATION = 1 + 1e-9
"""Covers the rounding of the bounds themselves, a few operations on numbers that are not negative."""
_NUMBERS = 1 << 23
"""How many numbers are made at once: 64 MB."""
_NEAR = 1e-8
"""Share of the window's size by which a drawn corner may differ from the true one."""
_FEW_FACES = 200
"""Faces left open by float64 up to which each is settled in rational arithmetic, and"""
_WEIGHTS = 1 << 24
"""how many weights may be read for it: some ten seconds."""
_RATIONAL_LIMIT = 2_000_000
"""Faces x hinges up to which the rational proof is tried by itself; above, it is asked for."""
_Keys: TypeAlias = UInt64[Array, "hinges"]
"""A random odd number per hinge."""
_Hashes: TypeAlias = UInt64[Array, "f"]
"""Of every face the sum of the keys of the hinges that are on: to cross a kink adds or takes one key."""
_SEED = 20_260_101
"""Of the hash keys. Two patterns of equal hash would hide a fault with a chance of about 2 ** -63 per pair."""


@result
class Certificate:
    """What has been proved about claimed cells.

    Attributes:
        n_faces: how many are claimed.
        n_witnessed: how many have a certain witness, and
        n_distinct: of how many different patterns: a proved lower bound.
        n_corners: the corners of all faces.
        n_closed: how many of them are certain.
        smallest_margin: the least |z| / bound met at a witness; above 1 is certain.
        method: "float64 bounds" or "rational areas"; under maxima of more than two candidates, cells are proved as
            unions of finer ones, and it says so.
    """

    n_faces: int
    n_witnessed: int
    n_distinct: int
    n_corners: int
    n_closed: int
    smallest_margin: float
    method: str

    @property
    def is_proved(self) -> bool:
        """Every cell exists, they all differ, and none is missing."""
        return self.n_faces == self.n_witnessed == self.n_distinct and self.n_closed == self.n_corners


def certify(cells: Cells, *, rational: bool | None = None) -> Certificate:
    """Prove, or fail to prove, that `cells` are exactly the activation regions of `cells.network`.

    Args:
        cells: what was found, by whatever means.
        rational: prove in rational arithmetic. By default only if float64 bounds do not suffice and the
            case is small.

    Cost:
        About three forward passes per vertex and face; the rational proof about a millisecond per cell.
    """
    if rational:
        return _by_areas(cells)
    found = _by_bounds(cells)
    is_small = cells.n_faces * cells.network.n_hinges <= _RATIONAL_LIMIT
    if found.is_proved:
        return found
    finer = with_beaten_pairs(cells)
    if finer.n_faces > cells.n_faces:
        return _by_finer(cells, finer, certify(finer, rational=rational))
    return found if rational is False or not is_small else _by_areas(cells)


def _by_finer(cells: Cells, finer: Cells, proof: Certificate) -> Certificate:
    """Cells whose beaten edges were dissolved: unions of proved finer cells, connected and of one pattern.

    The finer cells fall into groups: connected, with the same winners and pieces of all units. A claimed cell
    is right if it holds the centres of just one group, and all of them, and has the group's area.
    """
    states, pairs = finer.states(), finer.adjacency()
    same = (states[pairs[:, 0]] == states[pairs[:, 1]]).all(axis=1)
    a, b = pairs[same].T
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(finer.n_faces, finer.n_faces))
    n_groups, group = connected_components(graph, directed=False)
    face = cells.locate(finer.centres())
    both = np.unique(np.stack([face, group], axis=1), axis=0)
    n_groups_in = np.bincount(both[:, 0][both[:, 0] >= 0], minlength=cells.n_faces)
    parts = np.bincount(both[:, 1], minlength=n_groups)
    area = np.bincount(face[face >= 0], finer.areas()[face >= 0], minlength=cells.n_faces)
    right = (n_groups_in == 1) & np.isclose(
        area, cells.areas(), rtol=_NEAR, atol=_NEAR * cells.plane.area / cells.n_faces
    )
    split = both[parts[both[:, 1]] != 1, 0]
    right[split[split >= 0]] = False
    right &= proof.is_proved
    return Certificate(
        n_faces=cells.n_faces,
        n_witnessed=int(right.sum()),
        n_distinct=int(right.sum()) if n_groups == cells.n_faces else 0,
        n_corners=len(cells.half_edges),
        n_closed=int(np.diff(cells.face_ptr)[right].sum()),
        smallest_margin=proof.smallest_margin,
        method=f"{proof.method}, of {finer.n_faces} finer cells",
    )


def values_and_bounds(
    net: PiecewiseAffine, x: Float64[Array, "n d"]
) -> tuple[Float64[Array, "hinges n"], Float64[Array, "hinges n"]]:
    """Every hinge's `z` at the points, and a bound on its error: (hinges, n) each.

    Where the sign itself is uncertain, the bound covers both sides of the kink.
    """
    n = len(x)
    full = np.zeros((1 + net.n_inputs + net.n_hinges, n))
    error = np.zeros_like(full)
    at = 1 + net.n_inputs
    full[:at] = np.concatenate([np.ones((1, n)), x.T])
    zs, bounds = np.empty((net.n_hinges, n)), np.empty((net.n_hinges, n))
    for first, stage in zip(net.offsets, net.stages, strict=False):
        size = abs(stage.weight)
        longest = int(np.diff(stage.weight.indptr).max(initial=0)) + 3
        gamma = longest * _UNIT / (1 - longest * _UNIT)
        z = stage.weight @ full
        carried = size @ error
        bound = (gamma * (size @ np.abs(full) + carried) + carried) * _INFLATION
        slope = np.where(z > 0, stage.high[:, None], stage.low[:, None])
        steepest = np.maximum(np.abs(stage.low), np.abs(stage.high))[:, None]
        end = at + len(z)
        full[at:end] = slope * z
        kink = np.abs(stage.high - stage.low)[:, None] * np.minimum(np.abs(z), bound)
        error[at:end] = steepest * bound + 2 * _UNIT * np.abs(full[at:end])
        error[at:end] += np.where(np.abs(z) <= bound, kink, 0.0)
        zs[first : first + len(z)], bounds[first : first + len(z)] = z, bound
        at = end
    return zs, bounds


def _by_bounds(cells: Cells) -> Certificate:
    """Witness and closure under float64 bounds."""
    net = cells.network
    rng = np.random.default_rng(_SEED)
    key = rng.integers(1, 2**63, size=net.n_hinges, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes, certain, margin = _witnesses(cells, key)
    closed = _settle(cells, _corners(cells, key, hashes), _flips(cells, key, hashes))
    return Certificate(
        n_faces=cells.n_faces,
        n_witnessed=int(certain.sum()),
        n_distinct=len(np.unique(hashes[certain])),
        n_corners=len(cells.half_edges),
        n_closed=int(closed.sum()),
        smallest_margin=margin,
        method="float64 bounds",
    )


def _chunks(n: int, width: int) -> list[slice]:
    """Parts of `n` points, each of which fits with `width` numbers per point."""
    step = max(1, _NUMBERS // (width + 4))
    return [slice(at, min(at + step, n)) for at in range(0, n, step)]


def _witnesses(cells: Cells, key: _Keys) -> tuple[_Hashes, Bool[Array, "f"], float]:
    """Per face the hash of its pattern and whether all its signs are certain; the smallest margin."""
    centres = cells.centres()
    hashes, certain = np.zeros(cells.n_faces, np.uint64), np.zeros(cells.n_faces, bool)
    margin = np.inf
    for part in _chunks(cells.n_faces, cells.network.n_hinges):
        z, bound = values_and_bounds(cells.network, centres[part])
        hashes[part] = np.where(z > 0, key[:, None], np.uint64(0)).sum(axis=0, dtype=np.uint64)
        share = np.abs(z) / np.maximum(bound, np.finfo(float).tiny)
        margin = min(margin, float(share.min(initial=np.inf)))
        certain[part] = (share > 1).all(axis=0)
    return hashes, certain, margin


def _corners(cells: Cells, key: _Keys, hashes: _Hashes) -> Bool[Array, "h"]:
    """Per corner of a face: whether the polygon drawn is the true region there.

    A corner lies between the side it is reached by and the side it is left by, kinks `i` and `j`. The true
    corner is where both are zero; it lies within `reach` of the drawn one.
    """
    n_hinges, face = cells.network.n_hinges, np.repeat(np.arange(cells.n_faces), np.diff(cells.face_ptr))
    first, size = cells.face_ptr[:-1][face], np.diff(cells.face_ptr)[face]
    place = np.arange(len(face)) - first
    corner = cells.corner_ids
    before, after = corner[first + (place - 1) % size], corner[first + (place + 1) % size]
    label = cells.hinges[cells.half_edges >> 1].astype(np.int64)
    label = np.where(label >= 0, label, n_hinges - 1 - label)
    i, j = label[first + (place - 1) % size], label
    zi = _values_at(cells, [(before, i), (corner, i), (after, i)])
    zj = _values_at(cells, [(before, j), (corner, j), (after, j)])
    away_i, away_j = np.abs(zi[0][2]) - zi[1][2], np.abs(zj[0][0]) - zj[1][0]
    off_i = np.maximum(*(np.abs(zi[0][at]) + zi[1][at] for at in (0, 1)))
    off_j = np.maximum(*(np.abs(zj[0][at]) + zj[1][at] for at in (1, 2)))
    is_steep = (8 * off_i <= away_i) & (8 * off_j <= away_j)
    xy = cells.vertices
    share_i, share_j = (np.where(is_steep, 2 * off / np.where(is_steep, away, 1), 0.0)
                        for off, away in ((off_i, away_i), (off_j, away_j)))  # fmt: skip
    reach = share_i * np.abs(xy[after] - xy[corner]).sum(axis=1)
    reach += share_j * np.abs(xy[before] - xy[corner]).sum(axis=1)
    at_vertex = np.zeros(len(cells.vertices))
    np.maximum.at(at_vertex, corner, reach)
    names, is_generic = _names(cells)
    rest, is_quiet = _others(cells, key, names, at_vertex)
    both = np.sort(np.stack([i, j], axis=1), axis=1)
    is_own = is_generic[corner] & (both == names[corner]).all(axis=1)
    wide = np.concatenate([key, np.zeros(len(cells.plane.corners), np.uint64)])
    own = np.where(zi[0][2] > 0, wide[i], np.uint64(0)) + np.where(zj[0][0] > 0, wide[j], np.uint64(0))
    agrees = rest[corner] + own == hashes[face]
    is_near = reach <= _NEAR * np.ptp(cells.plane.corners, axis=0).max()
    return is_steep & is_near & is_own & is_quiet[corner] & agrees


def _settle(cells: Cells, closed: Bool[Array, "h"], is_single: Bool[Array, "f"]) -> Bool[Array, "h"]:
    """Corners that float64 left open, closed in rational arithmetic where a face's exact region says so."""
    face = np.repeat(np.arange(cells.n_faces), np.diff(cells.face_ptr))
    open_faces = np.unique(face[~closed])
    per_face = sum(len(stage.low) * len(stage.weight.used_columns()) for stage in cells.network.stages)
    if len(open_faces) <= _FEW_FACES and len(open_faces) * per_face <= _WEIGHTS:
        window = [homogeneous(x, y) for x, y in cells.plane.corners.tolist()]
        for index, bits in zip(open_faces.tolist(), cells.bits(open_faces), strict=True):
            own = slice(cells.face_ptr[index], cells.face_ptr[index + 1])
            closed[own] = _is_region(cells, window, bits, index)
    return closed & is_single[face]


def _is_region(cells: Cells, window: list[Point], bits: Bool[Array, "hinges"], face: int) -> bool:
    """Whether the exact region of a pattern has just the sides that were drawn, and its corners near by."""
    own = slice(cells.face_ptr[face], cells.face_ptr[face + 1])
    labels = cells.hinges[cells.half_edges[own] >> 1].tolist()
    polygon, rows = _region(cells.network, window, bits)
    sides = [rows[label] if label >= 0 else _line(window, -1 - label) for label in labels]
    corners = [{index for index, (c, a, b) in enumerate(sides) if c * w + a * x + b * y == 0} for w, x, y in polygon]
    n = len(sides)
    if len(polygon) != n:
        return False
    wanted = [{(index - 1) % n, index} for index in range(n)]
    exact = np.array([(x / w, y / w) for w, x, y in polygon])
    near = _NEAR * np.ptp(cells.plane.corners, axis=0).max()
    return any(
        corners[turn:] + corners[:turn] == wanted
        and bool((np.abs(np.roll(exact, -turn, axis=0) - cells.corners(face)) <= near).all())
        for turn in range(n)
    )


def _line(window: list[Point], side: int) -> list[int]:
    """The line through a side of the window."""
    (w, x, y), (u, v, t) = window[side], window[(side + 1) % len(window)]
    return [x * t - y * v, y * u - w * t, w * v - x * u]


def _names(cells: Cells) -> tuple[Int64[Array, "v 2"], Bool[Array, "v"]]:
    """The two labels that meet at each vertex, ascending, and whether there are exactly two."""
    label = cells.hinges.astype(np.int64)
    label = np.where(label >= 0, label, cells.network.n_hinges - 1 - label)
    ends = np.concatenate([cells.edges[:, 0], cells.edges[:, 1]]).astype(np.int64)
    pairs = np.unique(np.stack([ends, np.concatenate([label, label])], axis=1), axis=0)
    count = np.bincount(pairs[:, 0], minlength=len(cells.vertices))
    start = np.searchsorted(pairs[:, 0], np.arange(len(cells.vertices)))
    last = np.minimum(start + 1, len(pairs) - 1)
    return np.stack([pairs[start, 1], pairs[last, 1]], axis=1), count == 2


def _window(cells: Cells, points: Float64[Array, "n 2"]) -> tuple[Float64[Array, "sides n"], Float64[Array, "sides n"]]:
    """Signed distances to the window's sides, and a bound on their rounding."""
    start = cells.plane.corners
    side = np.roll(start, -1, axis=0) - start
    normal = np.stack([-side[:, 1], side[:, 0]], axis=1) / np.linalg.norm(side, axis=1)[:, None]
    distance = normal @ points.T - (normal * start).sum(axis=1)[:, None]
    return distance, np.full_like(distance, 32 * _UNIT * float(np.abs(start).max()))


def _values(cells: Cells, part: slice) -> tuple[Float64[Array, "labels n"], Float64[Array, "labels n"]]:
    """Values of all hinges and distances to all sides at some vertices, and bounds on their errors."""
    points = cells.vertices[part]
    z, bound = values_and_bounds(cells.network, points)
    distance, error = _window(cells, points)
    return np.concatenate([z, distance]), np.concatenate([bound, error])


def _values_at(
    cells: Cells, pairs: list[tuple[Int64[Array, "h"], Int64[Array, "h"]]]
) -> tuple[Float64[Array, "pairs h"], Float64[Array, "pairs h"]]:
    """Values and bounds for (vertex, label) pairs, in the order given."""
    vertex = np.concatenate([v for v, _ in pairs])
    label = np.concatenate([name for _, name in pairs])
    order = np.argsort(vertex, kind="stable")
    found, errors = np.empty(len(vertex)), np.empty(len(vertex))
    for part in _chunks(len(cells.vertices), cells.network.n_hinges):
        z, bound = _values(cells, part)
        lo, hi = np.searchsorted(vertex[order], (part.start, part.stop))
        own = order[lo:hi]
        found[own] = z[label[own], vertex[own] - part.start]
        errors[own] = bound[label[own], vertex[own] - part.start]
    return found.reshape(len(pairs), -1), errors.reshape(len(pairs), -1)


def _steepness(cells: Cells) -> Float64[Array, "labels"]:
    """For every label a bound on how fast its value changes per unit of |ds| + |dt|."""
    net = cells.network
    slope = np.zeros(3 + net.n_hinges)
    slope[1:3] = 1.0
    for first, stage in zip(net.offsets, net.stages, strict=False):
        own = slice(3 + first, 3 + first + len(stage.low))
        slope[own] = (abs(stage.weight) @ slope[:, None])[:, 0] * _INFLATION
        slope[own] *= np.maximum(1.0, np.maximum(np.abs(stage.low), np.abs(stage.high)))
    return np.concatenate([slope[3:], np.ones(len(cells.plane.corners))])


def _others(
    cells: Cells, key: _Keys, names: Int64[Array, "v 2"], reach: Float64[Array, "v"]
) -> tuple[UInt64[Array, "v"], Bool[Array, "v"]]:
    """Per vertex, over all labels but its own two: the hash of the signs, and whether all are certain."""
    n = len(cells.vertices)
    rest, is_quiet = np.zeros(n, np.uint64), np.zeros(n, bool)
    wide = np.concatenate([key, np.zeros(len(cells.plane.corners), np.uint64)])
    steep = _steepness(cells)[:, None]
    for part in _chunks(n, len(wide)):
        z, bound = _values(cells, part)
        sure = np.abs(z) > bound + steep * reach[part]
        on = z > 0
        for column in range(2):
            sure[names[part, column], np.arange(z.shape[1])] = True
            on[names[part, column], np.arange(z.shape[1])] = False
        is_quiet[part] = sure.all(axis=0)
        rest[part] = np.where(on, wide[:, None], np.uint64(0)).sum(axis=0, dtype=np.uint64)
    return rest, is_quiet


def _flips(cells: Cells, key: _Keys, hashes: _Hashes) -> Bool[Array, "f"]:
    """Per face: across each of its sides just that side's hinge changes."""
    inner = np.flatnonzero(cells.sides.min(axis=1) >= 0)
    left, right = cells.sides[inner].T
    step = hashes[left] - hashes[right]
    own = key[cells.hinges[inner]]
    wrong = (step != own) & (step != np.uint64(0) - own)
    good = np.ones(cells.n_faces, bool)
    good[left[wrong]] = False
    good[right[wrong]] = False
    return good


def _by_areas(cells: Cells) -> Certificate:
    """The exact regions of the claimed patterns have positive areas that fill the window."""
    bits = cells.bits()
    corners = [homogeneous(x, y) for x, y in cells.plane.corners.tolist()]
    areas = [polygon_area(_region(cells.network, corners, row)[0]) for row in bits]
    fills = sum(areas, Fraction(0)) == polygon_area(corners)
    return Certificate(
        n_faces=cells.n_faces,
        n_witnessed=sum(area > 0 for area in areas),
        n_distinct=len(np.unique(bits, axis=0)),
        n_corners=len(cells.half_edges),
        n_closed=len(cells.half_edges) if fills else 0,
        smallest_margin=0.0,
        method="rational areas",
    )


def _region(
    net: PiecewiseAffine, corners: list[Point], bits: Bool[Array, "hinges"]
) -> tuple[list[Point], list[list[int]]]:
    """The exact polygon on which the hinges are on and off as claimed, and every hinge's line there."""
    lines: list[list[int]] = []
    rows, exponent = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], object), 0
    polygon = corners
    for first, stage in zip(net.offsets, net.stages, strict=False):
        used = stage.weight.used_columns()
        weight, low, high = dyadic(stage.weight.block(used)), dyadic(stage.low), dyadic(stage.high)
        z = weight.integers.dot(rows[used]) if len(used) else np.zeros((len(stage.low), 3), object)
        on = bits[first : first + len(stage.low)]
        lines.extend(z.tolist())
        for row, is_on in zip(z.tolist(), on.tolist(), strict=True):
            polygon = _clip(polygon, row if is_on else [-a for a in row])
        base = min(low.exponent, high.exponent)
        slope = np.where(on, high.integers * (1 << (high.exponent - base)), low.integers * (1 << (low.exponent - base)))
        level = exponent + weight.exponent + base
        least = min(level, exponent)
        new = z * slope[:, None] * (1 << (level - least))
        rows, exponent = np.concatenate([rows * (1 << (exponent - least)), new]), least
    return polygon, lines


def _clip(polygon: list[Point], row: list[int]) -> list[Point]:
    """The part of a polygon where an affine function is not negative."""
    c, a, b = row
    values = [c * w + a * x + b * y for w, x, y in polygon]
    kept = []
    for here, there, p, q in zip(values, values[1:] + values[:1], polygon, polygon[1:] + polygon[:1], strict=True):
        if here >= 0:
            kept.append(p)
        if here * there < 0:
            mixed = [abs(there) * s + abs(here) * t for s, t in zip(p, q, strict=True)]
            g = gcd(*mixed)
            kept.append((mixed[0] // g, mixed[1] // g, mixed[2] // g))
    return kept
