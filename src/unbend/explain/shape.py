"""The shape of what each layer puts out: its dimension, its pieces and holes, how much of a matrix the layer is.

In: a model and data. Out: a `LayerShapes`; beside another model, how alike their layers are.
"""

import math
import time
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from unbend._names import INPUT
from unbend._typing import Array, Float64, Int64
from unbend.capture import Tap
from unbend.errors import DataError
from unbend.explain.defaults import SHAPE_BUDGET, SHAPE_ROWS
from unbend.explain.setup import Setup, setup
from unbend.explain.surgery.fit import affine_fits
from unbend.numerics.intrinsic import Dimension, dimension
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.numerics.similarity import similarity
from unbend.numerics.streaming.choose import Selection
from unbend.numerics.topology import betti
from unbend.study.progress import Progress, silent, ticker, with_bars
from unbend.study.settings import ReadAs
from unbend.study.values import wanted_state

ALL_ROWS = "all rows"
"""What rows without classes are counted as."""
_CLOUD = 300
"""Rows of a class of which pieces and holes are counted,"""
_FEWEST = 5
"""and fewer than these are no cloud."""


@result
class ClassTopology:
    """Pieces and holes of the rows of each class, layer by layer.

    Attributes:
        classes: that were counted, the largest first; of rows without classes one of all rows.
        n: rows of each that were counted [c].
        pieces: Betti number 0 [l, c].
        holes: Betti number 1 [l, c].
        left_out: classes for which there was no time, or that have fewer rows than a cloud needs.
    """

    classes: tuple[str, ...]
    n: Int64[Array, "c"]
    pieces: Int64[Array, "l c"]
    holes: Int64[Array, "l c"]
    left_out: tuple[str, ...]


@result
class LayerShapes:
    """The shape of what each layer puts out, over the same training rows.

    Attributes:
        n: rows.
        layers: the input first where it is numbers, then the layers in the order in which they run.
        dimensions: the intrinsic dimension of each; None where the rows are too few that differ.
        affine_r2: share of the variance of a layer's output on held-out rows that the best affine map of its input
            gives, fitted to training rows; NaN where input and output do not stand at the same positions [l].
        topology: pieces and holes of the classes; None where they were not asked for.
        cka: debiased linear CKA between the layers [l, l].
        others: layers of the other model; empty without one.
        cka_between: debiased linear CKA of each layer with each of the other model's [l, m].
    """

    n: int
    layers: tuple[str, ...]
    dimensions: tuple[Dimension | None, ...]
    affine_r2: Float64[Array, "l"]
    topology: ClassTopology | None
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
    budget: float | None = SHAPE_BUDGET,
    rows: int = SHAPE_ROWS,
    batch_size: int = 512,
    progress: Progress = silent,
    **read_as: Unpack[ReadAs],
) -> LayerShapes:
    """Intrinsic dimension, affine-ness, similarity, and on request pieces and holes, of every layer.

    Args:
        model: any module; it stays as it is.
        data: samples, as `unbend.study` takes them; classes are needed for pieces and holes alone.
        other: another model of the same inputs; the layers of both are compared on the same rows.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        layers: paths or globs; None for a sensible choice.
        topology: also count pieces and holes of the rows of each class (needs ripser).
        budget: seconds of processor time which that may take, the largest classes first; None for no limit.
        rows: training rows that shapes are taken of.
        batch_size: rows per forward pass.
        progress: called as it goes on; left out, bars show by themselves.
        read_as: `reduce`, `axis`, `inputs`, `target`, `output`, `groups` and `n_classes`, as `unbend.study` takes them.

    Raises:
        DataError: labels at positions.
        MissingExtraError: `topology` without ripser.

    Cost:
        Two passes over the training rows and one over the held-out rows; O(n² d) a layer for n rows. Pieces and holes
        of up to 300 rows take some 0.2 s for each class and layer, within the budget.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=300, seed=0)
        >>> found = unbend.shape(unbend.zoo.mlp([2, 8, 2], seed=0), (data.x_train, data.y_train))
        >>> found.layers, bool(found.affine_r2[1] > 0.999), bool(found.affine_r2[2] < 0.999)
        (('input', '0', '1', '2'), True, True)
    """
    with setup(
        model, data, held_out=held_out, layers=layers, rows=rows, batch_size=batch_size, needs_classes=False, **read_as
    ) as made:
        taps = [tap for tap in made.work.plan.taps if tap.alias_of is None]
        tables, labels = _tables(made, taps, rows, progress)
        known = affine_fits(made, taps, progress)
    others: dict[str, Tensor] = {}
    if other is not None:
        with setup(
            other, data, held_out=held_out, rows=rows, batch_size=batch_size, needs_classes=False, **read_as
        ) as second:
            found = [tap for tap in second.work.plan.taps if tap.alias_of is None]
            others = {name: h for name, h in _tables(second, found, rows, progress)[0].items() if name != INPUT}
    both = similarity({f"a {name}": table for name, table in tables.items()}
                      | {f"b {name}": table for name, table in others.items()}).cka  # fmt: skip
    tick = ticker(progress, "Shapes", len(tables))
    dimensions = []
    for table in tables.values():
        dimensions.append(_dimension(table))
        tick(1)
    names = made.class_names or (ALL_ROWS,)
    clouds = _topology(tables, labels, names, budget, progress) if topology else None
    l = len(tables)
    return LayerShapes(
        n=len(labels), layers=tuple(tables), dimensions=tuple(dimensions),
        affine_r2=np.array([known.get(name, np.nan) for name in tables]), topology=clouds, cka=both[:l, :l],
        others=tuple(others), cka_between=both[:l, l:],
    )  # fmt: skip


