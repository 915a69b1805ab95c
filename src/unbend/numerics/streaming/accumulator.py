"""What sums up batch after batch, and its default form.

In: `Batch` after `Batch`. Out: States. Must not know layers, nor which accumulators there are.
"""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar, final

from unbend.numerics.batch import Batch
from unbend.numerics.state import State

S = TypeVar("S", bound=State)


class Accumulator(Protocol):
    """Sums of the batches of one layer."""

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        ...

    def states(self) -> Iterable[State]:
        """The States of everything added; where two are of one class, their `+` is the sum."""
        ...


@final
class StateSum:
    """The default form: a State made of each batch, and added.

    Args:
        kind: its class.
    """

    __slots__ = ("_total", "kind")

    def __init__(self, kind: type[State]) -> None:
        self.kind: type[State] = kind
        self._total: Any = None

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        state = self.kind.of(batch)
        self._total = state if self._total is None else self._total + state

    def states(self) -> tuple[State, ...]:
        """The State of everything added; none where nothing was."""
        return () if self._total is None else (self._total,)


def add_states(states: Iterable[State]) -> dict[str, Any]:
    """The sum of the States of each class, by class name."""
    total: dict[str, Any] = {}
    for state in states:
        name = type(state).__name__
        total[name] = total[name] + state if name in total else state
    return total
