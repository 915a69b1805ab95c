"""Labels per position: tokens, pixels, steps of a series, told by the positions that the model's output has too.

In: labels of a first batch and the form of the model's output for the same rows. Out: how every label is written: class
indices or targets at each position. The rule is told in `docs/labels.md`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.capture.taps import Tap
from unbend.errors import DataError
from unbend.load.dataset import IGNORED
from unbend.load.labels import Task, column
from unbend.study.positions import PER_ITEM, Grid, positions_of

TOLD = (
    f"Labels stand at positions: rows are positions, at most {PER_ITEM} of an item, at even steps, and items are held "
    "out whole. A layer of another resolution is read at the position that covers a label's. Positions of one item are "
    "alike, so intervals are narrower than they should be."
)
"""What a reader of such a study should know."""


@dataclass(frozen=True, slots=True)
class OutputForm:
    """The form of a model's output for one item.

    Attributes:
        shape: of it.
        grid: sizes of its positions; none where it is a vector.
        width: numbers at a position, or of the vector; 0 where that is not known.
        channel: which axis of a batch holds them.
        bare: name of the layer that it is, if all its axes are positions, of one number each.
    """

    shape: Grid = ()
    grid: Grid = ()
    width: int = 0
    channel: int = 1
    bare: str = ""

    @classmethod
    def of(cls, output: Tensor, end: Tap | None, *, is_assumed: bool) -> "OutputForm":
        """The form of an output.

        Args:
            output: for some items.
            end: the layer that it is; None where it is no layer, so that only a vector is known.
            is_assumed: nothing says which of its axes holds units: one of a single number was dropped.
        """
        shape = tuple(output.shape[1:])
        if end is None or output.ndim < 3:
            return cls(shape, (), 0 if output.ndim > 2 else shape[0] if shape else 1)
        if is_assumed:
            return cls(shape, shape, 1, bare=end.name)
        whole = tuple(end.shape)  # as the layer puts it out: forward may drop an axis of one number behind it
        channel = 1 if end.view.layout == "maps" else len(whole)
        return cls(whole, positions_of((1, *whole), end.view), whole[channel - 1], channel)


@dataclass(frozen=True, slots=True)
class PositionCoding:
    """How labels per position are written.

    Attributes:
        n_axes: axes of a label that are positions.
        n_classes: classes; 0 for targets.
        channel: axis of a batch of labels that holds one-hot columns, targets, or a single number; None for no such.
    """

    n_axes: int
    n_classes: int
    channel: int | None

    @property
    def task(self) -> Task:
        """What the labels are."""
        return "classes" if self.n_classes else "targets"

    def __call__(self, y: Any) -> Tensor:
        """Class indices [n, *positions], or targets [n, *positions, t].

        Raises:
            DataError: labels that are none, or of another form than the first ones.
        """
        found = _array(y)
        if found.ndim != 1 + self.n_axes + (self.channel is not None):
            raise DataError(f"y: labels have shape {list(found.shape)}, of other axes than the first ones.")
        if self.channel is not None:
            found = np.moveaxis(found, self.channel, -1)
        if not self.n_classes:
            targets = found if self.channel is not None else found[..., None]
            return torch.from_numpy(np.ascontiguousarray(targets, dtype=np.float64))
        if self.channel is not None:
            found = found[..., 0] if found.shape[-1] == 1 else found.argmax(-1)
        whole = np.ascontiguousarray(found).astype(np.int64)
        bad = (whole != IGNORED) & ((whole < 0) | (whole >= self.n_classes) | (whole != found))
        if bad.any():
            odd = found[bad][0]
            raise DataError(
                f"y: expected class indices in [0, {self.n_classes}) at every position, or {IGNORED} where there is "
                f"no label, got {odd}. Map your labels, or pass n_classes."
            )
        return torch.from_numpy(whole)


def _array(y: Any) -> Array:
    """Labels as an array of numbers, their axes as they are."""
    return y.detach().cpu().numpy() if isinstance(y, Tensor) else column("y", y)


def position_coding(
    first: Any, out: OutputForm, *, values: Array | None, n_classes: int | None, wish: Task | None
) -> PositionCoding | None:
    """How labels per position are written; None where the labels are no such.

    Args:
        first: labels of the first rows.
        out: the form of the model's output for them.
        values: the different labels of all rows, where they are at hand.
        n_classes: what the user says: 0 for targets, else the number of classes; None for nothing.
        wish: what the loss is written for; None where that is not known.

    Raises:
        DataError: several yes/no labels at each position.
    """
    y = _array(first)
    is_there, channel = _place(y.shape[1:], out)
    if not is_there or y.dtype.kind not in "biuf":
        return None
    known = np.unique(y) if values is None else values
    n_axes = y.ndim - 1 - (channel is not None)
    is_whole = bool((known == np.floor(known)).all())
    is_several = channel is not None and y.shape[channel] > 1
    if n_classes == 0 or wish == "targets" or not is_whole:
        return PositionCoding(n_axes, 0, channel)
    if is_several:
        _check_one_hot(y, channel or 0, known)
    if n_classes is None:
        k = max(int(known.max(initial=0)) + 1, 2)
        n_classes = y.shape[channel] if channel is not None and is_several else out.width if out.width > 1 else k
    return PositionCoding(n_axes, n_classes, channel)


def _place(shape: Grid, out: OutputForm) -> tuple[bool, int | None]:
    """Whether labels of this shape lie at the output's positions, and which axis of a batch holds their numbers."""
    if not out.grid:
        return False, None
    if shape == out.grid:
        return True, None
    if shape == (1, *out.grid):
        return True, 1
    if shape == (*out.grid, 1):
        return True, len(shape)
    if shape == out.shape:
        return True, out.channel
    return len(shape) > 1 and len(shape) == len(out.grid), None  # of another resolution


def _check_one_hot(y: Array, channel: int, known: Array) -> None:
    if not (set(known.tolist()) <= {0, 1} and bool((y.sum(axis=channel) == 1).all())):
        raise DataError(
            f"y: each position has {y.shape[channel]} labels, which are not one-hot. Several yes/no labels per "
            "position are not read: give one of them (y[:, 0]), or say n_classes=0 for targets."
        )
