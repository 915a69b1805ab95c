"""The browser of units: a card a unit, sorted, with the examples themselves.

In: `UnitCards`. Out: one self-contained page. Cards are made when they are looked at, 48 at a time, so that thousands
of units cost a page their numbers only; all images are one picture that cards take pieces of.
"""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np

from unbend._names import column_word
from unbend._typing import Array, Float64, Int64, Shaped
from unbend.explain.units.examples import Examples
from unbend.explain.units.reasons import Reason
from unbend.explain.units.units import UnitCards
from unbend.numerics.units import Extremes
from unbend.report.html import as_json, fill, looks, template

_TOLD = 8
"""Remarkable units that are named in words,"""
_LEAST = 2
"""of every kind at least as many."""
_TUNED = 3
"""Columns of a table that a card shows of its rows: those with which the unit goes most."""


def units_page(result: UnitCards, *, title: str) -> str:
    """The page.

    Args:
        result: what the units answer to.
        title: of the page.
    """
    first = (
        "What each unit answers to, over the training rows. Of a channel, and where there are tokens, the answer is "
        "the greatest value over positions; a ring, or a marked word, shows where."
    )
    return fill(
        template("unbend.report", "units.html"),
        "units",
        looks("sheet", "units"),
        title=title,
        lead=(first, *unit_sentences(result)),
        data=as_json(_data(result)),
    )


def unit_sentences(result: UnitCards) -> tuple[str, ...]:
    """The most remarkable units of all layers, and how many of each kind there are."""
    told: list[tuple[Reason, str]] = []
    for name, found in result.reasons.items():
        told += [
            (reason, f"unit {j} of `{name}`: {reason.words}")
            for j, reason in enumerate(found) if reason and not _is_told(reason, j, found)
        ]  # fmt: skip
    if not told:
        return ("No unit is one of a column, a word or a class, and none is a copy.",)
    kinds = {
        "word": "of a word",
        "column": "of a column",
        "copy": "copies",
        "class": "of a class",
        "silent": "constant",
    }
    every = [reason for found in result.reasons.values() for reason in found if reason]
    sizes = {kind: sum(_is_of(reason, kind) for reason in every) for kind in kinds}
    counts = [f"{n:,} {kinds[kind]}" for kind, n in sizes.items() if n]
    return (f"Units that stand out: {', '.join(counts)}.", "; ".join(_first(told, list(kinds))) + ".")


def _is_of(reason: Reason, kind: str) -> bool:
    """Whether a unit is one of a kind: a copy may be one of a word besides."""
    return reason.copy >= 0 if kind == "copy" else reason.kind == kind


def _is_told(reason: Reason, unit: int, of_layer: Sequence[Reason | None]) -> bool:
    """Whether the unit before that it is a copy of says the same of both."""
    other = of_layer[reason.copy] if 0 <= reason.copy < unit else None
    return reason.kind == "copy" and other is not None and other.kind == "copy" and other.copy == unit


def _first(told: Sequence[tuple[Reason, str]], kinds: Sequence[str]) -> list[str]:
    """The strongest of every kind in words, those of the first kinds as far as there is room."""
    of_kind = {kind: sorted((pair for pair in told if pair[0].kind == kind), key=lambda pair: -pair[0].strength)
               for kind in kinds}  # fmt: skip
    shown = {kind: min(len(pairs), 0 if kind == "silent" else _LEAST) for kind, pairs in of_kind.items()}
    for kind, pairs in of_kind.items():
        shown[kind] += max(min(len(pairs) - shown[kind], _TOLD - sum(shown.values())), 0)
    return [words for kind, pairs in of_kind.items() for _, words in pairs[: shown[kind]]]


def _data(result: UnitCards) -> dict[str, Any]:
    shown = result.examples
    sprite, tile = _sprite(shown)
    texts, vocabulary = _texts(result)
    tuned = _nearest_columns(result)
    columns = np.unique([column for of_layer in tuned.values() for column in of_layer.ravel()])
    return {
        "classes": list(result.class_names), "form": shown.form, "ids": shown.ids.tolist(),
        "y": shown.y.tolist() if result.class_names else [],
        "labels": [] if result.class_names else [shown.label(i) for i in range(len(shown.ids))],
        "sprite": sprite, "tile": tile, "texts": texts, "vocabulary": vocabulary,
        "columns": [column_word(shown.column_names, int(column), is_alone=True) for column in columns],
        "values": _short(shown.x[:, columns]) if len(columns) else [],
        "layers": [
            _layer(result, name) | _with_columns(result, name, tuned.get(name), columns) for name in result.layers
        ],
    }  # fmt: skip


