"""The ladder: layer by layer from overlap to separable, with what each verdict is worth.

In: names of layers and their `LadderStep`s. Out: marks on axes the caller owns. Colour never stands alone: every
verdict has its own marker and word.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from unbend.numerics.separable import (
    JointOverlap,
    JointSeparation,
    LadderStep,
    Overlap,
    Separation,
)
from unbend.plot import style
from unbend.study.ladder import remark, word

SEPARABLE, OVERLAP, OPEN = style.BLUE, style.VERMILION, style.GREY
LEFT, RIGHT = 0.0, 1.0


def ladder(ax: Axes, layers: Sequence[str], steps: Sequence[LadderStep]) -> None:
    """Draw one rung per layer, first layer on top, verdicts from left (overlap) to right (separable).

    A hollow mark is a verdict that permuted labels, or the last bits, would also give.

    Args:
        ax: where to draw.
        layers: names, in the order of the network.
        steps: one for each layer.
    """
    places = [_place(step) for step in steps]
    heights = range(len(steps))
    ax.plot(places, heights, color=style.FAINT, lw=1.5, zorder=1)
    for at, (place, step) in enumerate(zip(places, steps, strict=True)):
        ax.axhline(at, color=style.FAINT, lw=0.6, zorder=0)
        _rung(ax, place, at, step)
    ax.set_yticks(list(heights), list(layers), parse_math=False)
    ax.set_xticks([LEFT, RIGHT], ["overlap", "separable"])
    ax.set_xlim(LEFT - 0.15, RIGHT + 0.15)
    ax.set_ylim(len(steps) - 0.4, -0.6)
    ax.tick_params(length=0, colors=style.INK)
    for side in ax.spines.values():
        side.set_visible(False)


def _place(step: LadderStep) -> float:
    if isinstance(step.verdict, (Overlap, JointOverlap)):
        return LEFT
    return RIGHT if isinstance(step.verdict, (Separation, JointSeparation)) else (LEFT + RIGHT) / 2


def _mark(place: float) -> tuple[str, str]:
    """Colour and marker of a verdict."""
    return {LEFT: (OVERLAP, "X"), RIGHT: (SEPARABLE, "o")}.get(place, (OPEN, "D"))


def _rung(ax: Axes, place: float, at: int, step: LadderStep) -> None:
    color, marker = _mark(place)
    is_hollow = step.frame.is_worthless or step.frame.last_bits_only
    ax.plot(
        [place],
        [at],
        marker=marker,
        ms=11,
        mec=color,
        mew=2,
        color=color,
        mfc=style.PAPER if is_hollow else color,
        zorder=3,
    )
    beside = {LEFT: (place + 0.05, "left", 4), RIGHT: (place - 0.05, "right", 4)}
    x, align, gap = beside.get(place, (place, "center", 9))
    name = word(step) + (", as are shuffled labels" if step.frame.is_worthless else "")
    ax.annotate(name, (x, at), (0, gap), textcoords="offset points", ha=align, va="bottom", color=color, weight="bold")
    ax.annotate(
        remark(step), (x, at), (0, -gap), textcoords="offset points", ha=align, va="top", color=style.INK, size="small"
    )


def robustness(ax: Axes, layers: Sequence[str], steps: Sequence[LadderStep]) -> None:
    """Draw how much relative change of every stored number each verdict provably survives, on a log axis.

    The dashed line is the rounding of float32: to the left of it a verdict is about rounding, not about the layer.
    Layers whose verdict survives no proved change stand at the left edge.
    """
    proved = [s.frame.robustness for s in steps if 0 < s.frame.robustness < math.inf]
    low = min([2.0**-27, *proved]) / 10
    for at, step in enumerate(steps):
        value = min(max(step.frame.robustness, low), 1.0)
        color, marker = _mark(_place(step))
        ax.plot([low, value], [at, at], color=color, lw=2, solid_capstyle="butt")
        ax.plot([value], [at], marker=marker, ms=8, color=color)
    ax.axvline(2.0**-24, color=OPEN, ls="--", lw=1)
    ax.set_xscale("log")
    ax.set_xlim(low, 1.0)
    ax.set_ylim(len(steps) - 0.4, -0.6)
    ax.set_yticks(list(range(len(steps))), list(layers), parse_math=False)
    ax.set_xlabel("relative change of every number survived, at least")
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="y", length=0)
