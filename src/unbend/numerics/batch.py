"""What every state is made of: the output of one tapped layer for one forward pass, with its samples.

`Samples` (labels, row ids, which rows go into the second moments and the row sample) is made once per
forward pass and shared by all layers; `batch` adds one layer's tensor.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Float64, Int64, Shaped
from unbend.errors import DataError, ShapeError
from unbend.numerics.hashing import hashes
from unbend.numerics.sweep import Segments, Sweep, check_shape, fit_mask, segments, sweep
from unbend.numerics.view import View
from unbend.numerics.views import reduce

SIZE = 4096
"""Rows kept in a row sample: enough to know an accuracy of .9 to ±.01, and 16·d kB a layer."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The samples of one forward pass.

    Attributes:
        y: class indices [n] int64, or targets [n, t] float64.
        ids: row numbers in the data set [n].
        codes: uniform 64-bit hash of each id [n].
        n_classes: number of classes; 0 for a regression.
        groups: the samples by class (one group for a regression).
        dense: positions of the rows that go into the second moments; None for all.
        drawn: positions of the rows that are held for the row sample; None for all.
        places: where each of them is held; None where that is not decided.
        keep: rows a row sample keeps.
        fitted: targets of the `dense` rows, made once for all layers; None to make them at every call.
        table: addresses of what compiled code reads of the samples, and its own, as `running.batch_table` makes them;
            None to make them at every call.
    """

    y: Tensor
    ids: Int64[Array, "n"]
    codes: Shaped[Array, "n"]
    n_classes: int
    groups: Segments
    dense: Int64[Array, "m"] | None = None
    drawn: Int64[Array, "s"] | None = None
    places: Int64[Array, "s"] | None = None
    keep: int = SIZE
    fitted: Float64[Tensor, "m t"] | None = None
    table: tuple[Array, int] | None = None

    @property
    def n_targets(self) -> int:
        """Columns of `targets`."""
        return self.n_classes or self.y.shape[1]

    def targets(self, chosen: Int64[Array, "s"] | None = None) -> Tensor:
        """What a linear read-out fits at some positions [s, t], float64: classes one-hot, or targets themselves."""
        return targets_of(self.y if chosen is None else self.y[torch.from_numpy(chosen)], self.n_classes)

    def dense_targets(self) -> Tensor:
        """The targets of the `dense` rows [m, t]."""
        return self.targets(self.dense) if self.fitted is None else self.fitted


def targets_of(y: Tensor, n_classes: int) -> Tensor:
    """Classes one-hot [s, k], or targets as they are [s, t], float64."""
    if n_classes == 0:
        return y
    return torch.zeros(len(y), n_classes, dtype=torch.float64).scatter_(1, y[:, None], 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Saturation:
    """Where an activation's derivative is almost nothing: below `low` and above `high`.

    Attributes:
        low: values at or below are saturated; -inf for none.
        high: values at or above are saturated; +inf for none.
        pre: the activation's input, when the thresholds are about it; None when they are about the output.
    """

    low: float
    high: float
    pre: Tensor | None = None

    @property
    def is_rectifier(self) -> bool:
        """Whether the activation is saturated from an output of 0 downwards, as ReLU and its kin are."""
        return self.pre is None and self.low == 0.0


@final
class Batch:
    """One layer's output for one forward pass. It is swept, and reduced to rows, when that is first asked for.

    Ask before the tensor is overwritten, which is inside the forward pass.

    Args:
        values: the tensor as the layer put it out, first axis the sample.
        samples: labels, ids and selections, shared by all layers.
        view: where its units are and how its positions are reduced.
        mask: for tokens [n, t], true where a token counts; None for all, and for other layouts.
        saturation: for the output of an activation, where that is saturated.
    """

    __slots__ = ("_rows", "_sweep", "mask", "samples", "saturation", "values", "view")

    def __init__(
        self, values: Tensor, samples: Samples, view: View, mask: Tensor | None, saturation: Saturation | None
    ) -> None:
        self.values: Tensor = values
        self.samples: Samples = samples
        self.view: View = view
        self.mask: Tensor | None = mask
        self.saturation: Saturation | None = saturation
        self._sweep: Sweep | None = None
        self._rows: Tensor | None = None

    @property
    def sweep(self) -> Sweep:
        """Sums, extremes and class sums of `values`."""
        if self._sweep is None:
            is_rectified = self.saturation is not None and self.saturation.is_rectifier
            self._sweep = sweep(self.values, self.samples.groups, self.view.layout, self.mask, zeros=is_rectified)
        return self._sweep

    @property
    def rows(self) -> Shaped[Tensor, "n d"]:
        """One row per sample; means over positions are those of the sweep."""
        if self._rows is None:
            is_mean = self.view.rule == "mean" and self.view.layout != "features"
            self._rows = reduce(self.values, self.view, mask=self.mask, means=self.sweep.means if is_mean else None)
        return self._rows


def samples(y: Tensor | Array, *, n_classes: int | None = None, ids: Int64[Array, "n"] | None = None) -> Samples:
    """Labels checked and grouped, ids hashed.

    Args:
        y: class indices (any integer type) or float targets [n] or [n, t].
        n_classes: number of classes; 0 says regression; left out, it is max(y) + 1 for integers.
        ids: row numbers in the data set; left out, 0 … n-1.

    Raises:
        DataError: labels out of range or not integers, or targets that are not finite.
        ShapeError: not one label and one id per sample.

    Example:
        >>> samples(torch.tensor([0, 2, 1])).n_classes
        3
    """
    y = torch.as_tensor(y).detach().cpu()
    if y.ndim == 0:
        raise ShapeError("y: expected one label or target per sample, got a single number. Pass y of shape [n].")
    ids = np.arange(len(y)) if ids is None else np.asarray(ids, dtype=np.int64)
    if ids.shape != (len(y),):
        raise ShapeError(f"ids: expected one row number for each of {len(y)} samples, got shape {ids.shape}.")
    if y.is_floating_point() and n_classes:
        raise DataError(
            f"y: expected class indices as integers, got {y.dtype}. Use y.long() for classes, or n_classes=0 "
            "for a regression."
        )
    if y.is_floating_point() or n_classes == 0:
        target = (y[:, None] if y.ndim == 1 else y.flatten(1)).double()
        if not torch.isfinite(target).all():
            raise DataError("y: expected finite targets, got NaN or infinity. Drop or fill those rows.")
        return Samples(target, ids, hashes(ids), 0, segments(np.zeros(len(y), np.int64), 1))
    label = y.long()
    if label.ndim != 1:
        raise ShapeError(f"y: expected one class index per sample, got shape {tuple(label.shape)}.")
    codes = label.numpy()
    k = int(codes.max()) + 1 if n_classes is None and len(codes) else n_classes or 1
    return Samples(label, ids, hashes(ids), k, segments(codes, k))


def batch(
    values: Tensor,
    of: Samples,
    *,
    view: View | None = None,
    mask: Tensor | None = None,
    saturation: Saturation | None = None,
) -> Batch:
    """One layer's tensor, to be swept and reduced to rows.

    Args:
        values: the layer's output, its first axis the sample.
        of: the samples it belongs to.
        view: how to read it; left out: features [n, d] as they are.
        mask: for tokens [n, t], true where a token counts.
        saturation: for activations, where they are saturated.

    Raises:
        ShapeError: the tensor does not fit the samples or the view, or the mask the tensor.

    Cost:
        None; the sweep is one read of the tensor.
    """
    values = values.detach() if values.requires_grad else values
    view = View("features", "none", values.shape[-1]) if view is None else view
    check_shape(values, len(of.ids), view.layout)
    if mask is not None:
        mask = fit_mask(mask, values.flatten(1, -2)) if view.layout == "tokens" else None
    return Batch(values, of, view, mask, saturation)
