"""The page of maps: for each method a film to scrub through, the layers side by side, and how far they can be trusted.

In: `LayerMaps`. Out: HTML. The views are those of the report, drawn in the browser.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from unbend._shares import percent
from unbend._typing import Array
from unbend.chart.style import CLASSES, shorten
from unbend.explain.groups import label_word, words_of_label
from unbend.explain.maps.maps import LayerMaps, MapSeries
from unbend.report.block import pack
from unbend.report.figures import Figures, rules
from unbend.report.html import fill, looks, template
from unbend.report.sections import Picture, Table

_HERE = "unbend.report"
_TITLES: dict[str, str] = {
    "pca": "PCA",
    "discriminant": "Discriminant plane",
    "tsne": "t-SNE",
    "umap": "UMAP",
    "pacmap": "PaCMAP",
}
_ABOUT: dict[str, str] = {
    "pca": "The plane of most variance of each layer, fitted to training rows. A straight shadow: distances in it are "
    "real, but what lies along other directions is not seen.",
    "discriminant": "The plane in which the class means of the training rows lie farthest apart, against the spread "
    "within classes. A straight shadow, chosen to look separated: judge it by the held-out rows, the open diamonds.",
}
_EMBEDDING = (
    "What it shows is who is near whom. What it cannot show: how far apart two clusters are, how large or how dense a "
    "cluster is, and whether a gap is a gap; it makes clusters of even noise. Each map starts from that of the layer "
    "before, so that places can be compared; where a cluster lies is otherwise for the start to choose."
)
_HEAD = (
    "moved", "trustworthiness", "neighbours kept", "kNN in the map", "kNN in the layer",
    "moved by another start", "neighbours kept by it",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MapPart:
    """One method on the page.

    Attributes:
        title: its name.
        words: sentences below it.
        film: the maps one after the other; None for a single layer.
        pictures: the maps side by side.
        table: the numbers.
    """

    title: str
    words: tuple[str, ...]
    film: Picture | None
    pictures: tuple[Picture, ...]
    table: Table


def maps_page(result: LayerMaps, *, title: str) -> str:
    """The page.

    Args:
        result: the maps.
        title: of the page.
    """
    figures = Figures([])
    parts = [_part(result, series, figures) for series in result.series]
    layers = [{"name": name, "label": label, "anchor": f"layer-{i}", "bends": False, "feeders": None}
              for i, (name, label) in enumerate(zip(result.layers, result.labels, strict=True))]  # fmt: skip
    return fill(
        template(_HERE, "maps.html"),
        "report",
        looks("charts", "report") + rules(figures),
        title=title,
        lead=maps_sentences(result),
        parts=parts,
        classes=[(i, name, i % len(CLASSES)) for i, name in enumerate(result.class_names)],
        labels=result.label_names if len(result.label_names) > 1 else (),
        chosen=result.by,
        packed=pack(
            figures.listed, len(layers), layers=layers, classes=list(result.class_names), labels=_labels(result)
        ),
    )


def _labels(result: LayerMaps) -> list[dict[str, Any]]:
    """Of several yes/no labels, how rows are told apart by each."""
    if len(result.label_names) < 2:
        return []
    return [
        {"classes": words_of_label(name), "group": mine.astype(np.int64)}
        for name, mine in zip(result.label_names, result.marks.T, strict=True)
    ]


def _part(result: LayerMaps, series: MapSeries, figures: Figures) -> MapPart:
    title = _TITLES[series.method]
    about = _ABOUT.get(series.method, _EMBEDDING)
    words = (f"{series.engine}, {series.words}. {about}" if series.engine else about, *_movement(result, series))
    size = 1.08 * float(np.quantile(np.abs(series.points), 0.998)) or 1.0
    pictures = tuple(
        figures.picture(_picture(result, series, i, size), i) for i in range(len(result.layers))
    )  # fmt: skip
    film = None
    if len(pictures) > 1:
        said = f"{title}: the rows in the maps of {len(pictures)} layers, one after the other"
        caption = "The same rows through the layers: move the slider, or press play."
        frames = {"frames": [picture.number for picture in pictures]}
        film = figures.picture(Picture("From layer to layer", caption, view="film", data=frames, label=said, ratio=1.0,
                                       size="film"), -1)  # fmt: skip
    return MapPart(title, words, film, pictures, _table(result, series))


def _table(result: LayerMaps, series: MapSeries) -> Table:
    """A row for each layer, without columns that hold nothing."""
    numbers = _numbers(result, series)
    shown = [j for j, column in enumerate(numbers) if np.isfinite(column).any()]
    rows = tuple((name, *(_cell(j, numbers[j][i]) for j in shown)) for i, name in enumerate(result.labels))
    return Table(("layer", *(_HEAD[j].replace("kNN", _knn(result)) for j in shown)), rows)


def _numbers(result: LayerMaps, series: MapSeries) -> list[Array]:
    """The columns of the table behind the layer's name."""
    return [
        series.movement, series.trustworthiness, series.preservation, series.accuracy, result.accuracy,
        series.moved_by_start, series.agreement,
    ]  # fmt: skip


