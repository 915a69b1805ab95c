"""A claim's figure, as files and as part of a page.

In: a claim and its result. Out: SVG and PNG. It must not know pages or the terminal.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unbend.files import whole
from unbend.lab.claim import Claim
from unbend.plot.style import PAPER, RC, plain_powers
from unbend.plot.vector import compact

SIZE = (6.4, 3.6)
"""Inches of a figure, unless its claim sets another size."""
_DPI = 160


@contextmanager
def look(name: str) -> Iterator[None]:
    """A block in which figures have unbend's look, whatever the user's matplotlibrc says."""
    own = {**RC, "svg.fonttype": "none", "svg.hashsalt": name, "image.composite_image": False}
    with style.context("default"), mpl.rc_context(own):
        yield


def empty(size: tuple[float, float] = SIZE) -> Figure:
    """A figure to draw on, laid out so that nothing is cut off."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(claim: Claim, result: Any, folder: Path, stem: str) -> tuple[Path, Path]:
    """Draw a result and write it as SVG and PNG; says where they are.

    Raises:
        RecordError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{stem}.svg", folder / f"{stem}.png"
    with look(claim.name):
        figure = empty()
        claim.draw(result, figure)
        plain_powers(figure)
        for path in paths:
            with whole(path, "the figure") as temporary:
                if path.suffix == ".svg":
                    figure.savefig(temporary, metadata={"Date": None})
                else:
                    figure.savefig(temporary, dpi=_DPI, facecolor=PAPER)
    return paths


def inline(path: Path, label: str) -> str:
    """A saved SVG as part of a page, with its colours taken from the page."""
    return compact(path.read_text(encoding="utf-8"), label)
