"""A watched run in TensorBoard."""

from collections.abc import Mapping
from typing import Any, final

from unbend.integrations.extra import check_takes
from unbend.integrations.flat import flat
from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot
from unbend.study.watch.sink import ValueHistogram


@final
class TensorBoard:
    """A sink that writes scalars, the values of layers as histograms, and findings as text.

    Args:
        writer: a `SummaryWriter`, yours to close.

    Raises:
        DataError: it is something else, such as a path.
    """

    def __init__(self, writer: Any) -> None:
        check_takes(
            writer, ("add_scalar", "add_text", "add_histogram_raw"), what="TensorBoard: expected a SummaryWriter",
            make="torch.utils.tensorboard.SummaryWriter(folder)",
        )  # fmt: skip
        self._writer = writer

    def begin(self, about: AboutRun) -> None:
        """Write nothing."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write its numbers as scalars."""
        for name, value in flat(snapshot).items():
            self._writer.add_scalar(name, value, snapshot.step)

    def histograms(self, step: int, found: Mapping[str, ValueHistogram]) -> None:
        """Write them, as they were counted."""
        for layer, one in found.items():
            self._writer.add_histogram_raw(
                f"unbend/{layer or 'model'}/values", min=float(one.edges[0]), max=float(one.edges[-1]),
                num=int(one.counts.sum()), sum=one.total, sum_squares=one.squares,
                bucket_limits=one.edges[1:].tolist(), bucket_counts=one.counts.tolist(), global_step=step,
            )  # fmt: skip

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
