"""How the variance of a layer falls from direction to direction.

In: a `Spectrum`. Out: a log-log curve with its effective rank on given axes.
"""

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from unbend.chart.spectrum import LEAST, spectrum_curve
from unbend.numerics.spectrum import Spectrum
from unbend.plot.style import BLUE, FAINT, MUTED, VERMILION

_DOTTED = 16
"""Up to this many points have dots."""


def spectrum(ax: Axes, result: Spectrum) -> None:
    """Share of the variance along each principal direction, both axes logarithmic.

    Two marks: the effective rank, and how many directions hold 95 % of the variance.
    """
    curve = spectrum_curve(result)
    x, y = curve.direction, curve.share
    if not len(x):
        ax.text(0.5, 0.5, "constant on this data", transform=ax.transAxes, ha="center", color=MUTED)
        ax.set(xticks=[], yticks=[])
        return
    if len(x) > _DOTTED:
        ax.plot(x, y, color=BLUE)
    else:
        ax.plot(x, y, "-o", color=BLUE, ms=3.5)
    ax.set(xscale="log", yscale="log", xlim=(0.9, max(len(result.values) * 1.1, 2)), xlabel="direction")
    ax.set_ylim(max(y.min() * 0.6, LEAST), min(y.max() * 3, 1.5))
    marks = [(result.effective_rank, f"effective rank {result.effective_rank:.3g}", VERMILION),
             (float(result.for_95), f"95 % in {result.for_95}", MUTED)]  # fmt: skip
    for line, (at, words, color) in enumerate(sorted(marks)):
        _mark(ax, at, words, color, line)
    ax.grid(visible=True, color=FAINT, lw=0.4)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.yaxis.set_major_locator(LogLocator(numticks=5))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))


def _mark(ax: Axes, at: float, words: str, color: str, line: int) -> None:
    """A dashed line at a number of directions; the lesser has its words to the left while there is room."""
    ax.axvline(at, color=color, lw=0.9, ls=(0, (3, 2)))
    place = ax.transAxes.inverted().transform(ax.transData.transform((at, 1)))[0]
    left = place > (0.72 if line else 0.5)
    ax.annotate(words, (at, 1.0), (-3 if left else 3, -2 - 11 * line), xycoords=("data", "axes fraction"), gid="halo",
                textcoords="offset points", color=color, va="top", ha="right" if left else "left")  # fmt: skip
