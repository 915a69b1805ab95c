"""How alike the layers are.

In: a `Similarity`. Out: a heat map on given axes.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from unbend.chart.matrix import likeness_shade
from unbend.numerics.similarity import Similarity
from unbend.plot.matrix import matrix
from unbend.plot.style import BLUE


def similarity(ax: Axes, result: Similarity, *, labels: Sequence[str] | None = None) -> None:
    """Debiased CKA of every two layers; blocks on the diagonal are layers that say the same."""
    words = [[f"{v:.2f}".removeprefix("0") if np.isfinite(v) else "" for v in row] for row in result.cka]
    matrix(ax, likeness_shade(result), labels or result.layers, color=BLUE, words=words)
