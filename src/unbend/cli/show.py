"""`unbend show`: look at a saved study, or at a training run, again or while it goes on."""

import json
from pathlib import Path
from typing import Annotated

import typer

import unbend
from unbend.cli.clock import Clock
from unbend.cli.console import errors, results, wrote
from unbend.cli.terminal import study_view
from unbend.errors import RecordError
from unbend.files import check_apart


def show(
    study: Annotated[Path, typer.Argument(help="A saved study, or the history of a run.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the page.")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of a table.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Follow a run that goes on.")] = False,
) -> None:
    """Show a saved study or a training run, without the model or the data.

    [bold]Example[/bold]

      unbend show run.unbend -o page.html
    """
    from unbend.record.history import is_history
    from unbend.report.plain import plain

    if output is not None:
        check_apart(output, study)
    if is_history(study):
        _show_run(study, output, is_live=live, as_json=as_json_)
        return
    if live and not (study.exists() and study.stat().st_size):
        raise RecordError(f"{study}: no such file yet. Start the run (unbend.watch(model, file=...)), then follow it.")
    if live:
        raise RecordError(f"{study}: --live follows a training run, and this is none. Leave --live out.")
    clock = Clock()
    made = unbend.open(study)
    clock.end("study")
    if as_json_:
        typer.echo(json.dumps(plain(made), indent=1))
    else:
        results().print(study_view(made))
    if output is not None:
        unbend.report(made, output)
        clock.end("page")
        errors().print(wrote(output, end=f" in {clock.in_words()}."))
    else:
        errors().print(clock.line())


def _show_run(path: Path, output: Path | None, *, is_live: bool, as_json: bool) -> None:
    from unbend.cli.run import follow, shown_run
    from unbend.record.history import open_history
    from unbend.report.plain import plain

    history = follow(path) if is_live else open_history(path)
    if as_json:
        typer.echo(json.dumps(plain(history), indent=1))
    else:
        results().print(shown_run(history))
    if output is not None:
        unbend.report_run(history, output)
        errors().print(wrote(output))
