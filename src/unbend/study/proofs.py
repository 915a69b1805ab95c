"""Is each layer linearly separable? Decided over every training row, with a proof that can be checked again.

In: all rows of layer after layer. Out: a `Ladder`, one step per layer. Rows are dropped when their layer is decided.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbend._names import INPUT
from unbend._typing import Array
from unbend.capture import bare, plan
from unbend.errors import DataError
from unbend.numerics.separable import LadderStep, ladder_step
from unbend.study.fit import fit_inputs
from unbend.study.items import Items, arguments, choices
from unbend.study.labels import labels
from unbend.study.ladder import Ladder
from unbend.study.position_labels import OutputForm
from unbend.study.settings import BUDGET, axis_of
from unbend.study.source import HELD_OUT, Holding, Source, source
from unbend.study.tables import Table, Tables, widths_of
from unbend.study.values import Study


@dataclass(frozen=True, slots=True, eq=False)
class Proving:
    """A ladder in the making: decides one layer after the other.

    Attributes:
        held_out: layer → rows and labels the same read-out is scored on.
        head: the layer that feeds the network's head, the head's weight and its bias: where the network is right on
            every training row, its own head is the proof.
        budget: seconds per layer; None for no limit.
        layers: names decided so far.
        steps: what was decided.
        ids: row numbers of the rows, the same for every layer.
        y: their labels.
        pixels: their input, once it was seen.
    """

    held_out: Mapping[str, tuple[Tensor, Tensor]]
    head: tuple[str, Array, Array] | None = None
    budget: float | None = BUDGET
    layers: tuple[str, ...] = ()
    steps: tuple[LadderStep, ...] = ()
    ids: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    y: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    pixels: Tensor | None = None

    def after(self, table: Table) -> "Proving":
        """With one more layer decided.

        Raises:
            DataError: a regression has no classes to separate.

        Cost:
            At most `budget` seconds.
        """
        name, ids, rows, y = table
        if y.is_floating_point():
            raise DataError("proofs: the targets are numbers, and only classes can be separated. Leave proofs out.")
        own = (self.head[1], self.head[2]) if self.head is not None and self.head[0] == name else None
        step = ladder_step(rows, y, held_out=self.held_out.get(name), head=own, budget=self.budget)
        return replace(self, layers=(*self.layers, name), steps=(*self.steps, step), ids=ids, y=y,
                       pixels=rows if name == INPUT else self.pixels)  # fmt: skip

    def result(self) -> Ladder:
        """The ladder of the layers decided so far."""
        shown = np.unique(np.concatenate([np.zeros(0, np.int64), *(step.witnesses for step in self.steps)]))
        inputs = None if self.pixels is None else self.pixels[shown].numpy()
        return Ladder(
            layers=self.layers, steps=self.steps, ids=self.ids, shown=shown, inputs=inputs, labels=self.y.numpy()[shown]
        )


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
    ladder = study.result(Ladder)
    if ladder is None:
        raise DataError("verify: this study has no proofs. Make it with proofs=True (--proofs).")
    model = bare(model)
    recipe = study.about.recipe
    rows = _rows_again(model, data, recipe)
    first = next(rows.batches("train", most=32))
    found = labels(rows, first, OutputForm(), n_classes=len(study.about.class_names), wish=None)
    fit, _ = fit_inputs(model, first.inputs)
    look, n = fit(first.inputs), len(first.ids)
    frames = [layer for layer in study.layers if layer.name in ladder.layers]
    names = [frame.name for frame in frames if frame.name != INPUT]
    reduce = {frame.name: frame.view.rule for frame in frames if frame.view.rule != "none" and frame.name != INPUT}
    places = plan(model, look, n, layers=names, reduce=reduce, axis=axis_of(recipe))
    tables = Tables(model, places, rows.encode(found.code), fit, len(study.about.class_names), widths_of(frames))
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


def _rows_again(model: nn.Module, data: Any, recipe: Mapping[str, str]) -> Source:
    """The rows of a study, from the words it kept."""
    inputs, target, groups = (choices(recipe[key].split(",")) if key in recipe else None
                              for key in ("inputs", "target", "groups"))  # fmt: skip
    group = None if groups is None else groups[0]
    items = Items(arguments(model), inputs=inputs, target=None if target is None else target[0], beside=group)
    holding = Holding(float(recipe.get("share", HELD_OUT)), group, "stratify" in recipe)
    return source(data, batch_size=int(recipe.get("batch_size", 512)), holding=holding, items=items)
