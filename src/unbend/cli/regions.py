"""`unbend regions`: the exact linear regions of a model on a plane, as a page or a picture."""

from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from unbend import load
from unbend._typing import Array
from unbend.capture.lower import lower
from unbend.cli.console import errors, results
from unbend.errors import DataError, LoadError, ModelError, TiesError, UnsupportedError
from unbend.files import check_place, whole
from unbend.numerics.cells import MAX_CELLS, Cells, Plane, warm_up
from unbend.numerics.cells.boundary import Boundary, boundary
from unbend.numerics.cells.certificate import certify
from unbend.numerics.piecewise import PiecewiseAffine
from unbend.report.html import write
from unbend.report.regions import PlaneSamples, regions_page
from unbend.study.regions import cells, plane_through

PAGE = Path("regions.html")
_INCHES = 7.0
_LEAST = 0.2  # of the longer side of a picture
_PICTURES = (".svg", ".png", ".pdf")
_MOST_SAMPLES = 2000
_MOST_CLASSES = 1000
_SLOW = 2.0


def regions(
    model: Annotated[
        str, typer.Argument(help="file.py:name, package.module:name, archive.pt2 or a Hugging Face folder.")
    ],
    data: Annotated[str | None, typer.Option(help="Samples to draw, and to lay the plane through.")] = None,
    through: Annotated[
        str | None, typer.Option(help="Rows i,j,k of the data that the plane goes through, for more than two inputs.")
    ] = None,
    box: Annotated[str | None, typer.Option(help="The window, as x0,x1,y0,y1 in plane coordinates.")] = None,
    layer: Annotated[str | None, typer.Option("--layer", "-l", help="Only kinks up to this layer.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A page (.html) or a picture (.svg, .png, .pdf).")
    ] = PAGE,
    max_cells: Annotated[int, typer.Option(min=1, help="Stop cleanly at more regions.")] = MAX_CELLS,
    prove: Annotated[
        bool, typer.Option("--prove", help="Also prove that every region is there and none is missing.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Decide everything in rational arithmetic (slow).")] = False,
    label: Annotated[str | None, typer.Option(help="Column of a table that holds the labels.")] = None,
    weights: Annotated[Path | None, typer.Option(help="State dict for a factory: .safetensors, .pt or .pth.")] = None,
) -> None:
    """Cut the input space, or a plane through three samples, into the regions on which the model is affine.

    [bold]Examples[/bold]

      unbend regions net.py:moons --box -1,1,-1,1

      unbend regions net.py:cnn --data digits --through 0,1,2 -o digits.html

      unbend regions net.py:moons --data moons.npz --prove -o moons.svg
    """
    if output.suffix.lower() not in (".html", *_PICTURES):
        raise LoadError(f"--output: expected .html, .svg, .png or .pdf, got '{output.name}'.")
    check_place(output, "the page" if output.suffix.lower() == ".html" else "the picture")
    found = load.model(model, weights=weights)
    samples = None if data is None else _samples(load.data(data, label=label))
    with errors().status("Making the kernels ready; the first time on a machine they are compiled, half a minute"):
        seconds = warm_up()
    if seconds > _SLOW:
        errors().print(f"Compiled the kernels in {seconds:.0f} s; from now on they come from the disk.")
    net = _lowered(found, samples, layer)
    plane = _windowed(_plane(net, samples, through), box)
    start = perf_counter()
    made = _made(net, plane, max_cells, exact=exact)
    seconds = perf_counter() - start
    has_boundary = layer is None and made.is_complete and 0 < net.n_outputs <= _MOST_CLASSES
    edge = boundary(made) if has_boundary else None
    _tell(made, seconds, max_cells, edge)
    if prove:
        _prove(made)
    _write(output, made, edge, None if samples is None else _on_plane(samples, plane), model)
    errors().print(f"Wrote [bold]{escape(str(output))}[/].")


def _made(net: PiecewiseAffine, plane: Plane, max_cells: int, *, exact: bool) -> Cells:
    """The cells; on a plane moved by a hair where too many kinks coincide on the plane itself."""
    try:
        with errors().status("Cutting the plane into regions"):
            return cells(net, plane, max_cells=max_cells, exact=exact)
    except TiesError:
        if net.n_inputs == len(plane.corners[0]):
            raise
        errors().print(
            "Equal patches of the samples make kinks that coincide within rounding. The plane was moved by a millionth "
            "of its size, so that they lie apart; --exact takes them as they are, and hours."
        )
        with errors().status("Cutting the moved plane into regions"):
            return cells(net, plane.moved(), max_cells=max_cells)


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    x: Array
    y: Array | None
    shape: tuple[int, ...]
    class_names: tuple[str, ...]


def _samples(data: load.Data) -> _Samples:
    x, y = data.x, data.y
    if isinstance(x, (DataLoader, Dataset)):
        x, y = _taken(x.dataset if isinstance(x, DataLoader) else x)
    if not isinstance(x, Tensor):
        raise DataError("data: expected samples as one tensor of numbers, got a dict. Give arrays or images.")
    shape = tuple(x.shape[1:])
    labels = None if y is None or y.is_floating_point() else y.numpy()
    return _Samples(x.double().reshape(len(x), -1).numpy(), labels, shape, data.class_names)


def _taken(source: Any) -> tuple[Tensor, Tensor]:
    from torch.utils.data import default_collate

    rows = [source[index] for index in range(min(len(source), _MOST_SAMPLES))]
    x, y = default_collate(rows)
    return x, y


