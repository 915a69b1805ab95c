"""The exact linear regions of a model: lowering and counting in one call.

In: an `nn.Module` and a plane through its input space. Out: `Cells`, one per snapshot if asked. Knows no
pictures and no files.
"""

from collections.abc import Iterable

import numpy as np
from torch import nn

from unbend._typing import Array
from unbend.capture.lower import Custom, lower
from unbend.errors import ShapeError
from unbend.numerics.cells import MAX_CELLS, Cells, Plane
from unbend.numerics.cells import cells as cells_of
from unbend.numerics.piecewise import PiecewiseAffine


def cells(
    model: nn.Module | PiecewiseAffine,
    plane: Plane,
    *,
    input_shape: tuple[int, ...] | None = None,
    layer: str | None = None,
    custom: Custom | None = None,
    max_cells: int = MAX_CELLS,
    exact: bool = False,
) -> Cells:
    """All cells (activation regions ∩ plane) of a piecewise-linear model on a polygon of a plane.

    Args:
        model: The module, or its arrays.
        plane: `Plane.box` for two inputs; `Plane.through` three samples, or `Plane.at` a point with two
            directions, for more.
        input_shape: The shape of one sample, such as (1, 28, 28); flat if not given.
        layer: Stop after this layer: its bends and those before it make the cells.
        custom: For your own activation modules, the curve they apply to every element.
        max_cells: Stop cleanly when there are more; the result then has `is_complete=False`.
        exact: Make every decision in rational arithmetic. Slow; the fast engine already asks for it where
            float64 cannot tell.

    Raises:
        UnsupportedError: Something in the model is not continuous and piecewise linear.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> found = cells(net, Plane.box((-1.0, -1.0), (1.0, 1.0)))
        >>> round(float(found.areas().sum()), 9)
        4.0
    """
    return cells_of(_lowered(model, plane, input_shape, layer, custom), plane, max_cells=max_cells, exact=exact)


def cells_over(
    snapshots: Iterable[nn.Module | PiecewiseAffine],
    plane: Plane,
    *,
    input_shape: tuple[int, ...] | None = None,
    layer: str | None = None,
    max_cells: int = MAX_CELLS,
) -> tuple[Cells, ...]:
    """The cells of every snapshot of a training run, in order.

    A generator that yields the same model between training steps works: each snapshot is taken down as it
    is met.
    """
    return tuple(cells(model, plane, input_shape=input_shape, layer=layer, max_cells=max_cells) for model in snapshots)


def plane_through(samples: Array, indices: tuple[int, int, int], *, margin: float = 0.25) -> Plane:
    """The plane through three samples of a data set, given by their row numbers."""
    n = len(samples)
    if len(set(indices)) < 3 or not all(0 <= index < n for index in indices):
        raise ShapeError(f"through: expected three different rows in [0, {n}), got {indices}.")
    a, b, c = (np.asarray(samples[index], np.float64).ravel() for index in indices)
    return Plane.through(a, b, c, margin=margin)


def _lowered(
    model: nn.Module | PiecewiseAffine,
    plane: Plane,
    input_shape: tuple[int, ...] | None,
    layer: str | None,
    custom: Custom | None,
) -> PiecewiseAffine:
    if isinstance(model, PiecewiseAffine):
        return model
    shape = (len(plane.origin),) if input_shape is None else input_shape
    if int(np.prod(shape)) != len(plane.origin):
        raise ShapeError(f"input_shape: expected {len(plane.origin)} numbers, as in the plane's points, got {shape}.")
    return lower(model, shape, layer=layer, custom=custom)
