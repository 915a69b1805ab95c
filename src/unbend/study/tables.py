"""All rows of every layer, for the questions that no sum answers.

In: a model, where to look, a data set. Out: table after table, and what is made of them. Rows are collected by the same
fold as everything else, a few layers at a time so that they fit in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

from unbend._names import INPUT
from unbend._typing import Array
from unbend.capture import Plan, quiet
from unbend.numerics.sample import SampleState
from unbend.numerics.table import TableState
from unbend.study.fold import fold
from unbend.study.positions import PER_ITEM, Positions
from unbend.study.source import Source
from unbend.study.values import state_of, wanted_state

MEMORY = 1 << 30
"""Bytes of rows collected at a time."""
Table: TypeAlias = tuple[str, Array, Tensor, Tensor]
"""A layer's name, row numbers, rows and labels of all training rows."""


@runtime_checkable
class Maker(Protocol):
    """Makes a Result of one table after the other."""

    def after(self, table: Table) -> "Maker":
        """The same with one more layer taken in."""
        ...

    def result(self) -> Any:
        """The Result of the layers taken in so far."""
        ...


def collect(
    tables: Iterable[Table], makers: Mapping[str, Maker], *, tick: Callable[[str], None] = lambda _name: None
) -> dict[str, Any]:
    """What each maker makes of the tables, which are gone through once for all of them.

    Args:
        tables: layer after layer, such as `Tables`.
        makers: by the name of their Result.
        tick: called with that name after each layer.
    """
    taken = dict(makers)
    for table in tables:
        for name in makers:
            taken[name] = taken[name].after(table)
            tick(name)
    return {name: maker.result() for name, maker in taken.items()}


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
        positions: how rows are drawn of labels per position; None for one label per row.
    """

    model: nn.Module
    plan: Plan
    source: Source
    fit: Callable[[Any], Any]
    n_classes: int
    widths: Mapping[str, int]
    positions: Positions | None = None

    def __iter__(self) -> Iterator[Table]:
        """Layer after layer: its name, row numbers, rows and labels of all training rows."""
        for names in self._groups():
            places = replace(self.plan, taps=tuple(tap for tap in self.plan.taps if tap.name in names))
            with quiet(self.model):
                sums = fold(
                    self.model, places, self.source.batches("train"), (TableState,), n_classes=self.n_classes,
                    fit=self.fit, with_input=INPUT in names, positions=self.positions,
                )  # fmt: skip
            for name in names:
                yield (name, *wanted_state(sums.pop(name), TableState).by_id())

    def _groups(self) -> Iterator[list[str]]:
        n = (self.source.n["train"] or 1) * (1 if self.positions is None else PER_ITEM)
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


def sample_tables(sums: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Tensor, Tensor]]:
    """The row samples of layers as rows and class indices."""
    samples = {name: state_of(states, SampleState) for name, states in sums.items()}
    tables = {
        name: tuple(map(torch.from_numpy, sample.table())) for name, sample in samples.items() if sample is not None
    }
    return {name: (rows, targets.argmax(1)) for name, (rows, targets) in tables.items() if len(rows)}


def widths_of(frames: Sequence[Any]) -> dict[str, int]:
    """Columns of each layer's rows."""
    return {frame.name: frame.view.sketch or frame.view.columns(frame.shape) for frame in frames}