def _cell(column: int, value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.2f}" if column in (0, 1, 5) else percent(float(value))


def _picture(result: LayerMaps, series: MapSeries, i: int, size: float) -> Picture:
    """One layer's map."""
    name = result.labels[i]
    told = f"Trust {series.trustworthiness[i]:.2f}, neighbours kept {percent(float(series.preservation[i]))}"
    told += f", {_knn(result)} {percent(float(series.accuracy[i]))}" if np.isfinite(series.accuracy[i]) else ""
    told += f"; moved {series.movement[i]:.2f}." if np.isfinite(series.movement[i]) else "."
    data = {
        "ids": result.ids, "group": result.y, "held_out": result.held_out, "points": series.points[i],
        "low": [-size, -size], "high": [size, size], "is_classes": bool(result.class_names),
    }  # fmt: skip
    label = f"{_TITLES[series.method]} of {name}: {len(result.ids)} rows"
    return Picture(shorten(name, 40), told, view="planes", data=data, label=label, ratio=1.0)


def _knn(result: LayerMaps) -> str:
    """What the accuracy by neighbours is called: of several labels it is that of one."""
    return f"kNN of {label_word(result.by)}" if len(result.label_names) > 1 else "kNN"


def maps_sentences(result: LayerMaps) -> tuple[str, ...]:
    """How many rows, what each method keeps of their neighbours, and how far they move from layer to layer."""
    n, held = len(result.ids), int(result.held_out.sum())
    told = f"The same {n:,} rows in every layer, {held:,} of them held out."
    if result.n_left_out:
        told += f" {result.n_left_out:,} more are left out: a layer has values for them that are not finite."
    told += (
        " Below every map: trustworthiness (whether neighbours in the map are near in the layer; about ½ for a random "
        "plane), the share of the 10 nearest rows of a layer that stay nearest"
    )
    if result.class_names:
        told += (
            ", and how many held-out rows have the class of most of their 10 nearest training rows (kNN; "
            f"{percent(result.base_rate)} by naming the most frequent class)"
        )
    if len(result.label_names) > 1:
        told += f"; class is whether a row has the label {label_word(result.by)}, one of {len(result.label_names)}"
    return (f"{told}.", *(_quality(result, series) for series in result.series))


def _quality(result: LayerMaps, series: MapSeries) -> str:
    how = f" ({series.engine}, {series.words})" if series.engine else ""
    told = f"{_TITLES[series.method]}{how}: trustworthiness {_span(series.trustworthiness, share=False)}, "
    told += f"neighbours kept {_span(series.preservation)}"
    if np.isfinite(series.accuracy).any():
        told += f", {_knn(result)} {_span(series.accuracy)} (in the layers themselves {_span(result.accuracy)})"
    return told + "."


def _movement(result: LayerMaps, series: MapSeries) -> tuple[str, ...]:
    """What moves from frame to frame, in radii of the map, and how much of it another start moves too."""
    if len(result.layers) < 2:
        return ()
    most = int(np.nanargmax(series.movement))
    told = (
        "From layer to layer a row moves by "
        f"{_span(series.movement[1:], share=False)} radii of the map, most from `{result.labels[most - 1]}` to "
        f"`{result.labels[most]}`."
    )
    if not np.isfinite(series.moved_by_start).any():
        return (told,)
    return (told, (
        f"Made again from a random start, a row of the same layer lies {_span(series.moved_by_start, share=False)} "
        f"radii elsewhere, and {_span(series.agreement)} of its neighbours in the map stay the same: read who is near "
        "whom, not where."
    ))  # fmt: skip


def movements(result: LayerMaps) -> tuple[str, ...]:
    """For each method, how far rows move from frame to frame."""
    names = [shorten(name, 24) for name in result.labels]
    return tuple(
        f"Moved, {_TITLES[series.method]}: "
        + ", ".join(f"{names[i - 1]} → {names[i]} {series.movement[i]:.2f}" for i in range(1, len(names)))
        + "."
        for series in result.series
        if len(names) > 1
    )


def _span(values: Array, *, share: bool = True) -> str:
    """From the least to the greatest."""
    write = (lambda v: percent(float(v))) if share else (lambda v: f"{v:.2f}")
    low, high = write(np.nanmin(values)), write(np.nanmax(values))
    return low if low == high else f"{low} to {high}"
