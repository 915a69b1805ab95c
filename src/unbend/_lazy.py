"""Packages that load a name's module when the name is first asked for.

In: the names of a package and the modules in it that hold them. Out: the `__getattr__` of the package, whose `dir` then
lists them. A package whose values are read from files says in this way which of its modules compute, so that reading
imports none of these.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_demand(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """What finds a name of a package in the module that holds it, now and from then on.

    Args:
        package: its dotted name; assign what comes back as its `__getattr__`.
        homes: module of the package → names that others may take from it.
    """

    def find(name: str) -> Any:
        for home, names in homes.items():
            if name in names:
                found = getattr(import_module(f"{package}.{home}"), name)
                setattr(sys.modules[package], name, found)
                return found
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    own = vars(sys.modules[package])
    own["__dir__"] = lambda: sorted({*own, *(name for names in homes.values() for name in names)})
    return find
