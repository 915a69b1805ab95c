"""Running sums of the cheap states of one layer, updated in place.

In: float32 rows on the CPU, batch after batch. Out: the `MomentState`, `ActivityState` and `CentroidState` that
`of` and `+` would give. Where the forward pass of a batch takes milliseconds, making three states per layer and adding
them costs more than the sums themselves; this costs one compiled call and a few short additions.
"""

from typing import Any, final

import numpy as np
from torch import Tensor

from unbend.numerics.activity import ActivityState, is_rectifier
from unbend.numerics.batch import Bend
from unbend.numerics.centroids import CentroidState
from unbend.numerics.moments import MomentState
from unbend.numerics.sweep import Segments, has_kernel
from unbend.numerics.views import View

_MOST = 2**31 - 1
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

    __slots__ = ("_class_n", "_counts", "_ends", "_flat", "_n", "_run", "_sums")

    def __init__(self, width: int, n_classes: int, bend: Bend | None) -> None:
        from unbend.numerics import kernels  # noqa: PLC0415  compiled code loads when it is first needed

        self._run = kernels.run_rows
        self._n, self._flat = 0, np.float32(np.nan if bend is None else bend.high)
        self._class_n = np.zeros(n_classes, np.int64)
        self._sums = np.zeros((2, n_classes + 1, width))
        self._ends = np.full((2, 2, width), np.inf, np.float32)
        self._ends[:, 1] = -np.inf
        self._counts = np.zeros((3, width), np.int32)

    def add(self, values: Tensor, groups: Segments) -> bool:
        """Add a batch [n, d]; False, with nothing added, if a value is not finite or an activation is negative."""
        x = values.contiguous().numpy()
        if self._n + len(x) > _MOST:
            return False
        if not self._run(x, groups.order, groups.starts, self._flat, self._sums, self._ends, self._counts):
            return False
        self._n += len(x)
        self._class_n += groups.starts[1:] - groups.starts[:-1]
        return True

    def states(self) -> dict[str, Any]:
        """The states of everything added, by class name; empty where nothing was."""
        if not self._n:
            return {}
        totals, squares = self._sums[0, :-1], self._sums[0, -1]
        low, high = self._ends[0].astype(np.float64)
        total = totals.sum(0)
        m2 = np.where(low == high, 0.0, np.maximum(squares - total * total / self._n, 0.0))
        count, none = np.full(len(total), float(self._n)), np.zeros(len(total), np.int64)
        moments = MomentState(self._n, count, total, m2, low, high, none)
        zeros, flat = self._counts[:2].astype(np.int64)
        activity = (
            ActivityState(self._n, np.zeros(len(total)), none, none, np.zeros(len(total)), low, high)
            if np.isnan(self._flat)
            else ActivityState(self._n, count, zeros, zeros + flat, np.abs(total), low, high, self._n)
        )
        class_n = self._class_n.copy()
        centroids = CentroidState(class_n, class_n[:, None].astype(np.float64), totals.copy())
        return {type(state).__name__: state for state in (moments, activity, centroids)}


def is_streamable(values: Tensor, view: View, bend: Bend | None) -> bool:
    """Whether a layer's tensor can be summed in place: plain float32 rows on the CPU, affine or ReLU-like."""
    plain = view.layout == "features" and has_kernel(values)
    return plain and (bend is None or is_rectifier(bend))