def _lowered(model: nn.Module, samples: _Samples | None, layer: str | None) -> PiecewiseAffine:
    """The model as arrays; images are tried as they are, with a channel axis, and flat; flat ones as squares."""
    if samples is None:
        return lower(model, (2,), layer=layer)
    flat = (int(np.prod(samples.shape)),)
    shapes = [samples.shape, flat] if len(samples.shape) != 2 else [(1, *samples.shape), samples.shape, flat]
    side = isqrt(flat[0])
    if len(samples.shape) == 1 and side * side == flat[0]:
        shapes.append((1, side, side))
    refused: ModelError | None = None
    for shape in dict.fromkeys(shapes):
        try:
            return lower(model, shape, layer=layer)
        except UnsupportedError:
            raise
        except ModelError as error:
            refused = refused or error
    raise refused or ModelError("model: it runs on none of the shapes of the data.")


def _plane(net: PiecewiseAffine, samples: _Samples | None, through: str | None) -> Plane:
    if samples is not None and samples.x.shape[1] != net.n_inputs:
        raise DataError(f"data: expected samples of {net.n_inputs} numbers, got {samples.x.shape[1]}.")
    if net.n_inputs == 2 and through is None:
        if samples is None:
            return Plane.box((-1.0, -1.0), (1.0, 1.0))
        low, high = samples.x.min(axis=0), samples.x.max(axis=0)
        room = 0.1 * np.maximum(high - low, 1e-9)
        return Plane.box(tuple((low - room).tolist()), tuple((high + room).tolist()))
    if samples is None:
        raise DataError(f"--data: the model has {net.n_inputs} inputs, so a plane through three samples is needed.")
    rows = _three(samples) if through is None else _numbers(through, "--through", 3, whole=True)
    a, b, c = (int(row) for row in rows)
    return plane_through(samples.x, (a, b, c))


def _three(samples: _Samples) -> list[float]:
    """The first samples of the first three classes, or the first three samples."""
    if samples.y is None or len(np.unique(samples.y)) < 3:
        return [0.0, 1.0, 2.0]
    return [float(np.flatnonzero(samples.y == k)[0]) for k in np.unique(samples.y)[:3]]


def _windowed(plane: Plane, box: str | None) -> Plane:
    if box is None:
        return plane
    x0, x1, y0, y1 = _numbers(box, "--box", 4, whole=False)
    if not (x0 < x1 and y0 < y1):
        raise DataError(f"--box: expected x0,x1,y0,y1 with x0 < x1 and y0 < y1, got {box}.")
    corners = Plane.box((x0, y0), (x1, y1)).corners
    return Plane(plane.origin, plane.u, plane.v, corners)


def _numbers(text: str, option: str, n: int, *, whole: bool) -> list[float]:
    try:
        values = [float(int(part)) if whole else float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != n:
        kind = "row numbers" if whole else "numbers"
        raise DataError(f"{option}: expected {n} {kind} separated by commas, got '{text}'.")
    return values


def _on_plane(samples: _Samples, plane: Plane) -> PlaneSamples:
    """The samples that lie on the plane and in the window."""
    x = samples.x
    points, gap = plane.project(x)
    low, high = plane.corners.min(axis=0), plane.corners.max(axis=0)
    near = gap <= 1e-6 * (1.0 + np.linalg.norm(x - plane.origin, axis=1))
    near &= ((points >= low) & (points <= high)).all(axis=1)
    rows = np.flatnonzero(near)[:_MOST_SAMPLES]
    return PlaneSamples(points[rows], None if samples.y is None else samples.y[rows], samples.class_names)


def _tell(made: Cells, seconds: float, max_cells: int, edge: Boundary | None) -> None:
    out = results()
    out.print(
        f"[bold]{made.n_faces:,}[/] regions, {len(made.edges):,} edges, {len(made.vertices):,} vertices "
        f"of {made.network.n_units:,} units in {1e3 * seconds:,.1f} ms"
    )
    if edge is not None:
        shares = edge.class_areas / edge.class_areas.sum()
        said = ", ".join(f"{k}: {share:.1%}" for k, share in enumerate(shares) if share > 0)
        out.print(f"decision boundary {edge.length:.4g} long, crossing {len(edge.bends):,} kinks; class areas {said}")
    if not made.is_complete:
        out.print(
            f"[yellow]Not complete:[/] more than {max_cells:,} regions. Shown are the kinks of the first "
            f"{len(made.network.stages)} stages. Raise --max-cells or give a smaller --box."
        )


def _prove(made: Cells) -> None:
    proof = certify(made)
    word = "[bold green]Proved[/]" if proof.is_proved else "[bold red]Not proved[/]"
    results().print(
        f"{word} ({proof.method}): {proof.n_witnessed:,} of {proof.n_faces:,} regions have a certain witness, "
        f"{proof.n_distinct:,} patterns differ, {proof.n_closed:,} of {proof.n_corners:,} corners are closed"
    )


def _write(path: Path, made: Cells, edge: Boundary | None, samples: PlaneSamples | None, title: str) -> None:
    if path.suffix.lower() == ".html":
        edges = None if edge is None else [edge]
        write(regions_page([made], boundaries=edges, samples=samples, title=f"Linear regions of {title}"), path)
    else:
        with whole(path, "the picture") as temporary:
            _draw(temporary, made, edge, samples)


def _draw(path: Path, made: Cells, edge: Boundary | None, samples: PlaneSamples | None) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from unbend.plot.cells import cells as drawn
    from unbend.plot.style import PAPER, RC

    with rc_context(RC):
        span = np.ptp(made.plane.corners, axis=0)
        wide, high = _INCHES * np.maximum(span / span.max(), _LEAST)
        figure = Figure((wide, high))
        ax = figure.add_axes((0.02, 0.02, 0.96, 0.96))
        points, labels = (None, None) if samples is None else (samples.points, samples.labels)
        drawn(ax, made, boundary=edge, points=points, labels=labels)
        figure.savefig(path, dpi=200, facecolor=PAPER)
