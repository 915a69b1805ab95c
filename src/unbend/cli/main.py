"""The command line: `unbend COMMAND`, one file per command, and the one place that catches our errors."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.text import Text

import unbend
from unbend.cli.console import INTERRUPTED, errors, printable, told
from unbend.errors import UnbendError
from unbend.files import interrupted

HELP = """A microscope for hidden layers: shows, measures and proves what each layer of a PyTorch network does to data.

[bold]Start here[/bold]

  unbend report                            two moons made separable, then a net on handwritten digits
  unbend report net.py:model data.npz      your own network and data
  unbend lab                               the claims of the field, re-run and checked
"""
COMMANDS = {
    "report": "Tell what every hidden layer of a network does to data, on one page.",
    "regions": "Cut the input space, or a plane through three samples, into the regions on which the model is affine.",
    "bottleneck": "Put two units before the output, retrain a copy, and prove whether the classes lie apart there.",
    "units": "Tell what every unit answers to: classes, its strongest and weakest rows, columns of the input, copies.",
    "maximise": "Make the input that each class, or each unit of a layer, answers to most, beside real ones.",
    "saliency": "Show what of the input the output hangs on, each method beside its map of random weights.",
    "surgery": "Tell what each layer is worth: skipped, replaced by one matrix, put at its mean, its classes erased.",
    "shape": "Tell the shape of each layer: its dimension, how much of a matrix it is, how alike it is to others.",
    "flow": "Film the data on its way through the network: what each layer turns, stretches and bends.",
    "maps": "Draw the same rows in a plane for every layer: PCA, discriminant plane, t-SNE, UMAP, PaCMAP.",
    "steer": "Add the way to a class to each layer, and tell how many other rows the network calls that class then.",
    "lab": "Re-run the claims of the field: each measured, checked, and drawn.",
    "learn": "Write the course: twelve lessons, run here, as pages that open offline, as notebooks and as Markdown.",
    "show": "Show a saved study or a training run, without the model or the data.",
    "merge": "Add studies of shards of a data set: the numbers are those of one run over all of it.",
    "compare": "Tell layer by layer what got better or worse beyond the noise of the rows.",
    "schema": "Print the JSON schema of what --json prints: of report, show, compare and lab.",
    "warm-up": "Compile all of unbend's own code now, so that nothing is waited for later.",
    "verify": "Check every separability proof of a saved study over all rows, "
    "without searching and without trusting the solver.",
}
"""Each command, which is the function of that name in the file of that name (a hyphen is an underscore there), and the
first line it says of itself."""
GROUPS = {
    "Look at a network": ("report", "regions"),
    "Explain it": ("units", "maximise", "saliency", "surgery", "maps", "flow", "shape", "bottleneck", "steer"),
    "Learn": ("lab", "learn"),
    "Saved studies and runs": ("show", "compare", "merge", "verify"),
    "For this machine, and for programs": ("warm-up", "schema"),
}
"""What the help lists under each heading."""
_NEED_NO_WORDS = (
    "report", "regions", "bottleneck", "units", "maximise", "saliency", "surgery", "shape", "maps", "flow", "lab",
    "learn", "schema", "warm-up",
)  # fmt: skip
_SOON = 0.05
"""Seconds after which a swallowed Ctrl-C is raised once more."""
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

    for heading, names in GROUPS.items():
        for name in names:
            line, takes = (None, _function(name)) if name == named else (COMMANDS[name], _placeholder)
            app.command(name, help=line, no_args_is_help=name not in _NEED_NO_WORDS, rich_help_panel=heading)(takes)
    return app


def _function(name: str) -> Any:
    word = name.replace("-", "_")
    return getattr(import_module(f"unbend.cli.{word}"), word)


def _placeholder() -> None:
    """A command that the help lists and this command line does not run."""


def _command_name(arguments: Sequence[str]) -> str | None:
    """The command that a command line names: its first word, since no option before it takes a value."""
    return next((word for word in arguments if not word.startswith("-")), None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line; a sentence and exit status 2 for what the user can mend.

    Args:
        arguments: the words after `unbend`; left out, those of this process.
    """
    with _listening():
        try:
            _run(arguments)
        except UnbendError as error:
            _refuse(str(error))
        except KeyboardInterrupt:
            _leave()
        except SystemExit:
            if interrupted.is_set() and not told.is_set():
                _leave()
            raise
        except BrokenPipeError:
            _close_output()
            sys.exit(1)
        except (RecursionError, MemoryError, RuntimeError, OSError) as error:
            sentence = _said_of_limits(error)
            if sentence is None:
                raise
            if isinstance(error, OSError):
                _close_output()
            _refuse(sentence)


def _said_of_limits(error: Exception) -> str | None:
    """The sentence for a limit of the machine; None for any other error."""
    if isinstance(error, RecursionError):
        return "something is nested too deep to be followed. If it is the model, give a flatter one."
    if _is_memory(error):
        return "there is not enough memory for this. Give fewer rows, fewer layers or a smaller --batch-size."
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"the output could not be written: {error.strerror}."
    return None


def _refuse(sentence: str) -> None:
    errors().print(Text.assemble(("unbend:", "bold red"), " ", printable(sentence, keep="")), soft_wrap=True)
    sys.exit(2)


def _leave() -> None:
    errors().print(Text.assemble(("Interrupted.", "bold"), " No file was left half written."))
    sys.exit(INTERRUPTED)


def _is_memory(error: Exception) -> bool:
    """Whether it says that there is no memory left; torch says so by a RuntimeError."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error)


@contextmanager
def _listening() -> Generator[None]:
    """Ctrl-C is remembered as well as raised: inside a callback or a `__del__` Python swallows the exception.

    One that is swallowed is raised once more where Python can hear it.
    """
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    hook = sys.unraisablehook

    def hear(_number: int, _frame: Any) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    def again() -> None:
        if interrupted.is_set():
            signal.raise_signal(signal.SIGINT)

    def swallow(lost: Any) -> None:
        if lost.exc_type is not None and issubclass(lost.exc_type, KeyboardInterrupt):
            later = threading.Timer(_SOON, again)  # raised here, it would be swallowed here, and printed
            later.daemon = True
            later.start()
        else:
            hook(lost)

    interrupted.clear()
    told.clear()
    signal.signal(signal.SIGINT, hear)
    sys.unraisablehook = swallow
    try:
        yield
        if interrupted.is_set():
            _leave()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = hook
        interrupted.clear()


def _run(arguments: Sequence[str] | None) -> None:
    """The command, and the last of what it prints: a full disk refuses that only then."""
    try:
        _app(_command_name(sys.argv[1:] if arguments is None else arguments))(
            None if arguments is None else list(arguments)
        )
    finally:
        sys.stdout.flush()


def _close_output() -> None:
    """Let nothing more be written, not even by the interpreter as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
