"""`unbend surgery`: what each layer is worth.

In: the words of a command line. Out: a page, and the findings in sentences.
"""

from pathlib import Path
from typing import Annotated

import typer

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, say, wrote
from unbend.cli.options import Label, Network, Page, ReadWords, SameData, Weights, reads
from unbend.cli.terminal import progress
from unbend.explain.defaults import OPERATIONS, SURGERY_ROWS
from unbend.files import check_place, check_unread

PAGE = Path("surgery.html")


@reads
def surgery(
    *,
    read: ReadWords,
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", "-l", help="A layer or glob to change; repeat for more.")
    ] = None,
    operation: Annotated[
        list[str] | None, typer.Option(help=f"Only this: {', '.join(OPERATIONS)}; repeat for more.")
    ] = None,
    units: Annotated[bool, typer.Option("--units", help="Also find out how many units each layer needs.")] = False,
    resampled: Annotated[
        bool,
        typer.Option("--resampled", help="With --units: others put out what they do for another row, not their mean."),
    ] = False,
    rows: Annotated[int, typer.Option(min=2, help="Held-out rows at most.")] = SURGERY_ROWS,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per forward pass.")] = 256,
    label: Label = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="Of random directions and orders.")] = 0,
) -> None:
    """Tell what each layer is worth: skipped, replaced by one matrix, put at its mean, its classes erased.

    It takes a pass over the training rows, and for each operation on a layer the layers behind it, over the held-out
    rows: mostly half a forward pass. How many these are, and about how many seconds, is said before they begin.

    Without arguments it does so with a small net on scikit-learn's handwritten digits.

    [bold]Examples[/bold]

      unbend surgery

      unbend surgery net.py:model data.npz --units -o surgery.html

      unbend surgery bert/ texts.py:dataset --layer 'encoder.layer.?' --operation skip
    """
    from unbend.explain.surgery.surgery import surgery as cut
    from unbend.explain.surgery.words import sentences
    from unbend.report.html import write
    from unbend.report.surgery import surgery_page
    from unbend.study.jobs import work_of

    check_place(output, "the page")
    check_unread(output, files_of([model, data, weights]))
    with progress() as told:
        work = work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=read.group)
        found = cut(
            work.model, work.data, layers=layers or None, operations=operation or OPERATIONS,
            units="resample" if units and resampled else units, rows=rows, batch_size=batch_size, seed=seed,
            progress=told, **reading(read, work.groups),
        )  # fmt: skip
        told("Drawing the page", 0, None)
        write(surgery_page(found, title=f"What each layer of {work.name} is worth"), output)
    say(sentences(found))
    errors().print(wrote(output))
