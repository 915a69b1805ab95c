"""What a caller of `watch` may choose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from unbend.errors import DataError
from unbend.study.watch.schedule import share_of

LabelFunction: TypeAlias = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]
"""Takes the arguments of the model's forward, by position and by keyword, and gives the labels."""


@dataclass(frozen=True, slots=True, eq=False)
class WatchSettings:
    """How a run is watched.

    Attributes:
        every: steps between snapshots; None for as often as the budget allows.
        budget: share of the run's time that watching may cost; None for no limit.
        layers: paths or globs; None for a sensible choice.
        labels: the keyword of forward that holds the labels, or a function of forward's arguments.
        example: inputs by which layers are chosen at once, before the first forward pass; None to take the first.
        check: whether every step looks for values that are not finite, so that the first step is known.
        stop: whether such a value ends the run with an error.
        name: what the model is called.
        ranks: in a process group, whether its ranks are added up; each of them must then be watched.
    """

    every: int | None = None
    budget: float | str | None = "2%"
    layers: Sequence[str] | None = None
    labels: str | LabelFunction = "labels"
    example: Any = None
    check: bool = True
    stop: bool = False
    name: str = ""
    ranks: bool = True

    def check_values(self) -> None:
        """Refuse what no run can be watched with.

        Raises:
            DataError: a number out of its range.
        """
        if self.every is not None and self.every < 1:
            raise DataError(f"every: expected at least 1, or None, got {self.every}.")
        share_of(self.budget)
