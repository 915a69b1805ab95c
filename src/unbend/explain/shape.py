"""The shape of what each layer puts out: its dimension, its pieces and holes, how much of a matrix the layer is.

In: a model and data. Out: a `LayerShapes`; beside another model, how alike their layers are.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbend._names import INPUT
from unbend._typing import Array, Float64, Int64
from unbend.capture import Tap
from unbend.errors import DataError
from unbend.explain.setup import Setup, setup
from unbend.explain.surgery.fit import affine_fits
from unbend.numerics.intrinsic import Dimension, dimension
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.numerics.similarity import similarity
from unbend.numerics.streaming.choose import Selection
from unbend.numerics.topology import betti
from unbend.study.progress import Progress, silent, ticker, with_bars

ROWS = 2000
_CLOUD = 300
"""Rows of which pieces and holes are counted."""


@result
class LayerShapes:
    """The shape of what each layer puts out, over the same training rows.

    Attributes:
        n: rows.
        layers: the input first where it is numbers, then the layers in the order in which they run.
        dimensions: the intrinsic dimension of each; None where the rows are too few that differ.
        affine_r2: share of the variance of a layer's output on held-out rows that the best affine map of its input
            gives, fitted to training rows; NaN where input and output do not stand at the same positions [l].
        pieces: Betti number 0 of the first class's rows [l]; -1 where it was not asked for.
        holes: Betti number 1 [l]; -1 where it was not asked for.
        cka: debiased linear CKA between the layers [l, l].
        others: layers of the other model; empty without one.
        cka_between: debiased linear CKA of each layer with each of the other model's [l, m].
    """

    n: int
    layers: tuple[str, ...]
    dimensions: tuple[Dimension | None, ...]
    affine_r2: Float64[Array, "l"]
    pieces: Int64[Array, "l"]
    holes: Int64[Array, "l"]
    cka: Float64[Array, "l l"]
    others: tuple[str, ...]
    cka_between: Float64[Array, "l m"]


@with_bars
def shape(
    model: nn.Module,
    data: Any,
    *,
    other: nn.Module | None = None,
    held_out: Any = None,
    layers: Sequence[str] | None = None,
    topology: bool = False,
    rows: int = ROWS,
    batch_size: int = 512,
    progress: Progress = silent,
) -> LayerShapes:
    """Intrinsic dimension, affine-ness, similarity, and on request pieces and holes, of every layer.

    Args:
        model: any module; it stays as it is.
        data: samples with classes, as `unbend.study` takes them.
        other: another model of the same inputs; the layers of both are compared on the same rows.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        layers: paths or globs; None for a sensible choice.
        topology: also count pieces and holes of the rows of the first class (needs ripser).
        rows: training rows that shapes are taken of.
        batch_size: rows per forward pass.
        progress: called as it goes on; left out, bars show by themselves.

    Raises:
        DataError: the labels are no classes.
        MissingExtraError: `topology` without ripser.

    Cost:
        Two passes over the training rows and one over the held-out rows; O(n² d) a layer for n rows.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=300, seed=0)
        >>> found = unbend.shape(unbend.zoo.mlp([2, 8, 2], seed=0), (data.x_train, data.y_train))
        >>> found.layers, bool(found.affine_r2[1] > 0.999), bool(found.affine_r2[2] < 0.999)
        (('input', '0', '1', '2'), True, True)
    """
    made = setup(model, data, held_out=held_out, layers=layers, rows=rows, batch_size=batch_size)
    taps = [tap for tap in made.work.plan.taps if tap.alias_of is None]
    tables, labels = _tables(made, taps, rows, progress)
    names = tuple(tables)
    known = affine_fits(made, taps, progress)
    others: dict[str, Tensor] = {}
    if other is not None:
        second = setup(other, data, held_out=held_out, rows=rows, batch_size=batch_size)
        found = [tap for tap in second.work.plan.taps if tap.alias_of is None]
        others = {name: table for name, table in _tables(second, found, rows, progress)[0].items() if name != INPUT}
    both = similarity({f"a {name}": table for name, table in tables.items()}
                      | {f"b {name}": table for name, table in others.items()}).cka  # fmt: skip
    tick = ticker(progress, "Shapes", len(names))
    dimensions, clouds = [], []
    for table in tables.values():
        dimensions.append(_dimension(table))
        clouds.append(betti(table[labels == labels.min()][:_CLOUD].double().numpy()) if topology else (-1, -1))
        tick(1)
    l = len(names)
    return LayerShapes(
        n=len(labels), layers=names, dimensions=tuple(dimensions),
        affine_r2=np.array([known.get(name, np.nan) for name in names]), pieces=np.array([b for b, _ in clouds]),
        holes=np.array([b for _, b in clouds]), cka=both[:l, :l], others=tuple(others), cka_between=both[:l, l:],
    )  # fmt: skip


def _tables(made: Setup, taps: Sequence[Tap], n: int, progress: Progress) -> tuple[dict[str, Tensor], Tensor]:
    """The same training rows in every layer, and their classes."""
    rows = made.work.rows
    states = made.states(
        taps, rows.batches("train"), (SampleState,), selection=Selection(1.0, n, rows.n["train"]),
        tick=ticker(progress, "Training rows", rows.n["train"]), with_input=True,
    )  # fmt: skip
    found = {name: state["SampleState"].table() for name, state in states.items()}
    labels = torch.from_numpy(next(iter(found.values()))[1].argmax(1))
    return {name: torch.nan_to_num(torch.from_numpy(table).float()) for name, (table, _) in found.items()}, labels


def _dimension(table: Tensor) -> Dimension | None:
    try:
        return dimension(table.double().numpy())
    except DataError:
        return None
