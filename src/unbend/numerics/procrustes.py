"""Planes laid onto each other: one point set turned, or mirrored, to lie as near as can be to another of the same rows.

In: points of the same rows in two planes. Out: one of them moved as a whole, and how far rows have moved beyond that.
"""

import numpy as np

from unbend._typing import Array, Float64


def unit_size(points: Float64[Array, "n 2"]) -> Float64[Array, "n 2"]:
    """Points around their mean, in units of their root-mean-square distance from it; zeros where all are equal.

    Example:
        >>> unit_size(np.array([[0.0, 0.0], [4.0, 0.0]]))
        array([[-1.,  0.],
               [ 1.,  0.]])
    """
    centred = points - points.mean(0)
    size = np.sqrt((centred**2).sum(1).mean())
    return centred / size if size > 0 else np.zeros_like(centred)


def turn(points: Float64[Array, "n 2"], onto: Float64[Array, "n 2"]) -> Float64[Array, "n 2"]:
    """`points` turned, or turned and mirrored, about the origin to lie as near as can be to `onto`, in squares.

    Neither stretched nor shifted: distances between rows stay what they are.

    Source:
        Schönemann 1966, the orthogonal Procrustes problem.

    Example:
        >>> onto = np.array([[0.0, 1.0], [2.0, 0.0]])
        >>> bool(np.allclose(turn(onto @ np.array([[0.0, -1.0], [1.0, 0.0]]), onto), onto))
        True
    """
    left, _, right = np.linalg.svd(points.T @ onto)
    return points @ left @ right


def displacement(points: Float64[Array, "n 2"], other: Float64[Array, "n 2"]) -> float:
    """Mean distance between the two places of a row."""
    return float(np.sqrt(((points - other) ** 2).sum(1)).mean())
