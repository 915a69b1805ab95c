"""Libraries that are optional: imported by name, or refused with the name of the extra."""

from importlib import import_module
from typing import Any

from unbend.errors import MissingExtraError


def library(name: str, extra: str) -> Any:
    """A library that an extra of unbend brings.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"{name}: is not installed. Run: pip install 'unbend[{extra}]'.") from error
