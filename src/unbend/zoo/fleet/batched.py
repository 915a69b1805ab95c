"""Many networks at once in torch: nets of equal widths and activation are stacked into batched products.

In: a `Job`. Out: an engine that advances by steps. Runs on any device and in any precision, with
any activation. This module must not know which steps are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from unbend.zoo.activations import activation as as_activation
from unbend.zoo.fleet.values import Job, Net, initial_weights, layers, offsets_of
from unbend.zoo.randomness import threads
from unbend.zoo.training import LossName, Recipe

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(slots=True, eq=False)
class _Stack:
    """Nets of equal widths and activation: their weights as rows, and the optimizer's two moments."""

    members: list[int]
    widths: tuple[int, ...]
    bend: Callable[[Tensor], Tensor]
    rates: Tensor
    weights: Tensor
    first: Tensor
    second: Tensor


class Batched:
    """The torch engine."""

    def __init__(self, job: Job) -> None:
        self.job: Job = job
        self.offsets: Int64[np.ndarray, "e1"] = offsets_of(job.nets)
        self.done: int = 0
        row = initial_weights(job.nets)
        self.stacks: list[_Stack] = [self._stack(members, row) for members in alike(job.nets).values()]

    def _stack(self, members: list[int], row: Tensor) -> _Stack:
        x, net = self.job.x, self.job.nets[members[0]]
        weights = torch.stack([row[self.offsets[i] : self.offsets[i + 1]] for i in members]).to(x)
        rates = torch.from_numpy(self.job.rates[members]).to(x)[:, None]
        bend = as_activation(net.activation).module().to(x)
        blank = torch.zeros_like(weights)
        return _Stack(members, net.widths, bend, rates, weights, blank, blank.clone())

    def advance(self, n_steps: int, rate_factor: float) -> None:
        """Take `n_steps` steps with every learning rate times `rate_factor`."""
        with threads(self.job.recipe.n_threads):
            for stack in self.stacks:
                for step in range(self.done, self.done + n_steps):
                    stack.weights.requires_grad_()
                    total = self._losses(stack).sum()
                    (gradient,) = torch.autograd.grad(total, stack.weights)
                    stack.weights = stack.weights.detach()
                    _update(stack, gradient, step + 1, rate_factor, self.job.recipe)
        self.done += n_steps

    def weights(self) -> Float[np.ndarray, "p"]:
        """All weights, net after net."""
        row = np.empty(int(self.offsets[-1]), dtype=self.stacks[0].weights.numpy(force=True).dtype)
        for stack in self.stacks:
            for i, weights in zip(stack.members, stack.weights.numpy(force=True), strict=True):
                row[self.offsets[i] : self.offsets[i + 1]] = weights
        return row

    def losses(self) -> Float64[np.ndarray, "e"]:
        """The loss of every net as it is now."""
        losses = np.empty(len(self.job.nets))
        with torch.no_grad(), threads(self.job.recipe.n_threads):
            for stack in self.stacks:
                losses[stack.members] = self._losses(stack).double().numpy(force=True)
        return losses

    def _losses(self, stack: _Stack) -> Tensor:
        outputs = forward(self.job.x, layers(stack.weights, stack.widths), stack.bend)
        return _LOSSES[self.job.loss](outputs, self.job.targets.T.expand_as(outputs))


def forward(
    x: Float[Tensor, "n d"], stacked: Sequence[tuple[Tensor, Tensor]], bend: Callable[[Tensor], Tensor]
) -> Float[Tensor, "e n k"]:
    """The outputs of stacked nets: weights `[e, out, in]`, biases `[e, out]`."""
    h = x.expand(len(stacked[0][0]), *x.shape)
    for i, (weight, bias) in enumerate(stacked):
        h = torch.baddbmm(bias[:, None], bend(h) if i else h, weight.mT)
    return h


def alike(nets: Sequence[Net]) -> dict[tuple[Any, ...], list[int]]:
    """Which nets have the same widths and activation."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, net in enumerate(nets):
        key = (tuple(net.widths), net.activation)
        groups.setdefault(key, []).append(i)
    return groups


def _update(stack: _Stack, gradient: Tensor, step: int, rate_factor: float, recipe: Recipe) -> None:
    """One step of the optimizer, in the order of operations of `torch.optim`."""
    if recipe.weight_decay:
        gradient = gradient + recipe.weight_decay * stack.weights
    if recipe.optimizer == "sgd":
        stack.first = recipe.momentum * stack.first + gradient
        stack.weights -= rate_factor * stack.rates * stack.first
        return
    stack.first.lerp_(gradient, 1 - BETA_1)
    stack.second.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
    spread = (stack.second.sqrt() / (1 - BETA_2**step) ** 0.5).add_(EPSILON)
    stack.weights -= rate_factor / (1 - BETA_1**step) * stack.rates * stack.first / spread


def _bce(outputs: Tensor, targets: Tensor) -> Tensor:
    loss = nn.functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
    return loss.mean((1, 2))


def _mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean((1, 2))


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return -(outputs.log_softmax(2) * targets).sum(2).mean(1)


_LOSSES: dict[LossName, Callable[[Tensor, Tensor], Tensor]] = {
    "bce": _bce,
    "mse": _mse,
    "cross_entropy": _cross_entropy,
}
