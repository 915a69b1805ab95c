"""How far a study is: what it calls as it goes on."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from unbend._notebook import is_notebook

F = TypeVar("F", bound=Callable[..., Any])


@runtime_checkable
class Progress(Protocol):
    """Told how far a study is."""

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """`done` of `total` rows (layers, for the last phase) of a phase; total is None when it is not known."""
        ...


def silent(phase: str, done: int, total: int | None) -> None:
    """Say nothing."""


@contextmanager
def shown(progress: Progress | None) -> Iterator[Progress]:
    """What a caller gave; else bars, where somebody looks: in a notebook and a terminal, not in a pipe.

    Args:
        progress: of the caller; None for bars.
    """
    if progress is not None:
        yield progress
    elif is_notebook() or sys.stderr.isatty():
        with import_module("unbend.report.bars").bars() as told:  # drawn above this row, by name
            yield told
    else:
        yield silent


def with_bars(function: F) -> F:
    """A function whose `progress` shows by itself, as `shown` does, where a caller leaves it out."""

    @wraps(function)
    def call(*args: Any, progress: Progress | None = None, **more: Any) -> Any:
        with shown(progress) as told:
            return function(*args, progress=told, **more)

    return cast("F", call)


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
