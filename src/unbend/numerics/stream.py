"""Running sums of the cheap states of one layer, updated in place.

In: float32 rows on the CPU, batch after batch. Out: the `MomentState`, `ActivityState` and `CentroidState` that
`of` and `+` would give. Where the forward pass of a batch takes milliseconds, making three states per layer and adding
them costs more than the sums themselves; this costs one compiled call and a few short additions.
"""

from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from unbend.numerics.activity import ActivityState
from unbend.numerics.batch import Bend
from unbend.numerics.centroids import CentroidState
from unbend.numerics.moments import MomentState
from unbend.numerics.sweep import Segments
from unbend.numerics.views import View

KINDS: tuple[type[Any], ...] = (MomentState, ActivityState, CentroidState)


@final
class Stream:
    """Running sums of one layer of plain rows.

    Args:
        width: units.
        n_classes: segments of the samples.
        bend: for the output of an activation that is never negative and flat below 0 (ReLU and its kin): where it
            is saturated; None for a layer that is no activation.
    """

    __slots__ = ("_bend", "_class_n", "_flat", "_high", "_low", "_made", "_n", "_square", "_total", "_zeros")

    def __init__(self, width: int, n_classes: int, bend: Bend | None) -> None:
        self._bend, self._n = bend, 0
        self._class_n = np.zeros(n_classes, np.int64)
        self._total, self._square = np.zeros((n_classes, width)), np.zeros(width)
        self._low, self._high = np.full(width, np.inf, np.float32), np.full(width, -np.inf, np.float32)
        self._zeros, self._flat = np.zeros(width, np.int64), np.zeros(width, np.int64)
        self._made = (np.empty((n_classes, width)), np.empty(width), np.empty(width, np.float32),
                      np.empty(width, np.float32))  # fmt: skip

    def add(self, values: Tensor, groups: Segments) -> bool:
        """Add a batch [n, d]; False, with nothing added, if some value is not finite or the layer is negative."""
        from unbend.numerics import kernels  # noqa: PLC0415  compiled code loads when it is first needed

        x = values.contiguous().numpy()
        totals, squares, low, high = self._made
        kernels.sweep_rows(x, groups.order, groups.starts, totals, squares, low, high)
        if not np.isfinite(squares.sum()) or (self._bend is not None and low.min(initial=0.0) < 0):
            return False
        self._n += len(x)
        self._class_n += groups.starts[1:] - groups.starts[:-1]
        self._total += totals
        self._square += squares
        np.minimum(self._low, low, out=self._low)
        np.maximum(self._high, high, out=self._high)
        if self._bend is not None:
            zeros, flat = np.zeros(x.shape[1], np.int32), np.zeros(x.shape[1], np.int32)
            upper = np.float32(self._bend.high)
            kernels.count_rows(x, np.float32(-np.inf), upper, zeros, flat)
            self._zeros += zeros
            self._flat += zeros + flat if np.isfinite(upper) else zeros
        return True

    def states(self) -> dict[str, Any]:
        """The states of everything added, by class name; empty where nothing was."""
        if not self._n:
            return {}
        total = self._total.sum(0)
        low, high = self._low.astype(np.float64), self._high.astype(np.float64)
        m2 = np.where(low == high, 0.0, np.maximum(self._square - total * total / self._n, 0.0))
        count, none = np.full(len(total), float(self._n)), np.zeros(len(total), np.int64)
        moments = MomentState(self._n, count, total, m2, low, high, none)
        activity = (
            ActivityState(self._n, np.zeros(len(total)), none, none, np.zeros(len(total)), low, high)
            if self._bend is None
            else ActivityState(self._n, count, self._zeros.copy(), self._flat.copy(), np.abs(total), low, high)
        )
        class_n = self._class_n.copy()
        centroids = CentroidState(class_n, class_n[:, None].astype(np.float64), self._total.copy())
        return {type(state).__name__: state for state in (moments, activity, centroids)}


def is_streamable(values: Tensor, view: View, bend: Bend | None) -> bool:
    """Whether a layer's tensor can be summed in place: plain float32 rows on the CPU, affine or ReLU-like."""
    plain = view.layout == "features" and values.dtype == torch.float32 and values.device.type == "cpu"
    return plain and (bend is None or (bend.pre is None and bend.low == 0.0))
