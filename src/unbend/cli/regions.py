"""`unbend regions`: the exact linear regions of a model on a plane, as a page or a picture.

In: the words of a command line. Out: a file, and what it holds in sentences. Must not know how planes and shapes are
found.
"""

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from unbend._shares import percent
from unbend.cli.arguments import files_of
from unbend.cli.clock import Clock
from unbend.cli.console import errors, results, wrote
from unbend.cli.options import Label, Weights
from unbend.cli.terminal import progress
from unbend.errors import DataError, LoadError, TiesError
from unbend.files import check_place, check_unread, whole

if TYPE_CHECKING:  # brought by what computes, which help does without
    from torch import nn

    from unbend.numerics.cells import Cells, Plane
    from unbend.numerics.cells.boundary import Boundary
    from unbend.numerics.piecewise import PiecewiseAffine
    from unbend.study.window import FlatSamples, PlaneSamples

PAGE = Path("regions.html")
_INCHES = 7.0
"""The longer side of a picture,"""
_LEAST = 0.2
"""and the least share of it that the shorter side has."""
_PICTURES = (".svg", ".png", ".pdf")
_MOST_CLASSES = 1000
"""With more the boundary is left out: its cost grows with their square."""
_PAGE = 60_000
"""Regions whose outlines fit into a page of 5 MB."""
_SMALLER, _SMALLEST = 0.6, 0.01
"""How much smaller the next window is where one holds too many regions, and the least of the first that is tried."""


def regions(
    model: Annotated[
        str | None,
        typer.Argument(
            help="file.py:name, package.module:name, archive.pt2, model.keras or a Hugging Face folder.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Samples to draw, and to lay the plane through.")] = None,
    through: Annotated[
        str | None, typer.Option(help="Rows i,j,k of the data that the plane goes through, for more than two inputs.")
    ] = None,
    box: Annotated[str | None, typer.Option(help="The window, as x0,x1,y0,y1 in plane coordinates.")] = None,
    layer: Annotated[str | None, typer.Option("--layer", "-l", help="Only kinks up to this layer.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A page (.html) or a picture (.svg, .png, .pdf).")
    ] = PAGE,
    max_cells: Annotated[int | None, typer.Option(min=1, help="Stop cleanly at more regions [1,000,000].")] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Also prove that every region is there and none is missing.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Decide everything in rational arithmetic (slow).")] = False,
    label: Label = None,
    weights: Weights = None,
) -> None:
    """Cut the input space, or a plane through three samples, into the regions on which the model is affine.

    Without a model it trains a small net on two half moons and shows that.

    [bold]Examples[/bold]

      unbend regions

      unbend regions net.py:moons --box -1,1,-1,1

      unbend regions net.py:cnn --data digits --through 0,1,2 -o digits.html

      unbend regions net.py:moons --data moons.npz --prove -o moons.svg
    """
    from unbend.numerics.cells import MAX_CELLS, warm_up
    from unbend.study.regions import boundary
    from unbend.study.window import lower_for, plane_for, samples_on

    clock = Clock()
    if output.suffix.lower() not in (".html", *_PICTURES):
        raise LoadError(f"--output: expected .html, .svg, .png or .pdf, got '{output.name}'.")
    check_place(output, "the page" if output.suffix.lower() == ".html" else "the picture")
    check_unread(output, files_of([model, data, weights]))
    network, samples, name = _job(model, data, label, weights)
    clock.end("data")
    net = lower_for(network, samples, layer=layer)
    with errors().status("Making the kernels ready"):
        warm_up(net)
    clock.end("kernels")
    plane = _window(plane_for(net.n_inputs, samples, None if through is None else _rows(through)), box)
    start = perf_counter()
    most = max_cells or MAX_CELLS
    if box is None and output.suffix.lower() == ".html":
        most = min(most, _PAGE)
    found = _cut(net, plane, most, exact=exact)
    if box is None:
        found = _whole(net, found, most, exact=exact)
    seconds = perf_counter() - start
    has_boundary = layer is None and found.is_complete and 0 < net.n_outputs <= _MOST_CLASSES
    edge = boundary(found) if has_boundary else None
    _tell(found, seconds, most, edge)
    if prove:
        _prove(found)
    clock.end("regions")
    _write(output, found, edge, None if samples is None else samples_on(plane, samples), name)
    clock.end("page")
    errors().print(wrote(output, end=f" in {clock.in_words()}."))


def _job(
    model: str | None, data: str | None, label: str | None, weights: Path | None
) -> "tuple[nn.Module, FlatSamples | None, str]":
    """The network, its samples and its name, from the words; the demo without words."""
    from unbend import load
    from unbend.study.jobs import regions_demo
    from unbend.study.window import flat_samples

    if model is None:
        if data is not None or weights is not None:
            raise typer.BadParameter("a model is needed beside --data and --weights, such as file.py:name.",
                                     param_hint="MODEL")  # fmt: skip
        with progress() as report:
            job = regions_demo(report)
        return job.model, flat_samples(job.data), job.name
    network = load.model(model, weights=weights)
    return network, None if data is None else flat_samples(load.data(data, label=label)), model


