"""Small images of rows."""

from math import isqrt

import numpy as np

from unbend._typing import Array, Float64

COLUMNS = 12
"""Images in a row."""
_LEAST = 4


def image_side(d: int) -> tuple[int, int] | None:
    """The shape of a square image of d pixels; None where d is no square of at least 4 × 4."""
    side = isqrt(d)
    return (side, side) if side * side == d and side >= _LEAST else None


def as_images(rows: Float64[Array, "n d"], shape: tuple[int, ...]) -> Float64[Array, "n h w"] | None:
    """Rows as grey images, of the shape they have, or square; the mean of their channels. None where they are none.

    Args:
        rows: one image a row.
        shape: the shape of one.
    """
    if len(shape) == 3:
        return rows.reshape(-1, *shape).mean(1)
    side = shape if len(shape) == 2 else image_side(rows.shape[1])
    return None if side is None else rows.reshape(-1, *side)


def grey(image: Array) -> Float64[Array, "h w"]:
    """An image over its own range, dark on light: 1 where it is least, 0 where it is greatest."""
    low, high = float(image.min()), float(image.max())
    return 1 - (image - low) / (high - low) if high > low else np.ones(image.shape)


def tiles(first: Array, others: Array) -> Float64[Array, "h w *c"]:
    """An image at twice its size, and others like it in two lines; grey dark on light, all over one range.

    Args:
        first: [h, w, c].
        others: [n, h, w, c].
    """
    every = np.concatenate([first[None], others])
    low, high = float(every.min()), float(every.max())
    share = (every - low) / (high - low) if high > low else np.full(every.shape, 0.5)
    share = 1 - share if first.shape[2] == 1 else share
    h, w, c = first.shape
    gap = max(1, h // 16)
    per_line = -(-len(others) // 2)
    grid = np.ones((2 * (h + gap), 2 * w + gap + per_line * (w + gap), c))
    grid[: 2 * h, : 2 * w] = share[0].repeat(2, 0).repeat(2, 1)
    for i, one in enumerate(share[1:]):
        top, left = (i // per_line) * (h + gap), 2 * w + 2 * gap + (i % per_line) * (w + gap)
        grid[top : top + h, left : left + w] = one
    return grid[:-gap, :, 0] if c == 1 else grid[:-gap]
