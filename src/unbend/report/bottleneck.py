"""The page of a bottleneck: the plane, over training and over held-out rows, and the film of the training."""

from typing import Any

import numpy as np

from unbend._names import number_of
from unbend._typing import Array
from unbend.chart.style import CLASSES
from unbend.explain.bottleneck.bottleneck import BottleneckPlane
from unbend.explain.bottleneck.words import cost, place, verdict
from unbend.plot.bottleneck import bottleneck as draw
from unbend.plot.bottleneck import class_at, window
from unbend.plot.vector import vector
from unbend.report.block import pack
from unbend.report.figures import Figures, rules
from unbend.report.html import fill, looks, template
from unbend.report.sections import Picture

_SIZE = (4.6, 4.2)
_MARGINS = (0.5, 0.4, 0.1, 0.1)
_MOST_CLASSES = 64
"""Classes up to which the film shows what the output calls each place: every pair of them is a line."""


def bottleneck_page(result: BottleneckPlane, *, title: str) -> str:
    """The page.

    Args:
        result: the plane.
        title: of the page.
    """
    figures = Figures([])
    training = figures.picture(_training(result), -1)
    names = list(result.class_names)
    return fill(
        template("unbend.report", "bottleneck.html"),
        "report",
        looks("charts", "report") + rules(figures),
        is_strict=False,
        title=title,
        lead=(verdict(result), cost(result), place(result)),
        planes=(_plane(result, "train"), _plane(result, "held_out")),
        training=training,
        classes=[(i, name, i % len(CLASSES)) for i, name in enumerate(names)],
        packed=pack(figures.listed, 0, layers=[], classes=names),
    )


def _plane(result: BottleneckPlane, part: str) -> Picture:
    """The plane at the end of the training, over the rows of one part."""
    is_train = part == "train"
    n = len(result.y if is_train else result.held_out_y)
    title = number_of(n, "training row" if is_train else "held-out row")
    same = "" if is_train else "Between the same lines."
    lines = "Lines: where the output changes from one class to another." if result.has_lines and is_train else same
    label = f"The plane of the two units: {title}"
    svg = vector(lambda ax: draw(ax, result, part=part), label, size=_SIZE, margins=_MARGINS)
    return Picture(title, lines, svg=svg, size="medium")


def _training(result: BottleneckPlane) -> Picture:
    """The same plane at every moment that was kept."""
    n, has_lines = len(result.frame_y), result.has_lines and len(result.class_names) <= _MOST_CLASSES
    moments = range(len(result.frame_steps))
    data: dict[str, Any] = {
        "ids": np.arange(n), "group": result.frame_y, "held_out": np.zeros(n, bool), "is_classes": True,
        "steps": result.frame_steps.tolist(), "points": list(result.frame_points),
        "windows": [np.ravel(window(points)).tolist() for points in result.frame_points],
        "scores": [_scores(result, i) for i in moments] if has_lines else [],
        "right": [_right(result, i) for i in moments] if has_lines else [],
    }  # fmt: skip
    caption = f"{n:,} of the training rows while the copy is trained: move the slider, or press play."
    if has_lines:
        caption += " The share is that of these rows whose place the output gives their class."
    label = f"The plane of the two units at {len(result.frame_steps)} moments of the training"
    return Picture("The film", caption, view="training", data=data, label=label, ratio=1.0, size="film")


def _scores(result: BottleneckPlane, i: int) -> Array:
    """Two weights and a bias of every class; of a single output that of class 0 is 0 everywhere."""
    rows = np.column_stack([result.frame_weight[i], result.frame_bias[i]])
    return np.ravel(rows if len(rows) > 1 else np.concatenate([np.zeros_like(rows), rows])).astype(np.float32)


def _right(result: BottleneckPlane, i: int) -> float:
    found = class_at(result.frame_points[i], result.frame_weight[i], result.frame_bias[i])
    return float(np.mean(found == result.frame_y))
