"""Runs a model once and hands every torch function and every module's end to a record.

The record sees one thread only, the caller's: another thread that uses the same model meanwhile is not heard. What
happens in other threads, in TorchScript and in other libraries is not seen, and told as such.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from torch import nn

from unbend.capture.flow.operations import name_of
from unbend.capture.flow.record import Record
from unbend.capture.hearing import hear_calls


@contextmanager
def watching(model: nn.Module, record: Record) -> Iterator[None]:
    """Hand everything to the record while the block runs; hooks are removed whatever happens.

    Cost:
        Some twenty to fifty microseconds per torch function.
    """

    def end(path: str, called: tuple[Any, Any], output: Any) -> None:
        with _never_raising():
            record.end(path, called, output)

    def run(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not name_of(func):
            return func(*args, **kwargs)
        step = None
        with _never_raising():
            step = record.before(func, args, kwargs)
        result = func(*args, **kwargs)
        if step is not None:
            with _never_raising():
                record.after(step, result)
        return result

    with hear_calls(model, record.begin, end, run):
        yield


@contextmanager
def _never_raising() -> Iterator[None]:
    """Taking notes must not change the run: a tensor of a form nobody foresaw gets no note, and is told as opaque."""
    with suppress(Exception):  # whatever a user's tensor class raises when it is asked for its form
        yield
