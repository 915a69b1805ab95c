"""Standardised rows: representations come in, float32 rows of mean 0 and variance 1 go out.

Weights that were found on standardised rows are folded back, so that a read-out always applies to the
representation itself. Must not know labels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor

_ROWS = 2048
_SMALL = 2_000_000
"""Up to this many entries, float64 rows cost nothing and the solver's last digits come for free."""
_TINY = 1e-150
"""A unit that spreads less than this has no variance in float64: it counts as constant."""


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """The shift and the scale of each unit. Constant units have scale 1, so they become (nearly) 0.

    Attributes:
        mean: of each unit.
        scale: its deviation; 1 for a constant unit.
    """

    mean: Float64[Tensor, " d"]
    scale: Float64[Tensor, " d"]

    @classmethod
    def of(cls, h: Shaped[Tensor, "n d"]) -> "Standard":
        """Mean and standard deviation in float64, after a shift by the first row: constants give exactly 0."""
        n, d = h.shape
        first = h[0].double() if n else torch.zeros(d, dtype=torch.float64)
        mean = torch.zeros_like(first)
        for block in h.split(_ROWS):
            mean += (block.double() - first).sum(0)
        mean /= max(n, 1)
        square = torch.zeros_like(first)
        for block in h.split(_ROWS):
            square += (block.double() - first - mean).square_().sum(0)
        scale = (square / max(n, 1)).sqrt_()
        return cls(first + mean, torch.where(scale > _TINY, scale, 1.0))

    def apply(self, h: Shaped[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The standardised rows: float32, or float64 where there are few."""
        z = torch.empty(h.shape, dtype=torch.float64 if h.numel() <= _SMALL else torch.float32, device=h.device)
        for row in range(0, len(h), _ROWS):
            block = h[row : row + _ROWS].double()
            z[row : row + _ROWS] = block.sub_(self.mean).div_(self.scale)
        return z

    def unstandardise(
        self, weight: Float64[Tensor, "k d"], bias: Float64[Tensor, " k"]
    ) -> tuple[Float64[Tensor, "k d"], Float64[Tensor, " k"]]:
        """Weight and bias for the raw representation, from those for the standardised rows."""
        raw = weight / self.scale
        return raw, bias - raw @ self.mean
