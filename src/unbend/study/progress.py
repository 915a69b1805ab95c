"""How far a study is: what it calls as it goes on."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Told how far a study is."""

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """`done` of `total` rows (layers, for the last phase) of a phase; total is None when it is not known."""
        ...


def silent(phase: str, done: int, total: int | None) -> None:
    """Say nothing."""


def ticker(progress: Progress, phase: str, total: int | None) -> Callable[[int], None]:
    """Calls `progress` with the rows done so far, each time it is called with how many more are."""
    done = 0
    progress(phase, 0, total)

    def tick(n: int) -> None:
        nonlocal done
        done += n
        progress(phase, done, total)

    return tick
