"""How large the loss gradient is at every layer: whether learning reaches it."""

from dataclasses import dataclass

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Float64, Tensor
from unbend.numerics.result import result


@dataclass(frozen=True, slots=True, eq=False)
class GradientState:
    """Sum of squared gradients of the per-sample loss with respect to one layer's output.

    Attributes:
        n: samples.
        width: numbers in the layer's output for one of them.
        square: sum over samples and numbers of the squared gradient.
    """

    n: int
    width: int
    square: float

    __repr__ = in_one_line

    @classmethod
    def of(cls, gradient: Tensor) -> "GradientState":
        """One batch: the gradient of the summed loss, its first axis the sample."""
        return cls(len(gradient), gradient.shape[1:].numel(), float(gradient.double().square().sum()))

    @classmethod
    def empty(cls) -> "GradientState":
        """No samples."""
        return cls(0, 0, 0.0)

    def __add__(self, other: "GradientState") -> "GradientState":
        return GradientState(self.n + other.n, max(self.width, other.width), self.square + other.square)


@result
class Gradients:
    """Size of the loss gradient through the layers.

    Attributes:
        n: samples.
        layers: names, in order.
        norm: root mean square over samples of the norm of dL/dh [l].
        orders_lost: log10 of the last layer's norm over the first layer's: how many orders of magnitude the
            gradient shrinks on its way back (negative when it grows).
    """

    n: int
    layers: tuple[str, ...]
    norm: Float64[Array, "l"]
    orders_lost: float


def gradients(states: dict[str, GradientState]) -> Gradients:
    """Gradient norms of all layers, from the input side to the output."""
    norm = np.array([np.sqrt(s.square / s.n) if s.n else np.nan for s in states.values()])
    lost = np.nan
    if len(norm) > 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = float(np.log10(norm[-1]) - np.log10(norm[0]))
    n = max((s.n for s in states.values()), default=0)
    return Gradients(n=n, layers=tuple(states), norm=norm, orders_lost=lost)
