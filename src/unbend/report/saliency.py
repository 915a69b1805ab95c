"""The page of saliency: maps beside those of random weights, and which methods pass that check."""

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend._names import column_word, first_few
from unbend._shares import small_percent
from unbend._typing import Array
from unbend.explain.saliency import SAME, Saliency
from unbend.plot.saliency import saliency as draw
from unbend.plot.style import PAPER, RC
from unbend.report.sheet import SheetPart, SheetPicture, sheet

_CELL = 1.05
_EXACT = 1e-4
"""Share below which nothing more is told of how exactly attributions add up."""
_COLUMNS = 12
"""Columns of a table that are named."""
_CAPTION = (
    "Left of each line: the output that is explained. The darker, the more it hangs on that place, each map on a scale "
    "of its own; where a method has signs, blue speaks for it and red against."
)
_KEY = (
    "The bluer a word, the more the score hangs on it, each line on a scale of its own; where a method has signs, "
    "orange words speak against it."
)
_PLACES = {"image": "pixel by pixel", "tokens": "token by token", "columns": "column by column"}
_STYLE = """.tokens { font-size: 13.5px; line-height: 1.9; max-width: 100ch; overflow-wrap: anywhere; }
.tokens span { border-radius: 3px; padding: 1px 3px; } .tokens b { color: var(--muted); font-weight: 400; }"""


def saliency_page(result: Saliency, *, title: str, words: Callable[[int], str] = str) -> str:
    """The page.

    Args:
        result: the maps.
        title: of the page.
        words: from the number of a token to its word.
    """
    first, *rest = saliency_sentences(result)
    if result.form == "tokens":
        part = SheetPart("", rest, markup=_texts(result, words))
    else:
        part = SheetPart("", rest, [SheetPicture(_image(result), _CAPTION)])
    columns = ("method", "rank correlation with random weights", "least", "greatest", "check")
    rows = [
        (
            name,
            *map(_two, (float(np.mean(r)), float(r.min()), float(r.max()))),
            "passes" if result.passes[name] else "fails",
        )
        for name, r in result.similarity.items()
    ]
    parts = [part, *_columns(result), SheetPart("The check of random weights", (), (), columns, rows)]
    return sheet(title, (first,), parts, style=_STYLE)


def _columns(result: Saliency) -> list[SheetPart]:
    """Of rows that are columns, which of these the scores hang on most."""
    if result.form != "columns":
        return []
    shares = {name: np.mean([_share_of(row) for row in maps], 0) for name, maps in result.maps.items()}
    whole = np.mean(list(shares.values()), 0)
    rows = [
        (
            column_word(result.column_names, int(j), is_alone=True),
            *(small_percent(float(share[j])) for share in shares.values()),
        )
        for j in np.argsort(-whole, kind="stable")[:_COLUMNS]
    ]
    words = (
        f"Of a row, the share of a column in all that its map holds, signs left out; the mean over these "
        f"{len(result.ids)} rows, the {len(rows)} columns with the most."
    )
    return [SheetPart("The columns", (words,), (), ("", *shares), rows)]


def _share_of(values: Array) -> Array:
    """Shares that add up to 1."""
    return np.abs(values) / max(float(np.abs(values).sum()), 1e-12)


def saliency_sentences(result: Saliency) -> tuple[str, ...]:
    """Which methods can be believed, and how exact integrated gradients are."""
    others = first_few([f"`{name}`" for name in result.kept], 8)
    rest = f" It is asked of `{result.part}` alone, with {others} as given." if others else ""
    where = f", {_PLACES[result.form]}" if result.form in _PLACES else ""
    score = "only score" if len(result.output_names) == 1 else "greatest score"
    first = (
        f"What the {score} that the network gives {_each(len(result.ids))} hangs on{where}.{rest} "
        "Beside each map stands that of the same network with all weights drawn anew: a map that stays the same (rank "
        f"correlation from {SAME} on) tells of the input, not of what was learned; that it changes is no proof that it "
        "tells what the network looks at."
    )
    told = [first]
    for name, passes in result.passes.items():
        r = float(np.mean(result.similarity[name]))
        said = "passes the check" if passes else "fails the check: do not read it as what the network looks at"
        told.append(f"`{name}` {said} (mean rank correlation {_two(r)}).")
    if np.isfinite(result.gap).any():
        told.append(
            f"The integrated gradients of a row add up to the difference of its score from that of {_baseline(result)} "
            f"within {_gap(float(np.nanmax(result.gap)))}."
        )
    return tuple(told)


def _each(n: int) -> str:
    return "a held-out row" if n == 1 else f"each of {n:,} held-out rows"


def _two(r: float) -> str:
    """A correlation to two digits; none is less than nothing by rounding."""
    return f"{r:.2f}".replace("-0.00", "0.00")


def _gap(share: float) -> str:
    return small_percent(share) if share >= _EXACT else f"{small_percent(_EXACT)}"


def _baseline(result: Saliency) -> str:
    """What integrated gradients begin at."""
    return "embeddings of zeros" if result.form == "tokens" else "an input of zeros"


def _image(result: Saliency) -> Markup:
    """The maps as one picture: pixels, which no drawing of lines tells shorter."""
    n, m = len(result.ids), 1 + 2 * len(result.maps)
    height = _CELL if result.form == "image" else 0.45
    with rc_context(RC):
        figure = Figure((_CELL * m + 0.5, height * n + 0.6), dpi=160, facecolor=PAPER, layout="constrained")
        draw(figure, result)
        place = BytesIO()
        figure.savefig(place, format="png", facecolor=PAPER)
    code = b64encode(place.getvalue()).decode()
    label = f"Saliency maps of {n} inputs by {len(result.maps)} methods"
    return Markup(f'<img alt="{escape(label)}" src="data:image/png;base64,{code}">')  # noqa: S704  our own bytes


def _texts(result: Saliency, words: Callable[[int], str]) -> Markup:
    lines = [Markup('<p class="quiet">{}</p>').format(_KEY)]
    for i, mine in enumerate(result.counts):
        name = result.output_names[result.target[i]]
        lines.append(Markup("<h2>Row {}: the score of {}</h2>").format(int(result.ids[i]), name))
        for method in result.maps:
            for weights, maps in (("", result.maps), ("random weights: ", result.random_maps)):
                told = Markup(" ").join(
                    _token(words(int(t)), s)
                    for t, s in zip(result.x[i][mine], _share(maps[method][i][mine]), strict=True)
                )
                lines.append(Markup('<p class="tokens"><b>{}{}</b> {}</p>').format(weights, method, told))
    return Markup("").join(lines)


def _share(values: Array) -> Array:
    return values / max(float(np.abs(values).max(initial=0.0)), 1e-12)


def _token(word: str, share: float) -> Markup:
    color = "0,114,178" if share >= 0 else "213,94,0"
    return Markup('<span style="background:rgba({},{})">{}</span>').format(color, f"{0.75 * abs(share):.2f}", word)
