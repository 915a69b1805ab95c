"""Training of small networks, the same bits for the same seed.

In: a module, samples, labels, a `Recipe`, a seed. Out: the module, trained in place, and its
`History`. This module must not know which network or which data.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64, Int64, Shaped
from torch import Tensor, nn

from unbend._one_line import in_one_line
from unbend.errors import DataError, ModelError, ShapeError
from unbend.zoo.optimiser import Step, adam_steps, sgd_steps
from unbend.zoo.randomness import seeded, threads

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
LossName = Literal["cross_entropy", "bce", "mse"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the samples.
        batch_size: samples per step; None takes all of them at once.
        optimizer: "adam" (Kingma & Ba 2015) or "sgd".
        rate: the learning rate.
        momentum: of SGD.
        weight_decay: added to the gradient as `weight_decay * weight`, as in `torch.optim`.
        decay_at: shares of the training at which the rate is divided by ten.
        n_threads: of torch, while training; more than one pays for convolutions and wide layers only.
    """

    epochs: int = 100
    batch_size: int | None = None
    optimizer: Literal["adam", "sgd"] = "adam"
    rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    decay_at: tuple[float, ...] = ()
    n_threads: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """How a training went.

    Attributes:
        loss: mean training loss of every epoch, over its batches as they came.
        accuracy: share of training samples called right in every epoch, as they came; all NaN for targets.
        n_steps: steps of the optimizer in all.
        snapshot_steps: after how many steps the snapshots were taken.
        snapshots: every parameter and buffer by name, one row per snapshot.
    """

    loss: Float64[np.ndarray, "epochs"]
    accuracy: Float64[np.ndarray, "epochs"]
    n_steps: int
    snapshot_steps: Int64[np.ndarray, "s"]
    snapshots: dict[str, Shaped[np.ndarray, "s *shape"]]

    __repr__ = in_one_line


def train(
    model: nn.Module,
    x: Shaped[Tensor, "n ..."],
    y: Shaped[Tensor, "n ..."],
    recipe: Recipe | None = None,
    *,
    loss: LossName | Loss | None = None,
    seed: int = 0,
    snapshot_at: Collection[int] = (),
    progress: Callable[[int, int], None] | None = None,
) -> History:
    """Train `model` in place, and tell how it went.

    The same model, data, recipe and seed give the same bits on the same machine. Torch's global generator and
    thread count are as before afterwards, and the model is in the mode (`train` or `eval`) in which it came.

    Args:
        model: any module whose output fits the loss.
        x: samples, on the model's device.
        y: class indices, or float targets.
        recipe: how; `Recipe()` when left out.
        loss: "cross_entropy", "bce" (one output per label, of 0 and 1), "mse", or a function of output and
            labels. When left out: mse for float targets, bce for a single output, cross entropy else.
        seed: of the order of the samples, and of dropout.
        snapshot_at: after how many steps to keep a copy of all weights; 0 is before the first step.
        progress: called after every epoch with the epochs done and the epochs in all.

    Raises:
        ShapeError: `x` and `y` of different lengths, or no rows.
        DataError: a loss that stops being finite.

    Example:
        >>> from unbend.zoo import mlp
        >>> x, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
        >>> history = train(mlp([2, 8, 1], activation="tanh", seed=0), x, y, Recipe(epochs=300, rate=0.05))
        >>> float(history.accuracy[-1])
        1.0
    """
    recipe = recipe or Recipe()
    check_recipe(x, y, recipe)
    mode = model.training
    model.train()
    try:
        with seeded(seed), threads(recipe.n_threads):
            return _fit(model, x, y, recipe, loss, frozenset(snapshot_at), progress)
    finally:
        model.train(mode)


def restore(model: nn.Module, history: History, index: int) -> nn.Module:
    """`model`, with the weights of snapshot `index` put into it.

    Args:
        model: a network of the kind that was trained.
        history: of its training, with `snapshot_at`.
        index: which of the snapshots, from 0; negative ones count from the last.

    Raises:
        DataError: there is no such snapshot.
    """
    n = len(history.snapshot_steps)
    if not -n <= index < n:
        raise DataError(f"index: expected one of {n} snapshots, got {index}. Train with snapshot_at=(step, ...).")
    model.load_state_dict({name: torch.from_numpy(rows)[index] for name, rows in history.snapshots.items()})
    return model


def accuracy(model: nn.Module, x: Shaped[Tensor, "n ..."], y: Int64[Tensor, "n"]) -> float:
    """The share of samples that `model` calls right, in evaluation mode.

    One output column is read as a logit of class 1, more as one score per class. NaN without samples.

    Args:
        model: a classifier.
        x: samples, as it takes them.
        y: their classes.
    """
    return float(_hits(outputs(model, x), y).double().mean())


def outputs(model: nn.Module, x: Shaped[Tensor, "n ..."], *, batch_size: int = 1024) -> Tensor:
    """What `model` gives for `x`, in evaluation mode, without gradients; its mode is as before afterwards."""
    mode = model.training
    model.eval()
    try:
        with torch.no_grad():
            return torch.cat([model(part) for part in x.split(batch_size)])
    finally:
        model.train(mode)


