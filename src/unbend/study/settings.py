"""How a study is made: what a caller chose, checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unbend.capture.twin import Untrained
from unbend.errors import DataError
from unbend.load.labels import MOST_VALUES
from unbend.numerics.view import Rule
from unbend.study.items import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a study is made; `unbend.study` says what each setting means and has its default.

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
        trials: where a loss is given, also train copies briefly to see what that would bring.
        ranks: in a process group, whether its ranks share the rows.
    """

    layers: Sequence[str] | None
    reduce: Rule | Mapping[str, Rule] | None
    axis: Mapping[str, int] | None
    measures: Sequence[str] | None
    twin: bool
    untrained: Untrained | None
    loss: Callable[[Tensor, Tensor], Tensor] | str | None
    exact: bool
    rows: int | None
    share: float
    groups: Any
    stratify: bool
    inputs: Choice | Sequence[Choice] | None
    target: Choice | None
    output: Choice | None
    batch_size: int
    n_classes: int | None
    seed: int
    proofs: bool
    budget: float | None
    probes: bool
    ranks: bool
    trials: bool

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
