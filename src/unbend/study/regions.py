"""The exact linear regions of a model: lowering and counting in one call.

In: an `nn.Module`, and a plane or a line through its input space. Out: `Cells` (one per snapshot if asked), `Boundary`,
`Slice`. Must not know pictures and files.
"""

from collections.abc import Iterable

import numpy as np
from torch import nn

from unbend._typing import Array, Float
from unbend.capture.lower import Custom, lower
from unbend.errors import DataError, ShapeError
from unbend.numerics.cells import MAX_CELLS, Cells, Plane
from unbend.numerics.cells import cells as cells_of
from unbend.numerics.cells.boundary import Boundary
from unbend.numerics.cells.boundary import boundary as boundary_of
from unbend.numerics.cells.slice_1d import Slice
from unbend.numerics.cells.slice_1d import slice_1d as slice_of
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
        model: the module, or its arrays.
        plane: `Plane.box` for two inputs; `Plane.through` three samples, or `Plane.at` a point with two
            directions, for more.
        input_shape: the shape of one sample, such as (1, 28, 28); flat if not given.
        layer: stop after this layer: its kinks and those before it make the cells.
        custom: for your own activation modules, the curve they apply to every element.
        max_cells: stop cleanly when there are more; the result then has `is_complete=False`.
        exact: make every decision in rational arithmetic. Slow; the fast engine already asks for it where
            float64 cannot tell.

    Raises:
        UnsupportedError: something in the model is not continuous and piecewise linear.
        ShapeError: the plane lies in a space of another dimension than the model's input.

    Cost:
        Lowering, as of `unbend.lower`; then about 0.5 µs and 70 bytes per cell and core.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> found = cells(net, Plane.box((-1.0, -1.0), (1.0, 1.0)))
        >>> round(float(found.areas().sum()), 9)
        4.0
    """
    net = _lower(model, len(plane.origin), input_shape, layer, custom)
    return cells_of(net, plane, max_cells=max_cells, exact=exact)


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

    Args:
        snapshots: the modules, or their arrays.
        plane: as for `cells`, one for all of them.
        input_shape: the shape of one sample, such as (1, 28, 28); flat if not given.
        layer: stop after this layer.
        max_cells: of each snapshot.

    Raises:
        UnsupportedError: something in a model is not continuous and piecewise linear.
        ShapeError: the plane lies in a space of another dimension than the model's input.

    Cost:
        As many times that of `cells`.
    """
    return tuple(cells(model, plane, input_shape=input_shape, layer=layer, max_cells=max_cells) for model in snapshots)


def boundary(
    model: Cells | nn.Module | PiecewiseAffine,
    plane: Plane | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    custom: Custom | None = None,
    max_cells: int = MAX_CELLS,
) -> Boundary:
    """The exact decision boundary of a model on a plane, from its cells or from the model itself.

    One output means two classes, cut at zero.

    Args:
        model: cells that are known already, the module, or its arrays.
        plane: where the boundary of a module is looked for; cells have theirs.
        input_shape: the shape of one sample, such as (1, 28, 28); flat if not given.
        custom: for your own activation modules, the curve they apply to every element.
        max_cells: as for `cells`. The boundary needs all of them.

    Raises:
        DataError: a module without a plane, or cells with one.
        ShapeError: the cells are not those of the whole network: there are more than `max_cells`, or they were stopped
            after a layer.
        UnsupportedError: something in the model is not continuous and piecewise linear.

    Cost:
        That of `cells`, if they are not given; then linear in the cells that it runs through, times classes squared.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> round(float(boundary(net, Plane.box((-1.0, -1.0), (1.0, 1.0))).class_areas.sum()), 9)
        4.0
    """
    if isinstance(model, Cells):
        if plane is not None:
            raise DataError("plane: expected none beside cells, which have theirs. Leave it out, or give the model.")
        return boundary_of(model)
    if plane is None:
        raise DataError("plane: expected one beside a model. Give Plane.box(low, high) or Plane.through(a, b, c).")
    return boundary_of(cells(model, plane, input_shape=input_shape, custom=custom, max_cells=max_cells))


def slice_1d(
    model: nn.Module | PiecewiseAffine,
    start: Float[Array, "..."],
    end: Float[Array, "..."],
    *,
    input_shape: tuple[int, ...] | None = None,
    custom: Custom | None = None,
) -> Slice:
    """All breakpoints of a model on the segment between two points of its input space, of any dimension.

    Args:
        model: the module, or its arrays.
        start: one end, a point such as a row of the data or an image.
        end: the other.
        input_shape: the shape of one sample, such as (1, 28, 28); that of `start` if not given.
        custom: for your own activation modules, the curve they apply to every element.

    Raises:
        UnsupportedError: something in the model is not continuous and piecewise linear.

    Cost:
        Breakpoints x hinges in time and memory.

    Example:
        >>> tent = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1, bias=False))
        >>> for parameter, values in zip(tent.parameters(), ([[2.0], [4.0]], [0.0, -2.0], [[1.0, -1.0]])):
        ...     parameter.data = parameter.data.new_tensor(values)
        >>> slice_1d(tent, np.array([0.0]), np.array([1.0])).t.tolist()
        [0.0, 0.5, 1.0]
    """
    a, b = (np.asarray(point, np.float64) for point in (start, end))
    if a.shape != b.shape:
        raise ShapeError(f"start, end: expected two points of one shape, got {a.shape} and {b.shape}.")
    shape = (a.shape or (1,)) if input_shape is None else input_shape
    return slice_of(_lower(model, a.size, shape, None, custom), a.ravel(), b.ravel())


def plane_through(samples: Array, indices: tuple[int, int, int], *, margin: float = 0.25) -> Plane:
    """The plane through three samples of a data set, given by their row numbers."""
    n = len(samples)
    if len(set(indices)) < 3 or not all(0 <= index < n for index in indices):
        raise ShapeError(f"through: expected three different rows in [0, {n}), got {indices}.")
    a, b, c = (np.asarray(samples[index], np.float64).ravel() for index in indices)
    return Plane.through(a, b, c, margin=margin)


def _lower(
    model: nn.Module | PiecewiseAffine,
    n_inputs: int,
    input_shape: tuple[int, ...] | None,
    layer: str | None,
    custom: Custom | None,
) -> PiecewiseAffine:
    if isinstance(model, PiecewiseAffine):
        return model
    shape = (n_inputs,) if input_shape is None else input_shape
    if int(np.prod(shape)) != n_inputs:
        raise ShapeError(f"input_shape: expected {n_inputs} numbers, as the points have, got {shape}.")
    return lower(model, shape, layer=layer, custom=custom)
