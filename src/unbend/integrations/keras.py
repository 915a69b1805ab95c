"""A Keras 3 model on the torch backend, watched by a callback of `fit`."""

from collections.abc import Iterator
from typing import Any, Unpack

from torch import nn

from unbend.errors import UnsupportedError
from unbend.integrations.extra import library
from unbend.integrations.held_out import held_out
from unbend.integrations.loop import WatchKeywords, check_keywords, watch
from unbend.study.watch import Watch

_UNSEEN = (
    "Keras calls its layers past torch's hooks, so gradients, weights and updates of a layer are known here. What it "
    "puts out is told by a study of the fitted model."
)


def watch_callback(**how: Unpack[WatchKeywords]) -> Any:
    """A `Callback` that watches the training, to be handed to `model.fit(callbacks=[…])`.

    Its attribute `watch` is the `Watch`, from the beginning of the training on. Keras has optimisers of its own, so
    steps are those that it tells of. Of an optimiser that adds up several batches, a step is their last one, with the
    gradient of that. Clipping happens inside of the optimiser, and is not seen.

    Args:
        how: as in `unbend.watch`; no layer is looked into, so `layers`, `labels`, `example` and `check` change nothing.

    Raises:
        DataError: a setting that `unbend.watch` would refuse.
        MissingExtraError: Keras is not installed.
        UnsupportedError: Keras runs on another backend than torch.
    """
    check_keywords(how)
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
            optimiser = self.model.optimizer
            self._n_steps = _n_steps(optimiser)
            named: WatchKeywords = {**how, "name": how.get("name") or type(self.model).__name__, "example": None}
            self.watch = watch(_weights(self.model), **named)
            self.watch.by_hand(lambda: float(optimiser.learning_rate), scale=_scale(optimiser), unseen=_UNSEEN)
            self.watch.__enter__()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Count the step, and take the loss over; Keras tells its mean over the epoch so far."""
            if self.watch is None:
                return
            if logs and "loss" in logs:
                self.watch.log(loss=float(logs["loss"]))
            before, self._n_steps = self._n_steps, _n_steps(self.model.optimizer)
            if self._n_steps is None or self._n_steps != before:
                self.watch.step()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Take what validation found over."""
            if self.watch is not None:
                self.watch.log(**held_out(logs or {}))

        def on_train_end(self, logs: Any = None) -> None:
            """End."""
            if self.watch is not None:
                self.watch.close()

    return WatchCallback()


def _n_steps(optimiser: Any) -> int | None:
    """How many steps an optimiser took that adds batches up or leaves some out; None for one that takes each."""
    scaled = getattr(optimiser, "inner_optimizer", None)
    if scaled is None and not optimiser.gradient_accumulation_steps:
        return None
    return int(optimiser.iterations)


def _scale(optimiser: Any) -> Any:
    """What gives the number that the loss is multiplied by; None for none."""
    if getattr(optimiser, "inner_optimizer", None) is None:
        return None
    return lambda: float(optimiser.dynamic_scale if optimiser.built else optimiser.initial_scale)


def _weights(model: Any) -> nn.Module:
    """What is trained, in modules that have the names and classes of Keras's layers and no forward pass."""
    whole = nn.Module()
    known: set[int] = set()
    for path, layer in (*_layers(model), ((), model)):
        own = [v for v in layer.trainable_variables if id(v.value) not in known]
        known |= {id(v.value) for v in own}
        place = whole
        for name in path if own else ():
            if name not in dict(place.named_children()):
                place.add_module(name, type(type(layer).__name__, (nn.Module,), {})())
            place = place.get_submodule(name)
        for i, v in enumerate(own):
            name = _free(v.name)
            place.register_parameter(f"{name}_{i}" if hasattr(place, name) else name, v.value)
    return whole


def _layers(model: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The layers of a model and of models in it, by path."""
    for layer in model.layers:
        name = _free(layer.name)
        if getattr(layer, "layers", None):
            yield from (((name, *path), inner) for path, inner in _layers(layer))
        yield (name,), layer


def _free(name: str) -> str:
    """A name that a module of torch can give to a part."""
    plain = name.replace(".", "_")
    return f"{plain}_" if hasattr(nn.Module(), plain) else plain
