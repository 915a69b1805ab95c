"""Is each layer linearly separable? Decided over every training row, with a proof that can be checked again.

In: a model, where to look, a data set. Out: a `Ladder`, one step per layer. Rows are collected by the same fold as
everything else, a few layers at a time so that they fit in memory, and dropped when their layer is decided.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from unbend._typing import Array, Int64
from unbend.capture import Plan, bare, plan, quiet
from unbend.errors import DataError
from unbend.numerics.separable import LadderStep, ladder_step
from unbend.numerics.table import TableState
from unbend.study.fit import fitting
from unbend.study.fold import INPUT, fold
from unbend.study.source import HELD_OUT, Source, source
from unbend.study.values import Study

MEMORY = 1 << 30
"""Bytes of rows collected at a time."""
BUDGET = 20.0
"""Seconds a layer may take: verdict, permuted labels and lower bound together."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Linear separability layer by layer, over all training rows.

    Attributes:
        layers: names, the input first.
        steps: verdict, proof and honest frame of each.
        ids: row numbers of the rows the proofs are about, rising; rows inside a proof count along these [n].
        shown: positions among `ids` of the rows that witness a verdict [w].
        inputs: those rows of the input, to look at [w, *shape]; None where the input is not numeric.
        labels: their classes [w].
    """

    layers: tuple[str, ...]
    steps: tuple[LadderStep, ...]
    ids: Int64[Array, "n"]
    shown: Int64[Array, "w"]
    inputs: Array | None
    labels: Int64[Array, "w"]

    def verify(self, tables: Mapping[str, tuple[Any, Any]]) -> dict[str, bool]:
        """Whether every verdict holds for these rows.

        Args:
            tables: layer → (rows [n, d], labels [n]), row numbers rising as in `ids`.
        """
        return {
            name: step.verify(*tables[name])
            for name, step in zip(self.layers, self.steps, strict=True)
            if name in tables
        }


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """How to collect the rows of layers.

    Attributes:
        model: the bare module.
        plan: where to look.
        source: the data.
        fit: applied to the inputs of each batch.
        n_classes: number of classes.
        widths: columns of each layer's rows, the input first where it is numeric.
    """

    model: nn.Module
    plan: Plan
    source: Source
    fit: Callable[[Any], Any]
    n_classes: int
    widths: Mapping[str, int]

    def __iter__(self) -> Iterator[tuple[str, Array, Tensor, Tensor]]:
        """Layer after layer: its name, row numbers, rows and labels of all training rows."""
        for names in self._groups():
            places = replace(self.plan, taps=tuple(tap for tap in self.plan.taps if tap.name in names))
            with quiet(self.model):
                sums = fold(
                    self.model, places, self.source.batches("train"), (TableState,), n_classes=self.n_classes,
                    fit=self.fit, with_input=INPUT in names,
                )  # fmt: skip
            for name in names:
                yield (name, *sums.pop(name)["TableState"].by_id())

    def _groups(self) -> Iterator[list[str]]:
        n = self.source.n["train"] or 1
        group: list[str] = []
        size = 0
        for name, width in self.widths.items():
            if group and size + 4 * n * width > MEMORY:
                yield group
                group, size = [], 0
            group.append(name)
            size += 4 * n * width
        if group:
            yield group


def prove(
    tables: Tables,
    *,
    held_out: Mapping[str, tuple[Tensor, Tensor]],
    head: tuple[str, Array, Array] | None = None,
    budget: float | None = BUDGET,
    tick: Callable[[int], None] = lambda _n: None,
) -> Ladder:
    """Decide every layer.

    Args:
        tables: the rows.
        held_out: layer → rows and labels the same read-out is scored on.
        head: the layer that feeds the network's head, the head's weight and its bias: where the network is right on
            every training row, its own head is the proof.
        budget: seconds per layer; None for no limit.
        tick: called after each layer.

    Raises:
        DataError: a regression has no classes to separate.

    Cost:
        One forward pass per GiB of rows, and at most `budget` seconds a layer.
    """
    if not tables.n_classes:
        raise DataError("proofs: the targets are numbers, and only classes can be separated. Leave proofs out.")
    names: list[str] = []
    steps: list[LadderStep] = []
    ids, pixels, y = np.zeros(0, np.int64), None, None
    for name, ids, rows, y in tables:  # noqa: B007  every layer has the same rows
        if name == INPUT:
            pixels = rows
        own = (head[1], head[2]) if head is not None and head[0] == name else None
        steps.append(ladder_step(rows, y, held_out=held_out.get(name), head=own, budget=budget))
        names.append(name)
        tick(1)
    shown = np.unique(np.concatenate([step.witnesses for step in steps])) if steps else np.zeros(0, np.int64)
    return Ladder(
        tuple(names), tuple(steps), ids, shown,
        None if pixels is None else pixels[shown].numpy(), np.zeros(0, np.int64) if y is None else y.numpy()[shown],
    )  # fmt: skip


def verify(
    study: Study, model: nn.Module, data: Any, *, tick: Callable[[int], None] = lambda _n: None
) -> dict[str, bool]:
    """Whether every verdict of a study's ladder holds for the rows that model and data give now.

    The rows of every layer are made again and each proof is checked over all of them, without any search and without
    trusting the solver that found it. Rows that were made on another machine may differ in their last bits; verdicts
    that survive such a change still hold.

    Args:
        study: one with proofs.
        model: the network it was made of.
        data: the data it was made of.
        tick: called after each layer.

    Raises:
        DataError: the study has no proofs, or they are about other rows.

    Cost:
        One forward pass per GiB of rows, and one read of the rows per proof.
    """
    ladder = study.across.get("ladder")
    if not isinstance(ladder, Ladder):
        raise DataError("verify: this study has no proofs. Make it with proofs=True (--proofs).")
    model = bare(model)
    recipe = study.about.recipe
    rows = source(data, batch_size=int(recipe.get("batch_size", 512)), share=float(recipe.get("share", HELD_OUT)))
    first = next(rows.batches("train", most=32))
    fit, _ = fitting(model, first.inputs)
    look, n = fit(first.inputs), len(first.ids)
    frames = [layer for layer in study.layers if layer.name in ladder.layers]
    names = [frame.name for frame in frames if frame.name != INPUT]
    reduce = {frame.name: frame.view.rule for frame in frames if frame.view.rule != "none" and frame.name != INPUT}
    places = plan(model, look, n, layers=names, reduce=reduce)
    tables = Tables(model, places, rows, fit, len(study.about.class_names), widths_of(frames))
    steps = dict(zip(ladder.layers, ladder.steps, strict=True))
    holds: dict[str, bool] = {}
    for name, ids, x, y in tables:
        if not np.array_equal(ids, ladder.ids):
            raise DataError(
                f"verify: the proofs are about {len(ladder.ids):,} rows, and these are {len(ids):,} others."
            )
        holds[name] = steps[name].verify(x, y)
        tick(1)
    return holds


def sample_tables(sums: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Tensor, Tensor]]:
    """The row samples of layers as rows and class indices."""
    tables = {name: states["SampleState"].table() for name, states in sums.items() if "SampleState" in states}
    return {name: (rows, targets.argmax(1)) for name, (rows, targets) in tables.items() if len(rows)}


def widths_of(frames: Sequence[Any]) -> dict[str, int]:
    """Columns of each layer's rows."""
    return {frame.name: frame.view.fold or frame.view.columns(frame.shape) for frame in frames}
