"""A map of the plane as a turn, a mirroring and a stretch, which can be carried out in part.

In: a matrix. Out: a `PolarMap`, and the part of it that is done at any share of the way.
"""

import math
from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Float64


@dataclass(frozen=True, slots=True, eq=False)
class PolarMap:
    """W = P R: mirrored where the determinant is negative, turned, then stretched along axes.

    Attributes:
        angle: of the turn, in radians.
        is_mirrored: whether the second coordinate is mirrored before it.
        axes: unit vectors along which it stretches, one a column.
        sizes: by how much.
    """

    angle: float
    is_mirrored: bool
    axes: Float64[Array, "2 2"]
    sizes: Float64[Array, "2"]

    def part(self, share: float) -> Float64[Array, "2 2"]:
        """What is done at a share of the way: the identity at 0, the whole map at 1."""
        stretch = self.axes @ np.diag((1 - share) + share * self.sizes) @ self.axes.T
        cos, sin = math.cos(share * self.angle), math.sin(share * self.angle)
        mirror = np.diag([1.0, math.cos(math.pi * share) if self.is_mirrored else 1.0])
        return stretch @ np.array([[cos, -sin], [sin, cos]]) @ mirror


def polar(weight: Float64[Array, "2 2"]) -> PolarMap:
    """The polar decomposition of a matrix.

    Example:
        >>> polar(np.diag([3.0, 1.0])).part(0.5)
        array([[2., 0.],
               [0., 1.]])
    """
    axes, sizes, right = np.linalg.svd(weight)
    around = axes @ right
    is_mirrored = bool(np.linalg.det(around) < 0)
    if is_mirrored:
        around = around @ np.diag([1.0, -1.0])
    return PolarMap(math.atan2(around[1, 0], around[0, 0]), is_mirrored, axes, sizes)
