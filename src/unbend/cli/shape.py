"""`unbend shape`: the dimension of each layer, how much of a matrix it is, how alike layers are.

In: the words of a command line. Out: a page, and the findings in sentences.
"""

from pathlib import Path
from typing import Annotated

import typer

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, say, wrote
from unbend.cli.options import Label, Layers, Network, Page, ReadWords, SameData, Weights, reads
from unbend.cli.terminal import progress
from unbend.explain.defaults import SHAPE_BUDGET, SHAPE_ROWS
from unbend.files import check_place, check_unread

PAGE = Path("shape.html")


@reads
def shape(
    *,
    read: ReadWords,
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    other: Annotated[str | None, typer.Option(help="Another model to compare layers with, on the same rows.")] = None,
    layers: Layers = None,
    topology: Annotated[
        bool, typer.Option("--topology", help="Also count pieces and holes of every class (needs ripser).")
    ] = False,
    budget: Annotated[
        float, typer.Option(min=0, help="Seconds of processor time that --topology may take.")
    ] = SHAPE_BUDGET,
    rows: Annotated[int, typer.Option(min=30, help="Training rows that shapes are taken of.")] = SHAPE_ROWS,
    label: Label = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="Of the demo's training.")] = 0,
) -> None:
    """Tell the shape of each layer: its dimension, how much of a matrix it is, how alike it is to others.

    Without arguments it does so with a small net on scikit-learn's handwritten digits.

    [bold]Examples[/bold]

      unbend shape

      unbend shape net.py:model data.npz --topology -o shape.html

      unbend shape net.py:before digits --other net.py:after
    """
    from unbend import load
    from unbend.explain.shape import shape as measure
    from unbend.report.html import write
    from unbend.report.shape import shape_page, shape_sentences
    from unbend.study.jobs import work_of

    check_place(output, "the page")
    check_unread(output, files_of([model, data, other, weights]))
    with progress() as told:
        work = work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=read.group)
        beside = None if other is None else load.model(other)
        found = measure(
            work.model, work.data, other=beside, layers=layers or None, topology=topology, budget=budget, rows=rows,
            progress=told, **reading(read, work.groups),
        )  # fmt: skip
        told("Drawing the page", 0, None)
        write(shape_page(found, title=f"The shape of the layers of {work.name}"), output)
    say(shape_sentences(found))
    errors().print(wrote(output))
