"""From a network and a plane to `Cells`: which engine runs, what happens at the limit, what is tidied up.

Generic networks never leave the fast kernel. Where it is unsure (lines through a vertex, coinciding lines,
slivers), the same polygon, or the tile of it, is done in exact arithmetic.
"""

import logging
import os
from dataclasses import replace
from functools import cache
from time import perf_counter
from weakref import WeakKeyDictionary

import numpy as np

from unbend._typing import Array
from unbend.errors import DataError, ShapeError
from unbend.numerics.cells.complex import Cells, face_sides
from unbend.numerics.cells.exact import exact_mesh
from unbend.numerics.cells.kernel import DONE, TOO_MANY, UNSURE, Mesh, Program, subdivide
from unbend.numerics.cells.plane import Plane
from unbend.numerics.cells.restrict import Box, restrict, root
from unbend.numerics.cells.stitch import WALL, joins_after, rebuild, stitch
from unbend.numerics.cells.tiles import MOST_EXACT, polygon_mesh, ties, tiled
from unbend.numerics.cells.twins import Distinct, distinct
from unbend.numerics.piecewise import PiecewiseAffine, network

_NARROW = 128  # up to this width,
_FEW = 200  # or this many hinges in all, one run without tiles is faster
_SHIFTS = (0.5137, 0.4791, 0.5312)  # where tiles are cut, tried in turn
_NO_LIMIT = 1 << 40
_SLOW = 3.0  # seconds of compiling that need a word
_TIE = 1e-12  # of the sum of magnitudes, as in the kernel: such a sign is rounding
MAX_CELLS = 1_000_000

_log = logging.getLogger(__name__)


def cells(
    net: PiecewiseAffine,
    plane: Plane,
    *,
    max_cells: int = MAX_CELLS,
    threads: int | None = None,
    exact: bool = False,
) -> Cells:
    """All cells of the network on the plane's polygon.

    The cells are those of the network as given, its first stage restricted to the plane in float64. With
    `exact` every decision is made in rational arithmetic (slow); without, only those that float64 leaves
    open. The rule for degenerate cuts is that of `unbend.numerics.cells.exact`.

    Args:
        net: The network as arrays.
        plane: The polygon, in points of the network's input space.
        max_cells: Stop cleanly when there are more. The result then has `is_complete=False` and shows the
            cells of the first stages that fit.
        threads: How many threads work on tiles; all cores if not given.
        exact: Make every decision in rational arithmetic.

    Raises:
        TiesError: more than some thousand cells would need exact arithmetic.

    Cost: about 0.5 µs per cell and core, for wide networks 1 µs; 70 bytes per cell.

    Example:
        >>> import numpy as np
        >>> xor = network([np.ones((2, 2))], [np.array([0.0, -1.0])], np.array([[1.0, -2.0]]), np.zeros(1))
        >>> cells(xor, Plane.box((-1.0, -1.0), (1.0, 1.0))).n_faces
        3
    """
    flat = _on_plane(net, plane)
    _require_positive(max_cells)
    if not exact:
        _ready()
    labels = -1 - np.arange(len(plane.corners))
    for n_stages in range(len(flat.stages), -1, -1):
        part = flat if n_stages == len(flat.stages) else flat.first_stages(n_stages)
        found = _mesh(part, plane.corners, labels, max_cells, threads, exact=exact)
        if found is not None:
            return _result(plane, part, *found, is_complete=n_stages == len(flat.stages))
    raise AssertionError  # no stages is one cell


def count_cells(net: PiecewiseAffine, plane: Plane, *, threads: int | None = None) -> int:
    """How many cells there are; the last stage is counted without being built.

    Except under maxima of more than two candidates: there the cells are built, to tell which cuts are beaten.
    """
    flat = _on_plane(net, plane)
    if _has_beaten_pairs(flat):
        return cells(net, plane, max_cells=_NO_LIMIT, threads=threads).n_faces
    corners, labels = plane.corners, -1 - np.arange(len(plane.corners))
    threads = threads or _cores()
    _ready()
    if len(flat.stages) == 1 or not _wants_tiles(flat):
        status, n, _ = _at_once(flat, polygon_mesh(corners, labels), _NO_LIMIT, count_only=True)
        if status == DONE:
            return n
    for shift in _SHIFTS if flat.n_hinges > _FEW else ():
        run = tiled(flat, corners, _NO_LIMIT, threads=threads, count_only=True, off=shift)
        if run is not None:
            return run.n_faces
    exact = exact_mesh(flat, corners, labels, limit=MOST_EXACT)
    if exact is None:
        raise ties()
    return len(exact.bits)


