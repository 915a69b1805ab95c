"""The page: one HTML file that holds everything it needs.

In: a Study. Out: HTML, and a file when a path is given. Must not know models, hooks or argv.
"""

import os
import tempfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unbend.errors import RecordError
from unbend.plot.style import BENDS, class_color, WORDS
from unbend.report.sections import Place, Section, section
from unbend.report.text import columns, summary, written
from unbend.report.verdict import verdict
from unbend.study.values import Finding, Layer, Study

OPEN = 12
"""Up to this many layers lie open on the page."""
_ACROSS = {
    "similarity": "Which layers say the same", "gradients": "How far learning reaches", "head": "The head",
    "collapse": "Neural collapse",
}  # fmt: skip
_TITLES = {"planes": "Views", "readout": "Read-out"}
_MARKS = {"problem": "▲", "warning": "◆", "note": "●", "good": "✓"}


@dataclass(frozen=True, slots=True)
class Part:
    """One layer, laid out."""

    anchor: str
    label: str
    layer: Layer
    bends: bool
    sections: tuple[tuple[str, Section], ...]


def report(study: Study, path: str | os.PathLike[str] | None = None) -> str:
    """The page of a study, as HTML; written to `path` when one is given.

    The file appears whole or not at all: it is written beside its place and then moved there.

    Args:
        study: what to show.
        path: where to write it; nothing is written when left out.

    Raises:
        RecordError: the file cannot be written.

    Cost:
        About 0.3 s and 60 kB per layer.
    """
    labels = {layer.name: label(layer) for layer in study.layers}
    parts = tuple(_part(i, layer, study, labels) for i, layer in enumerate(study.layers))
    across = {name: section(result, Place(name, "", "", study.about.class_names, labels))
              for name, result in study.across.items()}  # fmt: skip
    depth = across.pop("depth", Section())
    rows = summary(study)
    script = _text("page.js")
    html = _template().render(
        study=study,
        about=study.about,
        verdict=verdict(study, labels),
        depth=depth,
        findings=study.findings,
        anchors={part.layer.name: part.anchor for part in parts},
        labels=labels,
        marks=_MARKS,
        rows=rows,
        columns=columns(rows),
        parts=parts,
        is_open=len(parts) <= OPEN,
        across=[(_ACROSS.get(name, name), part) for name, part in across.items()],
        classes=[(i, name, WORDS[class_color(i)]) for i, name in enumerate(study.about.class_names)],
        style=Markup(_text("page.css")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )
    if path is not None:
        write(Path(path), html)
    return html


def label(layer: Layer) -> str:
    """What a page calls a layer: its name, with the class of its module when the name is only a number."""
    last = layer.name.rpartition(".")[2].partition("#")[0]
    return f"{layer.name} {layer.module}" if last.isdigit() else layer.name


def write(path: Path, text: str) -> None:
    """Text at a path, whole or not at all.

    Raises:
        RecordError: the folder is missing, may not be written to, or is full.
    """
    kept = ""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
            kept = file.name
            file.write(text)
        os.chmod(kept, 0o644)
        os.replace(kept, path)
    except OSError as error:
        Path(kept).unlink(missing_ok=True) if kept else None
        reason = error.strerror or str(error)
        raise RecordError(f"{path}: the page cannot be written there ({reason}). Choose another path with -o.") from error
    except BaseException:
        Path(kept).unlink(missing_ok=True) if kept else None
        raise


def _part(index: int, layer: Layer, study: Study, labels: Mapping[str, str]) -> Part:
    shown = []
    for name, result in layer.results.items():
        place = Place(name, layer.name, layer.kind, study.about.class_names, labels)
        shown.append((_TITLES.get(name, name), section(result, place)))
    return Part(f"layer-{index}", labels[layer.name], layer, layer.kind in BENDS, tuple(shown))


@cache
def _template():
    env = Environment(loader=PackageLoader("unbend.report", "."), autoescape=True, undefined=StrictUndefined,
                      trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    env.filters["written"] = written
    return env.get_template("page.html")


@cache
def _text(name: str) -> str:
    return files("unbend.report").joinpath(name).read_text(encoding="utf-8")
