"""`unbend learn`: the course, written as a site that opens offline."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from unbend.cli.console import errors, results, wrote
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
    from unbend.learn.site import write

    chosen = list(dict.fromkeys(lesson(name).name for name in names or lessons()))
    write(output, chosen, progress=lambda name: errors().print(Text(f"Running {name} …", style="dim")))
    place = output / "index.html"
    errors().print(wrote(place))
    if open_:
        webbrowser.open(place.resolve().as_uri())
