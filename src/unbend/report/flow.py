"""The page of a flow: the film of the rows through the network, its stages side by side, lines of the first layer."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from unbend._shares import percent
from unbend._typing import Array
from unbend.chart.style import CLASSES
from unbend.explain.flow import PlaneFlow
from unbend.numerics.polar import polar
from unbend.plot.lines import hidden_lines
from unbend.plot.stages import flow_stage
from unbend.plot.vector import vector
from unbend.report.block import pack
from unbend.report.figures import Figures, rules
from unbend.report.html import fill, looks, template
from unbend.report.sections import Picture, Table

_SIDE = (2.9, 2.9)
_MARGINS = (0.06, 0.06, 0.06, 0.06)
_MOST = 24
"""Stages that are drawn side by side; of more, evenly spaced ones."""


def flow_page(result: PlaneFlow, *, title: str, lines: Sequence[Picture] = ()) -> str:
    """The page.

    Args:
        result: the flow.
        title: of the page.
        lines: what `lines_pictures` gives; none for none.
    """
    figures = Figures([])
    film = figures.picture(_film(result), -1)
    n = len(result.names)
    chosen = sorted({round(i * (n - 1) / (min(n, _MOST) - 1)) for i in range(min(n, _MOST))}) if n > 1 else [0]
    table = Table(("stage", "units", "step", "variance in the plane"), tuple(_row(result, i) for i in range(n)))
    return fill(
        template("unbend.report", "flow.html"),
        "report",
        looks("charts", "report") + rules(figures),
        is_strict=False,
        title=title,
        lead=flow_sentences(result),
        moving=film,
        stages=[_stage(result, i) for i in chosen],
        lines=lines,
        numbers=table,
        classes=[(i, name, i % len(CLASSES)) for i, name in enumerate(result.class_names)],
        packed=pack(figures.listed, 0, layers=[], classes=list(result.class_names)),
    )


def _film(result: PlaneFlow) -> Picture:
    """The rows, stage by stage, and the map of every step in parts."""
    n = len(result.y)
    data = {
        "ids": np.arange(n), "group": result.y, "held_out": np.zeros(n, bool), "is_classes": bool(result.class_names),
        "names": list(result.names), "points": list(result.points),
        "lines": [line.reshape(-1, 2) for line in result.lines], "along": max(result.lines.shape[2], 1),
        "turns": [_turn(weight) if affine else None
                  for weight, affine in zip(result.weights, result.is_affine, strict=True)],
    }  # fmt: skip
    label = f"{n} rows at {len(result.names)} stages of the network, one after the other"
    caption = "Affine layers turn and stretch, everything else bends: move the slider, or press play."
    return Picture("The film", caption, view="flow", data=data, label=label, ratio=1.0, size="film")


def _turn(weight: Array) -> dict[str, Any]:
    found = polar(weight)
    return {"angle": found.angle, "is_mirrored": found.is_mirrored, "axes": found.axes.ravel().tolist(),
            "sizes": found.sizes.tolist()}  # fmt: skip


def lines_pictures(net: nn.Module, at: Mapping[str, Any], x: Any, y: Any) -> tuple[Picture, ...]:
    """The lines of the first layer at one or several times.

    Args:
        net: a network of two inputs.
        at: words and weights of each picture, as `unbend.plot.hidden_lines_grid` takes them.
        x: rows.
        y: their classes.
    """
    pictures = []
    for words, weights in at.items():
        draw = partial(_lines, net=net, x=x, y=y, weights=weights)
        label = f"Lines of the first layer: {words}"
        drawn = vector(draw, label, size=(3.3, 3.3), margins=(0.5, 0.4, 0.06, 0.06))
        pictures.append(Picture(words, "", svg=drawn))
    return tuple(pictures)


def _lines(ax: Any, *, net: nn.Module, x: Any, y: Any, weights: Any) -> None:
    hidden_lines(net, x, y, ax=ax, weights=weights)


def _stage(result: PlaneFlow, i: int) -> Picture:
    label = f"The rows at {result.names[i]}"
    drawn = vector(partial(_draw, result=result, i=i), label, size=_SIDE, margins=_MARGINS)
    return Picture(result.names[i], f"{_wide(result, i)}.", svg=drawn)


def _draw(ax: Any, *, result: PlaneFlow, i: int) -> None:
    flow_stage(ax, result, i)


def _wide(result: PlaneFlow, i: int) -> str:
    width = int(result.widths[i])
    if width <= 2:
        return f"{width} unit{'s' if width > 1 else ''} as they are"
    return f"{percent(float(result.shown[i]))} of the variance of its {width:,} units"


def _row(result: PlaneFlow, i: int) -> tuple[str, ...]:
    step = "" if i == 0 else "affine" if result.is_affine[i - 1] else "bend"
    return (result.names[i], f"{int(result.widths[i]):,}", step, percent(float(result.shown[i])))


def flow_sentences(result: PlaneFlow) -> tuple[str, ...]:
    """How many steps of each kind there are, and how much of the layers the planes show."""
    n = sum(result.is_affine)
    bends = len(result.is_affine) - n
    steps = (
        f"{len(result.y):,} rows through {len(result.names) - 1} steps: {n} affine, which turn, mirror, stretch and "
    )
    told = [f"{steps}shift as a whole, and {bends} that bend."]
    if result.lines.size:
        told.append("The grid is that of the input plane, carried along: lines stay lines until something bends them.")
    wide = result.widths > 2
    if wide.any():
        least = int(result.shown.argmin())
        told.append(
            "Stages of more than two units are shown in the plane of most variance of these rows, turned to lie on the "
            f"stage before: a shadow, which holds {percent(float(result.shown[least]))} of the variance at least "
            f"(`{result.names[least]}`). What moves out of it is not seen."
        )
    return tuple(told)
