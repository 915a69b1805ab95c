"""From a network and a plane to `Cells`: what happens at the limit, what is tidied up, and when kernels are compiled.

In: a `PiecewiseAffine` and a `Plane`. Out: `Cells`, or how many there are. Must not know how a polygon is cut.
"""

from functools import cache
from time import perf_counter

import numpy as np

from unbend.errors import DataError, ShapeError
from unbend.numerics.cells.beaten_pairs import has_beaten_pairs, without_beaten_pairs
from unbend.numerics.cells.compiled.mesh import WALL
from unbend.numerics.cells.compiled.queries import face_sides
from unbend.numerics.cells.compiled.rebuild import rebuild
from unbend.numerics.cells.complex import Cells
from unbend.numerics.cells.duplicates import distinct
from unbend.numerics.cells.engines import Found, count, cut, wants_tiles
from unbend.numerics.cells.plane import Plane
from unbend.numerics.cells.stitch import stitch
from unbend.numerics.cells.tile_network import Box, TileNetwork
from unbend.numerics.piecewise import PiecewiseAffine, network

MAX_CELLS = 1_000_000
"""A search stops here if nothing else is asked for: a second or two, and 70 MB."""
_NO_LIMIT = 1 << 40
"""More than any memory holds."""


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
        net: the network as arrays.
        plane: the polygon, in points of the network's input space.
        max_cells: stop cleanly when there are more. The result then has `is_complete=False` and shows the
            cells of the first stages that fit.
        threads: how many threads work on tiles; all cores if not given.
        exact: make every decision in rational arithmetic.

    Raises:
        TiesError: more than some thousand cells would need exact arithmetic.

    Cost:
        About 0.5 µs per cell and core, for wide networks 1 µs; 70 bytes per cell.

    Example:
        >>> import numpy as np
        >>> xor = network([np.ones((2, 2))], [np.array([0.0, -1.0])], np.array([[1.0, -2.0]]), np.zeros(1))
        >>> cells(xor, Plane.box((-1.0, -1.0), (1.0, 1.0))).n_faces
        3
    """
    flat = _on_plane(net, plane)
    if max_cells < 1:
        raise DataError(f"max_cells: expected at least 1, got {max_cells}. Leave it out for {MAX_CELLS:,}.")
    if not exact:
        warm_up(flat)
    for n_stages in range(len(flat.stages), -1, -1):
        part = flat if n_stages == len(flat.stages) else flat.first_stages(n_stages)
        found = cut(part, plane.corners, max_cells, threads=threads, exact=exact)
        if found is not None:
            raw = _cells_of(plane, part, found, is_complete=n_stages == len(flat.stages))
            return without_beaten_pairs(raw) if has_beaten_pairs(part) else raw
    raise AssertionError  # no stages is one cell


def count_cells(net: PiecewiseAffine, plane: Plane, *, threads: int | None = None) -> int:
    """How many cells there are; the last stage is counted without being built.

    Except under maxima of more than two candidates: there the cells are built, to tell which cuts are beaten.
    """
    flat = _on_plane(net, plane)
    if has_beaten_pairs(flat):
        return cells(net, plane, max_cells=_NO_LIMIT, threads=threads).n_faces
    warm_up(flat)
    return count(flat, plane.corners, _NO_LIMIT, threads=threads)


def with_beaten_pairs(found: Cells) -> Cells:
    """The finer cells, with the edges between candidates of a maximum that a third one beats."""
    if not has_beaten_pairs(found.network):
        return found
    run = cut(found.network, found.plane.corners, _NO_LIMIT)
    return found if run is None else _cells_of(found.plane, found.network, run, is_complete=found.is_complete)


def warm_up(net: PiecewiseAffine | None = None) -> float:
    """Compile the kernels, or load them from the disk; how many seconds that took.

    The first call on a machine compiles for some ten seconds; numba keeps the result beside the package.

    Args:
        net: a network whose cells are wanted: what only others need is left out. All kernels if that is left out.
    """
    start = perf_counter()
    _load(needs_tiles=net is None or wants_tiles(net), needs_joins=net is None or has_beaten_pairs(net))
    return perf_counter() - start


@cache
def _load(*, needs_tiles: bool, needs_joins: bool) -> None:
    """Run the kernels on a small network, once a process."""
    small = network(
        [np.array([[1.0, 0.3], [0.2, 1.0]]), np.array([[1.0, -1.0]])],
        [np.array([0.1, 0.2]), np.array([0.05])],
        np.ones((1, 1)),
        np.zeros(1),
    )
    corners = Plane.box((-1.0, -1.0), (1.0, 1.0)).corners
    found = cut(small, corners, 100)
    if found is None:
        return
    mesh, n_edges = found.mesh, len(found.mesh.label)
    face_sides(mesh.edge, mesh.ptr, mesh.half)
    if needs_tiles:
        box = Box.around([(x, y) for x, y in corners.tolist()])
        TileNetwork.of(distinct(small), box).on(box)
        stitch(mesh._replace(label=np.full_like(mesh.label, WALL)))
    if needs_tiles or needs_joins:
        rebuild(mesh, np.zeros(n_edges, bool), np.arange(len(mesh.ptr) - 1), np.full(2 * n_edges, -1))


def _on_plane(net: PiecewiseAffine, plane: Plane) -> PiecewiseAffine:
    """The network as a function of the plane's coordinates."""
    if len(plane.origin) != net.n_inputs:
        raise ShapeError(
            f"plane: expected points of {net.n_inputs} numbers, got {len(plane.origin)}. "
            "Give points of the network's input space."
        )
    own = plane.origin.tolist(), plane.u.tolist(), plane.v.tolist()
    # Of the plane itself nothing is restricted: whoever asks again finds the program of the same network (`engines`).
    flat = net if own == ([0, 0], [1, 0], [0, 1]) else net.on(plane.origin, plane.basis)
    if not all(np.isfinite(stage.weight.data).all() for stage in flat.stages):
        raise DataError("network: expected finite weights, got nan or inf. Was the training run stable?")
    return flat


def _cells_of(plane: Plane, net: PiecewiseAffine, found: Found, *, is_complete: bool) -> Cells:
    mesh, bits = found
    return Cells(
        plane=plane,
        network=net,
        vertices=mesh.xy,
        edges=mesh.edge,
        hinges=mesh.label,
        sides=face_sides(mesh.edge, mesh.ptr, mesh.half),
        face_ptr=mesh.ptr,
        half_edges=mesh.half,
        is_complete=is_complete,
        is_proved=bits is not None,
        packed_bits=None if bits is None else np.packbits(bits, axis=1),
    )
