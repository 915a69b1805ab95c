"""How the functions over flat arrays are compiled, and what they read and write.

In: nothing. Out: decorators for numba, `Mesh` and `Program`. Must not know geometry.

numba keeps on the disk what an `entry` compiled to, together with all parts it calls, and looks only at the date of the
entry's own file. After a change in a part, touch the file of the entry (`subdivide.py`, `tile_network.py`,
`stitch.py`), or the old code runs on.
"""

from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from jaxtyping import Int32
from numba import njit

from unbend._typing import Array, Float64, Int64

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
part: Compiler = njit(  # type: ignore[call-overload]
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)
"""Called from compiled code only."""
inlined: Compiler = njit(  # type: ignore[call-overload]
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True
)
"""A part of a hot loop. It takes plain arrays: passing tuples of arrays costs more than the work, here and in the
compiler."""
summing: Compiler = njit(  # type: ignore[call-overload]
    nogil=True,
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    forceinline=True,
    fastmath={"contract"},
)
"""The same, where a product and a sum may become one instruction, rounded once."""


class Mesh(NamedTuple):
    """A planar subdivision. Half-edge `2e + 1` is edge `e` walked backwards; faces are counter-clockwise.

    Attributes:
        xy: the vertices.
        edge: the two ends of every edge.
        label: of every edge its hinge, or a negative number for a side of the polygon or a wall between tiles.
        ptr: where every face begins in `half`, and the length of `half`.
        half: the half-edges round every face.
    """

    xy: Float64[Array, "v 2"]
    edge: Int32[Array, "e 2"]
    label: Int32[Array, "e"]
    ptr: Int64[Array, "f_plus_1"]
    half: Int32[Array, "h"]


class Program(NamedTuple):
    """Stages of hinges, dense and flat. Columns: the constant 1, s, t, then the hinges that are kept.

    Attributes:
        sizes: how many hinges a stage has.
        widths: how many columns it reads.
        weight: one (columns, hinges) matrix after the other.
        keep: per stage the columns that go on to the next; nothing where all do.
        n_kept: how many go on.
        low: the slope of every hinge where it is off.
        high: the slope where it is on.
        name: the hinge's number in the whole network.
    """

    sizes: Int64[Array, "stages"]
    widths: Int64[Array, "stages"]
    weight: Float64[Array, "weights"]
    keep: Int64[Array, "kept"]
    n_kept: Int64[Array, "stages"]
    low: Float64[Array, "hinges"]
    high: Float64[Array, "hinges"]
    name: Int32[Array, "hinges"]


ALL_COLUMNS = np.zeros(0, np.int64)
"""`Program.keep` where every column goes on."""
