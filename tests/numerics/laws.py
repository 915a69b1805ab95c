"""What every State must obey, written once. A new State joins by one line in `STATES`."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import reduce as fold
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unbend.numerics.activity import ActivityState
from unbend.numerics.batch import Batch, batch, samples
from unbend.numerics.centroids import CentroidState
from unbend.numerics.gradient import GradientState
from unbend.numerics.histogram import HistogramState
from unbend.numerics.moments import MomentState
from unbend.numerics.sample import SampleState
from unbend.numerics.saturation import saturation
from unbend.numerics.second import SecondState
from unbend.numerics.state import MEASURES, HeldOut
from unbend.numerics.units import UnitState
from unbend.numerics.view import View


@dataclass(frozen=True)
class Law:
    """A State, how it is made from a batch and from nothing, and whether it is of rows or of all units."""

    state: type[Any]
    of: Callable[[Batch], Any]
    empty: Callable[[int, int], Any]
    is_of_rows: bool = False

    def __str__(self) -> str:
        return self.state.__name__


def streaming(state: type[Any], *, is_of_rows: bool = False) -> Law:
    return Law(state, state.of, state.empty, is_of_rows)


STATES = [
    streaming(MomentState),
    streaming(CentroidState),
    streaming(ActivityState),
    streaming(SecondState, is_of_rows=True),
    streaming(HistogramState),
    streaming(SampleState, is_of_rows=True),
    streaming(UnitState),
    Law(GradientState, lambda b: GradientState.of(b.values.double().nan_to_num()), lambda *_: GradientState.empty()),
]


@dataclass(frozen=True)
class World:
    """One data set for one layer, to be cut into batches.

    Attributes:
        values: the layer's output for all rows.
        y: labels, or targets.
        view: how it is read.
        mask: which tokens count.
        bends: whether the layer is an activation.
    """

    values: Tensor
    y: Tensor
    view: View
    n_classes: int
    mask: Tensor | None = None
    bends: bool = True

    @property
    def width(self) -> int:
        """Columns of a row."""
        return self.part(np.arange(0)).rows.shape[1]

    def part(self, rows: np.ndarray) -> Batch:
        """The batch of these rows."""
        index = torch.from_numpy(rows)
        some = samples(self.y[index], n_classes=self.n_classes, ids=rows)
        mask = None if self.mask is None else self.mask[index]
        how = saturation(torch.relu) if self.bends else None
        return batch(self.values[index], some, view=self.view, mask=mask, saturation=how)

    def units(self) -> np.ndarray:
        """All values that count, float64 [m, units]."""
        x = self.values.double()
        if self.view.layout == "features":
            return x.numpy()
        if self.view.layout == "maps":
            return x.flatten(2).transpose(1, 2).flatten(0, 1).numpy()
        x = x.flatten(1, -2)
        return (x.flatten(0, 1) if self.mask is None else x[self.mask]).numpy()


def total(law: Law, world: World, batches: Sequence[np.ndarray]) -> Any:
    """The sum of the states of batches, each given by its rows; empty batches are batches too."""
    return fold(lambda a, b: a + b, (law.of(world.part(rows)) for rows in batches))


def results(state: Any) -> dict[str, Any]:
    """What every measure that needs only this kind of state makes of it."""
    kind = type(state)
    out = {}
    for measure in MEASURES.values():
        needs = {need.state if isinstance(need, HeldOut) else need for need in measure.needs}
        if needs == {kind}:
            out[measure.name] = measure.finish(*(state for _ in measure.needs))
    return out


def settled(state: Any) -> Any:
    return state.settle() if hasattr(state, "settle") else state


def assert_same(a: Any, b: Any, *, rtol: float = 1e-9, where: str = "") -> None:
    """Two values of the same type, equal up to float64 rounding relative to the greatest entry."""
    if is_dataclass(a):
        assert type(a) is type(b), where
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), rtol=rtol, where=f"{where}.{field.name}")
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], rtol=rtol, where=f"{where}.{key}")
    elif isinstance(a, tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, rtol=rtol, where=f"{where}[{i}]")
    elif isinstance(a, str | bool | None):
        assert a == b, where
    else:
        _assert_close(a, b, rtol, where)


def _assert_close(a: Any, b: Any, rtol: float, where: str) -> None:
    if isinstance(a, Tensor):
        assert a.dtype == b.dtype, where
        a, b = a.double(), b.double()
    x, y = np.asarray(a), np.asarray(b)
    assert x.shape == y.shape, where
    assert x.dtype == y.dtype, where
    if x.dtype.kind in "iub":
        np.testing.assert_array_equal(x, y, err_msg=where)
        return
    if x.dtype == np.float32:  # means over positions, which torch adds up in an order that depends on the batch's size
        rtol = max(rtol, 4 * float(np.finfo(np.float32).eps))
    size = np.abs(x[np.isfinite(x)]).max(initial=0.0)
    np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * size, err_msg=where)


def snapshot(state: Any) -> Any:
    return copy.deepcopy(state)


def without_bound(state: Any) -> Any:
    """A row sample that holds no rows keeps no bound: only the rows are compared."""
    return replace(state, size=0) if isinstance(state, SampleState) else state
