"""The command line: `unbend COMMAND`, one file per command, and the one place that catches our errors."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import unbend
from unbend.cli.terminal import INTERRUPTED, errors
from unbend.errors import UnbendError

HELP = """A microscope for hidden layers: shows, measures and proves what each layer of a PyTorch network does to data.

[bold]Start here[/bold]

  unbend report                            a small net on real handwritten digits
  unbend report net.py:model data.npz      your own network and data
  unbend lab                               the claims of the field, re-run and checked
"""


def _version(value: bool | None) -> None:  # noqa: FBT001  typer hands the flag over by position
    if value:
        typer.echo(f"unbend {unbend.__version__}")
        raise typer.Exit


def _app() -> typer.Typer:
    """The commands, imported when a command line is read and not before."""
    from unbend.cli.compare import compare
    from unbend.cli.lab import lab
    from unbend.cli.merge import merge
    from unbend.cli.regions import regions
    from unbend.cli.report import report
    from unbend.cli.show import show
    from unbend.cli.verify import verify

    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        _version: Annotated[
            bool | None,
            typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave."),
        ] = None,
    ) -> None:
        """What every command shares."""

    for command in (report, regions, lab, show, merge, compare, verify):
        app.command(no_args_is_help=command not in (report, lab))(command)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line; a sentence and exit status 2 for what the user can mend.

    Args:
        arguments: the words after `unbend`; left out, those of this process.
    """
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  so that package.module:name finds what lies here
    try:
        _app()(None if arguments is None else list(arguments))
    except UnbendError as error:
        errors().print(f"[bold red]unbend:[/] {_escaped(str(error))}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors().print("[bold]Interrupted.[/] Nothing was written.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