def _cut(net: "PiecewiseAffine", plane: "Plane", max_cells: int, *, exact: bool) -> "Cells":
    """The cells; on a plane moved by a hair where too many kinks coincide on the plane itself."""
    from unbend.study.regions import cells

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
            return cells(net, plane.jitter(), max_cells=max_cells)


def _whole(net: "PiecewiseAffine", found: "Cells", max_cells: int, *, exact: bool) -> "Cells":
    """The cells of a smaller window round the same middle where those of the whole window are too many."""
    from unbend.numerics.cells import Plane

    corners = found.plane.corners
    middle, size = corners.mean(axis=0), 1.0
    while not found.is_complete and size > _SMALLEST:
        size *= _SMALLER
        plane = Plane(found.plane.origin, found.plane.u, found.plane.v, middle + size * (corners - middle))
        found = _cut(net, plane, max_cells, exact=exact)
    if size < 1:
        errors().print(
            f"The whole window holds more than {max_cells:,} regions. Shown is its middle, {percent(size)} as wide, "
            "with all of them. --box chooses another window."
        )
    return found


def _window(plane: "Plane", box: str | None) -> "Plane":
    from unbend.numerics.cells import Plane

    if box is None:
        return plane
    x0, x1, y0, y1 = _numbers(box, "--box", 4, whole=False)
    if not (x0 < x1 and y0 < y1):
        raise DataError(f"--box: expected x0,x1,y0,y1 with x0 < x1 and y0 < y1, got {box}.")
    corners = Plane.box((x0, y0), (x1, y1)).corners
    return Plane(plane.origin, plane.u, plane.v, corners)


def _rows(text: str) -> tuple[int, int, int]:
    a, b, c = (int(row) for row in _numbers(text, "--through", 3, whole=True))
    return a, b, c


def _numbers(text: str, option: str, n: int, *, whole: bool) -> list[float]:
    try:
        values = [float(int(part)) if whole else float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != n:
        kind = "row numbers" if whole else "numbers"
        raise DataError(f"{option}: expected {n} {kind} separated by commas, got '{text}'.")
    return values


def _tell(found: "Cells", seconds: float, max_cells: int, edge: "Boundary | None") -> None:
    out = results()
    out.print(
        Text(f"{found.n_faces:,}", style="bold"),
        f"regions, {len(found.edges):,} edges, {len(found.vertices):,} vertices "
        f"of {found.network.n_units:,} units in {1e3 * seconds:,.1f} ms",
    )
    if edge is not None:
        shares = edge.class_areas / edge.class_areas.sum()
        said = ", ".join(f"{k}: {percent(share)}" for k, share in enumerate(shares) if share > 0)
        out.print(f"decision boundary {edge.length:.4g} long, crossing {len(edge.hinges):,} kinks; class areas {said}")
    if not found.is_complete:
        out.print(
            Text("Not complete:", style="yellow"),
            f"more than {max_cells:,} regions. Shown are the kinks of the first "
            f"{len(found.network.stages)} stages. Raise --max-cells or give a smaller --box.",
        )


def _prove(found: "Cells") -> None:
    from unbend.numerics.cells.certificate import certify

    proof = certify(found)
    word = Text("Proved", style="bold green") if proof.is_proved else Text("Not proved", style="bold red")
    results().print(
        word,
        f"({proof.method}): {proof.n_witnessed:,} of {proof.n_faces:,} regions have a certain witness, "
        f"{proof.n_distinct:,} patterns differ, {proof.n_closed:,} of {proof.n_corners:,} corners are closed",
    )


def _write(path: Path, found: "Cells", edge: "Boundary | None", samples: "PlaneSamples | None", title: str) -> None:
    from unbend.report.html import write
    from unbend.report.regions import regions_page

    if path.suffix.lower() == ".html":
        edges = None if edge is None else [edge]
        write(regions_page([found], boundaries=edges, samples=samples, title=f"Linear regions of {title}"), path)
    else:
        with whole(path, "the picture") as temporary:
            _draw(temporary, found, edge, samples)


def _draw(path: Path, found: "Cells", edge: "Boundary | None", samples: "PlaneSamples | None") -> None:
    import numpy as np
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from unbend.plot.cells import cells as draw_cells
    from unbend.plot.style import PAPER, RC

    with rc_context(RC):
        span = np.ptp(found.plane.corners, axis=0)
        wide, high = _INCHES * np.maximum(span / span.max(), _LEAST)
        figure = Figure((wide, high))
        ax = figure.add_axes((0.02, 0.02, 0.96, 0.96))
        points, labels = (None, None) if samples is None else (samples.points, samples.labels)
        draw_cells(ax, found, boundary=edge, points=points, labels=labels)
        figure.savefig(path, dpi=200, facecolor=PAPER)
