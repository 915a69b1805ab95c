"""The window that a picture of regions shows: the shape a model takes, a plane through the data, the samples on it.

In: a model, `load.Data`, and what a person asked for. Out: arrays, a `Plane`, `PlaneSamples`. Must not know the command
line or pictures.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, default_collate

from unbend import load
from unbend._typing import Array, Float64, Int64
from unbend.capture.lower import lower
from unbend.errors import DataError, ModelError, UnsupportedError
from unbend.numerics.cells import Plane
from unbend.numerics.piecewise import PiecewiseAffine
from unbend.study.regions import plane_through

MOST_SAMPLES = 2000
"""Samples read from a data set, and drawn: more hide the cells under them."""
_SHOWN = 6
"""Up to this many samples on a plane are carried along to be looked at: the three it was laid through."""
_ROOM = 0.1
"""Of the span of the data on either side of them, in the window of a model of two inputs."""
_FLAT = 1e-9
"""Span below which an axis of the data counts as this long, so that the window has an area."""
_ON_PLANE = 1e-6
"""Relative distance up to which a sample lies on the plane: rounding of float32 data, or the move of a plane."""


@dataclass(frozen=True, slots=True, eq=False)
class FlatSamples:
    """Samples as rows of numbers.

    Attributes:
        x: the samples.
        labels: class indices, if there are any.
        shape: the shape of one sample.
        class_names: in the order of the indices.
    """

    x: Float64[Array, "n d"]
    labels: Int64[Array, "n"] | None
    shape: tuple[int, ...]
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PlaneSamples:
    """Samples near the plane.

    Attributes:
        points: their plane coordinates.
        labels: class indices, if known.
        class_names: in the order of the indices.
        inputs: the samples themselves, where they are few, to be looked at; None where they are many.
        shape: the shape of one of them.
    """

    points: Float64[Array, "n 2"]
    labels: Int64[Array, "n"] | None = None
    class_names: tuple[str, ...] = ()
    inputs: Float64[Array, "n d"] | None = None
    shape: tuple[int, ...] = ()


def flat_samples(data: load.Data) -> FlatSamples:
    """The samples of a data set as rows, of a Dataset or a DataLoader the first 2,000."""
    x, y = data.x, data.y
    if isinstance(x, (DataLoader, Dataset)):
        x, y = _first_rows(x.dataset if isinstance(x, DataLoader) else x)
    if not isinstance(x, Tensor):
        raise DataError("data: expected samples as one tensor of numbers, got a dict. Give arrays or images.")
    labels = None if y is None or y.is_floating_point() else y.long().numpy()
    return FlatSamples(x.double().reshape(len(x), -1).numpy(), labels, tuple(x.shape[1:]), data.class_names)


def _first_rows(source: Dataset) -> tuple[Tensor, Tensor]:
    n = len(source)  # type: ignore[arg-type]  # torch's Dataset does not promise a length; map-style ones have it
    x, y = default_collate([source[index] for index in range(min(n, MOST_SAMPLES))])
    return x, y


def lower_for(model: nn.Module, samples: FlatSamples | None, *, layer: str | None = None) -> PiecewiseAffine:
    """The model as arrays, for the shape of the samples; for two inputs without them.

    Images are tried as they are, with a channel axis, and flat; flat samples of a square number also as squares.

    Args:
        model: the module.
        samples: what it takes.
        layer: stop after this layer.

    Raises:
        ModelError: it runs on none of the shapes.
    """
    if samples is None:
        return lower(model, (2,), layer=layer)
    refused: ModelError | None = None
    for shape in _shapes(samples.shape):
        try:
            return lower(model, shape, layer=layer)
        except UnsupportedError:
            raise
        except ModelError as error:
            refused = refused or error
    raise refused or ModelError("model: it runs on none of the shapes of the data.")


def _shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shapes that samples may be meant to have, the likeliest first."""
    flat = (int(np.prod(shape)),)
    shapes = [shape, flat] if len(shape) != 2 else [(1, *shape), shape, flat]
    side = isqrt(flat[0])
    if len(shape) == 1 and side * side == flat[0]:
        shapes.append((1, side, side))
    return list(dict.fromkeys(shapes))


def plane_for(n_inputs: int, samples: FlatSamples | None, rows: tuple[int, int, int] | None = None) -> Plane:
    """The plane to show: for two inputs the box round the samples, for more a plane through three of them.

    Args:
        n_inputs: of the model.
        samples: the data, if there are any.
        rows: the three to lay the plane through; the first of the first three classes if not given.
    """
    if samples is not None and samples.x.shape[1] != n_inputs:
        raise DataError(f"data: expected samples of {n_inputs} numbers, got {samples.x.shape[1]}.")
    if n_inputs == 2 and rows is None:
        return Plane.box((-1.0, -1.0), (1.0, 1.0)) if samples is None else _box_around(samples.x)
    if samples is None:
        raise DataError(f"--data: the model has {n_inputs} inputs, so a plane through three samples is needed.")
    return plane_through(samples.x, _first_of_three_classes(samples.labels) if rows is None else rows)


def _box_around(x: Float64[Array, "n 2"]) -> Plane:
    low, high = x.min(axis=0), x.max(axis=0)
    room = _ROOM * np.maximum(high - low, _FLAT)
    (x0, y0), (x1, y1) = (low - room).tolist(), (high + room).tolist()
    return Plane.box((x0, y0), (x1, y1))


def _first_of_three_classes(labels: Int64[Array, "n"] | None) -> tuple[int, int, int]:
    """The first samples of the first three classes, or the first three samples."""
    if labels is None:
        return 0, 1, 2
    classes, firsts = np.unique(labels, return_index=True)
    if len(classes) < 3:
        return 0, 1, 2
    a, b, c = firsts[:3].tolist()
    return a, b, c


def samples_on(plane: Plane, samples: FlatSamples) -> PlaneSamples:
    """The samples that lie on the plane and in the window, at most 2,000."""
    points, gap = plane.project(samples.x)
    low, high = plane.corners.min(axis=0), plane.corners.max(axis=0)
    is_near = gap <= _ON_PLANE * (1.0 + np.linalg.norm(samples.x - plane.origin, axis=1))
    is_near &= ((points >= low) & (points <= high)).all(axis=1)
    rows = np.flatnonzero(is_near)[:MOST_SAMPLES]
    return PlaneSamples(
        points[rows],
        None if samples.labels is None else samples.labels[rows],
        samples.class_names,
        samples.x[rows] if len(rows) <= _SHOWN else None,
        samples.shape,
    )
