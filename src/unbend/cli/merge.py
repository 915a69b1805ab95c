"""`unbend merge`: add studies of parts of a data set."""

from functools import reduce
from pathlib import Path
from typing import Annotated

import typer

import unbend
from unbend.cli.clock import Clock
from unbend.cli.console import errors, results, wrote
from unbend.cli.terminal import study_view
from unbend.files import check_place, check_unread


def merge(
    studies: Annotated[list[Path], typer.Argument(help="Saved studies of the same network.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the sum goes.", show_default=False)],
) -> None:
    """Add studies of shards of a data set: the numbers are those of one run over all of it.

    [bold]Example[/bold]

      unbend merge part1.unbend part2.unbend -o whole.unbend
    """
    clock = Clock()
    check_unread(output, studies)
    check_place(output, "the study")
    whole = reduce(unbend.merge, [unbend.open(path) for path in studies])
    unbend.save(whole, output)
    clock.end("study")
    results().print(study_view(whole))
    errors().print(wrote(output, end=f" in {clock.in_words()}."))
