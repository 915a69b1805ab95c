"""One look for every figure: colours, sizes, and how a name is shortened.

In: nothing but numbers and names. Out: constants and small rules. Must not know any Result. Colours are those
of Okabe & Ito (2008), told apart by people with any kind of colour vision, and three of Tol's for the ninth
class and beyond. Each has a word, so that a page can give it another value on a dark ground.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterMathtext, NullFormatter

from unbend._typing import Array, Float
from unbend.chart.style import (
    BENDS,
    BLUE,
    CLASSES,
    FAINT,
    GREEN,
    GREY,
    INDIGO,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PINK,
    SKY,
    VERMILION,
    WINE,
    WORDS,
    YELLOW,
    class_color,
    distinct,
    shorten,
)

__all__ = [
    "BENDS",
    "BLUE",
    "CLASSES",
    "FAINT",
    "GREEN",
    "GREY",
    "INDIGO",
    "INK",
    "MUTED",
    "ORANGE",
    "PAPER",
    "PINK",
    "RC",
    "SKY",
    "VERMILION",
    "WINE",
    "WORDS",
    "YELLOW",
    "class_color",
    "distinct",
    "layer_axis",
    "name_room",
    "plain_powers",
    "shorten",
    "spread",
    "tint",
]
"""The colours among them, so that who draws with matplotlib asks in one place."""

RC: dict[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.0,
    "figure.facecolor": "none",
    "lines.linewidth": 1.5,
    "text.color": INK,
    "text.parse_math": False,  # as every drawing function asks where it writes a user's name
    "xtick.color": MUTED,
    "xtick.labelsize": 7.5,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.color": MUTED,
    "ytick.labelsize": 7.5,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}
"""Settings for `matplotlib.rc_context`, on top of matplotlib's own defaults; never set globally."""


def tint(color: str, share: Float[Array, "..."]) -> Float[Array, "... 4"]:
    """RGBA of a colour at an opacity in [0, 1]; see-through where it is 0, so it reads on any ground."""
    alpha = np.clip(np.nan_to_num(share), 0.0, 1.0)
    return np.concatenate([np.broadcast_to(to_rgb(color), (*alpha.shape, 3)), alpha[..., None]], -1)


def layer_axis(ax: Axes, labels: Sequence[str], *, most: int = 26) -> None:
    """Layers along x: every name while there is room, else every second, third, …, always the first."""
    n = len(labels)
    ticks = range(0, n, -(-n // most))
    ax.set_xticks(list(ticks), [shorten(labels[i]) for i in ticks], parse_math=False)
    if not _level(labels, most):
        for text in ax.get_xticklabels():
            text.set(rotation=38, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, n - 0.4)


def name_room(labels: Sequence[str], *, most: int = 26) -> float:
    """Inches that `layer_axis` needs below the axes."""
    if _level(labels, most):
        return 0.26
    longest = max(len(shorten(name)) for name in labels)
    return 0.2 + 0.039 * longest


def _level(labels: Sequence[str], most: int) -> bool:
    shown = labels[:: -(-len(labels) // most)] if labels else labels
    return max((len(name) for name in shown), default=0) * len(shown) <= 2.4 * most


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights near the wanted ones, no two nearer than `gap`: room for labels at the ends of lines.

    Example:
        >>> spread([0.0, 0.1, 5.0], 1.0)
        [-0.45, 0.55, 5.0]
    """
    order = np.argsort(wanted, kind="stable")
    groups: list[list[int]] = []
    for i in order:
        groups.append([int(i)])
        while (
            len(groups) > 1
            and _centre(groups[-1], wanted) - _centre(groups[-2], wanted)
            < gap * (len(groups[-1]) + len(groups[-2])) / 2
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    out = [0.0] * len(wanted)
    for group in groups:
        centre = _centre(group, wanted)
        for place, i in enumerate(group):
            out[i] = round(centre + (place - (len(group) - 1) / 2) * gap, 9)
    return out


def _centre(group: list[int], wanted: Sequence[float]) -> float:
    return float(np.mean([wanted[i] for i in group]))


def plain_powers(figure: Figure) -> None:
    """Write powers of ten on logarithmic axes in plain characters: in our figures nothing is parsed as mathematics."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, LogFormatterMathtext):
                axis.set_major_formatter(FuncFormatter(partial(_power, base=getattr(formatter, "_base", 10.0))))
            if isinstance(axis.get_minor_formatter(), LogFormatterMathtext):
                axis.set_minor_formatter(NullFormatter())


def _power(x: float, _pos: int | None, base: float) -> str:
    """Powers of ten as 10³, others as numbers."""
    if x <= 0:
        return ""
    power = math.log10(x)
    if base != 10 or abs(power - round(power)) > 1e-9 or 0 <= round(power) <= 2:
        return f"{x:g}"
    return "10" + str(round(power)).translate(_RAISED)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
