"""What a watched run is told to: a file, a page, somebody's experiment tracker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from unbend._typing import Array, Float64, Int64
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


@dataclass(frozen=True, slots=True, eq=False)
class ValueHistogram:
    """How the values of a layer are spread, over the samples that a snapshot looked at.

    Attributes:
        counts: values in each bin.
        edges: of the bins, of equal width.
        total: sum of the values.
        squares: sum of their squares.
    """

    counts: Int64[Array, "b"]
    edges: Float64[Array, "b+1"]
    total: float
    squares: float


@runtime_checkable
class HistogramSink(Sink, Protocol):
    """A sink that is told of histograms too; they are made only where one of these listens, and are not kept."""

    def histograms(self, step: int, found: Mapping[str, ValueHistogram]) -> None:
        """The values of layers, by name; in snapshots that ask questions about rows."""
        ...
