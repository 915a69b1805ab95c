"""Compiled code over arrays, behind one lazy door.

In: nothing. Out: the compiled functions by name, `compiled.sweep_rows(...)`. numba takes half a second to import, so
the files that hold the functions are loaded when the first of them is asked for. Must not know torch's tensors (`team`
asks torch for its threads, no more), layers or States.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "answers": ("answer", "peaks_of_maps", "peaks_of_tokens"),
    "kernels": ("group", "judge", "mix", "parts", "sweep_maps", "sweep_rows"),
    "running": ("LAYER", "batch_table", "collect", "mean_of", "mirror", "note", "prepare", "put", "run_at"),
}
"""The files of this package that import numba, and what others may take from them."""


def __getattr__(name: str) -> Any:
    """What a compiled file holds, loaded now and kept."""
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
