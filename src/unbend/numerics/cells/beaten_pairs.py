"""Cells without edges between two candidates of a maximum that a third one beats.

In: `Cells` as the engines make them. Out: fewer, larger `Cells`. Must not know engines.

A maximum of more than two candidates is found by rounds of pairs, and a pair that loses has its kink too. The function
has none there, and the activation pattern (who wins) is the same on both sides.
"""

from dataclasses import replace

import numpy as np

from unbend._typing import Array, Bool, Int64
from unbend.numerics.cells.compiled.mesh import Mesh
from unbend.numerics.cells.compiled.queries import face_sides
from unbend.numerics.cells.compiled.rebuild import joins_after, rebuild
from unbend.numerics.cells.complex import Cells
from unbend.numerics.piecewise import PiecewiseAffine

_TIE = 1e-12
"""Of the sum of magnitudes, as in the kernel: such a sign is rounding."""
_NUMBERS = 1 << 24
"""How many signs are compared at once."""
_AREA = 1e-9
"""Relative rounding that the sum of all areas may have."""


def has_beaten_pairs(net: PiecewiseAffine) -> bool:
    """Whether there is a maximum of more than two candidates."""
    return any(group.kind == "max" and group.n_ways > 2 for group in net.groups)


def without_beaten_pairs(raw: Cells) -> Cells:
    """The cells without edges between two candidates of a maximum that a third one beats on both sides.

    Equal patches make candidates equal but for rounding. A sign within rounding of zero tells nothing about
    the edge, and two faces that differ in such signs alone are one. Should the union not be whole, which
    takes slivers as thin as rounding, the cells stay as they came: right, with the beaten edges counted too.
    """
    drop = _beaten_edges(raw)
    if not drop.any():
        return raw
    old = Mesh(raw.vertices, raw.edges, raw.hinges, raw.face_ptr, raw.half_edges)
    parent, join = joins_after(old, drop)
    roots = np.flatnonzero(parent == np.arange(len(parent)))
    mesh = rebuild(old, drop, parent, join)
    united = replace(
        raw,
        vertices=mesh.xy,
        edges=mesh.edge,
        hinges=mesh.label,
        sides=face_sides(mesh.edge, mesh.ptr, mesh.half),
        face_ptr=mesh.ptr,
        half_edges=mesh.half,
        packed_bits=None if raw.packed_bits is None else raw.packed_bits[roots],
    )
    return united if _is_whole(united) else raw


def _beaten_edges(raw: Cells) -> Bool[Array, "e"]:
    """Which edges are kinks of a pair whose maximum a third candidate wins on both sides."""
    net = raw.network
    is_of_maximum = np.zeros(net.n_hinges, bool)
    for group in net.groups:
        if group.kind == "max":
            is_of_maximum[group.first : group.first + group.n_hinges] = True
    suspects = np.flatnonzero((raw.hinges >= 0) & is_of_maximum[raw.hinges] & (raw.sides.min(axis=1) >= 0))
    beaten = np.zeros(len(raw.hinges), bool)
    for chunk in np.array_split(suspects, 1 + len(suspects) * net.n_hinges // _NUMBERS):
        beaten[chunk] = _is_one_pattern(raw, chunk)
    return beaten


def _is_one_pattern(raw: Cells, edges: Int64[Array, "some"]) -> Bool[Array, "some"]:
    """Whether the patterns on both sides of the edges agree, ties apart."""
    net = raw.network
    left, right = (raw.sides[edges, side].astype(np.int64) for side in (0, 1))
    on_left, on_right = raw.bits(left), raw.bits(right)
    if raw.packed_bits is None:
        centres = raw.centres()
        tied = net.ties(centres[left], _TIE) & net.ties(centres[right], _TIE)
        on_right = np.where(tied, on_left, on_right)
    return (net.states(on_left) == net.states(on_right)).all(axis=1)


def _is_whole(cells: Cells) -> bool:
    """Euler's formula for a disc, and the area of the window."""
    euler = len(cells.vertices) - len(cells.edges) + cells.n_faces
    return euler == 1 and bool(np.isclose(cells.areas().sum(), cells.plane.area, rtol=_AREA))
