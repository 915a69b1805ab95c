"""The Hugging Face `Trainer`, watched by a callback."""

from typing import Any, Unpack

from unbend.integrations.extra import library
from unbend.integrations.held_out import held_out
from unbend.integrations.loop import WatchKeywords, check_keywords, watch
from unbend.study.watch import Watch


def watch_callback(**how: Unpack[WatchKeywords]) -> Any:
    """A `TrainerCallback` that watches the training, to be handed to `Trainer(callbacks=[…])`.

    Its attribute `watch` is the `Watch`, from the beginning of the training on. Gradients are those before the trainer
    clips them. Losses are those that the trainer logs, one in `logging_steps`; it replaces NaN by an average there, and
    unbend speaks up. With `torch_compile=True`, pass `example=`, a batch as the model takes it, to choose layers by.

    Args:
        how: as in `unbend.watch`.

    Raises:
        DataError: a setting that `unbend.watch` would refuse.
        MissingExtraError: transformers is not installed.
    """
    check_keywords(how)
    base = library("transformers", "transformers").TrainerCallback

    class WatchCallback(base):  # type: ignore[misc, valid-type]
        """Watches the model of a trainer."""

        def __init__(self) -> None:
            self.watch: Watch | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_more: Any) -> None:
            """Begin; a training that was given up by an exception is left first."""
            self._leave()
            self.watch = watch(model, **how).__enter__()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_more: Any) -> None:
            """Take the loss over."""
            if self.watch is not None and logs and "loss" in logs:
                self.watch.log(loss=float(logs["loss"]))

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_more: Any) -> None:
            """Take what validation found over."""
            if self.watch is not None:
                self.watch.log(**held_out(metrics or {}))

        def on_save(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
            """Note a checkpoint."""
            if self.watch is not None:
                self.watch.event("checkpoint", f"checkpoint-{state.global_step}")

        def on_train_end(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
            """End."""
            self._leave()

        def _leave(self) -> None:
            if self.watch is not None:
                self.watch.close()

    return WatchCallback()
