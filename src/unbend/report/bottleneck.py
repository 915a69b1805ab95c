"""The page of a bottleneck: the plane, over training and over held-out rows, and the film of the training."""

from pathlib import Path

from unbend.explain.bottleneck.bottleneck import BottleneckPlane
from unbend.explain.bottleneck.words import cost, place, verdict
from unbend.plot.bottleneck import bottleneck as draw
from unbend.plot.vector import vector
from unbend.report.sheet import SheetPart, SheetPicture, drawing, film, sheet

_SIZE = (4.6, 4.2)


def bottleneck_page(result: BottleneckPlane, *, title: str, reel: Path | None = None) -> str:
    """The page.

    Args:
        result: the plane.
        title: of the page.
        reel: a GIF of the training; None for none.
    """
    pictures = [
        _picture(result, "train", f"The {len(result.y):,} training rows."),
        _picture(result, "held_out", f"The {len(result.held_out_y):,} held-out rows, between the same lines."),
    ]
    parts = [SheetPart("", (place(result),), pictures)]
    if reel is not None:
        shown = film(reel, "The plane while it is trained", "The plane of the two units while the copy is trained.")
        parts.append(SheetPart("The training", (), [shown]))
    return sheet(title, (verdict(result), cost(result)), parts)


def _picture(result: BottleneckPlane, part: str, caption: str) -> SheetPicture:
    label = f"The plane of the two units: {caption}"
    margins = (0.5, 0.4, 0.1, 0.1)
    lines = " Lines: where the output changes from one class to another." if result.has_lines else ""
    return drawing(vector(lambda ax: draw(ax, result, part=part), label, size=_SIZE, margins=margins), caption + lines)
