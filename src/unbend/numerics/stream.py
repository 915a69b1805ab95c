"""Running sums of the cheap states of one layer, updated in place.

In: float32 rows on the CPU, batch after batch. Out: the `MomentState`, `ActivityState` and `CentroidState` that
`of` and `+` would give. Where the forward pass of a batch takes milliseconds, making three states per layer and adding
them costs more than the sums themselves; this costs one compiled call, which puts the rows of the sample aside too.
"""

from typing import Any, TypeAlias, final

import numpy as np
from torch import Tensor

from unbend._typing import Array
from unbend.numerics.activity import ActivityState, is_rectifier
from unbend.numerics.batch import Bend, Samples
from unbend.numerics.centroids import CentroidState
from unbend.numerics.moments import MomentState
from unbend.numerics.sweep import has_kernel
from unbend.numerics.views import View

KINDS: tuple[type[Any], ...] = (MomentState, ActivityState, CentroidState)
Aside: TypeAlias = tuple[Array, Array, Array, Array]
"""Which rows of a batch are put aside, their places, and the arrays that hold rows and their numbers."""
_NONE = np.zeros(0, np.int64)
NOWHERE: Aside = (_NONE, _NONE, np.zeros((0, 0), np.float32), _NONE)


@final
class Stream:
    """Running sums of one layer of plain rows.

    Args:
        width: units.
        n_classes: segments of the samples.
        bend: for the output of an activation that is never negative and flat below 0 (ReLU and its kin): where it
            is saturated; None for a layer that is no activation.
    """

    __slots__ = ("_counts", "_ends", "_flat", "_run", "_seen", "_sums")

    def __init__(self, width: int, n_classes: int, bend: Bend | None) -> None:
        from unbend.numerics import kernels  # noqa: PLC0415  compiled code loads when it is first needed

        self._run = kernels.run_rows
        self._flat = np.float32(np.nan if bend is None else bend.high)
        self._sums = np.zeros((2, n_classes + 1, width))
        self._ends = np.full((2, 2, width), np.inf, np.float32)
        self._ends[:, 1] = -np.inf
        self._counts = np.zeros((2, width), np.int64)
        self._seen = np.zeros(n_classes, np.int64)

    def add(self, values: Tensor, of: Samples, aside: Aside = NOWHERE) -> bool:
        """Add a batch [n, d]; False, with nothing added, if a value is not finite or an activation is negative.

        Args:
            values: the rows, contiguous.
            of: their samples.
            aside: rows that are put aside, whatever comes of the sums.
        """
        groups = of.groups
        return self._run(
            values.numpy(), groups.order, groups.starts, self._flat, self._sums, self._ends, self._counts, self._seen,
            of.ids, *aside,
        )  # fmt: skip

    def states(self) -> dict[str, Any]:
        """The states of everything added, by class name; empty where nothing was."""
        n = int(self._seen.sum())
        if not n:
            return {}
        totals, squares = self._sums[0, :-1], self._sums[0, -1]
        low, high = self._ends[0].astype(np.float64)
        total = totals.sum(0)
        m2 = np.where(low == high, 0.0, np.maximum(squares - total * total / n, 0.0))
        count, none = np.full(len(total), float(n)), np.zeros(len(total), np.int64)
        moments = MomentState(n, count, total, m2, low, high, none)
        zeros, flat = self._counts.copy()
        activity = (
            ActivityState(n, np.zeros(len(total)), none, none, np.zeros(len(total)), low, high)
            if np.isnan(self._flat)
            else ActivityState(n, count, zeros, zeros + flat, np.abs(total), low, high, n)
        )
        class_n = self._seen.copy()
        centroids = CentroidState(class_n, class_n[:, None].astype(np.float64), totals.copy())
        return {type(state).__name__: state for state in (moments, activity, centroids)}


def is_streamable(values: Tensor, view: View, bend: Bend | None) -> bool:
    """Whether a layer's tensor can be summed in place: contiguous float32 rows on the CPU, affine or ReLU-like."""
    plain = view.layout == "features" and has_kernel(values) and values.is_contiguous()
    return plain and (bend is None or is_rectifier(bend))
