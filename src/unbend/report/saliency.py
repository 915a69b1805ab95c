"""The page of saliency: maps beside those of random weights, and which methods pass that check."""

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend._shares import small_percent
from unbend._typing import Array
from unbend.explain.saliency import SAME, Saliency
from unbend.plot.saliency import saliency as draw
from unbend.plot.style import PAPER, RC
from unbend.report.sheet import SheetPart, SheetPicture, sheet

_CELL = 1.05
_CAPTION = (
    "Left of each line: the output that is explained. Where a method has signs, blue speaks for it and red against."
)
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
        (name, f"{np.mean(r):.2f}", f"{r.min():.2f}", f"{r.max():.2f}", "passes" if result.passes[name] else "fails")
        for name, r in result.similarity.items()
    ]
    return sheet(title, (first,), [part, SheetPart("The check of random weights", (), (), columns, rows)], style=_STYLE)


def saliency_sentences(result: Saliency) -> tuple[str, ...]:
    """Which methods can be believed, and how exact integrated gradients are."""
    first = (
        "What the greatest score that the network gives a row, or its only one, hangs on, pixel by pixel, column by "
        "column or token by token. Beside each map stands that of the same network with all weights drawn anew: a map "
        f"that stays the same (rank correlation from {SAME} on) tells of the input, not of what was learned."
    )
    told = [first]
    for name, passes in result.passes.items():
        r = float(np.mean(result.similarity[name]))
        said = "passes the check" if passes else "fails the check: do not read it as what the network looks at"
        told.append(f"`{name}` {said} (mean rank correlation {r:.2f}).")
    if np.isfinite(result.gap).any():
        told.append(
            f"The integrated gradients of a row add up to the difference of its score from that of an empty input "
            f"within {small_percent(float(np.nanmax(result.gap)))}."
        )
    return tuple(told)


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
    lines = []
    for i, mine in enumerate(result.counts):
        name = result.output_names[result.target[i]]
        lines.append(Markup("<h2>row {}: {}</h2>").format(int(result.ids[i]), name))
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
