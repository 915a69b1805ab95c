"""Cells in exact arithmetic: every weight is a dyadic rational, so integers decide all signs.

The rule for degenerate cuts: a hinge cuts a cell only if its `z` is strictly positive somewhere and strictly
negative somewhere in it. A hinge that is zero all over a cell counts as off there. So there are no cells
without area, a line through a vertex adds no vertex, and of coinciding lines the first names the edge.

Points are homogeneous integers `(w, x, y)`, `w > 0`, in lowest terms: equal points are equal tuples.
Cost: about a millisecond per cell and stage of 64 hinges; numbers grow by some 60 bits per stage.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import gcd
from typing import NamedTuple, TypeAlias

import numpy as np

from unbend._typing import Array, Bool
from unbend.numerics.cells.kernel import Mesh
from unbend.numerics.piecewise import PiecewiseAffine, Sparse

Point: TypeAlias = tuple[int, int, int]


class Exact(NamedTuple):
    """A mesh, its activation bits, the corners of its faces and their areas as rationals."""

    mesh: Mesh
    bits: Bool[Array, "faces hinges"]
    polygons: list[list[Point]]

    def areas(self) -> list[Fraction]:
        """The exact area of every face."""
        return [polygon_area(polygon) for polygon in self.polygons]


class _Weights(NamedTuple):
    """Integers times `2 ** exponent`."""

    integers: Array
    exponent: int


class _Piece(NamedTuple):
    """A convex polygon: corners, the label of the side that leaves each, and the bits so far."""

    corners: list[Point]
    labels: list[int]
    bits: list[bool]


class _Cell(NamedTuple):
    piece: _Piece
    rows: Array  # object integers (columns, 3): every column so far as a function of (1, s, t)
    exponent: int


class _Stage(NamedTuple):
    first: int
    used: Array
    weight: _Weights
    low: _Weights
    high: _Weights


def exact_mesh(net: PiecewiseAffine, corners: Array, labels: Array, *, limit: int | None = None) -> Exact | None:
    """All cells of a network of two inputs on a convex polygon, proved; None if more than `limit`."""
    start = [homogeneous(x, y) for x, y in corners.tolist()]
    rows = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], object)
    cells = [_Cell(_Piece(start, [int(label) for label in labels], []), rows, 0)]
    for stage in _stages(net):
        parts = []
        for cell in cells:
            parts.extend(_cut(cell, stage))
            if limit is not None and len(parts) > limit:
                return None
        cells = parts
    return _assemble(net, [cell.piece for cell in cells])


def homogeneous(x: float, y: float) -> Point:
    """A point of the plane with float coordinates, exactly."""
    (a, b), (c, d) = x.as_integer_ratio(), y.as_integer_ratio()
    return _reduced(b * d, a * d, c * b)


def polygon_area(corners: list[Point]) -> Fraction:
    """The exact area of a polygon."""
    plain = [(Fraction(x, w), Fraction(y, w)) for w, x, y in corners]
    double = sum((a[0] * b[1] - a[1] * b[0] for a, b in zip(plain, plain[1:] + plain[:1], strict=True)), Fraction(0))
    return double / 2


def _stages(net: PiecewiseAffine) -> list[_Stage]:
    stages = []
    for first, stage in zip(net.offsets, net.stages, strict=False):
        used = stage.weight.used()
        weight = dyadic(stage.weight.block(used))
        stages.append(_Stage(first, used, weight, dyadic(stage.low), dyadic(stage.high)))
    return stages


def dyadic(values: Array) -> _Weights:
    """Floats as integers times one power of two."""
    mantissa, exponent = np.frexp(values)
    integers = np.ldexp(mantissa, 53).astype(np.int64)
    some = integers != 0
    if not some.any():
        return _Weights(integers.astype(object), 0)
    zeros = np.zeros(values.shape, np.int64)
    zeros[some] = np.log2((integers[some] & -integers[some]).astype(float)).astype(np.int64)
    exponent = np.where(some, exponent - 53 + zeros, 0)
    integers = integers >> zeros
    least = int(exponent[some].min())
    shift = np.where(some, exponent - least, 0).astype(object)
    return _Weights(np.left_shift(integers.astype(object), shift), least)


def _cut(cell: _Cell, stage: _Stage) -> list[_Cell]:
    columns = cell.rows[stage.used]
    alive = columns.any(axis=1).astype(bool)
    z = stage.weight.integers[:, alive].dot(columns[alive])
    if not alive.any():
        z = np.zeros((len(stage.low.integers), 3), object)
    values = z.dot(np.array(cell.piece.corners, object).T)
    above, below = (values > 0).any(axis=1), (values < 0).any(axis=1)
    pieces = [_Piece(cell.piece.corners, cell.piece.labels, [])]
    for hinge, row in enumerate(z.tolist()):
        if above[hinge] and below[hinge]:
            pieces = [part for piece in pieces for part in _halves(piece, row, stage.first + hinge)]
        else:
            for piece in pieces:
                piece.bits.append(bool(above[hinge]))
    return [_descend(cell, piece, z, stage) for piece in pieces]


def _halves(piece: _Piece, row: list[int], label: int) -> list[_Piece]:
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
    return _reduced(*(there * a + here * b for a, b in zip(p, q, strict=True)))


def _reduced(w: int, x: int, y: int) -> Point:
    g = gcd(w, x, y)
    return (w // g, x // g, y // g)


def _descend(cell: _Cell, piece: _Piece, z: Array, stage: _Stage) -> _Cell:
    """The cell of one piece: its bits are appended and its hinges become columns."""
    on = np.array(piece.bits, bool)
    exponent = min(stage.low.exponent, stage.high.exponent)
    low = stage.low.integers * (1 << (stage.low.exponent - exponent))
    high = stage.high.integers * (1 << (stage.high.exponent - exponent))
    new = z * np.where(on, high, low)[:, None]
    level = cell.exponent + stage.weight.exponent + exponent
    least = min(level, cell.exponent)
    old = cell.rows * (1 << (cell.exponent - least))
    rows = np.concatenate([old, new * (1 << (level - least))])
    whole = _Piece(piece.corners, piece.labels, cell.piece.bits + piece.bits)
    return _Cell(whole, rows, least)


@dataclass(slots=True)
class _Index:
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


def _assemble(net: PiecewiseAffine, pieces: list[_Piece]) -> Exact:
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
    bits = np.array([piece.bits for piece in pieces], bool).reshape(len(pieces), net.n_hinges)
    return Exact(mesh, bits, [piece.corners for piece in pieces])


def exact_bits(net: PiecewiseAffine, point: Point) -> list[bool]:
    """The activation bits at one exact point of the plane."""
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