def _fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    loss: LossName | Loss | None,
    snapshot_at: frozenset[int],
    progress: Callable[[int, int], None] | None,
) -> History:
    take = _steps(model, recipe)
    losses, hits = np.zeros(recipe.epochs), np.full(recipe.epochs, np.nan)
    kept = _Kept(snapshot_at)
    kept.look(0, model)
    step = 0
    for epoch in range(recipe.epochs):
        rate = recipe.rate * rate_factor(recipe, epoch)
        total, right = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
        for xb, yb in _batches(x, y, recipe.batch_size):
            output = model(xb)
            value = _loss_of(loss, output, yb)(output, yb)
            value.backward()
            take(rate)
            step += 1
            kept.look(step, model)
            total += value.detach().double().cpu() * len(xb)
            right += _hits(output.detach(), yb).sum().cpu()
        losses[epoch] = float(total) / len(x)
        if not y.is_floating_point():
            hits[epoch] = float(right) / len(x)
        if not np.isfinite(losses[epoch]):
            message = f"train: the loss is no longer finite in epoch {epoch + 1}. Lower the rate ({recipe.rate:g})."
            raise DataError(message)
        if progress is not None:
            progress(epoch + 1, recipe.epochs)
    return History(losses, hits, step, *kept.stack())


class _Kept:
    """Copies of the weights at chosen steps."""

    def __init__(self, steps: frozenset[int]) -> None:
        self.steps = steps
        self.taken: list[tuple[int, dict[str, np.ndarray]]] = []

    def look(self, step: int, model: nn.Module) -> None:
        if step in self.steps:
            weights = {name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}
            self.taken.append((step, weights))

    def stack(self) -> tuple[Int64[np.ndarray, "s"], dict[str, np.ndarray]]:
        steps = np.array([step for step, _ in self.taken], dtype=np.int64)
        names = self.taken[0][1] if self.taken else ()
        return steps, {name: np.stack([weights[name] for _, weights in self.taken]) for name in names}


def check_recipe(x: Tensor, y: Tensor, recipe: Recipe) -> None:
    """Refuse samples without labels, and recipes that cannot be followed."""
    if len(x) != len(y) or len(x) == 0:
        message = f"x, y: expected one label per sample, at least one, got {len(x)} samples, {len(y)} labels."
        raise ShapeError(message)
    if recipe.epochs < 1 or recipe.rate <= 0 or (recipe.batch_size is not None and recipe.batch_size < 1):
        message = f"recipe: expected positive epochs, rate and batch_size, got {recipe}."
        raise DataError(message)
    if recipe.optimizer not in ("adam", "sgd"):
        message = f"recipe: expected optimizer 'adam' or 'sgd', got {recipe.optimizer!r}."
        raise DataError(message)


def _steps(model: nn.Module, recipe: Recipe) -> Step:
    free = [p for p in model.parameters() if p.requires_grad]
    if not free:
        message = "model: expected at least one parameter that requires a gradient, got none."
        raise ModelError(message)
    if recipe.optimizer == "adam":
        return adam_steps(free, weight_decay=recipe.weight_decay)
    return sgd_steps(free, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def rate_factor(recipe: Recipe, epoch: int) -> float:
    """What the rate is multiplied by in an epoch."""
    return 0.1 ** sum(epoch >= round(share * recipe.epochs) for share in recipe.decay_at)


def _batches(x: Tensor, y: Tensor, size: int | None) -> list[tuple[Tensor, Tensor]]:
    if size is None or size >= len(x):
        return [(x, y)]
    order = torch.randperm(len(x)).to(x.device)
    return [(x[rows], y[rows]) for rows in order.split(size)]


def loss_name(loss: LossName | None, output: Tensor, y: Tensor) -> LossName:
    """The loss meant: mse for float targets, bce for a single output, cross entropy else, when left out."""
    if loss is None:
        single = output.shape == y.shape or output.shape[1:] == (1,)
        return "mse" if y.is_floating_point() else "bce" if single else "cross_entropy"
    if loss not in _LOSSES:
        message = f"loss: expected one of {', '.join(_LOSSES)} or a function, got {loss!r}."
        raise DataError(message)
    return loss


def _loss_of(loss: LossName | Loss | None, output: Tensor, y: Tensor) -> Loss:
    return loss if callable(loss) else _LOSSES[loss_name(loss, output, y)]


def _bce(output: Tensor, y: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(output, y.to(output.dtype).reshape(output.shape))


def _mse(output: Tensor, y: Tensor) -> Tensor:
    return nn.functional.mse_loss(output, y.to(output.dtype).reshape(output.shape))


_LOSSES: dict[str, Loss] = {"cross_entropy": nn.functional.cross_entropy, "bce": _bce, "mse": _mse}


def _hits(output: Tensor, y: Tensor) -> Tensor:
    if y.is_floating_point() or output.ndim > 2:
        return torch.zeros(len(y), dtype=torch.bool)
    if output.ndim == 1 or output.shape[1] == 1:
        return (output.reshape(-1) > 0) == y.reshape(-1).bool()
    return output.argmax(1) == y
