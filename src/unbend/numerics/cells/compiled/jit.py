"""How the functions over flat arrays are compiled: decorators for numba.

In: nothing. Out: `entry`, `part`, `inlined`, `summing`. Must not know geometry.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from numba import njit

_F = TypeVar("_F")


class Compiler(Protocol):
    """A decorator that changes how a function runs, not how it is called."""

    def __call__(self, function: _F, /) -> _F:
        """The same function, compiled."""
        ...


# numba's stubs do not know the two options that save the compiling of unused wrappers, nor `forceinline`; and they
# give a compiled function a type that hides its own.
entry: Compiler = njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[assignment]
"""Called from Python: kept on the disk, runs beside other threads."""
part: Callable[[Any], Callable[..., Any]] = njit(  # type: ignore[call-overload]
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)
"""Called from compiled code only."""
inlined: Callable[[Any], Callable[..., Any]] = njit(  # type: ignore[call-overload]
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True
)
"""A part of a hot loop. It takes plain arrays: passing tuples of arrays costs more than the work, here and in the
compiler."""
summing: Callable[[Any], Callable[..., Any]] = njit(  # type: ignore[call-overload]
    nogil=True,
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    forceinline=True,
    fastmath={"contract"},
)
"""The same, where a product and a sum may become one instruction, rounded once."""
