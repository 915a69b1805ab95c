"""A saved value whose class this process does not know."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """A Result or State of a measure that is not registered here, as plain fields.

    It can be shown, and it is saved back as it was read. Importing the module that registers the measure
    before opening the file gives the value its class again.

    Attributes:
        name: what the file calls its class.
        fields: its fields by name.
    """

    name: str
    fields: dict[str, Any]
