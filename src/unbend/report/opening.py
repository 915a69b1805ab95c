"""What a page shows of an `Opening`: two planes side by side, with the rows and the line that prove what is said.

In: an `Opening`. Out: sentences, drawings. Drawn here, because no view has to answer to it: it stands still.
"""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from unbend._shares import percent
from unbend._typing import Array
from unbend.numerics.separable import Separation
from unbend.study.opening import Opening

_WIDTH, _HEIGHT, _EDGE = 340.0, 260.0, 14.0
_CAPS = ("round", "square")
_COLORS = ("var(--blue,#0072b2)", "var(--orange,#b87c00)")


@dataclass(frozen=True, slots=True)
class OpeningDrawing:
    """A plane as an SVG, and the sentence below it.

    Attributes:
        title: which plane.
        caption: what is proved there.
        markup: the drawing.
    """

    title: str
    caption: str
    markup: Markup


@dataclass(frozen=True, slots=True)
class PageOpening:
    """What a page begins with.

    Attributes:
        title: its heading.
        words: below that.
        drawings: the two planes.
    """

    title: str
    words: str
    drawings: tuple[OpeningDrawing, ...]


def opening_sentences(result: Opening) -> tuple[str, str]:
    """What is proved of the input, and of the last hidden layer."""
    n, few = len(result.labels), len(result.before.rows)
    before = f"No line parts the two classes: {few} of the {n} rows prove it, for a mixture of those of one class is a "
    before += "mixture of those of the other."
    after = f"One line parts all {n} rows, with a margin of {result.after.margin:.2g}, proved in exact or rigorously "
    after += f"bounded arithmetic. On rows it has not seen the network is right in {percent(result.held_out)}."
    return before, after


def on_page(result: Opening) -> PageOpening:
    """The plane of the input with the rows that prove the overlap, and the hidden plane with the line."""
    before, after = opening_sentences(result)
    seen = (
        ("The input", before, result.inputs, "The rows in the plane of the input; rings mark those of the proof"),
        ("The last hidden layer", after, result.hidden, "The same rows in the plane of two hidden units, and the line"),
    )
    return PageOpening(
        f"{result.network} on {result.data}: what hidden layers are for",
        "The same rows before and after the hidden layers. Below, the same questions are asked of a larger network.",
        tuple(OpeningDrawing(title, said, _drawing(result, points, label)) for title, said, points, label in seen),
    )


def _drawing(result: Opening, points: Array, label: str) -> Markup:
    low, high = points.min(0), points.max(0)
    scale = np.array([_WIDTH - 2 * _EDGE, 2 * _EDGE - _HEIGHT]) / np.maximum(high - low, 1e-9)
    offset = np.array([_EDGE, _HEIGHT - _EDGE]) - low * scale
    placed = points * scale + offset
    marks = [
        f'<path d="{_dots(placed[result.labels == c])}" stroke="{color}" stroke-width="5" stroke-linecap="{cap}"/>'
        for c, (color, cap) in enumerate(zip(_COLORS, _CAPS, strict=True))
    ]
    if points is result.inputs:
        marks += [_mixture(placed[rows]) for c in (0, 1) if len(rows := _witnesses(result, c))]
    else:
        marks.append(_line(result.after, scale, offset))
    frame = f'<svg role="img" aria-label="{label}" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="100%">'
    return Markup(f"{frame}{''.join(marks)}</svg>")  # noqa: S704  numbers, and words of our own


def _witnesses(result: Opening, label: int) -> Array:
    return result.before.rows[result.labels[result.before.rows] == label]


def _mixture(points: Array) -> str:
    """Rows of one class in rings, and the line or triangle of their mixtures: it meets that of the other class."""
    ink = 'fill="none" stroke="var(--ink,#1b1d20)" stroke-width="1.5"'
    rings = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" {ink}/>' for x, y in points)
    return f'{rings}<path d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}Z" {ink}/>'


def _dots(points: Array) -> str:
    """A stroke of no length at each point, drawn as its cap."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)


def _line(plane: Separation, scale: Array, offset: Array) -> str:
    """The part of the separating line that lies inside the frame."""
    normal = plane.weight / scale
    middle = -plane.bias / (plane.weight @ plane.weight) * plane.weight * scale + offset
    along = np.array([-normal[1], normal[0]]) / max(float(np.hypot(*normal)), 1e-300)
    ends = np.array([[0.0, 0.0], [_WIDTH, _HEIGHT]]) - middle
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.sort(np.where(along == 0, [[-np.inf], [np.inf]], ends / along), axis=0)
    (x, y), (u, v) = middle + steps[0].max() * along, middle + steps[1].min() * along
    return f'<path d="M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" stroke="var(--ink,#1b1d20)" stroke-width="2"/>'
