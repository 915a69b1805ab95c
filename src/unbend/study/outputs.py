"""Which part of a model's output is studied, where the user says so."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from unbend.errors import DataError
from unbend.study.items import Choice


@contextmanager
def part_of_output(model: nn.Module, output: Choice | None) -> Iterator[None]:
    """Let a model return one part of its output inside the block; layers keep their names.

    Args:
        model: any module.
        output: a name, a position or a function of the output; None for all of it.
    """
    if output is None:
        yield
        return
    handle = model.register_forward_hook(lambda _module, _args, out: part_of(out, output))
    try:
        yield
    finally:
        handle.remove()


def part_of(out: Any, choice: Choice) -> Any:
    """One part of an output.

    Raises:
        DataError: there is none.
    """
    if callable(choice):
        return choice(out)
    if isinstance(choice, str) and choice.lstrip("-").isdigit() and not isinstance(out, Mapping):
        choice = int(choice)
    try:
        return getattr(out, choice) if isinstance(choice, str) and hasattr(out, choice) else out[choice]
    except (KeyError, IndexError, TypeError) as error:
        has = f"It has: {', '.join(map(str, out))}." if isinstance(out, Mapping) else f"It is a {type(out).__name__}."
        raise DataError(f"output: the model's output has no part {choice!r}. {has}") from error
