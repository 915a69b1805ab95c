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


def compare(
    before: Annotated[Path, typer.Argument(help="A saved study.", show_default=False)],
    after: Annotated[Path, typer.Argument(help="Another.", show_default=False)],
    more_before: Annotated[
        list[Path] | None, typer.Option("--before", help="Another run of the first, under another seed; repeat.")
    ] = None,
    more_after: Annotated[list[Path] | None, typer.Option("--after", help="Another run of the second; repeat.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write a page.")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of a table.")] = False,
) -> None:
    """Tell layer by layer what got better or worse beyond the noise of the rows.

    Another seed often changes as much. Two or more runs on each side, on the same held-out rows, tell the noise of the
    seeds too.

    [bold]Examples[/bold]

      unbend compare monday.unbend tuesday.unbend -o changes.html

      unbend compare old1.unbend new1.unbend --before old2.unbend --after new2.unbend
    """
    from unbend.report.compare import comparison_page
    from unbend.report.plain import plain

    clock = Clock()
    if output is not None:
        for study in (before, after, *(more_before or ()), *(more_after or ())):
            check_apart(output, study)
        check_place(output, "the page")
    if more_before or more_after:
        sides = ((before, *(more_before or ())), (after, *(more_after or ())))
        made = unbend.compare_runs(*([unbend.open(path) for path in side] for side in sides))
    else:
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
