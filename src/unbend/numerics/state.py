"""What a streaming summary is: a commutative monoid made from batches.

    State.empty(width, n_targets)      the identity
    State.of(batch)                    the summary of one batch
    a + b                              the summary of both; a and b stay as they are

Streaming over batches, merging the ranks of a distributed run, resuming and merging files are all the same
`+`. A state is a frozen dataclass of arrays, tensors and numbers whose size does not depend on how many
samples it has seen. A *measure* is a function from states to a Result; registering it is all that is needed
for it to appear in a study, a saved file, the page and the terminal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import unbend.numerics.batch


F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound="State")


@runtime_checkable
class State(Protocol):
    """A streaming summary of one layer."""

    # Methods of states name their class: beartype, which checks shapes in tests, knows no Self in methods.

    @classmethod
    def of(cls: type[S], batch: "unbend.numerics.batch.Batch") -> S:
        """The summary of one batch."""
        ...

    @classmethod
    def empty(cls: type[S], width: int, n_targets: int) -> S:
        """The summary of nothing.

        Args:
            width: of what is summed: units for a State of `batch.sweep`, columns for one of `batch.rows`.
            n_targets: classes, or targets.
        """
        ...

    def __add__(self: S, other: S) -> S: ...


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Marks a needed state as that of the held-out rows; without the mark it is that of the training rows.

    Attributes:
        state: the State class.
    """

    state: type[Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """A function from states to a Result.

    Attributes:
        name: what the result is called in a study.
        needs: the states it is made from, in the order of the function's arguments.
        finish: the function.
    """

    name: str
    needs: tuple[type[Any] | HeldOut, ...]
    finish: Callable[..., Any]


MEASURES: dict[str, Measure] = {}
"""Every registered measure by name, in the order in which results are shown."""


def measure(*needs: type[Any] | HeldOut) -> Callable[[F], F]:
    """Register a function from states to a Result under its own name.

    Args:
        needs: the State classes whose sums the function takes, in order; `HeldOut(State)` for the held-out rows.
    """

    def register(finish: F) -> F:
        MEASURES[finish.__name__] = Measure(finish.__name__, needs, finish)
        return finish

    return register
