"""Cells in exact arithmetic: every weight is a dyadic rational, so integers decide all signs.

In: a network of two inputs and a polygon. Out: a mesh, proved. Must not know tiles.

The rule for degenerate cuts: a hinge cuts a cell only if its `z` is strictly positive somewhere and strictly
negative somewhere in it. A hinge that is zero all over a cell counts as off there. So there are no cells
without area, a line through a vertex adds no vertex, and of coinciding lines the first names the edge.

Points are homogeneous integers `(w, x, y)`, `w > 0`, in lowest terms: equal points are equal tuples.

Most signs are far from zero: float64 with a bound on its error settles them, and integers are formed only for the
hinges that cut a cell or may touch it, and for what these read.
Cost: about half a millisecond per cell and stage; numbers grow by some 60 bits per stage.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import gcd
from typing import NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import csr_array

from unbend._typing import Array, Bool, Float64, Int64, Shaped
from unbend.numerics.cells.compiled.mesh import Mesh
from unbend.numerics.piecewise import PiecewiseAffine, Sparse

Point: TypeAlias = tuple[int, int, int]
"""Homogeneous coordinates `(w, x, y)` in lowest terms."""
Row: TypeAlias = tuple[int, int, int]
"""An affine function of the plane: its numbers before 1, s and t, up to a positive factor."""
UNDERFLOW = 1e-300
"""More than what results below the normal range can be wrong by."""
_EPSILON = 2.0**-52
"""Twice the rounding of one operation of float64."""


class Exact(NamedTuple):
    """A mesh with what exact arithmetic knows of it.

    Attributes:
        mesh: its coordinates rounded.
        bits: which hinges are on in every face.
        polygons: the corners of every face, exactly.
    """

    mesh: Mesh
    bits: Bool[Array, "faces hinges"]
    polygons: list[list[Point]]

    def areas(self) -> list[Fraction]:
        """The exact area of every face."""
        return [polygon_area(polygon) for polygon in self.polygons]


class Dyadic(NamedTuple):
    """Integers times `2 ** exponent`; Python's integers, of any size.

    Attributes:
        integers: Python's, as objects.
        exponent: power of two that multiplies all of them.
    """

    integers: Shaped[Array, "..."]
    exponent: int


class _Piece(NamedTuple):
    """A convex polygon.

    Attributes:
        corners: its corners.
        labels: the label of the side that leaves each.
        bits: of the open hinges so far, whether each is on.
    """

    corners: list[Point]
    labels: list[int]
    bits: list[bool]


class _Stage(NamedTuple):
    """A stage as floats for a first look, and as integers times a power of two that all of them share.

    Attributes:
        first: its first hinge in the network.
        weight: the weights.
        size: their magnitudes.
        gamma: relative bound on the rounding of a sum over one row (Higham 2002, section 3.1).
        low: the slope of every hinge where it is off.
        high: the slope where it is on.
        rows: per hinge its weights: stage of a column, -1 for 1, s and t; hinge of that stage; integer.
        slopes: per hinge the two slopes as integers, off and on.
        exponent: of the hinges' outputs.
    """

    first: int
    weight: csr_array
    size: csr_array
    gamma: float
    low: Float64[Array, "n"]
    high: Float64[Array, "n"]
    rows: list[list[tuple[int, int, int]]]
    slopes: list[tuple[int, int]]
    exponent: int


class _Cell(NamedTuple):
    """A convex piece with what is known of every column on it.

    Attributes:
        piece: the polygon.
        bits: which hinges so far are on.
        value: every column as a function of (1, s, t).
        error: a bound on the error of each of these numbers.
        exact: per stage the z of its hinges as integers, of those that were asked for.
    """

    piece: _Piece
    bits: Bool[Array, "hinges"]
    value: Float64[Array, "columns 3"]
    error: Float64[Array, "columns 3"]
    exact: list[dict[int, Row]]


def exact_mesh(
    net: PiecewiseAffine, corners: Float64[Array, "m 2"], labels: Int64[Array, "m"], *, limit: int | None = None
) -> Exact | None:
    """All cells of a network of two inputs on a convex polygon, proved; None if more than `limit`."""
    start = [homogeneous(x, y) for x, y in corners.tolist()]
    piece = _Piece(start, [int(label) for label in labels], [])
    cells = [_Cell(piece, np.zeros(0, bool), np.eye(3), np.zeros((3, 3)), [])]
    if net not in _STAGES:
        _STAGES[net] = _stages(net)
    stages = _STAGES[net]
    for index in range(len(stages)):
        parts = []
        for cell in cells:
            parts.extend(_cut(cell, stages, index))
            if limit is not None and len(parts) > limit:
                return None
        cells = parts
    return _assemble(net, [cell.piece for cell in cells], [cell.bits for cell in cells])


def homogeneous(x: float, y: float) -> Point:
    """A point of the plane with float coordinates, exactly."""
    (a, b), (c, d) = x.as_integer_ratio(), y.as_integer_ratio()
    return _lowest_terms(b * d, a * d, c * b)


def polygon_area(corners: list[Point]) -> Fraction:
    """The exact area of a polygon."""
    plain = [(Fraction(x, w), Fraction(y, w)) for w, x, y in corners]
    double = sum((a[0] * b[1] - a[1] * b[0] for a, b in zip(plain, plain[1:] + plain[:1], strict=True)), Fraction(0))
    return double / 2


_STAGES: WeakKeyDictionary[PiecewiseAffine, list[_Stage]] = WeakKeyDictionary()
"""Of networks of which many tiles are asked for."""


def _stages(net: PiecewiseAffine) -> list[_Stage]:
    stages: list[_Stage] = []
    lowest = 0  # exponent of the columns so far
    for first, stage in zip(net.offsets, net.stages, strict=False):
        weight, low, high = dyadic(stage.weight.data), dyadic(stage.low), dyadic(stage.high)
        shared = min(low.exponent, high.exponent)
        slopes = [
            (off << (low.exponent - shared), on << (high.exponent - shared))
            for off, on in zip(low.integers.tolist(), high.integers.tolist(), strict=True)
        ]
        columns, data, ends = stage.weight.indices.tolist(), weight.integers.tolist(), stage.weight.indptr.tolist()
        items = [_item(column, integer, stages, lowest) for column, integer in zip(columns, data, strict=True)]
        rows = [items[a:b] for a, b in pairwise(ends)]
        matrix = stage.weight.csr()
        gamma = (max((len(row) for row in rows), default=0) + 4) * _EPSILON
        exponent = lowest + weight.exponent + shared
        stages.append(_Stage(first, matrix, abs(matrix), gamma, stage.low, stage.high, rows, slopes, exponent))
        lowest = min(lowest, exponent)
    return stages


def _item(column: int, integer: int, stages: list[_Stage], lowest: int) -> tuple[int, int, int]:
    """Where a column comes from, and its weight times two to the difference of the column's exponent to the lowest."""
    place = column - 3
    if place < 0:
        return -1, column, integer << -lowest
    at = next(i for i in range(len(stages) - 1, -1, -1) if stages[i].first <= place)
    return at, place - stages[at].first, integer << (stages[at].exponent - lowest)


