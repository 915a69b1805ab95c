"""A watched run in TensorBoard."""

from typing import Any, final

from unbend.integrations.flat import flat
from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot


@final
class TensorBoard:
    """A sink that writes scalars, and findings as text.

    Args:
        writer: a `SummaryWriter`, yours to close.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def begin(self, about: AboutRun) -> None:
        """Write nothing."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write its numbers as scalars."""
        for name, value in flat(snapshot).items():
            self._writer.add_scalar(name, value, snapshot.step)

    def event(self, event: RunEvent) -> None:
        """Write it as text."""
        self._writer.add_text("unbend/events", f"{event.what} {event.text}".strip(), event.step)

    def finding(self, found: Occurrence) -> None:
        """Write it as text."""
        f = found.finding
        self._writer.add_text("unbend/findings", f"**{f.severity}** {f.title} {f.evidence} {f.advice}", found.step)

    def end(self, history: RunHistory) -> None:
        """Let TensorBoard see all of it."""
        self._writer.flush()
