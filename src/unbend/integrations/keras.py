"""A Keras 3 model on the torch backend, watched by a callback of `fit`."""

from typing import Any

from unbend.errors import UnsupportedError
from unbend.integrations.extra import library
from unbend.integrations.loop import watch
from unbend.study.watch import Watch


def watch_callback(**how: Any) -> Any:
    """A `Callback` that watches the training, to be handed to `model.fit(callbacks=[…])`.

    Its attribute `watch` is the `Watch`, from the beginning of the training on. Keras has optimisers of its own, so
    steps are those that it tells of.

    Args:
        how: as in `unbend.watch`.

    Raises:
        MissingExtraError: Keras is not installed.
        UnsupportedError: Keras runs on another backend than torch.
    """
    keras = library("keras", "keras")
    if keras.backend.backend() != "torch":
        raise UnsupportedError(
            f"keras: the backend is {keras.backend.backend()}, whose models are no torch modules. Set "
            "KERAS_BACKEND=torch before Keras is imported; saved models load on any backend."
        )

    class WatchCallback(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Watches the model that is fitted."""

        def __init__(self) -> None:
            super().__init__()
            self.watch: Watch | None = None

        def on_train_begin(self, logs: Any = None) -> None:
            """Begin; a training that was given up by an exception is left first."""
            if self.watch is not None:
                self.watch.close()
            self.watch = watch(self.model, **how).__enter__()
            self.watch.by_hand(lambda: float(self.model.optimizer.learning_rate))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Count the step, and take the loss over; Keras tells its mean over the epoch so far."""
            if self.watch is not None:
                if logs and "loss" in logs:
                    self.watch.log(loss=float(logs["loss"]))
                self.watch.step()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Take what validation found over."""
            found = {name: value for name, value in (logs or {}).items() if name.startswith("val_")}
            if self.watch is not None and found:
                self.watch.log(**{f"validation_{name[4:]}": float(value) for name, value in found.items()})

        def on_train_end(self, logs: Any = None) -> None:
            """End."""
            if self.watch is not None:
                self.watch.close()

    return WatchCallback()
