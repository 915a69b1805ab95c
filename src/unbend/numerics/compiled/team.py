"""The threads that torch's operations run on, for compiled code.

In: nothing. Out: addresses. torch's OpenMP runtime keeps its threads awake for a while after an operation, so that a
team of its own finds them ready: ten microseconds from call to return. Threads of any other pool would have to share
the cores with them.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import numpy as np
import torch

from unbend._typing import Array, Int64
from unbend.numerics import compiled

_WANTED = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


def team(*, maps: bool = False) -> Int64[Array, "7"]:
    """As many threads as torch uses now, and the addresses that `kernels` needs to call them.

    One thread, where torch's OpenMP runtime cannot be found (other builds, other systems).

    Args:
        maps: whether they are to sweep maps, whose code is compiled only then.
    """
    return _team(torch.get_num_threads(), maps)


@cache
def _team(n: int, maps: bool) -> Int64[Array, "7"]:  # noqa: FBT001  a key of the cache
    found = None if n == 1 else _runtime()
    parts = compiled.parts(maps=maps)
    return np.array([1, 0, 0, 0, *parts] if found is None else [n, *found, *parts])


@cache
def _runtime() -> tuple[int, ...] | None:
    """Addresses in the OpenMP runtime that torch brought and has loaded; None if there is none."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("lib*omp*")):
        try:
            library = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            return tuple(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in _WANTED)
        except (OSError, AttributeError):  # not loaded, no such function, or no such system
            continue
    return None
