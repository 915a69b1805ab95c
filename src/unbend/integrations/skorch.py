"""skorch's `NeuralNet`, watched by a callback."""

from typing import Any, Unpack

from unbend.integrations.extra import library
from unbend.integrations.held_out import held_out
from unbend.integrations.loop import WatchKeywords, check_keywords, watch
from unbend.study.watch import Watch


def watch_callback(**how: Unpack[WatchKeywords]) -> Any:
    """A `Callback` that watches the training, to be handed to `NeuralNet(callbacks=[…])`.

    Its attribute `watch_` is the `Watch`, from the beginning of the training on.

    Args:
        how: as in `unbend.watch`.

    Raises:
        DataError: a setting that `unbend.watch` would refuse.
        MissingExtraError: skorch is not installed.
    """
    check_keywords(how)
    base = library("skorch.callbacks", "skorch").Callback

    class WatchCallback(base):  # type: ignore[misc, valid-type]
        """Watches the module of a net."""

        watch_: Watch | None = None

        def on_train_begin(self, net: Any, **_more: Any) -> None:
            """Begin."""
            self._leave()
            self.watch_ = watch(net.module_, **how).__enter__()

        def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **_more: Any) -> None:
            """Take the labels over."""
            if self.watch_ is not None and training and isinstance(batch, (tuple, list)) and len(batch) > 1:
                self.watch_.label_if_known(batch[1])

        def on_batch_end(self, net: Any, training: bool = False, loss: Any = None, **_more: Any) -> None:
            """Take the loss over."""
            if self.watch_ is not None and training and loss is not None:
                self.watch_.log(loss=loss)

        def on_epoch_end(self, net: Any, **_more: Any) -> None:
            """Take what validation found over."""
            if self.watch_ is not None:
                self.watch_.log(**held_out(net.history[-1]))

        def on_train_end(self, net: Any, **_more: Any) -> None:
            """End."""
            self._leave()

        def _leave(self) -> None:
            if self.watch_ is not None:
                self.watch_.close()

        def __reduce__(self) -> tuple[Any, ...]:
            """A pickled net takes the settings with it, not the watch."""
            return _rebuild, (how,)

    return WatchCallback()


def _rebuild(how: WatchKeywords) -> Any:
    """The callback of a pickled net."""
    return watch_callback(**how)
