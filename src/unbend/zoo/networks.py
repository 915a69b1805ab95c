"""Networks from a list of widths, or from a pattern of them.

In: widths and a few choices. Out: a plain `nn.Sequential`. Must not know data or training.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from torch import Tensor, nn

from unbend.errors import ModelError, ShapeError
from unbend.zoo.activations import Activation
from unbend.zoo.activations import activation as as_activation
from unbend.zoo.randomness import seeded
from unbend.zoo.widths import Pattern, hidden_widths

_NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}

Norm: TypeAlias = Literal["batch", "layer"]
Bend: TypeAlias = str | Activation | Callable[[Tensor], Tensor]


class Residual(nn.Module):
    """`x + block(x)`, the block keeping the width (He et al. 2016)."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """`x` plus what the block makes of it."""
        return x + self.block(x)


def mlp(
    widths: Sequence[int],
    *,
    activation: Bend = "relu",
    bias: bool = True,
    norm: Norm | None = None,
    seed: int | None = None,
) -> nn.Sequential:
    """A multi-layer perceptron: Linear, activation, ..., Linear, the last one without an activation.

    Args:
        widths: units of the input, of every hidden layer, and of the output.
        activation: a name of `unbend.zoo.ACTIVATIONS`, an `Activation`, or any elementwise function.
        bias: whether the Linear layers have biases.
        norm: what stands between a hidden Linear and its activation; None, batch or layer normalisation.
        seed: of the initial weights; None draws from torch's global generator, as torch itself does.

    Raises:
        ShapeError: fewer than two widths, or a width below 1.

    Example:
        >>> mlp([2, 3, 1], activation="tanh", seed=0)
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): Tanh()
          (2): Linear(in_features=3, out_features=1, bias=True)
        )
    """
    _check(widths)
    bend = as_activation(activation)
    modules: list[nn.Module] = []
    with seeded(seed):
        for fan_in, fan_out in pairwise(widths[:-1]):
            modules += _hidden_layers(fan_in, fan_out, bend, bias=bias, norm=norm)
        modules.append(nn.Linear(widths[-2], widths[-1], bias=bias))
    return nn.Sequential(*modules)


def hidden_layers(
    n_inputs: int,
    n_outputs: int,
    n_hidden: int,
    base_width: int,
    pattern: Pattern,
    activation: Bend = "relu",
    *,
    seed: int | None = None,
) -> nn.Sequential:
    """An `mlp` whose hidden layers follow a pattern (`hidden_widths`).

    Args:
        n_inputs: units of the input.
        n_outputs: units of the output.
        n_hidden: hidden layers.
        base_width: what the pattern halves and doubles.
        pattern: a name that `hidden_widths` knows.
        activation: as in `mlp`.
        seed: of the initial weights.

    Example:
        >>> net = hidden_layers(784, 10, 4, 256, "bottleneck", "relu", seed=0)
        >>> [layer.out_features for layer in net[::2]]
        [256, 128, 64, 128, 10]
    """
    return mlp([n_inputs, *hidden_widths(pattern, base_width, n_hidden), n_outputs], activation=activation, seed=seed)


def residual_mlp(
    widths: Sequence[int],
    *,
    activation: Bend = "relu",
    bias: bool = True,
    norm: Norm | None = None,
    seed: int | None = None,
) -> nn.Sequential:
    """`mlp`, with a connection around every hidden layer that keeps its width (`Residual`).

    The layers that change the width stand as they are: nothing but the identity bypasses a layer.

    Args:
        widths: units of the input, of every hidden layer, and of the output.
        activation: a name of `unbend.zoo.ACTIVATIONS`, an `Activation`, or any elementwise function.
        bias: whether the Linear layers have biases.
        norm: what stands between a hidden Linear and its activation; None, batch or layer normalisation.
        seed: of the initial weights; None draws from torch's global generator, as torch itself does.
    """
    _check(widths)
    bend = as_activation(activation)
    modules: list[nn.Module] = []
    with seeded(seed):
        for fan_in, fan_out in pairwise(widths[:-1]):
            layer = _hidden_layers(fan_in, fan_out, bend, bias=bias, norm=norm)
            modules += [Residual(nn.Sequential(*layer))] if fan_in == fan_out else layer
        modules.append(nn.Linear(widths[-2], widths[-1], bias=bias))
    return nn.Sequential(*modules)


def _hidden_layers(fan_in: int, fan_out: int, bend: Activation, *, bias: bool, norm: Norm | None) -> list[nn.Module]:
    if norm is not None and norm not in _NORMS:
        message = f"norm: expected one of {', '.join(_NORMS)} or None, got {norm!r}."
        raise ModelError(message)
    between = [] if norm is None else [_NORMS[norm](fan_out)]
    return [nn.Linear(fan_in, fan_out, bias=bias), *between, bend.module()]


def _check(widths: Sequence[int]) -> None:
    if len(widths) < 2 or min(widths) < 1:
        message = f"widths: expected at least an input and an output width, all positive, got {list(widths)}."
        raise ShapeError(message)
