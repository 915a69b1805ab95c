"""The page of feature maximisation: a card for each target, its input beside the real rows it answers to most.

In: a `Maximisation`. Out: one self-contained page, and its sentences.
"""

from base64 import b64encode
from functools import partial
from io import BytesIO

import numpy as np
from markupsafe import Markup

from unbend._names import first_few
from unbend._shares import percent
from unbend._typing import Array
from unbend.chart.images import tiles
from unbend.explain.maximise.maximise import Maximisation
from unbend.explain.maximise.noise import FAR, LEAST
from unbend.plot.maximise import COLUMNS, column_name
from unbend.plot.maximise import maximise as draw
from unbend.plot.vector import PANEL, vector
from unbend.report.sheet import SheetPart, SheetPicture, drawing, sheet

_MOST_DRAWN = 24
_FEW = 8
_COLUMNS = ("", "answer", "greatest real", "kept under small changes", "of real rows", "unlike the data", "")
_STYLE = """.made { display: grid; grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)); gap: 14px; }
.made article { background: var(--card); border: 1px solid var(--faint); border-radius: 8px; padding: 10px 12px; }
.made h3 { font-size: 14px; font-weight: 650; margin: 0; }
.made p { font-size: 13px; margin: 2px 0 6px; color: var(--muted); } .made p.noise { color: #b34700; }
.made img { width: 100%; image-rendering: pixelated; border-radius: 3px; display: block; }
@media (prefers-color-scheme: dark) { .made p.noise { color: #f0a070; } }
@media (max-width: 560px) { .made { grid-template-columns: 1fr; } }"""
_HOW = {
    "frequency": "Its colours and frequencies are together no stronger than those of training images are on average.",
    "maco": "Every frequency has the magnitude that it has in the training images on average; only phases moved.",
    "pixels": "Every pixel moved by itself.",
    "whitened": "Columns moved together as they do in the training rows, and no input lies farther from their mean "
    "than all but 1 % of these.",
    "columns": "Every column moved by itself, within its range.",
}


def maximise_page(result: Maximisation, *, title: str) -> str:
    """The page.

    Args:
        result: the inputs.
        title: of the page.
    """
    rows = [_row(result, i) for i in range(len(result.names))]
    table = SheetPart("The numbers", (_unlike(result),), (), _COLUMNS, rows)
    if result.form == "image":
        cards = Markup("").join(_card(result, i) for i in range(len(result.names)))
        words = ("The large image on each card is the one that was made, the small ones are training rows.",)
        shown = SheetPart(words=words, markup=Markup('<div class="made">{}</div>').format(cards))
    else:
        shown = SheetPart("", _undrawn(result), _drawings(result))
    return sheet(title, maximise_sentences(result), [shown, table], style=_STYLE)


def maximise_sentences(result: Maximisation) -> tuple[str, ...]:
    """What was made, which of it is noise, and how far above real rows it comes."""
    read = f" The answer is {result.reading}." if result.reading else ""
    beside = result.real_ids.shape[1]
    rows = "the one" if beside == 1 else f"the {beside}"
    first = (
        f"The input to which {_targets(result)} answers most, made by gradient ascent, beside {rows} of {result.n:,} "
        f"training rows to which it answers most.{read} {_HOW[result.parametrisation]}"
    )
    told = [first, _noise(result)]
    above = np.nan_to_num(result.excess, nan=-np.inf)
    above[result.is_noise] = -np.inf
    if np.isfinite(above).any():
        best = int(above.argmax())
        but = " without being noise" if result.is_noise.any() else ""
        first_word = f" furthest above real rows{but}:" if len(above) > 1 else ""
        told.append(
            f"`{result.names[best]}` comes{first_word} "
            f"{above[best]:.1f} times as far above its mean as the greatest real answer."
        )
    silent = [f"`{name}`" for name, spread in zip(result.names, result.spread, strict=True) if not spread]
    gained = result.answer - result.mean
    lost = [f"`{result.names[i]}`" for i in np.flatnonzero((gained <= 0) & (result.spread > 0))]
    if lost:
        told.append(f"No way up was found: {first_few(lost, _FEW)}.")
    if silent:
        told.append(f"Constant over the training rows: {first_few(silent, _FEW)}.")
    return tuple(told)


