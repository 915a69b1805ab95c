"""Every test session: one process at a time compiles kernels, and gc passes over what collection made."""

import fcntl
import gc
import os
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher

_LOCK = Path(tempfile.gettempdir()) / f"unbend-kernels-{os.getuid()}.lock"
_one_thread = threading.RLock()
_depth = 0


@contextmanager
def _alone():
    """No other process compiles meanwhile. A kernel that compiles the kernels it calls holds the lock already."""
    global _depth  # noqa: PLW0603 - numba gives no object of ours to keep it in
    with _one_thread, _LOCK.open("w") as file:
        if _depth == 0:
            fcntl.flock(file, fcntl.LOCK_EX)
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


def _in_turn(compile_):
    """Workers wait for one another and find on disk what the first has compiled, rather than compile it too."""

    def compiled(self, *args, **settings):
        with _alone():
            return compile_(self, *args, **settings)

    return compiled


def pytest_configure():
    for kind in (Dispatcher, CFunc):
        kind.compile = _in_turn(kind.compile)


def pytest_collection():
    """Collection makes millions of objects and drops none of them: a search for garbage finds nothing."""
    gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()
