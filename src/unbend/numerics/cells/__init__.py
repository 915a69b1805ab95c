"""Exact linear regions of piecewise-affine networks on a convex polygon of a plane, and along lines.

In: a `PiecewiseAffine` and a `Plane`. Out: `Cells` and what follows from them: boundaries between classes,
certificates, counts and bounds. Must not know `torch.nn`, files or pictures.
"""

from unbend.numerics.cells.complex import Cells
from unbend.numerics.cells.find import MAX_CELLS, cells, count_cells, warm_up
from unbend.numerics.cells.plane import Plane

__all__ = ["MAX_CELLS", "Cells", "Plane", "cells", "count_cells", "warm_up"]
