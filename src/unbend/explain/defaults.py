"""What explaining takes where nothing else is said: numbers and names that the command line tells before it computes.

In: nothing. Out: constants. Must not import what is slow.
"""

from typing import Literal, TypeAlias, get_args

MAP_ROWS = 1000
PLANES = ("pca", "discriminant")
MAP_METHODS = (*PLANES, "tsne", "umap", "pacmap")
"""In the order in which they are shown."""
SALIENCY_METHODS = ("gradient", "integrated gradients", "SmoothGrad")
SALIENCY_ROWS = 6
SHAPE_ROWS = 2000
SHAPE_BUDGET = 30.0
"""Seconds of processor time in which pieces and holes are counted; a cloud takes about 0.2."""
STRENGTHS = (-1.0, -0.5, 0.5, 1.0, 2.0)
"""Steps along a direction that steering adds."""
Operation: TypeAlias = Literal["skip", "affine", "mean", "resample", "erase", "control"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
SURGERY_ROWS = 2000
"""Held-out rows on which layers are judged."""
STEPS = 256
"""Of the ascent to an input that a unit answers to most,"""
FOR_IMAGES = ("frequency", "maco", "pixels")
FOR_COLUMNS = ("whitened", "columns")
"""and the forms in which it is made."""
