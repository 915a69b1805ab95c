"""How values show themselves in a notebook: the same pages and views, in a frame that may run them and nothing else.

In: a Study, a Comparison, Cells, a Finding, or any other Result. Out: HTML of one frame. Must not know IPython.
"""

from functools import singledispatch
from typing import Any

from markupsafe import escape

from unbend.numerics.cells.complex import Cells
from unbend.report.block import pack
from unbend.report.compare import comparison_page
from unbend.report.figures import Figures, rules
from unbend.report.html import fill, looks, template
from unbend.report.page import report
from unbend.report.regions import regions_page
from unbend.report.sections import Place, Section, section
from unbend.study.compare import Comparison
from unbend.study.values import Finding, Study

_HERE = "unbend.report"
_TALL, _LOW = 720, 220
"""Pixels of a frame: the most it has, and the least."""
_NUMBERS, _ROW = 90, 30
"""Pixels of a line of numbers, six beside each other, and of a row of a table."""


def frame(value: Any) -> str:
    """A value as one frame: its scripts run, and reach neither the notebook nor the network."""
    page, height = page_of(value)
    return (
        f'<iframe sandbox="allow-scripts" srcdoc="{escape(page)}" title="{escape(type(value).__name__)}" '
        f'width="100%" height="{height}" style="border:0"></iframe>'
    )


@singledispatch
def page_of(value: Any) -> tuple[str, int]:
    """The page of a value, and how many pixels of it a notebook shows; for any Result, what its section holds."""
    layers = tuple(str(name) for name in getattr(value, "layers", ()))
    classes = (
        tuple(str(i) for i in range(len(value.confusion))) if getattr(value, "confusion", None) is not None else ()
    )
    name = type(value).__name__
    part = section(value, Place(name, "", "activation", classes, dict(zip(layers, layers, strict=True))))
    return _page(name, part, layers, classes), _height(part)


@page_of.register
def _(value: Study) -> tuple[str, int]:
    return report(value), _TALL


@page_of.register
def _(value: Comparison) -> tuple[str, int]:
    return comparison_page(value), _TALL


@page_of.register
def _(value: Cells) -> tuple[str, int]:
    return regions_page([value]), _TALL


@page_of.register
def _(value: Finding) -> tuple[str, int]:
    page = fill(template(_HERE, "finding.html"), "plain", "", title=value.title, f=value)
    return page, _LOW


def _height(part: Section) -> int:
    """Room for all of a section, within bounds."""
    lines = sum(2 + len(table.rows) for _, table in part.tables)
    needed = _LOW // 2 + _NUMBERS * -(-len(part.numbers) // 6) + _ROW * lines
    return _TALL if part.pictures else min(max(needed, _LOW), _TALL)


def _page(title: str, part: Section, layers: tuple[str, ...], classes: tuple[str, ...]) -> str:
    """A page of one section."""
    figures = Figures([])
    numbered = figures.section(part, -1)
    heads = [
        {"name": name, "label": name, "anchor": f"layer-{i}", "bends": False, "feeders": None}
        for i, name in enumerate(layers)
    ]
    return fill(
        template(_HERE, "result.html"),
        "report" if part.pictures else "plain",
        looks("charts", "report") + rules(figures),
        title=title,
        part=numbered,
        packed=pack(figures.listed, 0, layers=heads, classes=list(classes)),
    )
