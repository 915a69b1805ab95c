"""What a caller of `watch` may choose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
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
        every = self.every
        if every is not None and (not isinstance(every, Integral) or isinstance(every, bool) or every < 1):
            raise DataError(f"every: expected at least 1, a whole number of steps, or None, got {every!r}.")
        if not isinstance(self.labels, str) and not callable(self.labels):
            raise DataError(
                f"labels: expected the name of a keyword of forward, or a function, got {self.labels!r}. Leave it out, "
                "and call `watch.label(y)` or nothing."
            )
        layers = self.layers
        if (
            layers is not None
            and not isinstance(layers, str)
            and (not layers or any(not isinstance(one, str) for one in layers))
        ):
            raise DataError(f"layers: expected names or globs, got {layers!r}. Leave it out for a sensible choice.")
        share_of(self.budget)
