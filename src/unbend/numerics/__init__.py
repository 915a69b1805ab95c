"""One file per question: states that stream and add, results that are plain arrays, proofs that verify.

Knows tensors and arrays. Must not know `torch.nn`, hooks, files, pictures or printing. Importing this package
registers the measures below, in the order in which they are shown: a new measure is one line more.
"""

from unbend._cache import find_cache

find_cache()  # before any file of this package imports numba

from unbend.numerics import (  # noqa: E402, I001  the order is the order of display
    readout,
    scatter,
    moments,
    activity,
    centroids,
    spectrum,
    histogram,
    planes,
)

__all__ = ["activity", "centroids", "histogram", "moments", "planes", "readout", "scatter", "spectrum"]
