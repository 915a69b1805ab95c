"""Accelerate: what `accelerator.log` is told goes to the watch as well.

The loop itself is watched as any other: `with unbend.watch(model) as watch`, with the model that `prepare` gave back.
Steps that the accelerator leaves out while it accumulates, or that its scaler skips, are none.
"""

from typing import Any

from unbend.integrations.extra import library
from unbend.integrations.held_out import held_out, others
from unbend.study.watch import Watch


def watch_tracker(watch: Watch) -> Any:
    """A tracker for `Accelerator(log_with=[…])` that hands logged numbers on to a watch, and leaves out all else.

    Args:
        watch: of the loop.

    Raises:
        MissingExtraError: accelerate is not installed.
    """
    base = library("accelerate.tracking", "accelerate").GeneralTracker

    class WatchTracker(base):  # type: ignore[misc, valid-type]
        """Hands numbers on."""

        name = "unbend"
        requires_logging_directory = False

        @property
        def tracker(self) -> Watch:
            """The watch."""
            return watch

        def store_init_configuration(self, values: dict[str, Any]) -> None:
            """Keep nothing."""

        def log(self, values: dict[str, Any], step: int | None = None, **_more: Any) -> None:
            """Hand numbers on."""
            watch.log(**others(values), **held_out(values))

    return WatchTracker()
