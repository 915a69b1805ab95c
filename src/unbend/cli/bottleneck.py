"""`unbend bottleneck`: two units before the output, retrained, proved and filmed.

In: the words of a command line. Out: a page, a film, and what they show in sentences.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, results, wrote
from unbend.cli.options import Label, Network, Page, ReadWords, SameData, Weights, reads
from unbend.cli.reel import write_film
from unbend.cli.terminal import progress
from unbend.files import check_place, check_unread

PAGE = Path("bottleneck.html")


@reads
def bottleneck(
    *,
    read: ReadWords,
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    only_new: Annotated[bool, typer.Option("--only-new", help="Train the two new layers only.")] = False,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training rows [3,000 steps].", show_default=False)
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate; a tenth for layers that were there.")] = 0.01,
    activation: Annotated[
        str | None, typer.Option(help="What the two units bend with, such as tanh \\[nothing].", show_default=False)
    ] = None,
    film: Annotated[
        bool, typer.Option(help="Also write the film of the training (.gif, and .mp4 with imageio-ffmpeg).")
    ] = True,
    label: Label = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="Of the new layers and of the order of the rows.")] = 0,
) -> None:
    """Put two units before the output, retrain a copy, and prove whether the classes lie apart there.

    Without arguments it does so with a small net on scikit-learn's handwritten digits.

    [bold]Examples[/bold]

      unbend bottleneck

      unbend bottleneck net.py:model data.npz -o plane.html

      unbend bottleneck bert/ texts.py:dataset --only-new
    """
    from unbend.explain.bottleneck.bottleneck import bottleneck as narrow
    from unbend.explain.bottleneck.words import sentences
    from unbend.plot.bottleneck import bottleneck_film
    from unbend.report.bottleneck import bottleneck_page
    from unbend.report.html import write
    from unbend.study.jobs import work_of

    check_place(output, "the page")
    check_unread(output, files_of([model, data, weights]))
    with progress() as told:
        work = work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=read.group)
        plane = narrow(
            work.model, work.data, activation=activation, only_new=only_new, epochs=epochs, rate=rate, seed=seed,
            progress=told, **reading(read, work.groups),
        ).plane  # fmt: skip
        told("Drawing", 0, None)
        reels = write_film(bottleneck_film(plane), None, output.with_suffix(".gif"), told) if film else []
        title = f"Two units before the output of {work.name}"
        write(bottleneck_page(plane, title=title), output)
    first, *rest = sentences(plane)
    results().print(Text(first, style="bold"), soft_wrap=True)
    for words in rest:
        results().print(Text(words), soft_wrap=True)
    errors().print(wrote(output, *reels))
