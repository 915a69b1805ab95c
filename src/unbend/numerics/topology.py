"""Pieces and holes of a cloud of points: its first two Betti numbers at one scale along its neighbour graph.

In: points. Out: two counts. Persistent homology is done by the package ripser, an extra.
"""

from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.sparse.csgraph import shortest_path

from unbend.errors import MissingExtraError

__all__ = ["betti", "ripser"]

NEIGHBOURS = 14
"""Neighbours in the graph along which distance is counted,"""
SCALE = 2.0
"""and the steps along it at which pieces and holes are counted."""


def betti(h: Float64[np.ndarray, "n d"]) -> tuple[int, int]:
    """Pieces (β0) and holes (β1), of the Vietoris-Rips complex over distances along the neighbour graph.

    Args:
        h: the points; of equal ones one counts.

    Raises:
        MissingExtraError: ripser is not installed.

    Cost:
        A table of n² distances, and the cube of n at worst; some hundred points take a second.

    Source:
        Naitzat, Zhitnikov and Lim 2020, Topology of deep neural networks.
    """
    from sklearn.neighbors import kneighbors_graph  # noqa: PLC0415  slow to import

    h = np.unique(h, axis=0)  # ReLU puts many points on one
    if len(h) == 1:
        return 1, 0
    graph: Any = kneighbors_graph(h, min(NEIGHBOURS, len(h) - 1))
    steps = shortest_path(graph.maximum(graph.T), unweighted=True)
    steps[np.isinf(steps)] = 1e6  # other pieces are never reached
    bars = ripser()(steps.astype(np.float32), distance_matrix=True, maxdim=1, thresh=SCALE + 1.5)["dgms"]
    pieces, holes = (int(((bar[:, 0] <= SCALE) & (bar[:, 1] > SCALE)).sum()) for bar in bars)
    return pieces, holes


def ripser() -> Any:
    """The function of the package ripser."""
    try:
        return import_module("ripser").ripser
    except ImportError as error:
        message = "topology: needs the package ripser. Install it: pip install 'unbend[topology]'."
        raise MissingExtraError(message) from error
