"""What the compiled functions read and write: a mesh, and the hinges that cut it.

In: nothing. Out: `Mesh`, `Program`, and the labels of walls. Must not know how either is used.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from unbend._typing import Array, Float64, Int64

WALL = -(1 << 20)
"""Labels at or below are walls between tiles: `WALL` minus the number of the wall. Sides of the polygon lie above."""


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