def _nearest_columns(result: UnitCards) -> dict[str, Int64[Array, "d c"]]:
    """By layer, the columns of a table with which each unit goes most."""
    if result.examples.form != "columns":
        return {}
    return {
        name: np.argsort(-np.abs(r), axis=1, kind="stable")[:, :_TUNED].astype(np.int64)
        for name, r in result.tuning.items() if r.shape[1] == result.examples.x.shape[1]
    }  # fmt: skip


def _with_columns(
    result: UnitCards, name: str, most: Int64[Array, "d c"] | None, columns: Shaped[Array, "k"]
) -> dict[str, Any]:
    """Which of the columns that are shown each unit goes with most, and how, in words."""
    if most is None:
        return {"tuned": [], "goes": []}
    r = result.tuning[name]
    return {
        "tuned": np.searchsorted(columns, most).tolist(),
        "goes": [
            ", ".join(f"{result.examples.column(int(j))} (r = {own[j]:.2f})" for j in at)
            for own, at in zip(r, most, strict=True)
        ],
    }


def _layer(result: UnitCards, name: str) -> dict[str, Any]:
    found, shown = result.layers[name], result.examples
    place = result.places[name]
    is_map = shown.form == "image" and name in result.tuning and shown.x.shape[3] == 1
    return {
        "name": name, "kind": result.kinds[name], "place": list(place), "channels": len(place) == 2,
        "rate": _short(found.rate), "selectivity": _short(found.selectivity), "best": found.best_class.tolist(),
        "mean": _short(found.mean), "classRate": _short(found.class_rate), "order": result.order[name].tolist(),
        "reason": ["" if one is None else one.words for one in result.reasons[name]],
        "high": _side(found.strongest, shown, has_places=bool(place)),
        "low": _side(found.weakest, shown, has_places=bool(place)),
        "tuning": _bytes(result.tuning[name]) if is_map else "",
    }  # fmt: skip


def _bytes(r: Float64[Array, "d q"]) -> str:
    """Correlations from -1 to 1 as bytes from 1 to 255."""
    return b64encode((128 + np.round(127 * r)).astype(np.uint8).tobytes()).decode()


def _side(one: Extremes, shown: Examples, *, has_places: bool) -> dict[str, Any]:
    at = np.where(one.ids >= 0, shown.at(one.ids), -1)
    place = one.place.tolist() if has_places else [[]] * len(at)
    return {"at": at.tolist(), "value": _short(one.value), "place": place}


def _short(values: Array) -> Any:
    """Numbers of three digits; none where they are not finite."""
    flat = [float(f"{v:.3g}") if np.isfinite(v) else None for v in np.asarray(values, float).ravel()]
    return flat if values.ndim == 1 else [flat[i : i + values.shape[1]] for i in range(0, len(flat), values.shape[1])]


def _sprite(shown: Examples) -> tuple[str, dict[str, int]]:
    """All images side by side in one picture, each stretched over its own range."""
    if shown.form != "image" or not len(shown.x):
        return "", {"w": 0, "h": 0, "per": 1}
    from PIL import Image  # noqa: PLC0415  matplotlib brings it

    n, h, w, c = shown.x.shape
    low, high = (f(shown.x, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    x = np.where(high > low, (shown.x - low) / np.where(high > low, high - low, 1), 0.5)
    per = int(np.ceil(np.sqrt(n)))
    rows = -(-n // per)
    grid = np.zeros((rows * per, h, w, c), np.uint8)
    grid[:n] = np.round(255 * (1 - x if c == 1 else x))
    sheet_of = grid.reshape(rows, per, h, w, c).transpose(0, 2, 1, 3, 4).reshape(rows * h, per * w, c)
    place = BytesIO()
    Image.fromarray(sheet_of[..., 0] if c == 1 else sheet_of).save(place, "PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(place.getvalue()).decode()}", {"w": w, "h": h, "per": per}


def _texts(result: UnitCards) -> tuple[list[list[int]], list[str]]:
    """Token rows as places in a list of the words that come up, and that list."""
    if result.examples.form != "tokens":
        return [], []
    rows = result.examples.x
    numbers, at = np.unique(rows, return_inverse=True)
    speak = result.words or str
    return at.reshape(rows.shape).tolist(), [str(speak(int(number))) for number in numbers]
