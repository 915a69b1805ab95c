"""Libraries that are optional, imported by name or refused with the name of the extra, and what comes of them."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from unbend.errors import DataError, MissingExtraError


def library(name: str, extra: str) -> Any:
    """A library that an extra of unbend brings.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"{name}: is not installed. Run: pip install 'unbend[{extra}]'.") from error


def check_takes(given: Any, calls: Sequence[str], *, what: str, make: str) -> None:
    """Refuse what is no object of a tracker.

    Args:
        given: by the caller.
        calls: names of the methods that will be called.
        what: its class, and the sink that takes it.
        make: how it is made.

    Raises:
        DataError: it has no such methods.
    """
    if isinstance(given, type) or not all(hasattr(given, call) for call in calls):
        raise DataError(f"{what}, got {given!r:.80}. Pass {make}.")
