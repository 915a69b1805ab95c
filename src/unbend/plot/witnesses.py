"""Small images of rows, in a strip."""

from math import isqrt

import numpy as np
from matplotlib.axes import Axes

from unbend._typing import Array

COLUMNS = 12


def image_side(d: int) -> tuple[int, int] | None:
    """The shape of a square image of d pixels; None where d is no square of at least 4 × 4."""
    side = isqrt(d)
    return (side, side) if side * side == d and side >= 4 else None


def witnesses(ax: Axes, images: Array, names: list[str]) -> None:
    """Draw images in rows of twelve, each with its class below it.

    Args:
        ax: where to draw.
        images: [w, height, width], any scale; each is stretched to its own range.
        names: the class of each.
    """
    for i, (image, name) in enumerate(zip(images, names, strict=True)):
        x, y = i % COLUMNS, -(i // COLUMNS) * 1.35
        low, high = float(image.min()), float(image.max())
        shade = 1 - (image - low) / (high - low) if high > low else np.ones_like(image)
        ax.imshow(
            shade, cmap="gray", vmin=0, vmax=1, extent=(x, x + 0.9, y, y + 0.9), interpolation="nearest", aspect="equal"
        )
        ax.text(x + 0.45, y - 0.06, name, ha="center", va="top", fontsize=8, parse_math=False)
    ax.set_xlim(-0.05, COLUMNS)
    ax.set_ylim(-((len(images) - 1) // COLUMNS) * 1.35 - 0.4, 0.95)
    ax.set_axis_off()