def warm_up() -> float:
    """Compile the kernels, or load them from the disk; how many seconds that took.

    The first call on a machine compiles for about half a minute; numba keeps the result beside the package.
    """
    start = perf_counter()
    tent = network(
        [np.array([[1.0, 0.3], [0.2, 1.0]]), np.array([[1.0, -1.0]])],
        [np.array([0.1, 0.2]), np.array([0.05])],
        np.ones((1, 1)),
        np.zeros(1),
    )
    corners = Plane.box((-1.0, -1.0), (1.0, 1.0)).corners
    box = Box.round([(x, y) for x, y in corners.tolist()])
    restrict(*root(distinct(tent), box), box)
    run = tiled(tent, corners, 100, threads=1, count_only=False)
    if run is not None and run.mesh is not None:
        mesh, n_edges = run.mesh, len(run.mesh.label)
        stitch(mesh._replace(label=np.full_like(mesh.label, WALL)))
        rebuild(mesh, np.zeros(n_edges, bool), np.arange(len(mesh.ptr) - 1), np.full(2 * n_edges, -1))
        face_sides(mesh.edge, mesh.ptr, mesh.half)
    return perf_counter() - start


@cache
def _ready() -> None:
    """Before the first call of a process: a long wait for the compiler is explained."""
    seconds = warm_up()
    if seconds > _SLOW:
        _log.warning("unbend compiled its region kernels in %.0f s; from now on they come from the disk.", seconds)


def _on_plane(net: PiecewiseAffine, plane: Plane) -> PiecewiseAffine:
    if len(plane.origin) != net.n_inputs:
        raise ShapeError(
            f"plane: expected points of {net.n_inputs} numbers, got {len(plane.origin)}. "
            "Give points of the network's input space."
        )
    own = plane.origin.tolist(), plane.u.tolist(), plane.v.tolist()
    flat = net if own == ([0, 0], [1, 0], [0, 1]) else net.on(plane.origin, plane.basis)
    if not all(np.isfinite(stage.weight.data).all() for stage in flat.stages):
        raise DataError("network: expected finite weights, got nan or inf. Was the training run stable?")
    return flat


def _require_positive(max_cells: int) -> None:
    if max_cells < 1:
        raise DataError(f"max_cells: expected at least 1, got {max_cells}. Leave it out for {MAX_CELLS:,}.")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _wants_tiles(net: PiecewiseAffine) -> bool:
    """Whether tiles pay: for wide networks. Never a matter of threads, so that the result is not one either."""
    return net.n_hinges > _FEW and max(len(stage.low) for stage in net.stages) > _NARROW


def _mesh(
    net: PiecewiseAffine, corners: Array, labels: Array, limit: int, threads: int | None, *, exact: bool
) -> tuple[Mesh, Array | None] | None:
    """The mesh and, from exact arithmetic, its bits; None if there are more faces than the limit."""
    threads = threads or _cores()
    if not exact and not _wants_tiles(net):
        status, _, mesh = _at_once(net, polygon_mesh(corners, labels), limit, count_only=False)
        if status != DONE:
            _log.debug("status %d: not decided in float64", status)
        if status == TOO_MANY:
            return None
        if status == DONE:
            return mesh, None
    if not exact and net.n_hinges > _FEW:
        for shift in _SHIFTS:
            run = tiled(net, corners, limit, threads=threads, count_only=False, off=shift)
            if run is not None:
                return (run.mesh, None) if run.mesh is not None and run.is_complete else None
    most = limit if exact else min(limit, MOST_EXACT)
    proved = exact_mesh(net, corners, labels, limit=most)
    if proved is None and most < limit:
        raise ties()
    return None if proved is None else (proved.mesh, proved.bits)


def _at_once(net: PiecewiseAffine, start: Mesh, limit: int, *, count_only: bool) -> tuple[int, int, Mesh]:
    """The whole polygon in one run: the status, faces and the mesh. Twins are looked for when they matter."""
    if net not in _PROGRAMS:
        _PROGRAMS[net] = _program(Distinct(net, np.arange(net.n_hinges)))
    status, _, n, _, mesh = subdivide(_PROGRAMS[net], start, limit, count_only)
    if status == UNSURE:
        same = distinct(net)
        if same.net.n_hinges < net.n_hinges:
            status, _, n, _, mesh = subdivide(_program(same), start, limit, count_only)
    return status, int(n), mesh


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
    kept = np.zeros(n_stage, np.int64)
    for index, (first, stage) in enumerate(zip(net.offsets, net.stages, strict=False)):
        weights.append(np.ascontiguousarray(stage.weight.block(live).T).ravel())
        widths.append(len(live))
        keep = np.flatnonzero(last_read[live] > index)
        keeps.append(keep if len(keep) < len(live) else keep[:0])
        kept[index] = len(keep)
        live = np.concatenate([live[keep], 3 + first + np.arange(len(stage.low))])
    return Program(
        np.array([len(stage.low) for stage in net.stages], np.int64),
        np.array(widths, np.int64),
        np.concatenate(weights),
        np.concatenate(keeps).astype(np.int64),
        kept,
        np.concatenate([np.zeros(0), *[stage.low for stage in net.stages]]),
        np.concatenate([np.zeros(0), *[stage.high for stage in net.stages]]),
        same.names.astype(np.int32),
    )


