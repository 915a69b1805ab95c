"""What a fleet is: the networks asked for, the job made of them, and the result.

In: `Net`s and data. Out: `Job` for the engines, `Fleet` for everybody. This module must not know
how an engine works.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from unbend._one_line import in_one_line
from unbend.zoo.activations import activation as as_activation
from unbend.zoo.initial import Initial, Rule, as_initial
from unbend.zoo.networks import Bend
from unbend.zoo.training import LossName, Recipe
from unbend.zoo.widths import parameter_count


@dataclass(frozen=True, slots=True)
class Net:
    """One small network of a fleet: `mlp(widths, activation=activation, seed=seed)`.

    Attributes:
        widths: units of the input, of every hidden layer, and of the output.
        activation: between the layers; every one that is elementwise.
        seed: of the initial weights.
        rate: learning rate; None takes the recipe's.
        initial: rule of the initial weights.
    """

    widths: tuple[int, ...]
    activation: Bend = "relu"
    seed: int = 0
    rate: float | None = None
    initial: Initial | Rule = "torch"

    __repr__ = in_one_line


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Many trained networks.

    Attributes:
        widths: of every net.
        activations: name of every net's activation.
        seeds: of the initial weights.
        rates: learning rates.
        offsets: the weights of net `i` are columns `offsets[i]` to `offsets[i + 1]`, in the order of
            `mlp(...).parameters()`.
        steps: after how many steps the weights were kept; the first is 0, the last is the end.
        weights: one row per kept step.
        loss: training loss of every net with the kept weights; not finite for a net that diverged.
        loss_name: which loss.
        engine: which engine trained them.
    """

    widths: tuple[tuple[int, ...], ...]
    activations: tuple[str, ...]
    seeds: Int64[np.ndarray, "e"]
    rates: Float64[np.ndarray, "e"]
    offsets: Int64[np.ndarray, "e1"]
    steps: Int64[np.ndarray, "s"]
    weights: Float[np.ndarray, "s p"]
    loss: Float64[np.ndarray, "s e"]
    loss_name: str
    engine: str

    __repr__ = in_one_line


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What an engine is given.

    Attributes:
        nets: the networks.
        x: samples.
        targets: what every output should be, one row per output; one-hot for cross entropy.
        loss: which loss.
        recipe: how to train.
        rates: learning rate of every net.
    """

    nets: Sequence[Net]
    x: Float[Tensor, "n d"]
    targets: Float[Tensor, "k n"]
    loss: LossName
    recipe: Recipe
    rates: Float64[np.ndarray, "e"]


def offsets_of(nets: Sequence[Net]) -> Int64[np.ndarray, "e1"]:
    """Where the weights of every net begin in one row of a fleet's, and where the last ends."""
    return np.cumsum([0, *(parameter_count(net.widths) for net in nets)], dtype=np.int64)


def layers(row: Float[Tensor, "*stack p"], widths: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """Views of rows of weights as the `(weight, bias)` of every layer."""
    found, at = [], 0
    for fan_in, fan_out in pairwise(widths):
        weight = row[..., at : at + fan_out * fan_in].unflatten(-1, (fan_out, fan_in))
        at += fan_out * fan_in
        found.append((weight, row[..., at : at + fan_out]))
        at += fan_out
    return found


def initial_weights(nets: Sequence[Net]) -> Float[Tensor, "p"]:
    """The weights before the first step, in float32 as torch draws them."""
    offsets = offsets_of(nets)
    row = torch.empty(int(offsets[-1]))
    generator = torch.Generator()
    for net, start, stop in zip(nets, offsets[:-1], offsets[1:], strict=True):
        generator.manual_seed(net.seed)
        rule = as_initial(net.initial)
        for weight, bias in layers(row[start:stop], net.widths):
            rule.fill(weight, bias, generator)
    return row


def activation_names(nets: Sequence[Net]) -> tuple[str, ...]:
    """The name of every net's activation."""
    return tuple(as_activation(net.activation).name for net in nets)
