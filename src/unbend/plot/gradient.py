"""How large the loss gradient is at every layer.

In: `Gradients`. Out: a log curve on given axes.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from unbend.numerics.gradient import Gradients
from unbend.plot.style import FAINT, INDIGO, layer_axis


def gradients(ax: Axes, result: Gradients, *, labels: Sequence[str] | None = None) -> None:
    """Root mean square gradient norm per layer; learning flows from right to left."""
    ax.plot(np.arange(len(result.norm)), result.norm, "-o", color=INDIGO, ms=3.5, lw=1.2)
    if (result.norm[np.isfinite(result.norm)] > 0).any():
        ax.set_yscale("log")
        ax.yaxis.set_minor_locator(NullLocator())
    ax.grid(visible=True, axis="y", color=FAINT, lw=0.5)
    layer_axis(ax, labels or result.layers, most=14)
