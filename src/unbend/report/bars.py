"""What long work shows of itself: a bar a phase, in a terminal or in a notebook, which is gone when the work is done.

In: a console, or the notebook that this runs in. Out: what a study calls as it goes on. Must not know what is done.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any, final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from unbend._notebook import is_notebook
from unbend.study.progress import Progress as Report

_PAUSE = 0.2
"""Seconds between two looks of a notebook's bar."""


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def bars() -> Iterator[Report]:
    """A bar per phase where somebody looks: in the notebook that this runs in, or else on standard error."""
    with notebook_bars() if is_notebook() else terminal_bars(Console(stderr=True)) as tell:
        yield tell


@contextmanager
def terminal_bars(console: Console, *, quiet: bool = False) -> Iterator[Report]:
    """A bar per phase on a console, with rate and time left; nothing where it is no terminal.

    Args:
        console: where.
        quiet: show none.
    """
    shown = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    tasks: dict[str, int] = {}

    def tell(phase: str, done: int, total: int | None) -> None:
        if phase.endswith("."):
            console.print(Text(phase, style="dim"), soft_wrap=True)
            return
        if phase not in tasks:
            tasks[phase] = int(shown.add_task(phase, total=total))
        shown.update(tasks[phase], completed=done, total=total)  # type: ignore[arg-type]

    with shown:
        yield tell


@contextmanager
def notebook_bars() -> Iterator[Report]:
    """The bar of the present phase below a notebook's cell. It needs no widgets, which many notebooks lack."""
    bar = _NotebookBar(import_module("IPython.display"))
    try:
        yield bar.tell
    finally:
        bar.end()


@final
class _NotebookBar:
    """One output of a cell, written anew.

    Args:
        display: IPython's module of that name.
    """

    def __init__(self, display: Any) -> None:
        self._display, self._handle, self._phase, self._next = display, None, "", 0.0

    def tell(self, phase: str, done: int, total: int | None) -> None:
        """Show how far a phase is, five times a second at most; a sentence stays."""
        if phase.endswith("."):
            self._display.display(self._display.HTML(f"<small>{escape(phase)}</small>"))
            return
        now = time.monotonic()
        if phase == self._phase and now < self._next and done != total:
            return
        self._phase, self._next = phase, now + _PAUSE
        ends = f' value="{done}" max="{total}"' if total else ""
        count = f"{done:,} of {total:,}" if total else ""
        self._write(f"<small>{escape(phase)} <progress{ends}></progress> {count}</small>")

    def end(self) -> None:
        """Leave nothing."""
        if self._handle is not None:
            self._write("")

    def _write(self, text: str) -> None:
        html = self._display.HTML(text)
        if self._handle is None:
            self._handle = self._display.display(html, display_id=True)
        else:
            self._handle.update(html)
