"""What a linear read-out takes for what.

In: a `Readout` with its confusion. Out: a heat map on given axes, true classes down, read classes across.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from unbend.chart.matrix import mistake_shade, mistake_share
from unbend.numerics.readout import Readout
from unbend.plot.matrix import matrix
from unbend.plot.style import VERMILION, distinct


def readout(ax: Axes, result: Readout, *, class_names: Sequence[str] = ()) -> None:
    """Mistakes on held-out rows: share of each true class read as another, the right ones left empty.

    The colour is full at the worst share, or at 10 % where all are smaller, so that a good layer looks good.
    """
    counts = np.zeros((1, 1), np.int64) if result.confusion is None else result.confusion
    words = [[str(v) if v else "" for v in row] for row in counts]
    names = tuple(class_names) or tuple(str(i) for i in range(len(counts)))
    matrix(ax, mistake_shade(mistake_share(counts)), distinct(names), color=VERMILION, words=words)
    ax.set(xlabel="read as", ylabel="true class")
