"""What a watched run is told to: a file, a page, somebody's experiment tracker."""

from typing import Protocol, runtime_checkable

from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot


@runtime_checkable
class Sink(Protocol):
    """Told of a run as it goes on, in this order: `begin`, then the others as they come, then `end`."""

    def begin(self, about: AboutRun) -> None:
        """The layers are chosen."""
        ...

    def snapshot(self, snapshot: Snapshot) -> None:
        """A step was measured."""
        ...

    def event(self, event: RunEvent) -> None:
        """Something happened."""
        ...

    def finding(self, found: Occurrence) -> None:
        """Something was found out."""
        ...

    def end(self, history: RunHistory) -> None:
        """The run is over, or was given up."""
        ...
