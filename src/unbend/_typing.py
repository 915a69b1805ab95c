"""Types that several rows share, and the letters of the shape annotations.

Axis letters: `n` samples, `d` units of a layer (its width), `k` classes, `t` targets, `p` positions of a
feature map or tokens of a sequence, `s` rows of a sample, `l` layers, `v` vertices, `e` edges, `f` faces.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from torch import Tensor

Array: TypeAlias = np.ndarray
Rows: TypeAlias = Shaped[Tensor, "n d"]
Labels: TypeAlias = Int64[Tensor, "n"]

__all__ = ["Array", "Bool", "Float", "Float64", "Int64", "Labels", "Rows", "Shaped", "Tensor"]
