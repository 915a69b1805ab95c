"""`unbend show`: look at a saved study again."""

import json
from pathlib import Path
from typing import Annotated

import typer

import unbend
from unbend.cli.clock import Clock
from unbend.cli.console import errors, results, wrote
from unbend.cli.terminal import shown
from unbend.files import check_apart
from unbend.report.plain import plain


def show(
    study: Annotated[Path, typer.Argument(help="A saved study.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the page.")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of a table.")] = False,
) -> None:
    """Show a saved study, without the model or the data.

    [bold]Example[/bold]

      unbend show run.unbend -o page.html
    """
    if output is not None:
        check_apart(output, study)
    clock = Clock()
    made = unbend.open(study)
    clock.end("study")
    if as_json_:
        typer.echo(json.dumps(plain(made), indent=1))
    else:
        results().print(shown(made))
    if output is not None:
        unbend.report(made, output)
        clock.end("page")
        errors().print(wrote(output, end=f" in {clock.in_words()}."))
    else:
        errors().print(clock.line())
