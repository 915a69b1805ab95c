"""What the best linear reader reads off every layer, beside what it would read from labels that mean nothing.

In: `Probes` and names of layers. Out: marks on axes the caller owns.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from unbend.numerics.probe import Probes
from unbend.plot.style import BLUE, FAINT, GREY, ORANGE, layer_axis


def probes(ax: Axes, result: Probes, *, labels: Sequence[str] | None = None, most: int = 26) -> None:
    """Held-out accuracy with its interval, the control task's accuracy, and how much the probe can memorise.

    Args:
        ax: where to draw.
        result: the probes.
        labels: what to call the layers; their names when left out.
        most: how many names of layers there is room for.
    """
    found = list(result.layers.values())
    x = np.arange(len(found))
    accuracy = np.array([p.accuracy for p in found])
    ends = np.array([[p.accuracy - p.low, p.high - p.accuracy] for p in found]).T
    task = np.array([np.nan if p.control.task_accuracy is None else p.control.task_accuracy for p in found])
    capacity = np.array([np.nan if p.control.capacity is None else p.control.capacity for p in found])
    ax.grid(visible=True, axis="y", color=FAINT, lw=0.5)
    ax.axhline(found[0].control.chance, color=GREY, ls=(0, (1, 1.5)), lw=1, label="chance")
    ax.plot(x, capacity, "s--", color=GREY, mfc="none", ms=5, lw=0.8, label="shuffled labels, on fitted rows")
    ax.plot(x, task, "D-", color=ORANGE, mfc="none", ms=5, lw=0.8, label="control task")
    ax.errorbar(x, accuracy, ends.clip(0), fmt="o-", color=BLUE, ms=5, lw=1.6, capsize=3, label="held-out rows")
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("accuracy")
    layer_axis(ax, labels or list(result.layers), most=most)
