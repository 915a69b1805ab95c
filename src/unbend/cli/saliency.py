"""`unbend saliency`: what of the input the output hangs on, with the check of random weights.

In: the words of a command line. Out: a page, and which methods pass in sentences.
"""

from pathlib import Path
from typing import Annotated

import typer

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, say, wrote
from unbend.cli.options import Label, Network, Page, ReadWords, SameData, Weights, Words, reads
from unbend.cli.terminal import progress
from unbend.cli.units import vocabulary
from unbend.explain.defaults import SALIENCY_METHODS, SALIENCY_ROWS
from unbend.files import check_place, check_unread

PAGE = Path("saliency.html")


@reads
def saliency(
    *,
    read: ReadWords,
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    method: Annotated[
        list[str] | None, typer.Option(help=f"Only this: {', '.join(SALIENCY_METHODS)}; repeat for more.")
    ] = None,
    n: Annotated[
        int, typer.Option("-n", min=1, help="How many held-out rows, of as many classes as there are.")
    ] = SALIENCY_ROWS,
    words: Words = None,
    label: Label = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="Of noise and of random weights.")] = 0,
) -> None:
    """Show what of the input the output hangs on, each method beside its map of random weights.

    Without arguments it does so with a small net on scikit-learn's handwritten digits.

    [bold]Examples[/bold]

      unbend saliency

      unbend saliency net.py:cnn photos/ -n 12 -o saliency.html

      unbend saliency bert/ texts.py:dataset --method gradient --words bert/vocab.txt
    """
    from unbend.explain.saliency import saliency as explain
    from unbend.explain.units.examples import speaker
    from unbend.report.html import write
    from unbend.report.saliency import saliency_page, saliency_sentences
    from unbend.study.jobs import work_of

    check_place(output, "the page")
    check_unread(output, files_of([model, data, weights, words]))
    with progress() as told:
        work = work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=read.group)
        found = explain(
            work.model, work.data, methods=method or SALIENCY_METHODS, rows=n, seed=seed, progress=told,
            **reading(read, work.groups),
        )  # fmt: skip
        speak = str if words is None else speaker(vocabulary(words))
        write(saliency_page(found, title=f"What the output of {work.name} hangs on", words=speak), output)
    say(saliency_sentences(found))
    errors().print(wrote(output))
