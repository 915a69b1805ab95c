"""How functions over flat arrays are compiled: by one process of a machine, once, and said before.

In: functions. Out: the same, compiled when they are first called and kept on the disk. Must not know what they compute.

A function that another compiled one calls is a `part`: it is compiled into its callers, and has no door of its own to
Python, nor a file, which would cost as much again as its code. An `entry` has both. numba optimises every function and
turns it into machine code before it links it into a caller, where both are done once more: `linked` leaves that to the
entry. Where a later numba does not let it, parts are compiled as any function is, to the same end.

A counter that begins as a literal 0 makes numba compile whatever it is handed to twice, for the literal and for any
number: it begins as `np.int64(0)`.
"""

import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any, TypeVar

import numba as nb
from numba.core.caching import FunctionCache

if sys.platform != "win32":  # there two processes that begin at once compile both
    import fcntl

F = TypeVar("F")
PATIENCE = 300.0
"""Seconds after which a process no longer waits for another one, and compiles as well."""
_PAUSE = 0.1

_log = logging.getLogger("unbend")

try:
    from unbend.numerics.compiled.linked import Inlined, Linked, put_environments

    _LINKED: tuple[dict[str, Any], ...] = ({"pipeline_class": Linked}, {"pipeline_class": Inlined})
except (ImportError, AttributeError) as error:
    _log.warning("unbend compiles slower than it could, with the same results: numba %s is new to it (%s).",
                 nb.__version__, error)  # fmt: skip
    _LINKED = ({}, {})

    def put_environments(dispatcher: Any) -> None:
        """Do nothing: numba has put them itself."""


def entry(flags: set[str]) -> Callable[[F], F]:
    """Compile a function for callers in Python; it runs without the interpreter's lock.

    Args:
        flags: what the compiler may assume of floating-point numbers, as LLVM names it.
    """

    def compile_function(function: Any) -> Any:
        return keep(nb.njit(nogil=True, fastmath=flags, error_model="numpy", no_cfunc_wrapper=True)(function))  # type: ignore[call-overload]  # see `part`

    return compile_function


def part(flags: set[str], *, is_inlined: bool = False) -> Callable[[Any], Callable[..., Any]]:
    """Compile a function for callers in compiled code only.

    Args:
        flags: as for `entry`.
        is_inlined: whether LLVM has to inline it, as a part of a hot loop.
    """
    return nb.njit(  # type: ignore[call-overload]  # numba's stubs do not know the options that save the wrappers
        nogil=True, fastmath=flags, error_model="numpy", no_cfunc_wrapper=True, **_LINKED[is_inlined]
    )  # fmt: skip


def within(dispatcher: Any) -> Callable[..., Any]:
    """An entry as other compiled code calls it: its door to Python is not compiled with that."""
    return part(dispatcher.targetoptions["fastmath"])(dispatcher.py_func)


def keep(dispatcher: Any) -> Any:
    """A compiled function that is kept on the disk, and compiled by one process at a time."""
    compile_now = dispatcher.compile

    def in_turn(signature: Any) -> Any:
        with _TURN.of_function():
            made = compile_now(signature)
            put_environments(dispatcher)
            return made

    dispatcher._cache = _Cache(dispatcher.py_func)  # as `cache=True` does, with a cache of ours
    dispatcher.compile = in_turn
    return dispatcher


class _Cache(FunctionCache):
    """numba's files, looked into again once nobody else compiles."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is on the disk; if it is not there, this process compiles next."""
        found = super().load_overload(sig, target_context)
        if found is None and _TURN.take():
            found = super().load_overload(sig, target_context)
        return found


class _Turn:
    """Whose turn it is to compile: that of the process that holds a lock, which ends with the process at the latest.

    numba compiles one function at a time in a process, and those that it calls inside of that.
    """

    def __init__(self) -> None:
        self._file: Any = None
        self._depth = 0
        self._is_told = False
        self._was_collecting = False

    @contextmanager
    def of_function(self) -> Iterator[None]:
        """While one function is found or compiled; the turn ends with the outermost one."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._end()

    def _end(self) -> None:
        if self._was_collecting:
            self._was_collecting = False
            gc.enable()
        if self._file is not None:
            self._file.close()
            self._file = None

    def take(self) -> bool:
        """Wait for the turn, and say once what is waited for; whether somebody else may have compiled meanwhile."""
        if not self._is_told:
            self._is_told = True
            _log.warning("unbend compiles what this asks for, once on this machine: some ten seconds.")
        # Compiling makes objects by the million, and every so often the collector would look through all of torch's.
        self._was_collecting = self._was_collecting or gc.isenabled()
        gc.disable()
        if sys.platform == "win32" or self._file is not None:
            return False
        try:
            self._file = (Path(gettempdir()) / f"unbend-compiles-{os.getuid()}.lock").open("w")
        except OSError:  # no place for a lock
            return False
        end = time.monotonic() + PATIENCE
        while not self._is_free() and time.monotonic() < end:
            time.sleep(_PAUSE)
        return True

    def _is_free(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_TURN = _Turn()
