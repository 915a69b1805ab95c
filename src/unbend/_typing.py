"""Types that several rows share, and the letters of the shape annotations.

`Tensor` is torch's, named without importing torch: whoever holds a tensor has imported it already, and reading a record
needs none. A module that computes with tensors imports torch's own.

Axis letters: `n` samples, `d` units of a layer (its width), `k` classes, `t` targets, `p` positions of a
feature map or tokens of a sequence, `s` rows of a sample, `l` layers, `v` vertices, `e` edges, `f` faces.
"""

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped

if TYPE_CHECKING:
    from torch import Tensor
else:

    class _IsTensor(type):
        """Asks torch whether a value is a tensor, where torch has been imported."""

        def __instancecheck__(cls, value: Any) -> bool:
            torch = sys.modules.get("torch")
            return torch is not None and isinstance(value, torch.Tensor)

    class Tensor(metaclass=_IsTensor):
        """What `torch.Tensor` is in annotations."""


Array: TypeAlias = np.ndarray
Rows: TypeAlias = Shaped[Tensor, "n d"]
Labels: TypeAlias = Int64[Tensor, "n"]

__all__ = ["Array", "Bool", "Float", "Float64", "Int64", "Labels", "Rows", "Shaped", "Tensor"]
