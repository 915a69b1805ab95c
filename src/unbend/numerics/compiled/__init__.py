"""Compiled code over arrays, behind one lazy door.

In: nothing. Out: the compiled functions by name, `compiled.sweep_rows(...)`. numba takes half a second to import, so
the files that hold the functions are loaded when the first of them is asked for. Must not know torch's tensors (`team`
asks torch for its threads, no more), layers or States.
"""

from unbend._lazy import on_demand

_HOMES = {
    "answers": ("UNITS", "answer_at", "peaks_of_maps", "peaks_of_tokens", "work"),
    "bounds": ("dot_twice", "row_margins", "row_sums"),
    "kernels": ("group", "judge", "mix", "parts", "sweep_maps", "sweep_rows"),
    "running": ("LAYER", "batch_table", "collect", "mean_of", "mirror", "note", "prepare", "put", "run_at"),
    "trees": ("ask_trees",),
}
"""The files of this package that import numba, and what others may take from them."""

__getattr__ = on_demand(__name__, _HOMES)
