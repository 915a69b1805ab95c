"""Kolmogorov-Arnold networks: a learned function on every edge, sums at the nodes.

In: widths and a grid. Out: modules whose edge functions can be read off. This module must not know
data or training.

An edge function is `base * silu(x) + spline(x)`, the spline a sum of B-splines on an even grid (Liu et al.
2024). Outside the grid the spline is 0 and the silu goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from unbend._one_line import in_one_line
from unbend.errors import DataError, ShapeError
from unbend.zoo.randomness import seeded


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the splines live.

    Attributes:
        low: left end.
        high: right end.
        n_intervals: equal pieces between them.
        degree: of the B-splines; 3 is cubic.
    """

    low: float = -1.0
    high: float = 1.0
    n_intervals: int = 5
    degree: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """The edge functions of a KAN layer on a grid of inputs.

    Attributes:
        x: the inputs.
        value: `value[j, i]` is the function from input `i` to output `j`.
    """

    x: Float64[np.ndarray, "n"]
    value: Float64[np.ndarray, "d_out d_in n"]

    __repr__ = in_one_line


class KANLayer(nn.Module):
    """`y_j = Σ_i f_ji(x_i)`, every `f_ji` learned."""

    knots: Tensor

    def __init__(self, d_in: int, d_out: int, grid: Grid) -> None:
        super().__init__()
        self.degree: int = grid.degree
        step = (grid.high - grid.low) / grid.n_intervals
        knots = grid.low + step * torch.arange(-grid.degree, grid.n_intervals + grid.degree + 1)
        self.register_buffer("knots", knots)
        self.base: nn.Parameter = nn.Parameter(torch.empty(d_out, d_in))
        self.coefficients: nn.Parameter = nn.Parameter(torch.empty(d_out, d_in, grid.n_intervals + grid.degree))
        nn.init.uniform_(self.base, -(d_in**-0.5), d_in**-0.5)
        nn.init.normal_(self.coefficients, std=0.1 * d_in**-0.5)

    def forward(self, x: Float[Tensor, "n d_in"]) -> Float[Tensor, "n d_out"]:
        """The sums of the edge functions at `x`."""
        splines = b_splines(x, self.knots, self.degree)
        smooth = nn.functional.linear(nn.functional.silu(x), self.base)
        return smooth + nn.functional.linear(splines.flatten(1), self.coefficients.flatten(1))

    def extra_repr(self) -> str:
        """Widths and number of basis functions."""
        d_out, d_in, n_bases = self.coefficients.shape
        return f"{d_in}, {d_out}, n_bases={n_bases}"


def kan(widths: Sequence[int], *, grid: Grid | None = None, seed: int | None = None) -> nn.Sequential:
    """A Kolmogorov-Arnold network of these widths.

    Args:
        widths: of the input, of every hidden layer of nodes, and of the output.
        grid: where the splines live; the inputs, and what the layers between make, should mostly lie inside.
        seed: of the initial weights; None draws from torch's global generator.

    Raises:
        ShapeError: fewer than two widths, or a width below 1.
        DataError: a grid without intervals.

    Example:
        >>> kan([2, 5, 1], seed=0)(torch.zeros(3, 2)).shape
        torch.Size([3, 1])
    """
    grid = grid or Grid()
    if len(widths) < 2 or min(widths) < 1:
        message = f"widths: expected at least an input and an output width, all positive, got {list(widths)}."
        raise ShapeError(message)
    if grid.n_intervals < 1 or grid.degree < 0 or not grid.low < grid.high:
        message = f"grid: expected low < high, at least one interval and a degree of 0 or more, got {grid}."
        raise DataError(message)
    with seeded(seed):
        return nn.Sequential(*(KANLayer(d_in, d_out, grid) for d_in, d_out in pairwise(widths)))


def edges(layer: KANLayer, x: Float64[np.ndarray, "n"]) -> Edges:
    """The edge functions of `layer` at the points `x`."""
    at = torch.from_numpy(x)
    with torch.no_grad():
        bases = b_splines(at[:, None], layer.knots.double(), layer.degree)[:, 0]
        spline = torch.einsum("oib,nb->oin", layer.coefficients.double(), bases)
        value = spline + layer.base.double()[..., None] * nn.functional.silu(at)
    return Edges(x, value.numpy())


def b_splines(x: Float[Tensor, "*shape"], knots: Float[Tensor, "m"], degree: int) -> Float[Tensor, "*shape b"]:
    """All B-splines of a degree at `x`; inside the grid they sum to 1. The recursion of Cox and de Boor."""
    x = x[..., None]
    bases = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
    for k in range(1, degree + 1):
        rising = (x - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
        falling = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
        bases = rising * bases[..., :-1] + falling * bases[..., 1:]
    return bases
