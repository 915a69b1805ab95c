"""Networks whose weights were written down, not trained.

In: at most a size. Out: an `nn.Sequential` in evaluation mode. This module must not know data.
"""

import torch
from torch import Tensor, nn

from unbend.errors import DataError
from unbend.zoo.networks import mlp


def xor_relu() -> nn.Sequential:
    """XOR by two ReLU units: relu(x1 + x2) - 2 relu(x1 + x2 - 1), exactly 0, 1, 1, 0 on the corners.

    Source:
        Goodfellow, Bengio & Courville (2016), section 6.1.
    """
    return _fill(
        mlp([2, 2, 1], seed=0),
        ([[1.0, 1.0], [1.0, 1.0]], [0.0, -1.0]),
        ([[1.0, -2.0]], [0.0]),
    )


def xor_sigmoid(scale: float = 10.0) -> nn.Sequential:
    """XOR by sigmoid units: OR, AND, and then "OR and not AND".

    Ends in a sigmoid, so that the output is a number from 0 to 1: .00715, .99236, .99236, .00715 on the
        corners.

    Args:
        scale: how steep the units are; as it grows, they become steps.
    """
    net = _fill(
        mlp([2, 2, 1], activation="sigmoid", seed=0),
        ([[scale, scale], [scale, scale]], [-0.5 * scale, -1.5 * scale]),
        ([[scale, -scale]], [-0.5 * scale]),
    )
    return nn.Sequential(*net, nn.Sigmoid()).eval()


def strip_net() -> nn.Sequential:
    """A 2-2-1 tanh network that tells a diagonal strip from both of its sides; the output is a logit.

    Its hidden lines lie at x2 - x1 ≈ ±.47, its decision boundary at about ±.54: the lines are not the
    boundary. The weights are printed for inputs as rows, `x @ W1 + b1`, and stand here transposed, as torch
    wants them.
    """
    return _fill(
        mlp([2, 2, 1], activation="tanh", seed=0),
        ([[-3.2753847, 3.3264563], [3.2302036, -3.2554653]], [1.5562934, 1.5492057]),
        ([[2.625529, 2.670275]], [-2.0918093]),
    )


def sawtooth(doublings: int, n_layers: int | None = None, *, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """The tent map composed with itself: on [0, 1] it rises and falls `2 ** (doublings - 1)` times.

    The tent is 2x up to ½ and 2 - 2x beyond; composed k times it has `2 ** k` straight pieces. A hidden layer
    of `2 ** m` ReLU units does m compositions at once, so the same function needs `2 k` units at k layers and
    `2 ** k` at one, with all sizes between: removing one layer does not need exponential width.

    Args:
        doublings: k, how often the tent is composed.
        n_layers: hidden layers, a divisor of k; k when left out.
        dtype: float64 is exact to k = 30 and beyond, float32 to k = 24.

    Raises:
        DataError: layers that do not divide `doublings`.

    Source:
        Telgarsky (2015), "Representation benefits of deep feedforward networks".

    Example:
        >>> [sum(m.out_features for m in sawtooth(12, layers)[:-1:2]) for layers in (12, 6, 4, 3, 2, 1)]
        [24, 24, 32, 48, 128, 4096]
    """
    n_layers = doublings if n_layers is None else n_layers
    if doublings < 1 or n_layers < 1 or doublings % n_layers:
        message = f"n_layers: expected a divisor of doublings, got {n_layers} layers for {doublings} doublings."
        raise DataError(message)
    pieces = 2 ** (doublings // n_layers)
    kinks, heights = torch.arange(pieces, dtype=torch.float64) / pieces, _zigzag(pieces)
    into = torch.ones(pieces, 1, dtype=torch.float64)
    # A layer reads the sawtooth of the one before it, a weighted sum of that one's units.
    layers = [(into, -kinks), *((into @ heights, -kinks) for _ in range(n_layers - 1))]
    widths = [1, *[pieces] * n_layers, 1]
    return _fill(mlp(widths, seed=0).to(dtype), *layers, (heights, torch.zeros(1)))


def _zigzag(pieces: int) -> Tensor:
    """Output weights: the first slope, then by how much the slope changes at every kink."""
    changes = torch.full((1, pieces), 2.0 * pieces, dtype=torch.float64)
    changes[0, 1::2] *= -1
    changes[0, 0] = pieces
    return changes


def _fill(net: nn.Sequential, *layers: tuple[list | Tensor, list | Tensor]) -> nn.Sequential:
    """Write the weights over the drawn ones, which have a seed only so that torch's generator stays as it was."""
    linear = [module for module in net if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for module, (weight, bias) in zip(linear, layers, strict=True):
            module.weight.copy_(torch.as_tensor(weight))
            module.bias.copy_(torch.as_tensor(bias))
    return net.eval()
