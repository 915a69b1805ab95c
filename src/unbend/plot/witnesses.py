"""Small images of rows, in a strip."""

from matplotlib.axes import Axes

from unbend._typing import Array
from unbend.chart.images import COLUMNS, grey


def witnesses(ax: Axes, images: Array, names: list[str]) -> None:
    """Draw images in rows of twelve, each with its class below it.

    Args:
        ax: where to draw.
        images: [w, height, width], any scale; each is stretched to its own range.
        names: the class of each.
    """
    for i, (image, name) in enumerate(zip(images, names, strict=True)):
        x, y = i % COLUMNS, -(i // COLUMNS) * 1.35
        ax.imshow(
            grey(image),
            cmap="gray",
            vmin=0,
            vmax=1,
            extent=(x, x + 0.9, y, y + 0.9),
            interpolation="nearest",
            aspect="equal",
        )
        ax.text(x + 0.45, y - 0.06, name, ha="center", va="top", fontsize=8, parse_math=False)
    ax.set_xlim(-0.05, COLUMNS)
    ax.set_ylim(-((len(images) - 1) // COLUMNS) * 1.35 - 0.4, 0.95)
    ax.set_axis_off()
