"""Which engine cuts a polygon: the fast kernel at once, the fast kernel by tiles, or exact arithmetic.

In: a network of two inputs and a polygon. Out: a mesh, or how many faces it has. Must not know planes and `Cells`.

Generic networks never leave the fast kernel. Where it is unsure (lines through a vertex, coinciding lines,
slivers), the same polygon, or the tile of it, is done in exact arithmetic.
"""

import logging
import os
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from unbend._typing import Array, Bool, Float64
from unbend.numerics.cells.compiled.mesh import Mesh, Program
from unbend.numerics.cells.compiled.subdivide import DONE, TOO_MANY, UNSURE, subdivide
from unbend.numerics.cells.duplicates import Distinct, distinct
from unbend.numerics.cells.exact import exact_mesh
from unbend.numerics.cells.tiles import MOST_EXACT, cut_tiles, polygon_mesh, ties_error
from unbend.numerics.piecewise import PiecewiseAffine

_NARROW = 128
"""Up to this width of its widest stage, or"""
_FEW = 200
"""this many hinges in all, one run over the whole polygon is faster than tiles."""
_CUTS = (0.5137, 0.4791, 0.5312)
"""Where tiles are cut, as shares of their sides, tried in turn. Off the middle, where the lines of symmetric networks
lie, and no fractions that weights are likely to be."""

_log = logging.getLogger(__name__)


class Found(NamedTuple):
    """What an engine found.

    Attributes:
        mesh: the cells.
        bits: which hinges are on in every face, if exact arithmetic made them.
    """

    mesh: Mesh
    bits: Bool[Array, "f hinges"] | None


def cut(
    net: PiecewiseAffine, corners: Float64[Array, "m 2"], limit: int, *, threads: int | None = None, exact: bool = False
) -> Found | None:
    """The cells on a polygon; None if there are more than the limit.

    Raises:
        TiesError: more than some thousand cells would need exact arithmetic.
    """
    labels = -1 - np.arange(len(corners))
    if not exact and not wants_tiles(net):
        status, _, mesh = _cut_at_once(net, polygon_mesh(corners, labels), limit, count_only=False)
        if status == TOO_MANY:
            return None
        if status == DONE:
            return Found(mesh, None)
        _log.debug("status %d: not decided in float64", status)
    if not exact and net.n_hinges > _FEW:
        for share in _CUTS:
            run = cut_tiles(net, corners, limit, threads=threads or n_cores(), count_only=False, cut_at=share)
            if run is not None:
                return Found(run.mesh, None) if run.mesh is not None and run.is_complete else None
    most = limit if exact else min(limit, MOST_EXACT)
    proved = exact_mesh(net, corners, labels, limit=most)
    if proved is None and most < limit:
        raise ties_error()
    return None if proved is None else Found(proved.mesh, proved.bits)


def count(net: PiecewiseAffine, corners: Float64[Array, "m 2"], limit: int, *, threads: int | None = None) -> int:
    """How many cells there are on a polygon; the last stage is counted without being built.

    Raises:
        TiesError: more than some thousand cells would need exact arithmetic.
    """
    labels = -1 - np.arange(len(corners))
    if len(net.stages) == 1 or not wants_tiles(net):
        status, n_faces, _ = _cut_at_once(net, polygon_mesh(corners, labels), limit, count_only=True)
        if status == DONE:
            return n_faces
    for share in _CUTS if net.n_hinges > _FEW else ():
        run = cut_tiles(net, corners, limit, threads=threads or n_cores(), count_only=True, cut_at=share)
        if run is not None:
            return run.n_faces
    exact = exact_mesh(net, corners, labels, limit=MOST_EXACT)
    if exact is None:
        raise ties_error()
    return len(exact.bits)


def n_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wants_tiles(net: PiecewiseAffine) -> bool:
    """Whether tiles pay: for wide networks. Never a matter of threads, so that the result is not one either."""
    return net.n_hinges > _FEW and max(len(stage.low) for stage in net.stages) > _NARROW


def _cut_at_once(net: PiecewiseAffine, start: Mesh, limit: int, *, count_only: bool) -> tuple[int, int, Mesh]:
    """The whole polygon in one run: the status, faces and the mesh. Duplicates are looked for when they matter."""
    if net not in _PROGRAMS:
        _PROGRAMS[net] = _program(Distinct(net, np.arange(net.n_hinges)))
    status, _, n_faces, _, mesh = subdivide(_PROGRAMS[net], start, limit, count_only)
    if status == UNSURE:
        same = distinct(net)
        if same.net.n_hinges < net.n_hinges:
            status, _, n_faces, _, mesh = subdivide(_program(same), start, limit, count_only)
    return status, int(n_faces), mesh


_PROGRAMS: WeakKeyDictionary[PiecewiseAffine, Program] = WeakKeyDictionary()
"""Of networks that are looked at whole: who zooms in asks for the same one again."""


def _program(same: Distinct) -> Program:
    """All stages, dense; columns are dropped as soon as no later stage reads them."""
    net = same.net
    n_stage = len(net.stages)
    last_read = np.zeros(3 + net.n_hinges, np.int64)
    for index, stage in enumerate(net.stages):
        last_read[stage.weight.indices] = index
    last_read[:3] = np.maximum(last_read[:3], 0)
    live = np.arange(3)
    weights, keeps, widths = [np.zeros(0)], [np.zeros(0, np.int64)], []
    n_kept = np.zeros(n_stage, np.int64)
    for index, (first, stage) in enumerate(zip(net.offsets, net.stages, strict=False)):
        weights.append(np.ascontiguousarray(stage.weight.block(live).T).ravel())
        widths.append(len(live))
        keep = np.flatnonzero(last_read[live] > index)
        keeps.append(keep if len(keep) < len(live) else keep[:0])
        n_kept[index] = len(keep)
        live = np.concatenate([live[keep], 3 + first + np.arange(len(stage.low))])
    return Program(
        np.array([len(stage.low) for stage in net.stages], np.int64),
        np.array(widths, np.int64),
        np.concatenate(weights),
        np.concatenate(keeps).astype(np.int64),
        n_kept,
        np.concatenate([np.zeros(0), *[stage.low for stage in net.stages]]),
        np.concatenate([np.zeros(0), *[stage.high for stage in net.stages]]),
        same.names.astype(np.int32),
    )