def dyadic(values: Float64[Array, "..."]) -> Dyadic:
    """Floats as integers times one power of two."""
    mantissa, exponent = np.frexp(values)
    integers = np.ldexp(mantissa, 53).astype(np.int64)
    some = integers != 0
    if not some.any():
        return Dyadic(integers.astype(object), 0)
    zeros = np.zeros(values.shape, np.int64)
    zeros[some] = np.log2((integers[some] & -integers[some]).astype(float)).astype(np.int64)
    exponent = np.where(some, exponent - 53 + zeros, 0)
    integers = integers >> zeros
    least = int(exponent[some].min())
    shift = np.where(some, exponent - least, 0).astype(object)
    return Dyadic(np.left_shift(integers.astype(object), shift), least)


def _cut(cell: _Cell, stages: list[_Stage], index: int) -> list[_Cell]:
    """The cells that one stage makes of a cell."""
    stage = stages[index]
    cell = cell._replace(exact=[*cell.exact, {}])
    columns = stage.weight.shape[1]
    value, error = cell.value[:columns], cell.error[:columns]
    z = stage.weight @ value
    slack = stage.size @ (error + stage.gamma * (error + np.abs(value))) + UNDERFLOW
    above, is_open = _rough_signs(z, slack, cell.piece.corners)
    pieces = [cell.piece._replace(bits=[])]
    for hinge in np.flatnonzero(is_open).tolist():
        row = _row(cell, stages, index, hinge)
        pieces = [part for piece in pieces for part in _halves(piece, row, stage.first + hinge)]
    return [_child(cell, piece, stage, z, slack, above, is_open) for piece in pieces]


def _rough_signs(
    z: Float64[Array, "n 3"], slack: Float64[Array, "n 3"], corners: list[Point]
) -> tuple[Bool[Array, "n"], Bool[Array, "n"]]:
    """Per hinge: whether it is positive at all corners for certain, and whether that is open: it may cut or touch."""
    points = np.array([(1.0, x / w, y / w) for w, x, y in corners]).T
    with np.errstate(over="ignore", invalid="ignore"):
        value = z @ points
        bound = (slack + 8 * _EPSILON * np.abs(z)) @ np.abs(points) + UNDERFLOW
        above, below = np.all(value > bound, axis=1), np.all(value < -bound, axis=1)
    return above, np.logical_not(above | below)


def _row(cell: _Cell, stages: list[_Stage], index: int, hinge: int) -> Row:
    """The `z` of one hinge of a stage as integers, times a power of two that is the stage's."""
    known, stage = cell.exact[index], stages[index]
    if hinge in known:
        return known[hinge]
    c, a, b = 0, 0, 0
    for at, place, weight in stage.rows[hinge]:
        if at < 0:
            c, a, b = c + weight * (place == 0), a + weight * (place == 1), b + weight * (place == 2)
            continue
        source = stages[at]
        slope = source.slopes[place][bool(cell.bits[source.first + place])]
        if slope:
            own = weight * slope
            row = _row(cell, stages, at, place)
            c, a, b = c + own * row[0], a + own * row[1], b + own * row[2]
    known[hinge] = (c, a, b)
    return known[hinge]


