"""The two consoles. Knows nothing that is slow to import, so that help and a mistyped command come at once."""

from rich.console import Console

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def errors() -> Console:
    """The console for everything that is not the result."""
    return Console(stderr=True, highlight=False)


def results() -> Console:
    """The console for results."""
    return Console(highlight=False)
