"""How far a study is: what it calls as it goes on."""

import warnings
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


def remark(progress: Progress, sentence: str) -> None:
    """Say something that stays; where nobody listens to the progress, as a warning of Python's.

    Args:
        progress: told of a phase that ends in a full stop.
        sentence: with its full stop; nothing is said of an empty one.
    """
    if sentence and progress is silent:
        warnings.warn(sentence, stacklevel=2)
    elif sentence:
        progress(sentence, 0, None)


def ticker(progress: Progress, phase: str, total: int | None) -> Callable[[int], None]:
    """Calls `progress` with the rows done so far, each time it is called with how many more are."""
    done = 0
    progress(phase, 0, total)

    def tick(n: int) -> None:
        nonlocal done
        done += n
        progress(phase, done, total)

    return tick