def _result(plane: Plane, net: PiecewiseAffine, mesh: Mesh, bits: Array | None, *, is_complete: bool) -> Cells:
    raw = _assembled(plane, net, mesh, bits, is_complete=is_complete)
    return _without_beaten_pairs(raw) if _has_beaten_pairs(net) else raw


def undissolved(found: Cells) -> Cells:
    """The finer cells, with the edges between candidates of a maximum that a third one beats."""
    if not _has_beaten_pairs(found.network):
        return found
    labels = -1 - np.arange(len(found.plane.corners))
    run = _mesh(found.network, found.plane.corners, labels, _NO_LIMIT, None, exact=False)
    if run is None:
        return found
    return _assembled(found.plane, found.network, *run, is_complete=found.is_complete)


def _assembled(plane: Plane, net: PiecewiseAffine, mesh: Mesh, bits: Array | None, *, is_complete: bool) -> Cells:
    return Cells(
        plane=plane,
        network=net,
        vertices=mesh.xy,
        edges=mesh.edge,
        bends=mesh.label,
        sides=face_sides(mesh.edge, mesh.ptr, mesh.half),
        face_ptr=mesh.ptr,
        half_edges=mesh.half,
        is_complete=is_complete,
        is_proved=bits is not None,
        packed_bits=None if bits is None else np.packbits(bits, axis=1),
    )


def _has_beaten_pairs(net: PiecewiseAffine) -> bool:
    return any(layer.kind == "max" and layer.n_ways > 2 for layer in net.layers)


def _without_beaten_pairs(raw: Cells) -> Cells:
    """The cells without edges between two candidates of a maximum that a third one beats on both sides.

    Equal patches make candidates equal but for rounding. A sign within rounding of zero tells nothing about
    the edge, and two faces that differ in such signs alone are one. Should the union not be whole, which
    takes slivers as thin as rounding, the cells stay as they came: right, with the beaten edges counted too.
    """
    net = raw.network
    suspect = np.zeros(net.n_hinges, bool)
    for layer in net.layers:
        if layer.kind == "max":
            suspect[layer.first : layer.first + layer.n_hinges] = True
    at = np.flatnonzero((raw.bends >= 0) & suspect[raw.bends] & (raw.sides.min(axis=1) >= 0))
    drop = np.zeros(len(raw.bends), bool)
    for chunk in np.array_split(at, 1 + len(at) * net.n_hinges // (1 << 24)):
        drop[chunk] = _is_beaten(raw, chunk)
    if not drop.any():
        return raw
    old = Mesh(raw.vertices, raw.edges, raw.bends, raw.face_ptr, raw.half_edges)
    parent, join = joins_after(old, drop)
    roots = np.flatnonzero(parent == np.arange(len(parent)))
    mesh = rebuild(old, drop, parent, join)
    made = replace(
        raw,
        vertices=mesh.xy,
        edges=mesh.edge,
        bends=mesh.label,
        sides=face_sides(mesh.edge, mesh.ptr, mesh.half),
        face_ptr=mesh.ptr,
        half_edges=mesh.half,
        packed_bits=None if raw.packed_bits is None else raw.packed_bits[roots],
    )
    return made if _is_whole(made) else raw


def _is_beaten(raw: Cells, edges: Array) -> Array:
    """Whether the patterns on both sides of the edges agree, ties apart."""
    net = raw.network
    left, right = (raw.sides[edges, side].astype(np.int64) for side in (0, 1))
    on_left, on_right = raw.bits(left), raw.bits(right)
    if raw.packed_bits is None:
        centres = raw.centres()
        tied = net.ties(centres[left], _TIE) & net.ties(centres[right], _TIE)
        on_right = np.where(tied, on_left, on_right)
    return (net.states(on_left) == net.states(on_right)).all(axis=1)


def _is_whole(made: Cells) -> bool:
    """Euler's formula for a disc, and the area of the window."""
    euler = len(made.vertices) - len(made.edges) + made.n_faces
    return euler == 1 and bool(np.isclose(made.areas().sum(), made.plane.area, rtol=1e-9))
