"""Colours and names, the same in every picture, whoever draws it."""

from collections.abc import Sequence
from itertools import takewhile

INK, MUTED, FAINT, PAPER = "#1b1d20", "#63686e", "#d5d8dc", "#fdfdfc"
BLUE, ORANGE, GREEN, VERMILION, PINK = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"
SKY, YELLOW, GREY, WINE, INDIGO = "#56b4e9", "#d9c700", "#7b8087", "#882255", "#4b3fa7"

WORDS = {
    INK: "ink", MUTED: "muted", FAINT: "faint", PAPER: "paper", BLUE: "blue", ORANGE: "orange", GREEN: "green",
    VERMILION: "vermilion", PINK: "pink", SKY: "sky", YELLOW: "yellow", GREY: "grey", WINE: "wine",
    INDIGO: "indigo",
}  # fmt: skip
"""The word of each colour; a page sets `--word` to give it another value."""

CLASSES = (BLUE, ORANGE, GREEN, VERMILION, SKY, PINK, GREY, YELLOW, WINE, INDIGO)
"""Colours of classes, in turn; with more classes than colours they repeat, so class names are written too."""

BENDS = frozenset({"activation", "function"})
"""Kinds of layers that are not affine: only they can make classes separable that were not."""


def class_color(index: int) -> str:
    """The colour of a class."""
    return CLASSES[index % len(CLASSES)]


def shorten(name: str, most: int = 18) -> str:
    """A name with its middle left out when it is longer than `most` characters; both ends tell layers apart.

    Example:
        >>> shorten("encoder.layer.0.attention.output.dense")
        'encoder.…put.dense'
    """
    if len(name) <= most:
        return name
    tail = (most - 1) // 2 + 1
    return f"{name[: most - 1 - tail]}…{name[-tail:]}"


def distinct(names: Sequence[str]) -> list[str]:
    """Names without the words they all begin with, where a picture has little room.

    Example:
        >>> distinct(["digit 0", "digit 1"]), distinct(["cat", "car"])
        (['0', '1'], ['cat', 'car'])
    """
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    start = "".join(letters[0] for letters in same) if len(names) > 1 else ""
    cut = start.rfind(" ") + 1
    return [name[cut:] for name in names]