def _halves(piece: _Piece, row: Row, label: int) -> list[_Piece]:
    """One piece, or the two that the line `row` cuts it into."""
    c, a, b = row
    values = [c * w + a * x + b * y for w, x, y in piece.corners]
    above, below = any(v > 0 for v in values), any(v < 0 for v in values)
    if not (above and below):
        piece.bits.append(above)
        return [piece]
    up = _Piece([], [], [*piece.bits, True])
    down = _Piece([], [], [*piece.bits, False])
    n = len(values)
    for i, (point, side, here) in enumerate(zip(piece.corners, piece.labels, values, strict=True)):
        there = values[(i + 1) % n]
        for half, sign in ((up, 1), (down, -1)):
            if sign * here > 0 or (here == 0 and sign * there > 0):
                half.corners.append(point)
                half.labels.append(side)
            elif here == 0:
                half.corners.append(point)
                half.labels.append(label)
        if (here > 0 > there) or (here < 0 < there):
            after = piece.corners[(i + 1) % n]
            middle = _between(point, after, abs(here), abs(there))
            for half, sign in ((up, 1), (down, -1)):
                half.corners.append(middle)
                half.labels.append(label if sign * here > 0 else side)
    return [down, up]


def _between(p: Point, q: Point, here: int, there: int) -> Point:
    """The zero between `p` and `q` of a function that is `here` at `p` and `-there` at `q`, up to sign."""
    return _lowest_terms(*(there * a + here * b for a, b in zip(p, q, strict=True)))


def _lowest_terms(w: int, x: int, y: int) -> Point:
    g = gcd(w, x, y)
    return (w // g, x // g, y // g)


def _child(
    cell: _Cell,
    piece: _Piece,
    stage: _Stage,
    z: Float64[Array, "n 3"],
    slack: Float64[Array, "n 3"],
    above: Bool[Array, "n"],
    is_open: Bool[Array, "n"],
) -> _Cell:
    """The cell of one piece: its bits are appended and its hinges become columns."""
    on = above.copy()
    on[is_open] = piece.bits
    slope = np.where(on, stage.high, stage.low)[:, None]
    new = z * slope
    return _Cell(
        piece._replace(bits=[]),
        np.concatenate([cell.bits, on]),
        np.concatenate([cell.value, new]),
        np.concatenate([cell.error, np.abs(slope) * slack + _EPSILON * np.abs(new) + UNDERFLOW]),
        cell.exact,
    )


@dataclass(slots=True)
class _Index:
    """Numbers for points and edges, in the order they are met."""

    points: dict[Point, int] = field(default_factory=dict)
    edges: dict[tuple[int, int], int] = field(default_factory=dict)
    labels: list[int] = field(default_factory=list)

    def half(self, a: Point, b: Point, label: int) -> int:
        """The half-edge from `a` to `b`."""
        u = self.points.setdefault(a, len(self.points))
        v = self.points.setdefault(b, len(self.points))
        if (v, u) in self.edges:
            return 2 * self.edges[v, u] + 1
        edge = self.edges.setdefault((u, v), len(self.edges))
        if edge == len(self.labels):
            self.labels.append(label)
        return 2 * edge


def _assemble(net: PiecewiseAffine, pieces: list[_Piece], bits: list[Bool[Array, "hinges"]]) -> Exact:
    index = _Index()
    half, ptr = [], [0]
    for piece in pieces:
        for a, b, label in zip(piece.corners, piece.corners[1:] + piece.corners[:1], piece.labels, strict=True):
            half.append(index.half(a, b, label))
        ptr.append(len(half))
    mesh = Mesh(
        np.array([(x / w, y / w) for w, x, y in index.points]),
        np.array(list(index.edges), np.int32),
        np.array(index.labels, np.int32),
        np.array(ptr, np.int64),
        np.array(half, np.int32),
    )
    return Exact(mesh, np.stack(bits).reshape(len(pieces), net.n_hinges), [piece.corners for piece in pieces])


def exact_bits(net: PiecewiseAffine, point: Point) -> list[bool]:
    """The activation bits at one exact point of the plane; a hinge that is zero there is off."""
    columns = [Fraction(1), Fraction(point[1], point[0]), Fraction(point[2], point[0])]
    bits: list[bool] = []
    for stage in net.stages:
        z = [sum((Fraction(w) * columns[c] for c, w in row), Fraction(0)) for row in _row_items(stage.weight)]
        on = [value > 0 for value in z]
        slopes = [hi if up else lo for up, lo, hi in zip(on, stage.low, stage.high, strict=True)]
        columns.extend(Fraction(float(slope)) * value for slope, value in zip(slopes, z, strict=True))
        bits.extend(on)
    return bits


def _row_items(weight: Sparse) -> list[list[tuple[int, float]]]:
    columns, data = weight.indices.tolist(), weight.data.tolist()
    ends = weight.indptr.tolist()
    return [list(zip(columns[a:b], data[a:b], strict=True)) for a, b in pairwise(ends)]
