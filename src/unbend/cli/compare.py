"""`unbend compare`: what changed between two studies."""

import json
from pathlib import Path
from typing import Annotated

import typer

import unbend
from unbend.cli.clock import Clock
from unbend.cli.console import errors, results
from unbend.cli.terminal import compared
from unbend.report.plain import plain


def compare(
    before: Annotated[Path, typer.Argument(help="A saved study.", show_default=False)],
    after: Annotated[Path, typer.Argument(help="Another.", show_default=False)],
    as_json_: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of a table.")] = False,
) -> None:
    """Tell layer by layer what got better or worse beyond noise.

    [bold]Example[/bold]

      unbend compare monday.unbend tuesday.unbend
    """
    clock = Clock()
    made = unbend.compare(unbend.open(before), unbend.open(after))
    clock.end("study")
    if as_json_:
        typer.echo(json.dumps(plain(made), indent=1))
    else:
        results().print(compared(made))
    errors().print(clock.line())
