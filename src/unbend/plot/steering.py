"""What the output makes of a direction that is added to a layer, beside random ones of the same length.

In: a `Steering`. Out: marks on given axes.
"""

from matplotlib.axes import Axes

from unbend.explain.steering import Steering
from unbend.plot.style import BLUE, FAINT, GREY, shorten


def steering(ax: Axes, result: Steering) -> None:
    """The share of other rows that the network calls the class, over how much was added."""
    for i, row in enumerate(result.random_called):
        ax.plot(result.strengths, 100 * row, "o-", color=GREY, ms=2.5, lw=1.0, alpha=0.7, label=None if i else "random")
    ax.plot(result.strengths, 100 * result.called, "s-", color=BLUE, ms=3.5, label=f"towards {result.direction.name}")
    ax.axvline(0, color=FAINT, lw=0.8, zorder=-1)
    ax.set(xlabel="added, in steps from the others to the class", ylabel="called that class (%)", ylim=(-3, 103))
    ax.set_title(shorten(result.direction.layer, 34), loc="left")
    ax.legend(frameon=False, fontsize=7, loc="upper left")
