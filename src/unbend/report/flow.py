"""The page of a flow: the film of the rows through the network, its stages side by side, lines of the first layer."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from unbend._shares import percent
from unbend.explain.flow import PlaneFlow
from unbend.plot.lines import hidden_lines
from unbend.plot.stages import flow_stage
from unbend.plot.vector import vector
from unbend.report.sheet import SheetPart, SheetPicture, drawing, film, sheet

_SIDE = (2.9, 2.9)
_MARGINS = (0.06, 0.06, 0.06, 0.06)
_STYLE = """.pair figure, .pair figure:only-child { flex: 1 1 250px; min-width: 0; max-width: 330px; }
.pair figure:has(.film) { max-width: 500px; }"""
_MOST = 24
"""Stages that are drawn side by side; of more, evenly spaced ones."""


def flow_page(result: PlaneFlow, *, title: str, reel: Path | None = None, lines: SheetPart | None = None) -> str:
    """The page.

    Args:
        result: the flow.
        title: of the page.
        reel: a GIF of it; None for none.
        lines: what `lines_part` gives; None for none.
    """
    parts = []
    if reel is not None:
        caption = "Each step, then a rest: affine layers turn and stretch, everything else bends."
        shown = film(reel, "The rows on their way through the network", caption)
        parts.append(SheetPart("The film", (), [shown]))
    n = len(result.names)
    chosen = sorted({round(i * (n - 1) / (min(n, _MOST) - 1)) for i in range(min(n, _MOST))}) if n > 1 else [0]
    parts.append(SheetPart("The stages", (), [_stage(result, i) for i in chosen]))
    parts += [] if lines is None else [lines]
    rows = [_row(result, i) for i in range(n)]
    parts.append(SheetPart("The numbers", (), (), ["stage", "units", "step", "variance in the plane"], rows))
    return sheet(title, flow_sentences(result), parts, style=_STYLE)


def lines_part(net: nn.Module, at: Mapping[str, Any], x: Any, y: Any) -> SheetPart:
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
        pictures.append(drawing(vector(draw, label, size=(3.3, 3.3), margins=(0.5, 0.4, 0.06, 0.06)), words))
    told = "Where each unit of the first layer is zero, with strokes on the side on which it is positive."
    return SheetPart("The lines of the first layer", (told,), pictures)


def _lines(ax: Any, *, net: nn.Module, x: Any, y: Any, weights: Any) -> None:
    hidden_lines(net, x, y, ax=ax, weights=weights)


def _stage(result: PlaneFlow, i: int) -> SheetPicture:
    caption = f"`{result.names[i]}`, {_wide(result, i)}"
    label = f"The rows at {result.names[i]}"
    return drawing(vector(partial(_draw, result=result, i=i), label, size=_SIDE, margins=_MARGINS), caption)


def _draw(ax: Any, *, result: PlaneFlow, i: int) -> None:
    flow_stage(ax, result, i)


def _wide(result: PlaneFlow, i: int) -> str:
    width = int(result.widths[i])
    if width <= 2:
        return f"{width} unit{'s' if width > 1 else ''} as they are"
    return f"{percent(float(result.shown[i]))} of the variance of its {width:,} units"


def _row(result: PlaneFlow, i: int) -> list[str]:
    step = "" if i == 0 else "affine" if result.is_affine[i - 1] else "bend"
    return [f"`{result.names[i]}`", f"{int(result.widths[i]):,}", step, percent(float(result.shown[i]))]


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
