"""A drawing as a small inline SVG that takes its colours from the page.

In: a function that draws on axes. Out: the text of one `<svg>` element: no ids that clash, no external
reference, text that stays text, colours as CSS variables (`--ink`, `--blue`, …) with their printed value as
the fallback. Must not know what is drawn.
"""

import re
import warnings
from collections.abc import Callable
from hashlib import blake2b
from html import escape
from io import StringIO
from itertools import groupby
from typing import TypeAlias

from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from unbend.plot.style import RC, WORDS, plain_powers

PANEL = (3.4, 2.3)
"""Inches of a small figure, which a page shows about 340 px wide."""

Margins: TypeAlias = tuple[float, float, float, float]

_OWN = ("backend", "toolbar", "interactive", "webagg")
_DEFAULT = {key: value for key, value in rcParamsDefault.items() if not key.startswith(_OWN)}
_USE = re.compile(r'<use xlink:href="#(\w+)" x="([-\d.]+)" y="([-\d.]+)"(?: style="([^"]*)")?/>\s*')
_MARKER = re.compile(r'<defs>\s*<path id="(\w+)" d="([^"]*)"(?: style="([^"]*)")?/>\s*</defs>\s*')
_COLOR = re.compile(r"#[0-9a-f]{6}\b")
_FONT = re.compile(r"font: (?:(\w+) )?([\d.]+)px [^;\"]*")


def vector(
    draw: Callable[[Axes], None],
    label: str,
    *,
    size: tuple[float, float] = PANEL,
    margins: Margins | None = (0.45, 0.36, 0.08, 0.1),
) -> str:
    """What `draw` draws, as one inline `<svg role="img">`.

    Args:
        draw: draws on the axes it is given.
        label: what the picture shows, for people who cannot see it.
        size: width and height in inches, 72 units of the SVG each.
        margins: inches left, below, right and above of the axes; None to make room for whatever is there,
            which costs a second pass.

    Cost:
        20 to 80 ms, mostly ticks.
    """
    salt = blake2b(label.encode(), digest_size=6).hexdigest()
    with rc_context({**_DEFAULT, **RC, "svg.fonttype": "none", "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")  # letters stay letters: the reader's own fonts draw them
        figure = Figure(figsize=size, layout=None if margins else "constrained")
        draw(_axes(figure, size, margins))
        plain_powers(figure)
        text = StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    return compact(text.getvalue(), label)


def _axes(figure: Figure, size: tuple[float, float], margins: tuple[float, float, float, float] | None) -> Axes:
    figure.patch.set_visible(False)
    if margins is None:
        return figure.add_subplot()
    left, bottom, right, top = margins
    width, height = size
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    return figure.add_axes(box)


def compact(svg: str, label: str) -> str:
    """Matplotlib's SVG without what a page does not need, about a tenth of its size for scattered points."""
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]*)"', body)
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = _points(body)
    body = re.sub(r'<g id="(class-\d+|halo)">', r'<g class="\1">', body)
    body = re.sub(r'<g id="[^"]*"(/?)>', r"<g\1>", body)
    body = re.sub(r' (d|x|y|width|height|transform)="([^"]*)"', lambda m: f' {m[1]}="{_round(m[2])}"', body)
    body = _FONT.sub(lambda m: f"font-size:{m[2]}px" + (f";font-weight:{m[1]}" if m[1] else ""), body)
    body = _COLOR.sub(lambda m: f"var(--{WORDS[m[0]]},{m[0]})" if m[0] in WORDS else m[0], body)
    body = re.sub(r"(<defs>\s*</defs>|<g>\s*</g>|<g/>|<defs/>)\s*", "", body).replace('style=""', "")
    body = re.sub(r">\s+<", "><", body).strip()
    view = box[1] if box else "0 0 1 1"
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="{view}" stroke-linejoin="round" '
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{body}</svg>'
    )


def _round(numbers: str) -> str:
    """Coordinates to a tenth of a point (a matrix keeps its digits), white space as short as it can be."""
    if numbers.startswith(("matrix", "scale")):
        return numbers
    short = re.sub(r"-?\d+\.\d+", lambda m: _tenth(float(m[0])), numbers)
    return re.sub(r"\s*([MLCQzZ])\s*", r"\1", short.replace("\n", " ")).strip()


def _tenth(value: float) -> str:
    """A number to a tenth, as short as it can be."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _points(body: str) -> str:
    """Runs of one marker as one path: 13 to 45 bytes a point instead of 90, one element instead of hundreds."""
    shapes = {m[1]: (m[2], m[3] or "") for m in _MARKER.finditer(body)}
    out, end = [], 0
    for (name, _), run in groupby(_USE.finditer(body), key=lambda m: (m[1], m[4])):
        for piece in _join(list(run)):
            if name in shapes:
                out += [body[end : piece[0].start()], _path(shapes[name], piece)]
                end = piece[-1].end()
    kept = "".join([*out, body[end:]])
    return _MARKER.sub(lambda m: m[0] if f'"#{m[1]}"' in kept else "", kept)


def _join(run: list[re.Match[str]]) -> list[list[re.Match[str]]]:
    """The run cut where something stands between two of its marks."""
    pieces: list[list[re.Match[str]]] = []
    for mark in run:
        if pieces and pieces[-1][-1].end() == mark.start():
            pieces[-1].append(mark)
        else:
            pieces.append([mark])
    return pieces


def _path(shape: tuple[str, str], marks: list[re.Match[str]]) -> str:
    """One path that draws a marker at every place."""
    outline, drawn = shape
    own = marks[0][4] or drawn
    places = [f"M{_tenth(float(m[2]))} {_tenth(float(m[3]))}" for m in marks]
    if "C" in outline and "stroke" not in own:
        radius = max(float(x) for x in re.findall(r"(-?[\d.]+) -?[\d.]+", outline))
        dots = "h0".join([*places, ""])
        own = own.replace("fill", "stroke")
        return f'<path d="{dots}" style="fill:none;{own};stroke-width:{2 * radius:.2f};stroke-linecap:round"/>'
    dots = _relative(outline).join([*places, ""])
    return f'<path d="{dots}" style="{";".join(filter(None, (drawn, marks[0][4] or "")))}"/>'


def _relative(outline: str) -> str:
    """A marker's absolute outline as steps from the place it stands at."""
    out, at, before = [], (0.0, 0.0), ""
    for command, numbers in re.findall(r"([MLCQzZ])([^MLCQzZ]*)", outline):
        values = [float(v) for v in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        steps = " ".join(f"{_tenth(x - at[0])} {_tenth(y - at[1])}" for x, y in points).replace(" -", "-")
        lower = command.lower()
        out.append((" " if steps[:1] not in {"", "-"} else "") + steps if lower == before else lower + steps)
        at, before = (points[-1] if points else at), lower
    return "".join(out)
