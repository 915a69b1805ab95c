"""How the variance of a layer falls from direction to direction.

In: a `Spectrum`. Out: a log-log curve with its effective rank on given axes.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from unbend.numerics.spectrum import Spectrum
from unbend.plot.style import BLUE, FAINT, MUTED, VERMILION

_LEAST = 1e-8


def spectrum(ax: Axes, result: Spectrum) -> None:
    """Share of the variance along each principal direction, both axes logarithmic.

    Two marks: the effective rank, and how many directions hold 95 % of the variance.
    """
    total = result.values.sum()
    if total <= 0:
        ax.text(0.5, 0.5, "constant on this data", transform=ax.transAxes, ha="center", color=MUTED)
        ax.set(xticks=[], yticks=[])
        return
    share = result.values / total
    kept = np.flatnonzero(share > _LEAST)
    shown = np.unique(np.round(np.geomspace(1, len(kept), 120)).astype(int)) - 1
    x, y = shown + 1, share[kept][shown]
    if len(kept) > 16:
        ax.plot(x, y, color=BLUE)
    else:
        ax.plot(x, y, "-o", color=BLUE, ms=3.5)
    ax.set(xscale="log", yscale="log", xlim=(0.9, max(len(result.values) * 1.1, 2)), xlabel="direction")
    ax.set_ylim(max(y.min() * 0.6, _LEAST), min(y.max() * 3, 1.5))
    for at, word, color in (
        (result.effective_rank, "effective rank", VERMILION),
        (result.for_95, "95 %", MUTED),
    ):
        ax.axvline(at, color=color, lw=0.9, ls=(0, (3, 2)))
        high = word == "95 %"
        ax.annotate(f"{word} {at:.3g}" if not high else f"95 %: {at}", (at, 1.0), xycoords=("data", "axes fraction"),
                    xytext=(3, -4 if not high else -14), textcoords="offset points", color=color, va="top",
                    **({"ha": "right", "xytext": (-3, -4)} if high and at < result.effective_rank else {}))  # fmt: skip
    ax.grid(visible=True, color=FAINT, lw=0.4)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.yaxis.set_major_locator(LogLocator(numticks=5))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
