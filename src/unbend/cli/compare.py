"""`unbend compare`: what changed between two studies."""

import json
from pathlib import Path
from typing import Annotated

import typer

import unbend
from unbend.cli.clock import Clock
from unbend.cli.console import errors, results, wrote
from unbend.cli.terminal import comparison_view
from unbend.files import check_apart, check_place
from unbend.report.compare import comparison_page
from unbend.report.plain import plain


def compare(
    before: Annotated[Path, typer.Argument(help="A saved study.", show_default=False)],
    after: Annotated[Path, typer.Argument(help="Another.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write a page.")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of a table.")] = False,
) -> None:
    """Tell layer by layer what got better or worse beyond the noise of the rows.

    [bold]Example[/bold]

      unbend compare monday.unbend tuesday.unbend -o changes.html
    """
    clock = Clock()
    if output is not None:
        for study in (before, after):
            check_apart(output, study)
        check_place(output, "the page")
    made = unbend.compare(unbend.open(before), unbend.open(after))
    clock.end("study")
    if as_json_:
        typer.echo(json.dumps(plain(made), indent=1))
    else:
        results().print(comparison_view(made))
    if output is not None:
        comparison_page(made, output)
        clock.end("page")
        errors().print(wrote(output, end=f" in {clock.in_words()}."))
    else:
        errors().print(clock.line())
