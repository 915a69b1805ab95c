"""A tensor as an element-wise function of one earlier tensor, composed while the operations run.

In: operations that work element by element. Out: an `ElementwiseCurve`, which can be run again on other numbers, so
that what a hand-written activation is can be asked of the function itself and not of its name.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_REACH = 1e3
"""Half-width of the grid on which a curve is compared with max(z, 0): within float16, beyond the bounds of ReLU6."""
_POINTS = 64
"""At least so many are compared, most of them near zero: far from it a GELU is a rectifier too."""


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """The tensor that a curve is a function of.

    Attributes:
        shape: of the tensor.
        dtype: of the tensor.
        device: of the tensor.
        origin: the site whose values it has, at most moved.
    """

    shape: torch.Size
    dtype: torch.dtype
    device: torch.device
    origin: str | None


@dataclass(frozen=True, slots=True, eq=False)
class ElementwiseCurve:
    """Values that are an element-wise function of one tensor's.

    Attributes:
        root: that tensor.
        apply: the function.
        functions: what it is composed of that bends, in order.
    """

    root: Root
    apply: Callable[[Tensor], Tensor]
    functions: tuple[str, ...] = ()

    def is_rectifier(self) -> bool:
        """Whether it is max(z, 0), by its values on a wide grid in both directions."""
        root = self.root
        small = torch.Size((*[1] * (len(root.shape) - 1), _POINTS))
        try:
            return self._rectifies(small)
        except (RuntimeError, IndexError):  # constants of the tensor's own shape
            return root.shape.numel() > 0 and self._rectifies(root.shape)

    def _rectifies(self, shape: torch.Size) -> bool:
        root, n, ends = self.root, shape.numel(), math.asinh(_REACH)
        grid = torch.linspace(-ends, ends, math.ceil(_POINTS / n) * n, device=root.device).sinh()
        parts = [z.to(root.dtype).reshape(shape) for z in grid.split(n)]
        return all(_is_equal(self.apply(z.clone()), z.clamp(min=0)) for z in parts)


def _is_equal(values: Tensor, expected: Tensor) -> bool:
    if values.shape != expected.shape:
        raise IndexError(f"curve: expected {tuple(expected.shape)}, got {tuple(values.shape)}.")
    return torch.equal(values, expected)


def identity_curve(tensor: Tensor, origin: str | None) -> ElementwiseCurve:
    """A tensor as a function of itself."""
    return ElementwiseCurve(Root(tensor.shape, tensor.dtype, tensor.device, origin), lambda z: z)
