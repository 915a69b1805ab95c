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
from unbend.report.html import fill, style, template
from unbend.report.page import report
from unbend.report.regions import regions_page
from unbend.report.sections import Place, Section, Table, section
from unbend.study.compare import Comparison
from unbend.study.values import Finding, Study

_HERE = "unbend.report"
_TALL, _LOW = 720, 260
"""Pixels of a frame."""


def framed(value: Any) -> str:
    """A value as one frame: its scripts run, and reach neither the notebook nor the network."""
    page, height = shown(value)
    return (
        f'<iframe sandbox="allow-scripts" srcdoc="{escape(page)}" title="{escape(type(value).__name__)}" '
        f'width="100%" height="{height}" style="border:0"></iframe>'
    )


@singledispatch
def shown(value: Any) -> tuple[str, int]:
    """The page of a value, and how many pixels of it a notebook shows; for any Result, what its section holds."""
    layers = tuple(str(name) for name in getattr(value, "layers", ()))
    classes = (
        tuple(str(i) for i in range(len(value.confusion))) if getattr(value, "confusion", None) is not None else ()
    )
    name = type(value).__name__
    part = section(value, Place(name, "", "activation", classes, dict(zip(layers, layers, strict=True))))
    return _page(name, part, layers, classes), _TALL if part.pictures else _LOW


@shown.register
def _(value: Study) -> tuple[str, int]:
    return report(value), _TALL


@shown.register
def _(value: Comparison) -> tuple[str, int]:
    return comparison_page(value), _TALL


@shown.register
def _(value: Cells) -> tuple[str, int]:
    return regions_page([value]), _TALL


@shown.register
def _(value: Finding) -> tuple[str, int]:
    rows = (("measured", value.evidence), ("why it matters", value.why), ("what to do", value.advice))
    more = (("what else would explain it", value.instead),) if value.instead else ()
    title = f"{value.severity}: {value.title}"
    return _page(title, Section(tables=(("", Table(("", ""), (*rows, *more))),)), (), ()), _LOW


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
        "report",
        style("charts", "report") + rules(figures),
        title=title,
        part=numbered,
        packed=pack(figures.listed, 0, layers=heads, classes=list(classes)),
    )
