"""The page: one HTML file that holds everything it needs.

In: a Study. Out: HTML, and a file when a path is given. Must not know models, hooks or argv.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from unbend._names import layer_label
from unbend.chart.style import BENDS, CLASSES
from unbend.report.block import Packed, pack
from unbend.report.figures import Figures, rules, share
from unbend.report.html import fill, looks, template, write
from unbend.report.ladder import in_words
from unbend.report.opening import on_page
from unbend.report.sections import Picture, Place, Section, section
from unbend.report.text import Number, Row, columns, in_digits, summary
from unbend.report.verdict import verdict
from unbend.study.across import ACROSS
from unbend.study.ladder import Ladder
from unbend.study.opening import Opening
from unbend.study.values import Layer, Study

OPEN = 12
"""Up to this many layers lie open on the page."""
_NUMBERS = ("readout", "scatter", "activity", "spectrum", "moments")
_PICTURES = ("planes", "activity", "readout", "spectrum", "histogram", "moments")
"""The order of the known measures within a layer; others follow."""
_HERE = "unbend.report"
_FRAMES = 3
"""A film of the planes needs at least as many layers."""


@dataclass(frozen=True, slots=True)
class Part:
    """One layer, laid out.

    Attributes:
        anchor: its name in links.
        label: what it is called.
        layer: what was measured.
        bends: whether it is an activation.
        row: its line in the table of layers.
        section: what is shown of it.
    """

    anchor: str
    label: str
    layer: Layer
    bends: bool
    row: Row
    section: Section


def report(study: Study, path: str | os.PathLike[str] | None = None, *, opening: Opening | None = None) -> str:
    """The page of a study, as HTML; written to `path` when one is given.

    The file appears whole or not at all: it is written beside its place and then moved there.

    Args:
        study: what to show.
        path: where to write it; nothing is written when left out.
        opening: what stands before the study.

    Raises:
        RecordError: the file cannot be written.

    Cost:
        About 3 ms and 30 kB per layer; the browser draws.
    """
    labels = {layer.name: label(layer) for layer in study.layers}
    rows = summary(study)
    figures = Figures([])
    across = {
        name: figures.section(
            section(result, Place(name, "", "", study.about.class_names, labels, study.about.label_names)), -1
        )
        for name, result in study.across.items()
    }
    parts = tuple(
        _part(
            i,
            layer,
            row,
            Place("", layer.name, layer.kind, study.about.class_names, labels, study.about.label_names),
            figures,
        )
        for i, (layer, row) in enumerate(zip(study.layers, rows, strict=True))
    )
    depth = across.pop("depth", Section())
    proved, ladder = across.pop("ladder", None), study.result(Ladder)
    film = _film(parts, figures)
    html = fill(
        template(_HERE, "page.html", in_digits=in_digits, share=share),
        "report",
        looks("charts", "report") + rules(figures, _shares(rows)),
        is_strict=not any(picture.svg for picture in figures.pictures),
        about=study.about,
        opening=None if opening is None else on_page(opening),
        verdict=verdict(study, labels),
        depth=depth,
        proofs=None if proved is None or ladder is None else {"section": proved, "words": in_words(ladder, labels)},
        findings=study.findings,
        anchors={part.layer.name: part.anchor for part in parts},
        labels=labels,
        columns=columns(rows),
        parts=parts,
        film=film,
        is_open=len(parts) <= OPEN,
        across=[(ACROSS[name].title if name in ACROSS else name, part) for name, part in across.items()],
        glossary=_glossary(parts),
        classes=[(i, name, i % len(CLASSES)) for i, name in enumerate(study.about.class_names)],
        packed=_pack(study, parts, figures),
    )
    if path is not None:
        write(html, path)
    return html


def label(layer: Layer) -> str:
    """What a page calls a layer: its name, with the class of its module when the name is only a number."""
    return layer_label(layer.name, layer.module)


def _part(position: int, layer: Layer, row: Row, place: Place, figures: Figures) -> Part:
    """The Results of one layer, in the order they are shown, as one section."""
    sections = {name: section(result, replace(place, name=name)) for name, result in layer.results.items()}
    numbers = tuple(number for part in _in_order(sections, _NUMBERS) for number in part.numbers)
    twin = tuple(number for number in row.numbers.values() if number.label == "untrained")
    whole = Section(
        numbers[:1] + twin + numbers[1:],
        tuple(picture for part in _in_order(sections, _PICTURES) for picture in part.pictures),
        tuple(table for part in sections.values() for table in part.tables),
    )
    label = place.label(layer.name)
    return Part(f"layer-{position}", label, layer, layer.kind in BENDS, row, figures.section(whole, position))


def _film(parts: Sequence[Part], figures: Figures) -> Picture | None:
    """The planes of all layers as one film; None for a few of them."""
    planes = [next((p for p in part.section.pictures if p.view == "planes"), None) for part in parts]
    frames = [picture.number for picture in planes if picture is not None]
    if len(frames) < _FRAMES:
        return None
    caption = "The same rows through the layers: move the slider, or press play."
    said = f"The rows in the planes of {len(frames)} layers, one after the other"
    film = Picture(
        "From layer to layer", caption, view="film", data={"frames": frames}, label=said, ratio=1.4, size="film"
    )
    return figures.picture(film, -1)


def _pack(study: Study, parts: Sequence[Part], figures: Figures) -> Packed:
    """The data of the page."""
    order = {layer.name: i for i, layer in enumerate(study.layers)}
    layers = [
        {
            "name": part.layer.name,
            "label": part.label,
            "anchor": part.anchor,
            "bends": part.bends,
            "feeders": _feeders(part.layer, order),
        }
        for part in parts
    ]
    return pack(figures.listed, len(parts), layers=layers, classes=list(study.about.class_names))


def _feeders(layer: Layer, order: Mapping[str, int]) -> list[int] | None:
    """Positions of what feeds a layer; None where that is not known."""
    if not layer.feeders or not set(layer.feeders) <= set(order):
        return None
    return [order[name] for name in layer.feeders]


def _shares(rows: Sequence[Row]) -> list[float]:
    return [number.share for row in rows for number in row.numbers.values() if number.share is not None]


def _in_order(sections: Mapping[str, Section], first: tuple[str, ...]) -> list[Section]:
    """The sections named in `first`, then the others."""
    return [sections[n] for n in first if n in sections] + [s for n, s in sections.items() if n not in first]


def _glossary(parts: tuple[Part, ...]) -> list[Number]:
    """Every number that stands at a layer, once, with what it means."""
    found: dict[str, Number] = {}
    for part in parts:
        for number in (*part.section.numbers, *part.row.numbers.values()):
            found.setdefault(number.label, number)
    return [number for number in found.values() if number.meaning]
