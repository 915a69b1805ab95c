"""skorch's `NeuralNet`, watched by a callback."""

from typing import Any

from unbend.integrations.extra import library
from unbend.integrations.loop import watch
from unbend.study.watch import Watch


def watch_callback(**how: Any) -> Any:
    """A `Callback` that watches the training, to be handed to `NeuralNet(callbacks=[…])`.

    Its attribute `watch_` is the `Watch`, from the beginning of the training on.

    Args:
        how: as in `unbend.watch`.

    Raises:
        MissingExtraError: skorch is not installed.
    """
    base = library("skorch.callbacks", "skorch").Callback

    class WatchCallback(base):  # type: ignore[misc, valid-type]
        """Watches the module of a net."""

        def on_train_begin(self, net: Any, **_more: Any) -> None:
            """Begin."""
            self._leave()
            self.watch_: Watch = watch(net.module_, **how).__enter__()

        def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **_more: Any) -> None:
            """Take the labels over."""
            if training and isinstance(batch, (tuple, list)) and len(batch) > 1:
                self.watch_.label_if_known(batch[1])

        def on_batch_end(self, net: Any, training: bool = False, loss: Any = None, **_more: Any) -> None:
            """Take the loss over."""
            if training and loss is not None:
                self.watch_.log(loss=loss)

        def on_epoch_end(self, net: Any, **_more: Any) -> None:
            """Take what validation found over."""
            last = net.history[-1]
            for name in ("valid_loss", "valid_acc"):
                if name in last:
                    short = {"valid_loss": "validation_loss", "valid_acc": "validation_accuracy"}[name]
                    self.watch_.log(**{short: float(last[name])})

        def on_train_end(self, net: Any, **_more: Any) -> None:
            """End."""
            self._leave()

        def _leave(self) -> None:
            if getattr(self, "watch_", None) is not None:
                self.watch_.close()

        def __reduce__(self) -> tuple[Any, ...]:
            """A pickled net takes the settings with it, not the watch."""
            return _rebuild, (how,)

    return WatchCallback()


def _rebuild(how: dict[str, Any]) -> Any:
    """The callback of a pickled net."""
    return watch_callback(**how)
