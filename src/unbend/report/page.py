"""The page: one HTML file that holds everything it needs.

In: a Study. Out: HTML, and a file when a path is given. Must not know models, hooks or argv.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from unbend.plot.planes import GROUPED
from unbend.plot.style import BENDS, WORDS, class_color
from unbend.report.html import inlined, template, text, write
from unbend.report.ladder import in_words
from unbend.report.sections import Place, Section, section
from unbend.report.text import Number, Row, columns, in_digits, summary
from unbend.report.verdict import verdict
from unbend.study.across import ACROSS
from unbend.study.ladder import Ladder
from unbend.study.values import About, Layer, Study

OPEN = 12
"""Up to this many layers lie open on the page."""
_NUMBERS = ("readout", "scatter", "activity", "spectrum", "moments")
_PICTURES = ("planes", "activity", "readout", "spectrum", "histogram", "moments")
"""The order of the known measures within a layer; others follow."""
_HERE = "unbend.report"
_MARKS = {"problem": "▲", "warning": "◆", "note": "●", "good": "✓"}


@dataclass(frozen=True, slots=True)
class Part:
    """One layer, laid out."""

    anchor: str
    label: str
    layer: Layer
    bends: bool
    row: Row
    section: Section


def report(study: Study, path: str | os.PathLike[str] | None = None) -> str:
    """The page of a study, as HTML; written to `path` when one is given.

    The file appears whole or not at all: it is written beside its place and then moved there.

    Args:
        study: what to show.
        path: where to write it; nothing is written when left out.

    Raises:
        RecordError: the file cannot be written.

    Cost:
        About 0.7 s of a busy core and 120 kB per layer, most of it matplotlib's axes and ticks.
    """
    labels = {layer.name: label(layer) for layer in study.layers}
    rows = summary(study)
    parts = tuple(
        _part(f"layer-{i}", layer, row, study.about, labels)
        for i, (layer, row) in enumerate(zip(study.layers, rows, strict=True))
    )
    across = {
        name: section(result, Place(name, "", "", study.about.class_names, labels, study.about.label_names))
        for name, result in study.across.items()
    }
    depth = across.pop("depth", Section())
    proved, ladder = across.pop("ladder", None), study.result(Ladder)
    html = template(_HERE, "page.html", in_digits=in_digits).render(
        about=study.about,
        verdict=verdict(study, labels),
        depth=depth,
        proofs=None if proved is None or ladder is None else {"section": proved, "words": in_words(ladder, labels)},
        findings=study.findings,
        anchors={part.layer.name: part.anchor for part in parts},
        labels=labels,
        marks=_MARKS,
        columns=columns(rows),
        parts=parts,
        is_open=len(parts) <= OPEN,
        grouped=GROUPED,
        across=[(ACROSS[name].title if name in ACROSS else name, part) for name, part in across.items()],
        glossary=_glossary(parts),
        classes=[(i, name, WORDS[class_color(i)]) for i, name in enumerate(study.about.class_names)],
        **inlined(text(_HERE, "page.css"), text(_HERE, "page.js")),
    )
    if path is not None:
        write(html, path)
    return html


def label(layer: Layer) -> str:
    """What a page calls a layer: its name, with the class of its module when the name is only a number."""
    last = layer.name.rpartition(".")[2].partition("#")[0]
    return f"{layer.name} {layer.module}" if last.isdigit() else layer.name


def _part(anchor: str, layer: Layer, row: Row, about: About, labels: Mapping[str, str]) -> Part:
    """The Results of one layer, in the order they are shown, as one section."""
    sections = {
        name: section(result, Place(name, layer.name, layer.kind, about.class_names, labels, about.label_names))
        for name, result in layer.results.items()
    }
    numbers = tuple(number for part in _ordered(sections, _NUMBERS) for number in part.numbers)
    twin = tuple(number for number in row.numbers.values() if number.label == "untrained")
    whole = Section(
        numbers[:1] + twin + numbers[1:],
        tuple(picture for part in _ordered(sections, _PICTURES) for picture in part.pictures),
        tuple(table for part in sections.values() for table in part.tables),
    )
    return Part(anchor, labels[layer.name], layer, layer.kind in BENDS, row, whole)


def _ordered(sections: Mapping[str, Section], first: tuple[str, ...]) -> list[Section]:
    """The sections named in `first`, then the others."""
    return [sections[n] for n in first if n in sections] + [s for n, s in sections.items() if n not in first]


def _glossary(parts: tuple[Part, ...]) -> list[Number]:
    """Every number that stands at a layer, once, with what it means."""
    found: dict[str, Number] = {}
    for part in parts:
        for number in (*part.section.numbers, *part.row.numbers.values()):
            found.setdefault(number.label, number)
    return [number for number in found.values() if number.meaning]
