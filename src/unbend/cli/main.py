"""The command line: `unbend COMMAND`, one file per command, and the one place that catches our errors."""

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer
from rich.markup import escape

import unbend
from unbend.cli.console import INTERRUPTED, errors
from unbend.errors import UnbendError

HELP = """A microscope for hidden layers: shows, measures and proves what each layer of a PyTorch network does to data.

[bold]Start here[/bold]

  unbend report                            a small net on real handwritten digits
  unbend report net.py:model data.npz      your own network and data
  unbend lab                               the claims of the field, re-run and checked
"""
COMMANDS = {
    "report": "Tell what every hidden layer of a network does to data, on one page.",
    "regions": "Cut the input space, or a plane through three samples, into the regions on which the model is affine.",
    "lab": "Re-run the claims of the field: each measured, checked, and drawn.",
    "show": "Show a saved study, without the model or the data.",
    "merge": "Add studies of shards of a data set: the numbers are those of one run over all of it.",
    "compare": "Tell layer by layer what got better or worse beyond noise.",
    "verify": "Check every separability proof of a saved study over all rows, "
    "without searching and without trusting the solver.",
}
"""Each command, which is the function of that name in the file of that name, and the first line it says of itself."""
_NEED_NO_WORDS = ("report", "lab")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _version(value: bool | None) -> None:  # noqa: FBT001  typer hands the flag over by position
    if value:
        typer.echo(f"unbend {unbend.__version__}")
        raise typer.Exit


def _app(named: str | None) -> typer.Typer:
    """The commands. Only the one that is named is imported: all of them are seconds of torch, scipy and matplotlib."""
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

    for name, line in COMMANDS.items():
        is_named = name == named
        command = getattr(import_module(f"unbend.cli.{name}"), name) if is_named else _listed
        app.command(name, help=None if is_named else line, no_args_is_help=name not in _NEED_NO_WORDS)(command)
    return app


def _listed() -> None:
    """A command that the help lists and this command line does not run."""


def _named(arguments: Sequence[str]) -> str | None:
    """The command that a command line names: its first word, since no option before it takes a value."""
    return next((word for word in arguments if not word.startswith("-")), None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line; a sentence and exit status 2 for what the user can mend.

    Args:
        arguments: the words after `unbend`; left out, those of this process.
    """
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  so that package.module:name finds what lies here
    try:
        _run(arguments)
    except UnbendError as error:
        errors().print(f"[bold red]unbend:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors().print("[bold]Interrupted.[/] Nothing was written.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _close_output()
        sys.exit(1)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _close_output()
        errors().print(f"[bold red]unbend:[/] the output could not be written: {error.strerror}.", soft_wrap=True)
        sys.exit(2)


def _run(arguments: Sequence[str] | None) -> None:
    """The command, and the last of what it prints: a full disk refuses that only then."""
    try:
        _app(_named(sys.argv[1:] if arguments is None else arguments))(None if arguments is None else list(arguments))
    finally:
        sys.stdout.flush()


def _close_output() -> None:
    """Let nothing more be written, not even by the interpreter as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
