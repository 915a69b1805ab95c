"""Lightning's `Trainer`, watched by a callback; under both of its import names."""

import sys
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Unpack

from torch import Tensor, nn

from unbend._names import first_few
from unbend.integrations.called import on_first_call
from unbend.integrations.extra import library
from unbend.integrations.held_out import held_out
from unbend.integrations.loop import WatchKeywords, check_keywords, watch
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


def name_of(module: nn.Module, whole: nn.Module) -> str:
    """What a watched module is called: the class of the whole, and the path of a part of it."""
    path = next((path for path, part in whole.named_modules() if part is module), "")
    return f"{type(whole).__name__}.{path}".rstrip(".")


def tell_of_rest(module: nn.Module, whole: nn.Module) -> None:
    """Warn of what is trained and is no part of the module that is watched."""
    mine = {id(p) for p in module.parameters()}
    rest = [name for name, p in whole.named_parameters() if p.requires_grad and id(p) not in mine]
    parts = list(dict.fromkeys(name.partition(".")[0] for name in rest))
    if parts:
        warnings.warn(
            f"watch: {name_of(module, whole)} is watched, because `training_step` calls it past the module's forward; "
            f"not watched: {first_few(parts)}. To see all of it, call the parts in `forward`, and that in "
            "`training_step`.",
            stacklevel=2,
        )


def watch_callback(**how: Unpack[WatchKeywords]) -> Any:
    """A `Callback` that watches the training, to be handed to `Trainer(callbacks=[…])`.

    Its attribute `watch` is the `Watch`, from the first training step on. Watched is the module itself if its forward
    is called, else its part that is called first; a warning names parts that are left out. Where neither is called,
    gradients and weights of the whole are watched. Of several optimisers the one that steps first counts the steps.
    The sanity check is not looked at. `WeightAveraging` swaps weights for validation; then `validation_` numbers are
    those of the average, and everything else is of the weights that are trained.

    Args:
        how: as in `unbend.watch`.

    Raises:
        DataError: a setting that `unbend.watch` would refuse.
        MissingExtraError: Lightning is not installed.
    """
    check_keywords(how)
    there = [name for name in _NAMES if name in sys.modules]
    modules = [sys.modules[name] for name in there] or [library(_NAMES[0], "lightning")]
    bases = tuple(dict.fromkeys(module.Callback for module in modules))

    class WatchCallback(*bases):  # type: ignore[misc]
        """Watches the module of a trainer."""

        def __init__(self) -> None:
            super().__init__()
            self.watch: Watch | None = None
            self._waiting = ExitStack()
            self._is_waiting = False
            self._y: Tensor | None = None

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            """Wait for the first call of the module or one of its parts."""
            self._leave()
            self._whole, self._is_waiting = pl_module, True
            self._waiting = on_first_call(pl_module, self._begin)

        def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            self._is_waiting = False
            named: WatchKeywords = {**how, "name": how.get("name") or name_of(module, self._whole)}
            self.watch = watch(module, **named).__enter__()
            self.watch.begin(args, kwargs)
            self.watch.label_if_known(self._y)
            tell_of_rest(module, self._whole)

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            """Take the labels over."""
            self._y = labels_in(batch)
            if self.watch is not None:
                self.watch.label_if_known(self._y)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            """Take the loss over."""
            if self._is_waiting and trainer.global_step:  # nothing that could be called was
                self._leave()
                self.watch = watch(pl_module, **how).__enter__()
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            if self.watch is not None and isinstance(loss, Tensor):
                self.watch.log(loss=loss * trainer.accumulate_grad_batches)

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            """Take what validation found over: `val_loss` becomes `validation_loss`."""
            if self.watch is not None and not trainer.sanity_checking:
                self.watch.log(**held_out(trainer.callback_metrics))

        def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
            """Note a checkpoint."""
            if self.watch is not None:
                self.watch.event("checkpoint", f"epoch {trainer.current_epoch}")

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            """End."""
            self._leave()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            """End, and note why."""
            self._leave(exception)

        def _leave(self, error: BaseException | None = None) -> None:
            self._waiting.close()
            self._is_waiting = False
            if self.watch is not None:
                self.watch.close(error)

    return WatchCallback()