def _targets(result: Maximisation) -> str:
    n, kinds = len(result.names), {name.partition(" ")[0] for name in result.names}
    if n == 1:
        return f"`{result.names[0]}` of `{result.layer}`"
    words = {"class": "classes", "channel": "channels", "unit": "units", "direction": "directions"}
    word = words.get(next(iter(kinds)), "targets") if len(kinds) == 1 else "targets"
    return f"each of {n:,} {word} in `{result.layer}`"


def _noise(result: Maximisation) -> str:
    bad = [f"`{name}`" for name, is_noise in zip(result.names, result.is_noise, strict=True) if is_noise]
    if not bad and len(result.names) == 1:
        return (
            "It is no adversarial noise: it keeps its answer under small changes about as real rows do, and is not "
            "both far above real rows and unlike them."
        )
    if not bad:
        return (
            "None is adversarial noise: each keeps its answer under small changes about as real rows do, and none is "
            "both far above real rows and unlike them."
        )
    return (
        f"{len(bad):,} of {len(result.names):,} are adversarial noise, not what the target answers to in the data: "
        f"{first_few(bad, _FEW)}. An input is called so that keeps less than {percent(LEAST)} of what real rows keep "
        f"under small changes, or is {FAR:g} times as far above the mean as any real row and unlike the data."
    )


def _unlike(result: Maximisation) -> str:
    if result.form == "image":
        return (
            "Small changes are shifts by a pixel, ten per cent of size and a blur; shown is the share of the answer "
            "above its mean that is left. Unlike the data: the share of an image's power at high frequencies "
            f"({result.usual:.2f} or less in 99 % of training images)."
        )
    return (
        "Small changes are noise of a tenth of each column's spread; shown is the share of the answer above its mean "
        "that is left. Unlike the data: the Mahalanobis distance from the mean "
        f"({result.usual:.1f} or less in 99 % of training rows)."
    )


def _row(result: Maximisation, i: int) -> tuple[str, ...]:
    return (
        result.names[i], f"{result.answer[i]:.3g}", f"{result.real_answer[i, 0]:.3g}", f"{result.survival[i]:.2f}",
        f"{result.real_survival[i]:.2f}", f"{result.unlike[i]:.2f}", "noise" if result.is_noise[i] else "",
    )  # fmt: skip


def _card(result: Maximisation, i: int) -> Markup:
    real = result.examples.x[result.examples.at(result.real_ids[i])]
    kept = f"keeps {percent(result.survival[i])} under small changes (real rows {percent(result.real_survival[i])})"
    said = f"answer {result.answer[i]:.3g}, greatest real {result.real_answer[i, 0]:.3g}; {kept}"
    is_bad = bool(result.is_noise[i])
    return Markup('<article><h3>{}</h3><p class="{}">{}{}</p><img alt="{}" src="{}"></article>').format(
        result.names[i], "noise" if is_bad else "", "adversarial noise: " if is_bad else "", said,
        f"Made for {result.names[i]}, and the training rows it answers to most", _png(tiles(result.x[i], real)),
    )  # fmt: skip


def _png(image: Array) -> str:
    from PIL import Image  # noqa: PLC0415  matplotlib brings it

    place = BytesIO()
    Image.fromarray(np.round(255 * image).astype(np.uint8)).save(place, "PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(place.getvalue()).decode()}"


def _undrawn(result: Maximisation) -> tuple[str, ...]:
    """Which columns are drawn, and that some targets stand in the table only."""
    n, q = len(result.names), len(result.row_mean)
    told = (f"Of {q:,} columns those {COLUMNS} are drawn in which the input made lies furthest from the mean.",)
    more = (f"The first {_MOST_DRAWN} of {n:,} inputs are drawn; the table has all of them.",)
    return (told if q > COLUMNS else ()) + (more if n > _MOST_DRAWN else ())


def _drawings(result: Maximisation) -> list[SheetPicture]:
    longest = max(len(column_name(result, j)) for j in range(len(result.row_mean)))
    room = 0.2 + 0.068 * longest
    return [
        drawing(vector(partial(draw, result=result, target=i), f"Columns of the input made for {name}",
                       size=(PANEL[0] + room - 0.75, PANEL[1]), margins=(room, 0.36, 0.08, 0.25)))
        for i, name in enumerate(result.names[:_MOST_DRAWN])
    ]  # fmt: skip
