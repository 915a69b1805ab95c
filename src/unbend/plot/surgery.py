"""What each layer costs when it is changed: a line a layer, a mark an operation, and how many units it needs.

In: a `Surgery`. Out: marks on given axes.
"""

import numpy as np
from matplotlib.axes import Axes

from unbend.explain.surgery.needed import UnitsNeeded
from unbend.explain.surgery.surgery import Surgery
from unbend.plot.style import BLUE, FAINT, GREEN, GREY, INK, MUTED, ORANGE, PINK, SKY, VERMILION, shorten

LOOKS = {
    "skip": ("o", BLUE, "skipped"),
    "affine": ("s", GREEN, "one matrix"),
    "mean": ("D", GREY, "its mean"),
    "resample": ("X", SKY, "another row's"),
    "erase": ("v", VERMILION, "classes erased"),
    "control": ("^", PINK, "random erased"),
}
"""Mark, colour and word of each operation."""


def surgery(ax: Axes, result: Surgery) -> None:
    """Held-out accuracy with each layer changed, the layers from top to bottom, with paired intervals."""
    place = {name: i for i, name in enumerate(result.layers)}
    shown = [op for op in LOOKS if any(cut.operation == op for cut in result.cuts)]
    for i in place.values():
        ax.axhline(i, color=FAINT, lw=0.6, zorder=-2)
    ax.axvline(100 * result.accuracy, color=INK, lw=0.9, zorder=-1)
    ax.axvline(100 * result.base_rate, color=MUTED, lw=0.9, ls=(0, (4, 3)), zorder=-1)
    for k, op in enumerate(shown):
        mark, color, word = LOOKS[op]
        cuts = [cut for cut in result.cuts if cut.operation == op]
        at = np.array([place[cut.layer] for cut in cuts]) + 0.13 * (k - (len(shown) - 1) / 2)
        x = 100 * np.array([cut.accuracy for cut in cuts])
        ends = 100 * (result.accuracy - np.array([[cut.cost.high, cut.cost.low] for cut in cuts]).T)
        ax.hlines(at, *ends, color=color, lw=1.0, alpha=0.7)
        ax.plot(x, at, mark, color=color, ms=4.5, mew=0, label=word, gid=op)
    ax.set_yticks(list(place.values()), [shorten(name, 28) for name in place], parse_math=False)
    ax.set(ylim=(len(place) - 0.4, -0.6), xlim=(min(0.0, ax.get_xlim()[0]), 102), xlabel="held-out accuracy (%)")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(shown), frameon=False, fontsize=7.5,
              handletextpad=0.2, columnspacing=1.2)  # fmt: skip


def units_needed(ax: Axes, result: UnitsNeeded, accuracy: float) -> None:
    """Held-out accuracy over the share of units that are kept: the most important, and as many random ones.

    Args:
        ax: where to draw.
        result: of one layer.
        accuracy: of the network as it is.
    """
    share = 100 * result.kept / max(result.n_units, 1)
    ax.axhline(100 * accuracy, color=FAINT, lw=0.8)
    ax.plot(share, 100 * result.at_random, "o-", color=GREY, ms=3, lw=1.2, label="random")
    ax.plot(share, 100 * result.by_importance, "s-", color=ORANGE, ms=3, lw=1.4, label="most important")
    ax.plot([100 * result.needed / max(result.n_units, 1)] * 2, [0, 100], color=INK, lw=0.8, ls=(0, (2, 2)))
    ax.set(xlabel="units kept (%)", ylabel="accuracy (%)", xlim=(-2, 102), ylim=(0, 102))
    ax.set_title(f"{shorten(result.layer, 30)}: {result.needed:,} of {result.n_units:,}", loc="left")
    ax.legend(frameon=False, fontsize=7, loc="lower right")
