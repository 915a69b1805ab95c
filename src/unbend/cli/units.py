"""`unbend units`: what every unit answers to.

In: the words of a command line. Out: a page, and the most remarkable units in sentences.
"""

from pathlib import Path
from typing import Annotated

import typer

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, say, wrote
from unbend.cli.options import Label, Layers, Network, Page, ReadWords, SameData, Weights, Words, reads
from unbend.cli.terminal import progress
from unbend.errors import LoadError
from unbend.files import check_place, check_unread

PAGE = Path("units.html")


@reads
def units(
    *,
    read: ReadWords,
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    layers: Layers = None,
    words: Words = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per forward pass.")] = 512,
    label: Label = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="Of the demo's training.")] = 0,
) -> None:
    """Tell what every unit answers to: classes, its strongest and weakest rows, columns of the input, copies.

    Without arguments it does so with a small net on scikit-learn's handwritten digits.

    [bold]Examples[/bold]

      unbend units

      unbend units net.py:cnn photos/ --layer 'layer4*' -o units.html

      unbend units bert/ texts.py:dataset --words bert/vocab.txt
    """
    from unbend.explain.units.units import units as ask
    from unbend.report.html import write
    from unbend.report.units import unit_sentences, units_page
    from unbend.study.jobs import work_of

    check_place(output, "the page")
    check_unread(output, files_of([model, data, weights, words]))
    with progress() as told:
        work = work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=read.group)
        known = None if words is None else vocabulary(words)
        found = ask(
            work.model, work.data, layers=layers or None, words=known, batch_size=batch_size, progress=told,
            **reading(read, work.groups),
        )  # fmt: skip
        told("Drawing the page", 0, None)
        write(units_page(found, title=f"What the units of {work.name} answer to"), output)
    say(unit_sentences(found))
    errors().print(wrote(output))


def vocabulary(path: Path) -> list[str]:
    """The words of token numbers, from 0 on.

    Raises:
        LoadError: the file cannot be read as text.
    """
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")  # words may hold other line ends
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(f"--words: {path} cannot be read as text ({error}).") from None
