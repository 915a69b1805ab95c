"""The one fused pass over a layer's output tensor, and what every cheap state is made of.

In: a tensor in one of three layouts, and which segment (class) each sample belongs to. Out: a `Sweep` of
float64 sums, extremes and counts per unit, and the mean over positions per sample, which comes for free.
Compiled kernels on the CPU, plain torch elsewhere; both give the same numbers.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Float64, Int64
from unbend.errors import ShapeError

Layout: TypeAlias = Literal["features", "maps", "tokens"]
_COMPILED = (torch.float32, torch.float64)
_INF = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Sums over one tensor, per unit; values that are NaN or infinite are counted and left out.

    Attributes:
        n: samples.
        count: finite values seen per unit [d] (samples × valid positions).
        total: sum of the finite values [d].
        m2: sum of squared deviations from their mean [d].
        low: least finite value [d]; +inf where none was finite.
        high: greatest finite value [d].
        nonfinite: NaN or infinite values [d].
        class_n: samples per segment [k].
        class_total: sum over the samples of a segment of the mean over positions [k, d].
        means: mean over positions per sample [n, d]; None in layout `features`, where it is the tensor itself.
    """

    n: int
    count: Float64[Array, "d"]
    total: Float64[Array, "d"]
    m2: Float64[Array, "d"]
    low: Float64[Array, "d"]
    high: Float64[Array, "d"]
    nonfinite: Int64[Array, "d"]
    class_n: Int64[Array, "k"]
    class_total: Float64[Array, "k d"]
    means: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Which samples belong to which class, in the order the kernels want; made once per batch.

    Attributes:
        label: class of each sample [n].
        order: sample numbers, class after class [n].
        starts: where each class starts in `order` [k + 1].
    """

    label: Int64[Array, "n"]
    order: Int64[Array, "n"]
    starts: Int64[Array, "k1"]

    @property
    def n_classes(self) -> int:
        """How many classes the segments stand for, empty ones included."""
        return len(self.starts) - 1


def segments(label: Int64[Array, "n"], n_classes: int) -> Segments:
    """The samples of a batch grouped by class.

    Args:
        label: class index of each sample, in [0, n_classes).
        n_classes: number of classes; 1 puts all samples into one segment.

    Cost:
        O(n log n), once per batch.
    """
    order = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(label, minlength=n_classes))])
    return Segments(label, order, starts)


def sweep(values: Tensor, groups: Segments, layout: Layout = "features", mask: Tensor | None = None) -> Sweep:
    """Sums, extremes and class sums of one tensor, in one pass.

    Args:
        values: [n, d] (`features`), [n, d, *positions] (`maps`) or [n, *positions, d] (`tokens`).
        groups: the samples by class, from `segments`.
        layout: where the units are.
        mask: for tokens [n, t], true where a token counts.

    Raises:
        ShapeError: `values` has the wrong number of axes or of samples.

    Cost:
        One read of the tensor: about 0.5 ns a value on one core, float64 sums throughout.
    """
    x = _flat(values, layout)
    if len(x) != len(groups.label):
        raise ShapeError(f"sweep: expected {len(groups.label)} samples, got a tensor of shape {tuple(x.shape)}.")
    if x.dtype not in _COMPILED:
        x = x.double() if x.dtype.is_floating_point is False else x.float()
    swept = _compiled(x, groups, layout, mask) if x.device.type == "cpu" else _plain(x, groups, layout, mask)
    if np.isfinite(swept.m2).all():
        return swept
    return _plain(x, groups, layout, mask)


def _flat(values: Tensor, layout: Layout) -> Tensor:
    n_axes = values.ndim
    if layout == "features" and n_axes == 2:  # noqa: PLR2004
        return values
    if layout == "maps" and n_axes >= 3:  # noqa: PLR2004
        return values.flatten(2)
    if layout == "tokens" and n_axes >= 3:  # noqa: PLR2004
        return values.flatten(1, -2)
    raise ShapeError(f"sweep: a tensor of shape {tuple(values.shape)} does not fit the layout {layout!r}.")


def _compiled(x: Tensor, groups: Segments, layout: Layout, mask: Tensor | None) -> Sweep:
    if layout == "features":
        return _features(x.detach().contiguous().numpy(), groups)
    if layout == "maps":
        return _maps(x.detach().contiguous(), groups)
    return _tokens(x.detach().contiguous(), groups, mask)


def _features(x: Array, groups: Segments) -> Sweep:
    from unbend.numerics import kernels  # noqa: PLC0415  compiled code loads when it is first needed

    n, d = x.shape
    totals = np.empty((groups.n_classes, d))
    squares, low, high = np.empty(d), np.empty(d, x.dtype), np.empty(d, x.dtype)
    shift = x[0].astype(np.float64) if n and x.dtype == np.float64 else None
    shifted = x if shift is None else x - shift
    kernels.sweep_rows(shifted, groups.order, groups.starts, totals, squares, low, high)
    total = totals.sum(0)
    m2 = _centred(squares, total, n)
    class_n = np.diff(groups.starts)
    if shift is not None:
        totals, total, low, high = totals + class_n[:, None] * shift, total + n * shift, low + shift, high + shift
    return Sweep(n, np.full(d, float(n)), total, m2, low.astype(np.float64), high.astype(np.float64),
                 np.zeros(d, np.int64), class_n, totals, None)  # fmt: skip


def _maps(x: Tensor, groups: Segments) -> Sweep:
    from unbend.numerics import kernels  # noqa: PLC0415

    n, d, p = x.shape
    totals, squares = np.empty((n, d)), np.empty((n, d))
    array = x.numpy()
    low, high = np.empty(d, array.dtype), np.empty(d, array.dtype)
    shift = array[0, :, 0].astype(np.float64) if n and x.dtype == torch.float64 else np.zeros(d)
    kernels.sweep_maps(array - shift[:, None] if shift.any() else array, totals, squares, low, high)
    total = totals.sum(0)
    m2 = _centred(squares.sum(0), total, n * p)
    means = totals / p + shift
    return Sweep(n, np.full(d, float(n * p)), total + n * p * shift, m2, low + shift, high + shift,
                 np.zeros(d, np.int64), np.diff(groups.starts), _by_class(means, groups),
                 torch.from_numpy(means).to(x.dtype))  # fmt: skip


def _tokens(x: Tensor, groups: Segments, mask: Tensor | None) -> Sweep:
    """Tokens are rows whose segments are the samples."""
    from unbend.numerics import kernels  # noqa: PLC0415

    n, t, d = x.shape
    rows = x.reshape(n * t, d).numpy()
    order, length = _valid_rows(n, t, mask)
    starts = np.concatenate([[0], np.cumsum(length)])
    totals, squares = np.empty((n, d)), np.empty(d)
    low, high = np.empty(d, rows.dtype), np.empty(d, rows.dtype)
    shift = rows[0].astype(np.float64) if len(rows) and x.dtype == torch.float64 else np.zeros(d)
    kernels.sweep_rows(rows - shift if shift.any() else rows, order, starts, totals, squares, low, high)
    total = totals.sum(0)
    m2 = _centred(squares, total, len(order))
    means = totals / np.maximum(length, 1)[:, None] + shift
    return Sweep(n, np.full(d, float(len(order))), total + len(order) * shift, m2, low + shift, high + shift,
                 np.zeros(d, np.int64), np.diff(groups.starts), _by_class(means, groups),
                 torch.from_numpy(means).to(x.dtype))  # fmt: skip


def _valid_rows(n: int, t: int, mask: Tensor | None) -> tuple[Array, Array]:
    if mask is None:
        return np.arange(n * t), np.full(n, t)
    valid = mask.detach().cpu().numpy().reshape(n, t) != 0
    return np.flatnonzero(valid), valid.sum(1)


def _centred(squares: Array, total: Array, n: int) -> Array:
    return np.maximum(squares - total * total / max(n, 1), 0.0)


def _by_class(means: Array, groups: Segments) -> Array:
    sums = np.zeros((groups.n_classes, means.shape[1]))
    np.add.at(sums, groups.label, means)
    return sums


def _plain(x: Tensor, groups: Segments, layout: Layout, mask: Tensor | None) -> Sweep:
    """The same in torch operations, for tensors that are not on the CPU and for values that are not finite."""
    label = torch.from_numpy(groups.label).to(x.device)
    double = x.detach().double()
    valid = torch.isfinite(double)
    if layout == "tokens" and mask is not None:
        seen = (mask.to(x.device).reshape(len(x), -1, 1) != 0).expand_as(double)
    else:
        seen = torch.ones_like(valid)
    valid &= seen
    axes = {"features": (0,), "maps": (0, 2), "tokens": (0, 1)}[layout]
    position = {"features": (), "maps": (2,), "tokens": (1,)}[layout]
    count = valid.sum(axes).double()
    clean = torch.where(valid, double, 0.0)
    total = clean.sum(axes)
    mean = total / count.clamp(min=1)
    centre = mean if layout != "maps" else mean[:, None]
    m2 = torch.where(valid, (clean - centre) ** 2, 0.0).sum(axes)
    low = torch.where(valid, double, _INF).amin(axes)
    high = torch.where(valid, double, -_INF).amax(axes)
    means = clean.sum(position) / valid.sum(position).clamp(min=1) if position else clean
    class_total = torch.zeros(groups.n_classes, means.shape[1], dtype=torch.float64, device=x.device)
    class_total.index_add_(0, label, means)
    lost = (seen & ~valid).sum(axes)
    return Sweep(len(x), *(_host(v) for v in (count, total, m2, low, high, lost)), np.diff(groups.starts),
                 _host(class_total), means.to(x.dtype) if position else None)  # fmt: skip


def _host(value: Tensor) -> Array:
    return value.cpu().numpy()
