"""Where an activation is saturated, and how many values of a batch are.

In: an activation; its output and, where its derivative cannot be read from the output, its input. Out: thresholds,
and counts per unit.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.numerics import compiled
from unbend.numerics.batch import Batch, Saturation
from unbend.numerics.compiled.team import team
from unbend.numerics.sweep import has_kernel

FLAT = 0.05
"""A value is saturated when the activation's derivative there is below this share of its greatest."""


def saturation(activation: Callable[[Tensor], Tensor]) -> Saturation:
    """Where an elementwise activation is saturated, from its own derivative.

    Saturated is where the derivative is below 5 % of its greatest on [-3, 3], beyond the first and the last
    place where it is not; a flat stretch in the middle is no saturation.

    Args:
        activation: a function of one tensor, elementwise; it may work in place.

    Returns:
        Thresholds on the output where the activation never falls, else (GELU, SiLU, Mish, …) on the input,
        marked by an empty `pre` for the caller to fill. An activation without any slope is saturated
        everywhere.

    Example:
        >>> saturation(torch.relu).low, saturation(torch.relu).high
        (0.0, inf)
    """
    z = (torch.arange(-30_000, 30_001, dtype=torch.float64) / 1000).requires_grad_()
    with torch.enable_grad():
        out = activation(z.clone())
        slope = torch.autograd.grad(out.sum(), z)[0] if out.requires_grad else torch.zeros_like(z)
    out, z, size = out.detach(), z.detach(), slope.abs()
    steep = (size >= FLAT * size[z.abs() <= 3].max()).nonzero().flatten()
    if not size.any():
        return Saturation(np.inf, np.inf)
    first, last = int(steep[0]), int(steep[-1])
    monotone = bool((slope >= -1e-12).all())
    edge = out if monotone else z
    low = float(edge[first - 1]) if first > 0 else -np.inf
    high = float(edge[last + 1]) if last < len(z) - 1 else np.inf
    return Saturation(low, high, None if monotone else torch.empty(0))


def judge(batch: Batch, edge: Saturation, *, sized: bool) -> tuple[Array, Array, Array]:
    """Values that are 0, values that are flat, and, if it is wanted, Σ|x|, per unit; only finite values count.

    Cost:
        One more read of the tensor, and one of the activation's input where that is looked at.
    """
    x, z = (_single(values.detach()) for values in (batch.values, batch.values if edge.pre is None else edge.pre))
    if has_kernel(x) and has_kernel(z) and not batch.sweep.nonfinite.any():
        return _in_compiled_code(x, z, batch, edge, sized=sized)
    x, z = _by_unit(x, batch), _by_unit(z, batch)
    axes = (0, 2) if batch.view.layout == "maps" else (0,)
    good = torch.isfinite(x)
    is_flat = (z <= edge.low) | (z >= edge.high)
    zeros, flat = ((good & which).sum(axes).cpu().numpy() for which in (x == 0, is_flat))
    if not sized:
        return zeros, flat, np.zeros(0)
    return zeros, flat, torch.where(good, x.abs(), 0).sum(axes, dtype=torch.float64).cpu().numpy()


def _single(x: Tensor) -> Tensor:
    """Half types in float32, without loss."""
    return x.float() if x.dtype in {torch.float16, torch.bfloat16} else x


def _by_unit(x: Tensor, batch: Batch) -> Tensor:
    """The values that count as [m, d], or [n, d, p] for maps."""
    if batch.view.layout == "maps":
        return x.flatten(2)
    if batch.view.layout == "tokens":
        x = x.flatten(1, -2)
        return x.flatten(0, 1) if batch.mask is None else x[batch.mask]
    return x


def _in_compiled_code(
    x: Tensor, z: Tensor, batch: Batch, edge: Saturation, *, sized: bool
) -> tuple[Array, Array, Array]:
    d = batch.view.width
    table, other = ((v.flatten(1) if batch.view.layout == "maps" else v.flatten(0, -2)) for v in (x, z))
    rows = np.arange(len(table)) if batch.mask is None else np.flatnonzero(batch.mask.numpy())
    width = table.shape[1]
    zeros, flat = np.zeros((2, width), np.int32)
    size = np.zeros(width if sized else 0)
    edges = np.array([edge.low, edge.high], np.float32)
    compiled.judge(table.contiguous().numpy(), other.contiguous().numpy(), rows, edges, zeros, flat, size, team())
    counts = (part.reshape(d, -1).sum(1, dtype=np.int64) for part in (zeros, flat))
    return *counts, size.reshape(d, -1).sum(1) if sized else size
