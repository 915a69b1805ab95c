"""Lightning's `Trainer`, watched by a callback; under both of its import names."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from unbend.integrations.called import on_first_call
from unbend.integrations.extra import library
from unbend.integrations.loop import watch
from unbend.study.watch import Watch

_NAMES = ("lightning.pytorch", "pytorch_lightning")
_LABELS = ("labels", "label", "y", "target", "targets")


def labels_in(batch: Any) -> Tensor | None:
    """The labels of a batch: the second of two or more parts, or the part that is called so; None for none."""
    if isinstance(batch, (tuple, list)) and len(batch) > 1 and isinstance(batch[1], Tensor):
        return batch[1]
    if isinstance(batch, Mapping):
        return next((batch[name] for name in _LABELS if isinstance(batch.get(name), Tensor)), None)
    return None


def watch_callback(**how: Any) -> Any:
    """A `Callback` that watches the training, to be handed to `Trainer(callbacks=[…])`.

    Its attribute `watch` is the `Watch`, from the first training step on. Watched is the module itself if its forward
    is called, else its part that is. The sanity check is not looked at. `WeightAveraging` swaps weights for validation;
    then `validation_` numbers are those of the average, and everything else is of the weights that are trained.

    Args:
        how: as in `unbend.watch`.

    Raises:
        MissingExtraError: Lightning is not installed.
    """
    there = [name for name in _NAMES if name in sys.modules]
    modules = [sys.modules[name] for name in there] or [library(_NAMES[0], "lightning")]
    bases = tuple(dict.fromkeys(module.Callback for module in modules))

    class WatchCallback(*bases):  # type: ignore[misc]
        """Watches the module of a trainer."""

        def __init__(self) -> None:
            super().__init__()
            self.watch: Watch | None = None
            self._waiting = ExitStack()

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            """Wait for the first call of the module or one of its parts."""
            self._waiting = on_first_call(pl_module, self._begin)

        def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            self.watch = watch(module, **how).__enter__()
            self.watch.begin(args, kwargs)
            self.watch.label_if_known(self._y)

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            """Take the labels over."""
            self._y = labels_in(batch)
            if self.watch is not None:
                self.watch.label_if_known(self._y)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            """Take the loss over."""
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            if self.watch is not None and isinstance(loss, Tensor):
                self.watch.log(loss=loss * trainer.accumulate_grad_batches)

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            """Take what validation found over: `val_loss` becomes `validation_loss`."""
            if self.watch is not None and not trainer.sanity_checking:
                found = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val")}
                named = {f"validation_{name.partition('_')[2] or name}": value for name, value in found.items()}
                self.watch.log(**{name: float(value) for name, value in named.items()})

        def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
            """Note a checkpoint."""
            if self.watch is not None:
                self.watch.event("checkpoint", f"epoch {trainer.current_epoch}")

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            """End."""
            self._leave()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            """End."""
            self._leave()

        def _leave(self) -> None:
            self._waiting.close()
            if self.watch is not None:
                self.watch.close()

    return WatchCallback()
