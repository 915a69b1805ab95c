"""How a study is made: what a caller chose, checked; and the part of it that tells how data are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from torch import Tensor

from unbend.capture.twin import Untrained
from unbend.errors import DataError
from unbend.load.labels import MOST_VALUES
from unbend.numerics.view import Rule
from unbend.study.items import Choice
from unbend.study.source import HELD_OUT

BUDGET = 20.0
"""Seconds a layer's proof may take: verdict, permuted labels and lower bound together."""


class ReadAs(TypedDict, total=False):
    """How items and layers are read: the settings of `unbend.study` that whatever works on a model and data takes.

    Attributes:
        reduce: how positions are reduced, for all layers or by glob.
        axis: which axis of a layer's output holds its units, by name or glob.
        groups: the group of each row, or the part of an item that names it: whole groups are held out.
        inputs: which parts of an item go into the model: names, positions or functions of the batch.
        target: which part is the label.
        output: which part of the model's output is studied.
        n_classes: number of classes.
    """

    reduce: Rule | Mapping[str, Rule] | None
    axis: Mapping[str, int] | None
    groups: Any
    inputs: Choice | Sequence[Choice] | None
    target: Choice | None
    output: Choice | None
    n_classes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a study is made; `unbend.study` says what each setting means.

    Attributes:
        layers: paths or globs; None for a sensible choice.
        reduce: how positions are reduced, for all layers or by glob; None for the default of each kind.
        axis: which axis of a layer's output holds its units, by name or glob; None for what the model shows.
        measures: names of registered measures; None for all.
        twin: whether the untrained twin is studied as the baseline.
        untrained: the untrained twin, or a function that builds it; None to draw the model's weights again.
        loss: a loss (output, y) for the gradients per layer, or the name of one; None for none.
        exact: take every row into the second moments, however many there are.
        rows: rows kept in the row sample; None for its own size.
        share: share of rows held out when the data set has no test part.
        groups: what keeps rows together on one side of that split; None for nothing.
        stratify: whether the same share of each class is held out.
        inputs: the parts of an item that go into the model; None to find out.
        target: the part that is the label; None to find out.
        output: the part of the model's output that is studied; None to find out.
        batch_size: rows per forward pass.
        n_classes: number of classes; None to find out.
        seed: of the untrained twin.
        proofs: also decide for every layer whether the classes are linearly separable.
        budget: seconds each layer's proof may take; None for no limit.
        probes: also fit a logistic probe of every layer.
        ranks: in a process group, whether its ranks share the rows.
        trials: where a loss is given, also train copies briefly to see what that would bring.
    """

    layers: Sequence[str] | None = None
    reduce: Rule | Mapping[str, Rule] | None = None
    axis: Mapping[str, int] | None = None
    measures: Sequence[str] | None = None
    twin: bool = True
    untrained: Untrained | None = None
    loss: Callable[[Tensor, Tensor], Tensor] | str | None = None
    exact: bool = False
    rows: int | None = None
    share: float = HELD_OUT
    groups: Any = None
    stratify: bool = False
    inputs: Choice | Sequence[Choice] | None = None
    target: Choice | None = None
    output: Choice | None = None
    batch_size: int = 512
    n_classes: int | None = None
    seed: int = 0
    proofs: bool = False
    budget: float | None = BUDGET
    probes: bool = False
    ranks: bool = True
    trials: bool = True

    def check(self) -> None:
        """Refuse what no study can be made with.

        Raises:
            DataError: a number out of its range.
        """
        for name, is_right, wanted in (
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("rows", self.rows is None or self.rows >= 2, "at least 2, or None"),
            ("share", 0 <= self.share < 1, "a share from 0 up to, but not including, 1"),
            (
                "n_classes",
                self.n_classes is None or 0 <= self.n_classes <= MOST_VALUES,
                f"None, 0 for a regression, or 2 to {MOST_VALUES:,}",
            ),
        ):
            if not is_right:
                raise DataError(f"{name}: expected {wanted}, got {getattr(self, name)}.")
        if self.groups is not None and self.stratify:
            raise DataError("stratify: groups are held out whole, so classes cannot be held out alike. Pass one only.")

    def words(self) -> dict[str, str]:
        """What tells which rows a study saw, in the words a study keeps."""
        told = (
            axis_words(self.axis)
            | {"batch_size": str(self.batch_size), "share": str(self.share)}
            | ({"stratify": "yes"} if self.stratify else {})
        )
        for name in ("inputs", "target", "output", "groups"):
            chosen = getattr(self, name)
            parts = chosen if isinstance(chosen, (list, tuple)) and name == "inputs" else [chosen]
            if all(isinstance(part, str | int) for part in parts):
                told[name] = ",".join(map(str, parts))
        return told


def axis_words(axis: Mapping[str, int] | None) -> dict[str, str]:
    """The axes of units as words of a recipe; none for none."""
    return {"axis": " ".join(f"{glob}={number}" for glob, number in axis.items())} if axis else {}


def axis_of(words: Mapping[str, str]) -> dict[str, int] | None:
    """The axes of units that a recipe names."""
    pairs = (word.rpartition("=") for word in words.get("axis", "").split())
    return {glob: int(number) for glob, _, number in pairs} or None
