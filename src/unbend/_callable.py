"""Packages that can be called like the one function they exist for: `unbend.study(...)`, `unbend.report(...)`.

Importing any module of a package binds the package to its parent, over whatever had that name; so the package
itself answers the call, and the public name means the same before and after such an import.
"""

import inspect
import re
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A module that passes a call on to one of its functions, found when it is first needed."""

    _home: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function this package exists for."""
        return self.__wrapped__(*args, **kwargs)

    @property
    def __wrapped__(self) -> Any:
        module, _, name = self._home.partition(":")
        return getattr(import_module(module), name)

    @property
    def __doc__(self) -> str:  # type: ignore[override]  # a module's own is in its dict, which a property goes before
        """What `help` shows: how the function is called, and what it says of itself."""
        function = self.__wrapped__
        plain = [p.replace(annotation=inspect.Parameter.empty) for p in self.__signature__.parameters.values()]
        said = re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", str(inspect.Signature(plain)))
        return f"{function.__name__}{said}\n\n{inspect.getdoc(function)}"

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.__wrapped__)


def callable_package(package: str, home: str) -> None:
    """Make `package` answer calls with the function at `home` ("module:function")."""
    module = sys.modules[package]
    module.__class__ = _Callable
    module._home = home  # type: ignore[attr-defined]  # noqa: SLF001  a module of ours, made callable here
