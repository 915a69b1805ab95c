"""The line of the law of equi-separation."""

import numpy as np

from unbend._typing import Array, Float64, Int64
from unbend.study.depth import Depth


def law_line(depth: Depth) -> tuple[Int64[Array, "m"], Float64[Array, "m"]]:
    """Positions of the activations the line is fitted over, and its value at each; NaN without a fit."""
    y = depth.separation
    bends = np.array([name in depth.line_layers for name in depth.layers], dtype=bool)
    at = np.flatnonzero(bends & np.isfinite(y) & (y > 0))
    if not len(at):
        return at, np.zeros(0)
    step = np.arange(len(at))
    return at, np.exp(depth.line_slope * (step - step.mean()) + np.log(y[at]).mean())