def _tables(made: Setup, taps: Sequence[Tap], n: int, progress: Progress) -> tuple[dict[str, Tensor], Tensor]:
    """The same training rows in every layer, and their classes."""
    rows = made.work.rows
    states = made.states(
        taps, rows.batches("train"), (SampleState,), selection=Selection(1.0, n, rows.n["train"]),
        tick=ticker(progress, "Training rows", rows.n["train"]), with_input=True,
    )  # fmt: skip
    found = {name: wanted_state(own, SampleState).table() for name, own in states.items()}
    of = next(iter(found.values()))[1]
    labels = torch.from_numpy(of.argmax(1)) if made.work.n_classes else torch.zeros(len(of), dtype=torch.int64)
    return {name: torch.nan_to_num(torch.from_numpy(table).float()) for name, (table, _) in found.items()}, labels


def _dimension(table: Tensor) -> Dimension | None:
    try:
        return dimension(table.double().numpy())
    except DataError:
        return None


def _topology(
    tables: dict[str, Tensor], labels: Tensor, names: Sequence[str], budget: float | None, progress: Progress
) -> ClassTopology:
    """Pieces and holes, class after class in all layers, for as long as there is time; the first class always."""
    sizes = torch.bincount(labels, minlength=len(names))
    order = [int(c) for c in sizes.argsort(descending=True, stable=True) if sizes[c] >= _FEWEST]
    tick = ticker(progress, f"Pieces and holes of up to {len(order)} classes", len(order) * len(tables))
    end = math.inf if budget is None else time.process_time() + budget
    found: list[list[tuple[int, int]]] = []
    for c in order:
        if found and time.process_time() > end:
            break
        mine = (labels == c).nonzero().flatten()[:_CLOUD]
        found.append([])
        for table in tables.values():
            found[-1].append(betti(table[mine].double().numpy()))
            tick(1)
    counted = order[: len(found)]
    both = np.array(found, np.int64).reshape(len(found), len(tables), 2)
    return ClassTopology(
        classes=tuple(names[c] for c in counted), n=sizes[counted].clamp_max(_CLOUD).numpy(), pieces=both[..., 0].T,
        holes=both[..., 1].T, left_out=tuple(name for c, name in enumerate(names) if c not in counted),
    )  # fmt: skip
