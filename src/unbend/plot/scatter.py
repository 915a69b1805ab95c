"""Points by class: each class a colour and a mark, so that it is told apart without colours too.

In: points, their classes. Out: marks on given axes.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes

from unbend.plot.style import class_color

Number: TypeAlias = int | float
"""A length or a share, which people also write without a point."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
"""Marks of classes, in turn."""
_VECTOR_UP_TO = 5_000


def scatter(
    axes: Axes,
    x: Float[np.ndarray, "n 2"],
    y: Shaped[np.ndarray, "n"],
    *,
    names: Sequence[str] | None = None,
    size: Number = 4.0,
    alpha: Number = 0.8,
) -> None:
    """Points by class, each class a colour and a mark; a cloud of over 5,000 points becomes an image.

    Args:
        axes: where to draw.
        x: the points.
        y: their classes, as indices.
        names: of the classes, for a legend; none when left out.
        size: of a mark, in printer's points.
        alpha: opacity of a mark.
    """
    for label in np.unique(y):
        index = int(label)
        points = x[y == label]
        axes.plot(
            *points.T,
            MARKS[index % len(MARKS)],
            color=class_color(index),
            markersize=size,
            markeredgewidth=0,
            alpha=alpha,
            label=None if names is None else names[index],
            rasterized=len(x) > _VECTOR_UP_TO,
        )


def legend(axes: Axes, *, place: str = "inside", **options: object) -> None:
    """A legend without a frame: inside, or "right" of or "above" the axes, where nothing is covered."""
    places: dict[str, dict[str, object]] = {
        "inside": {},
        "right": {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)},
        "above": {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 4},
    }
    axes.legend(**{"frameon": False, "fontsize": 7.5, **places[place], **options})  # type: ignore[arg-type]
