"""Running sums of the cheap states of one layer, updated in place.

In: float32 rows on the CPU, batch after batch. Out: the `MomentState`, `ActivityState` and `CentroidState` that
`of` and `+` would give. Where the forward pass of a batch takes milliseconds, making three states per layer and adding
them costs more than the sums themselves. This costs one compiled call, which puts the rows of the sample aside too and
is told addresses: what it would cost to look at every array again is more than small sums cost.
"""

from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.numerics import compiled
from unbend.numerics.activity import ActivityState
from unbend.numerics.batch import Bend, Samples
from unbend.numerics.centroids import CentroidState
from unbend.numerics.compiled.team import team
from unbend.numerics.moments import MomentState
from unbend.numerics.sweep import has_kernel
from unbend.numerics.views import View

KINDS: tuple[type[Any], ...] = (MomentState, ActivityState, CentroidState)
Room: TypeAlias = tuple[Array, Array]
"""Where rows are put aside: the rows [r, d], float32, and their numbers [r]."""
_NONE = np.zeros(0, np.int64)


@final
class Stream:
    """Running sums of one layer of plain rows.

    Args:
        width: units.
        n_classes: segments of the samples.
        bend: for the output of an activation that is never negative and flat below 0 (ReLU and its kin): where it
            is saturated; None for a layer that is no activation.
        room: where the rows that have a place in `Samples.places` are put, whatever comes of the sums.
    """

    __slots__ = (
        "_after", "_at", "_counts", "_ends", "_found", "_room", "_run", "_seen", "_settle", "_sums", "_table",
        "_table_of", "_waits", "_width",
    )  # fmt: skip

    def __init__(self, width: int, n_classes: int, bend: Bend | None, room: Room | None = None) -> None:
        self._run, self._settle, self._table_of = compiled.run_at, compiled.settle, compiled.batch_table
        self._sums = np.zeros((2, n_classes + 1, width))
        self._ends = np.full((2, 2, width), np.inf, np.float32)
        self._ends[:, 1] = -np.inf
        self._counts = np.zeros((2, 2, width), np.int64)
        self._seen = np.zeros((2, n_classes), np.int64)
        self._room = (np.zeros((0, width), np.float32), _NONE) if room is None else room
        self._table = np.zeros(1, compiled.LAYER)
        arrays = {"sums": self._sums, "ends": self._ends, "counts": self._counts, "seen": self._seen}
        for name, array in {**arrays, "out": self._room[0], "out_ids": self._room[1]}.items():
            self._table[name] = array.ctypes.data
        self._table["width"], self._table["n_segments"], self._table["room"] = width, n_classes, len(self._room[0])
        self._table["is_bent"], self._table["flat"] = bend is not None, np.inf if bend is None else bend.high
        self._at, self._waits, self._width = self._table.ctypes.data, self._table["waits"], width
        self._after: Stream | None = None
        self._found: tuple[Tensor, int, Samples] | None = None

    def add(self, values: Tensor, of: Samples, source: Tensor | None = None) -> bool:
        """Add a batch of rows [n, d].

        Args:
            values: the rows.
            of: their samples.
            source: for the ReLU after another stream's layer, what it was made of.

        Returns:
            False, with nothing added, if it is no contiguous float32 on the CPU of that shape, a value is not finite,
            or an activation is negative.
        """
        if self._found is not None and self._is_found(values, of, source):
            return True
        if not (  # `has_kernel` and more, without another call that runs cold
            type(values) is Tensor
            and values.dtype is torch.float32
            and values.is_cpu
            and values.is_contiguous()
            and values.shape == (len(of.ids), self._width)
        ):
            return False
        table = of.table or self._table_of(of.groups.order, of.groups.starts, of.ids, *_placed(of), team())
        is_added = self._run(values.data_ptr(), self._at, table[1])
        if self._after is not None:
            is_told = is_added and not values.is_inference()  # such tensors do not count what is written to them
            self._after._found = (values, values._version, of) if is_told else None  # noqa: SLF001
        return is_added

    def feed(self, after: "Stream") -> None:
        """Sweep the ReLU after this layer, which is no activation, together with it from now on.

        What is found of the ReLU is added when `after.add` is given the very tensor it was found in, not written to
        since but by the ReLU itself, as `source`; else it is forgotten, and the ReLU's own output swept.
        """
        mine, other = self._table[0], after._table[0]  # noqa: SLF001
        is_relu = other["is_bent"] and np.isinf(other["flat"]) and not mine["is_bent"]
        if is_relu and mine["width"] == other["width"] and mine["n_segments"] == other["n_segments"]:
            self._after, mine["after"] = after, after._at  # noqa: SLF001

    def _is_found(self, values: Tensor, of: Samples, source: Tensor | None) -> bool:
        """Whether this is the batch that was swept with the layer before; if so, it counts from now on."""
        assert self._found is not None  # noqa: S101  asked only then
        tensor, version, samples = self._found
        self._found = None
        if source is not tensor or of is not samples or tensor._version != version + (values is tensor):  # noqa: SLF001
            return False
        self._waits[0] = 1
        if of.places is not None and len(self._room[1]):
            self._room[1][of.places] = of.ids[of.drawn]
        return True

    def states(self) -> dict[str, Any]:
        """The states of everything added, by class name; empty where nothing was."""
        if self._waits[0]:
            self._settle(self._at)
        n = int(self._seen[0].sum())
        if not n:
            return {}
        totals, squares = self._sums[0, :-1], self._sums[0, -1]
        low, high = self._ends[0].astype(np.float64)
        total = totals.sum(0)
        m2 = np.where(low == high, 0.0, np.maximum(squares - total * total / n, 0.0))
        count, none = np.full(len(total), float(n)), np.zeros(len(total), np.int64)
        moments = MomentState(n, count, total, m2, low, high, none)
        zeros, flat = self._counts[0].copy()
        activity = (
            ActivityState(n, np.zeros(len(total)), none, none, np.zeros(len(total)), low, high)
            if not self._table["is_bent"][0]
            else ActivityState(n, count, zeros, zeros + flat, np.abs(total), low, high, n)
        )
        class_n = self._seen[0].copy()
        centroids = CentroidState(class_n, class_n[:, None].astype(np.float64), totals.copy())
        return {type(state).__name__: state for state in (moments, activity, centroids)}


def _placed(of: Samples) -> tuple[Array, Array]:
    """Which rows have a place, and where."""
    return (_NONE, _NONE) if of.drawn is None or of.places is None else (of.drawn, of.places)


def is_streamable(values: Tensor, view: View, bend: Bend | None) -> bool:
    """Whether a layer's tensor can be summed in place: contiguous float32 rows on the CPU, affine or ReLU-like."""
    plain = view.layout == "features" and has_kernel(values) and values.is_contiguous()
    return plain and (bend is None or bend.is_rectifier)
