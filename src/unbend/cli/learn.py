"""`unbend learn`: the course, written as a site that opens offline."""

import shlex
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from unbend.cli.console import INTERRUPTED, errors, results, told, wrote
from unbend.errors import DataError
from unbend.learn.source import lesson, lessons

FOLDER = Path("course")


def learn(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LESSON]...", help="Lessons to write; none writes all.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pages.")] = FOLDER,
    only_list: Annotated[bool, typer.Option("--list", help="List the lessons and write nothing.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the course in the browser.")] = False,
) -> None:
    """Write the course: twelve lessons, run here, as pages that open offline, as notebooks and as Markdown.

    Each lesson is written as soon as it has run, and needs nothing to be read. All of them take about half a minute.

    [bold]Examples[/bold]

      unbend learn --open

      unbend learn xor strip -o course/

      unbend learn --list
    """
    if only_list:
        for name in lessons():
            one = lesson(name)
            results().print(Text.assemble(f"{one.number:2d}  ", (name, "bold"), f"  {one.title}"))
        return
    if output.exists() and not output.is_dir():
        raise DataError(f"--output: expected a folder, got the file '{output}'. Name a folder, such as course/.")
    _write(output, list(dict.fromkeys(lesson(name).name for name in names or ())))
    place = output / "index.html"
    errors().print(wrote(place))
    if open_:
        webbrowser.open(place.resolve().as_uri())


def _write(output: Path, chosen: Sequence[str]) -> None:
    """The lessons that are chosen, or all, with a bar; an interruption says how to go on."""
    from unbend.learn.site import write
    from unbend.report.bars import terminal_bars

    n_done = 0
    try:
        with terminal_bars(errors()) as tell:

            def hear(phase: str, done: int, total: int | None) -> None:
                nonlocal n_done
                n_done = n_done if total is None else done
                tell(phase, done, total)

            write(output, chosen or None, progress=hear)
    except KeyboardInterrupt:
        left = (chosen or lessons())[n_done:]
        again = shlex.join(["unbend", "learn", *left, "-o", str(output)])
        errors().print(
            Text("Interrupted.", style="bold"),
            f"{n_done} of {n_done + len(left)} lessons are written; this writes the rest:",
        )
        errors().print(again, soft_wrap=True)
        told.set()
        raise typer.Exit(INTERRUPTED) from None
