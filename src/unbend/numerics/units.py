"""What single units answer to: by class, their strongest and weakest rows, the input's columns, their copies.

In: a layer's tensor, batch after batch; the row samples of the layer and of the input. Out: `Units`. The answer of a
unit to a row is its value; where it has positions (a map, tokens), its greatest value over them, and the place of that.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from unbend._one_line import in_one_line
from unbend._typing import Array, Float64, Int64, Shaped
from unbend.errors import MergeError
from unbend.numerics import compiled
from unbend.numerics.batch import Batch, Samples
from unbend.numerics.compiled.team import team
from unbend.numerics.result import result
from unbend.numerics.view import Layout

KEPT = 8
"""Strongest and weakest rows that are kept of every unit."""


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """The rows to which each unit answers most, of greatest answer first; of equal ones those with the least number.

    Attributes:
        value: the answers [d, m]; -inf where there are fewer rows.
        ids: row numbers [d, m]; -1 where there are fewer.
        place: where in the map or the tokens the answer was given, counted along all positions [d, m].
    """

    value: Float64[Array, "d m"]
    ids: Int64[Array, "d m"]
    place: Int64[Array, "d m"]

    __repr__ = in_one_line

    @classmethod
    def empty(cls, width: int) -> "Extremes":
        """No rows."""
        shape = (width, KEPT)
        return cls(np.full(shape, -np.inf), np.full(shape, -1), np.zeros(shape, np.int64))

    @classmethod
    def of(cls, value: Float64[Array, "d n"], ids: Int64[Array, "n"], place: Int64[Array, "d n"]) -> "Extremes":
        """The greatest of some answers; those that are not finite are passed over."""
        clean = np.where(np.isfinite(value), value, -np.inf)
        whole = cls(clean, np.where(np.isfinite(value), ids, -1), np.where(np.isfinite(value), place, 0))
        return whole._keep() + cls.empty(len(value))

    def _keep(self) -> "Extremes":
        order = np.lexsort((self.ids, -self.value), axis=1)[:, :KEPT]
        return Extremes(*(np.take_along_axis(part, order, 1) for part in (self.value, self.ids, self.place)))

    def __add__(self, other: "Extremes") -> "Extremes":
        pairs = ((self.value, other.value), (self.ids, other.ids), (self.place, other.place))
        return Extremes(*(np.concatenate(pair, axis=1) for pair in pairs))._keep()


@dataclass(frozen=True, slots=True, eq=False)
class UnitState:
    """Sums behind `Units`: answers by class, and the extremes of every unit.

    Attributes:
        n: rows of each class [k]; one entry where there are no classes.
        count: those of them with a finite answer [k, d].
        total: sum of the answers [k, d].
        squares: sum of their squares [k, d].
        fired: answers above 0 [k, d].
        high: the strongest rows.
        low: the weakest rows, their answers negated.
    """

    n: Int64[Array, "k"]
    count: Int64[Array, "k d"]
    total: Float64[Array, "k d"]
    squares: Float64[Array, "k d"]
    fired: Int64[Array, "k d"]
    high: Extremes
    low: Extremes

    __repr__ = in_one_line

    @classmethod
    def of(cls, batch: Batch) -> "UnitState":
        """The sums of one batch."""
        value, place = answers(batch)
        label, k = batch.samples.groups.label, batch.samples.groups.n_classes
        good = np.isfinite(value)
        clean = np.where(good, value, 0.0)
        onto = np.zeros((k, len(label)))
        onto[label, np.arange(len(label))] = 1.0
        ids = batch.samples.ids
        with np.errstate(over="ignore"):
            squares = onto @ (clean * clean)
        return cls(
            np.bincount(label, minlength=k), (onto @ good).astype(np.int64), onto @ clean, squares,
            (onto @ (good & (value > 0))).astype(np.int64), Extremes.of(value.T, ids, place.T),
            Extremes.of(-value.T, ids, place.T),
        )  # fmt: skip

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "UnitState":
        """No rows."""
        whole, real = np.zeros((n_targets, width), np.int64), np.zeros((n_targets, width))
        none = Extremes.empty(width)
        return cls(np.zeros(n_targets, np.int64), whole, real, real, whole, none, none)

    def __add__(self, other: "UnitState") -> "UnitState":
        if len(self.n) != len(other.n):
            return self._beside(other)
        return UnitState(
            self.n + other.n, self.count + other.count, self.total + other.total, self.squares + other.squares,
            self.fired + other.fired, self.high + other.high, self.low + other.low,
        )  # fmt: skip

    def _beside(self, other: "UnitState") -> "UnitState":
        """The sum where one side holds nothing: `empty` cannot tell a single group from classes."""
        if self.n.any() and other.n.any():
            raise MergeError(f"units: expected the same classes, got {len(self.n)} and {len(other.n)}.")
        return self if self.n.any() or not other.n.any() else other


def answers(batch: Batch) -> tuple[Float64[Array, "n d"], Int64[Array, "n d"]]:
    """What each unit answers to each row, and where; NaN where no position counts or the answer is not finite."""
    value, place = best(batch)
    value = value.double()
    return torch.where(torch.isfinite(value), value, torch.nan).cpu().numpy(), place.cpu().numpy()


def best(batch: Batch) -> tuple[Tensor, Tensor]:
    """The greatest value over positions, and its place; the values themselves where there are no positions."""
    x = batch.values.detach()
    if batch.view.layout == "features":
        return x, torch.zeros(x.shape, dtype=torch.int64, device=x.device)
    at = 2 if batch.view.layout == "maps" else 1
    x = x.flatten(2) if at == 2 else x.flatten(1, -2)
    if batch.mask is not None:
        x = torch.where(batch.mask[..., None], x.double(), -torch.inf)
    if x.shape[at] == 0:
        shape = (x.shape[0], x.shape[3 - at])
        return torch.full(shape, torch.nan), torch.zeros(shape, dtype=torch.int64)
    value, place = x.max(at)
    return value, place


@result
class Units:
    """What the units of a layer answer to.

    Attributes:
        n: rows seen.
        class_n: of each class.
        mean: mean answer by class [k, d].
        spread: standard deviation of the answers by class [k, d].
        rate: share of rows with an answer above 0 [d].
        class_rate: the same by class [k, d].
        selectivity: share of a unit's variance that the classes explain [d].
        best_class: the class with the mean farthest from that of all other rows [d].
        contrast: how far, in standard deviations within the classes, negative if below [d].
        strongest: the rows with the greatest answers.
        weakest: those with the least; `value` holds the answers themselves.
        column: column of the input with which a unit goes most [d]; -1 where the input is no numbers.
        column_r: their correlation over the row sample [d].
        copy: the unit most like it [d]; -1 for a layer of one unit.
        copy_r: their correlation over the row sample [d].
    """

    n: int
    class_n: Int64[Array, "k"]
    mean: Float64[Array, "k d"]
    spread: Float64[Array, "k d"]
    rate: Float64[Array, "d"]
    class_rate: Float64[Array, "k d"]
    selectivity: Float64[Array, "d"]
    best_class: Int64[Array, "d"]
    contrast: Float64[Array, "d"]
    strongest: Extremes
    weakest: Extremes
    column: Int64[Array, "d"]
    column_r: Float64[Array, "d"]
    copy: Int64[Array, "d"]
    copy_r: Float64[Array, "d"]


def units(
    state: UnitState, rows: Shaped[Array, "s d"] | None = None, inputs: Shaped[Array, "s q"] | None = None
) -> Units:
    """What the units answer to.

    Args:
        state: sums over all rows.
        rows: answers to the rows of the row sample; None for no copies and no columns.
        inputs: the input of the same rows; None where it is no numbers.

    Cost:
        O(s d (d + q)) for the correlations.
    """
    count = np.maximum(state.count, 1)
    mean = state.total / count
    inside = np.maximum(state.squares - state.total * mean, 0.0)  # Σ (x - class mean)²
    n = state.count.sum(0)
    total = state.total.sum(0)
    whole = np.maximum(state.squares.sum(0) - total * total / np.maximum(n, 1), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        selectivity = np.where(whole > 1e-12 * state.squares.sum(0), 1 - inside.sum(0) / whole, 0.0)
        others = (total - state.total) / np.maximum(n - state.count, 1)
        deviation = np.sqrt(inside.sum(0) / np.maximum(n - len(count), 1))
        contrast = np.where(state.count > 0, mean - others, 0.0) / deviation
    contrast = np.nan_to_num(contrast, posinf=np.finfo(float).max, neginf=-np.finfo(float).max)
    chosen = np.abs(contrast).argmax(0)
    copy, copy_r = _copies(rows, len(selectivity))
    column, column_r = _columns(rows, inputs, len(selectivity))
    return Units(
        n=int(state.n.sum()), class_n=state.n, mean=np.where(state.count > 0, mean, np.nan),
        spread=np.sqrt(inside / count), rate=state.fired.sum(0) / np.maximum(n, 1), class_rate=state.fired / count,
        selectivity=np.clip(selectivity, 0, 1), best_class=chosen,
        contrast=np.take_along_axis(contrast, chosen[None], 0)[0], strongest=state.high,
        weakest=Extremes(-state.low.value, state.low.ids, state.low.place), column=column, column_r=column_r,
        copy=copy, copy_r=copy_r,
    )  # fmt: skip


_NONE, _ALL = np.zeros(0, np.int64), np.zeros((0, 0), np.bool_)
_BLOCK = 512
"""Units whose correlations with all others are in memory at a time."""


def _scale(rows: Shaped[Array, "s d"]) -> Float64[Array, "s d"]:
    """Columns of mean 0 and length 1; 0 for those that do not vary."""
    x = np.nan_to_num(np.asarray(rows, np.float64), posinf=0.0, neginf=0.0)
    centred = x - x.mean(0)
    length = np.sqrt((centred * centred).sum(0))
    still = length <= 1e-7 * np.abs(x).max(0, initial=0.0) * np.sqrt(max(len(x), 1))
    return np.where(still, 0.0, centred / np.where(still, 1.0, length))


def _copies(rows: Array | None, d: int) -> tuple[Int64[Array, "d"], Float64[Array, "d"]]:
    if rows is None or len(rows) < 3 or d < 2:
        return np.full(d, -1), np.zeros(d)
    scaled = _scale(rows)
    found, size = np.zeros(d, np.int64), np.zeros(d)
    for start in range(0, d, _BLOCK):
        part = scaled[:, start : start + _BLOCK].T @ scaled
        part[np.arange(len(part)), np.arange(start, start + len(part))] = 0.0
        best_of = np.abs(part).argmax(1)
        found[start : start + len(part)] = best_of
        size[start : start + len(part)] = part[np.arange(len(part)), best_of]
    return np.where(size == 0, -1, found), size


def _columns(rows: Array | None, inputs: Array | None, d: int) -> tuple[Int64[Array, "d"], Float64[Array, "d"]]:
    if rows is None or inputs is None or len(rows) < 3:
        return np.full(d, -1), np.zeros(d)
    tuned = tuning(rows, inputs)
    chosen = np.abs(tuned).argmax(1)
    return chosen, tuned[np.arange(d), chosen]


def tuning(rows: Shaped[Array, "s d"], inputs: Shaped[Array, "s q"]) -> Float64[Array, "d q"]:
    """The correlation of every unit with every column of the input, over the rows of the row sample."""
    return _scale(rows).T @ _scale(inputs)


def _peaks(x: Tensor, layout: Layout, mask: Tensor | None) -> tuple[Array, Array] | None:
    """The answers [n, d] and their places, by compiled code; None where they have to be found otherwise.

    That is where a row has no position that counts, and where a value that counts is not finite.
    """
    is_maps = layout == "maps"
    flat = (x.flatten(2) if is_maps else x.flatten(1, -2)).contiguous().numpy()
    shape = (len(flat), flat.shape[1 if is_maps else 2])
    value, place = np.empty(shape, np.float32), np.empty(shape, np.int32)
    valid = _ALL if mask is None or is_maps else mask.cpu().numpy()
    if flat.shape[2 if is_maps else 1] > compiled.MOST or not (valid is _ALL or valid.any(1).all()):
        return None
    of_layout = compiled.of_maps() if is_maps else compiled.of_tokens()
    return (value, place) if compiled.find_peaks(flat, valid, value, place, of_layout, team()) else None


@final
class UnitSums:
    """Adds up `UnitState`s in room of its own: one compiled pass over the answers of a batch of float32.

    A batch it cannot take, of another type for one, becomes a State of its own, and is added.
    """

    __slots__ = ("_plain", "_rest")

    def __init__(self) -> None:
        self._plain: _PlainUnits | None = None
        self._rest: UnitState | None = None

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        x, of = batch.values, batch.samples
        is_plain = type(x) is Tensor and x.dtype is torch.float32 and x.is_cpu and x.numel()
        if is_plain and batch.view.layout == "features":
            x = x.contiguous()
            is_plain = self._of(x.shape[1], of).add(x.data_ptr(), 0, of)
        elif is_plain:
            found = _peaks(x.detach(), batch.view.layout, batch.mask)
            is_plain = found is not None and self._add_peaks(*found, of)
        if not is_plain:
            state = UnitState.of(batch)
            self._rest = state if self._rest is None else self._rest + state

    def _add_peaks(self, value: Array, place: Array, of: Samples) -> bool:
        return self._of(value.shape[1], of).add(value.ctypes.data, place.ctypes.data, of)

    def _of(self, width: int, of: Samples) -> "_PlainUnits":
        if self._plain is None:
            self._plain = _PlainUnits(of.groups.n_classes, width)
        return self._plain

    def states(self) -> tuple[UnitState, ...]:
        """The State of everything added; none where nothing was."""
        plain = () if self._plain is None else (self._plain.state(),)
        return plain if self._rest is None else (self._rest, *plain)


def _align(array: Array) -> Array:
    """A copy that begins where a line of the cache does: eight numbers of 8 bytes, the list of a unit, are one line."""
    room = np.empty(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    found = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def _no_extremes(width: int) -> Extremes:
    none = Extremes.empty(width)
    return Extremes(_align(none.value), _align(none.ids), _align(none.place))


@final
class _PlainUnits:
    """The arrays of the sums of a layer's units, and the table that tells compiled code where they are.

    Args:
        n_classes: segments of the samples.
        width: units.
    """

    __slots__ = ("_address", "_edge_ids", "_edges", "_high", "_low", "_missing", "_run", "_seen", "_sums", "_table")

    def __init__(self, n_classes: int, width: int) -> None:
        self._run = compiled.answer_at
        self._sums, self._seen = np.zeros((3, n_classes, width)), np.zeros(n_classes, np.int64)
        self._missing = np.zeros((n_classes, width), np.int64)
        self._edges, self._edge_ids = np.full((2, width), -np.inf), np.full((2, width), -1)
        self._high, self._low = _no_extremes(width), _no_extremes(width)
        arrays = {"sums": self._sums, "seen": self._seen, "missing": self._missing}
        arrays |= {"edges": self._edges, "edge_ids": self._edge_ids}
        for name, end in {"high": self._high, "low": self._low}.items():
            arrays |= {name: end.value, f"{name}_ids": end.ids, f"{name}_at": end.place}
        table = self._table = np.zeros(1, compiled.UNITS)
        for name, array in arrays.items():
            table[name] = array.ctypes.data
        table["width"], table["n_classes"], table["kept"], table["newest"] = width, n_classes, KEPT, -1
        table["work"] = compiled.work()
        self._address = table.ctypes.data

    def add(self, values: int, places: int, of: Samples) -> bool:
        """Add the answers at an address, and their places; False, with nothing added, for other classes."""
        table = of.table or compiled.batch_table(of.groups.order, of.groups.starts, of.ids, _NONE, _NONE, team())
        return self._run(values, places, self._address, table[1])

    def state(self) -> UnitState:
        """The State of everything added."""
        total, squares, fired = self._sums
        count = self._seen[:, None] - self._missing
        return UnitState(self._seen, count, total, squares, fired.astype(np.int64), self._high, self._low)
