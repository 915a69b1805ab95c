"""Results that span layers: how one is registered.

In: a function from layers and sums to a Result. Out: its entry. Registering it is all that is needed for it to appear
in a study, a saved file, the page and the terminal, as `numerics.state.measure` does for the Results of one layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from unbend.study.values import Layer, Sums

Finish: TypeAlias = Callable[[Sequence[Layer], Sums], Any]
F = TypeVar("F", bound=Finish)


@dataclass(frozen=True, slots=True)
class Across:
    """A Result that spans layers.

    Attributes:
        name: what the Result is called in a study.
        kind: its class.
        title: what a page calls it.
        finish: makes it of the layers and their sums, or gives None to leave it out; None for a Result that is made of
            all rows, where those are collected.
    """

    name: str
    kind: type[Any]
    title: str
    finish: Finish | None = None


ACROSS: dict[str, Across] = {}
"""Every registered Result that spans layers by name, in the order in which they are made and shown."""


def across(name: str, kind: type[Any], *, title: str = "") -> Callable[[F], F]:
    """Register a function from layers and sums to a Result, or to None where there is nothing to say.

    Args:
        name: what the Result is called in a study.
        kind: its class.
        title: what a page calls it; its name when left out.
    """

    def register(finish: F) -> F:
        ACROSS[name] = Across(name, kind, title or name, finish)
        return finish

    return register
