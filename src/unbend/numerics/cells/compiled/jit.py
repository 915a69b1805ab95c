"""How the functions over flat arrays are compiled: decorators for numba.

In: nothing. Out: `entry`, `part`, `inlined`, `summing`. Must not know geometry.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from unbend.numerics.compiled import jit

_F = TypeVar("_F")


class Compiler(Protocol):
    """A decorator that changes how a function runs, not how it is called."""

    def __call__(self, function: _F, /) -> _F:
        """The same function, compiled."""
        ...


entry: Compiler = jit.entry(set())
"""Called from Python: kept on the disk, runs beside other threads."""
part: Callable[[Any], Callable[..., Any]] = jit.part(set())
"""Called from compiled code only."""
inlined: Callable[[Any], Callable[..., Any]] = jit.part(set(), is_inlined=True)
"""A part of a hot loop. It takes plain arrays: passing tuples of arrays costs more than the work, here and in the
compiler."""
summing: Callable[[Any], Callable[..., Any]] = jit.part({"contract"}, is_inlined=True)
"""The same, where a product and a sum may become one instruction, rounded once."""
