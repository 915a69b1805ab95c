"""What a watched run is told to: a file, a page, somebody's experiment tracker."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

from unbend._typing import Array, Float64, Int64
from unbend.errors import DataError
from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot


@runtime_checkable
class Sink(Protocol):
    """Told of a run as it goes on, in this order: `begin`, then the others as they come, then `end`."""

    def begin(self, about: AboutRun) -> None:
        """The layers are chosen."""
        ...

    def snapshot(self, snapshot: Snapshot) -> None:
        """A step was measured; at the end, perhaps, what was logged after the last one, under its step and no layer."""
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


@final
class Audience:
    """All sinks of a run as one; one that fails in the middle of a run is told no more, and the run goes on.

    Args:
        sinks: as the caller gave them.

    Raises:
        DataError: they are no sinks.
    """

    def __init__(self, sinks: Iterable[Sink]) -> None:
        self._sinks = check_sinks(sinks)

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._sinks)

    @property
    def takes_histograms(self) -> bool:
        """Whether anybody wants histograms."""
        return any(isinstance(sink, HistogramSink) for sink in self._sinks)

    def begin(self, about: AboutRun) -> None:
        """The layers are chosen; a sink that fails now ends the run, which has just begun."""
        for sink in self._sinks:
            try:
                sink.begin(about)
            except Exception:
                self._drop(sink)
                raise

    def snapshot(self, snapshot: Snapshot) -> None:
        """A step was measured."""
        self._tell(lambda sink: sink.snapshot(snapshot))

    def histograms(self, step: int, found: Mapping[str, ValueHistogram]) -> None:
        """The values of layers, by name."""
        self._tell(lambda sink: sink.histograms(step, found) if isinstance(sink, HistogramSink) else None)

    def event(self, event: RunEvent) -> None:
        """Something happened."""
        self._tell(lambda sink: sink.event(event))

    def finding(self, found: Occurrence) -> None:
        """Something was found out."""
        self._tell(lambda sink: sink.finding(found))

    def end(self, history: RunHistory) -> None:
        """The run is over, or was given up."""
        self._tell(lambda sink: sink.end(history))

    def _tell(self, tell: Callable[[Sink], None]) -> None:
        for sink in self._sinks:
            try:
                tell(sink)
            except Exception as error:  # noqa: BLE001  a tracker of anybody's may raise anything; the run is worth more
                self._drop(sink)
                reason = f"{type(error).__name__}: {error}".rstrip(".")
                warnings.warn(
                    f"watch: {type(sink).__name__} failed and is told no more ({reason}). The run goes on.",
                    stacklevel=2,
                )

    def _drop(self, lost: Sink) -> None:
        self._sinks = tuple(sink for sink in self._sinks if sink is not lost)


def check_sinks(sinks: Iterable[Sink]) -> tuple[Sink, ...]:
    """The sinks.

    Raises:
        DataError: they are no sinks.
    """
    if isinstance(sinks, (str, Sink)) or not isinstance(sinks, Iterable):
        raise DataError(f"sinks: expected a list of them, got {_kind(sinks)}. Pass sinks=[…].")
    found = tuple(sinks)
    for sink in found:
        if isinstance(sink, type) or not isinstance(sink, Sink):
            raise DataError(
                f"sinks: expected sinks, got {_kind(sink)}. Make them from unbend.integrations, as JsonLines(path)."
            )
    return found


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
