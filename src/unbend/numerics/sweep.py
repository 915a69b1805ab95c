"""The one fused pass over a layer's output tensor, and what every cheap state is made of.

In: a tensor in one of three layouts, and which segment (class) each sample belongs to. Out: a `Sweep` of
float64 sums, extremes and counts per unit, and the mean over positions per sample, which comes for free.
A compiled kernel for finite float32 values on the CPU, plain torch for all else; both give the same numbers.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Float64, Int64
from unbend.errors import DataError, ShapeError
from unbend.numerics import compiled
from unbend.numerics.compiled.team import team
from unbend.numerics.view import Layout

_NOT_COUNTED = np.zeros(0, np.int32)
_SMALL = (torch.float16, torch.bfloat16)
_INF = float("inf")
_FEW = 32
"""Maps with fewer positions are swept as rows of channels × positions; more, channel by channel."""

_PER_CLASS = 8
"""With fewer samples a class than this, sums per class and position would cost more than they save."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Sums over one tensor, per unit; values that are NaN or infinite are counted and left out.

    Attributes:
        n: samples.
        count: finite values seen per unit [d] (samples × valid positions).
        total: sum of the finite values [d].
        m2: sum of squared deviations from their mean [d].
        low: least finite value [d]; +inf where none was finite.
        high: greatest finite value [d]; -inf where none was finite.
        nonfinite: NaN or infinite values [d].
        class_n: samples per segment [k].
        class_count: samples of a segment with at least one finite value [k, d]; one column where that is
            the same for all units.
        class_total: sum over those samples of the mean over positions [k, d].
        means: mean over positions per sample [n, d], NaN where no position counts; None in layout
            `features`, where it is the tensor itself.
        zeros: values that are at most 0 [d]; None where they were not counted.
    """

    n: int
    count: Float64[Array, "d"]
    total: Float64[Array, "d"]
    m2: Float64[Array, "d"]
    low: Float64[Array, "d"]
    high: Float64[Array, "d"]
    nonfinite: Int64[Array, "d"]
    class_n: Int64[Array, "k"]
    class_count: Float64[Array, "k #d"]
    class_total: Float64[Array, "k d"]
    means: Tensor | None
    zeros: Int64[Array, "d"] | None = None


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

    Raises:
        DataError: a label out of range.

    Cost:
        O(n), once per batch.
    """
    order, starts = compiled.group(label, n_classes)
    if len(order) < len(label):
        raise DataError(
            f"y: expected class indices in [0, {n_classes}), got values from {label.min()} to {label.max()}. "
            f"Pass n_classes={label.max() + 1}, or map your labels to 0..k-1."
        )
    return Segments(label, order, starts)


def sweep(
    values: Tensor,
    groups: Segments,
    layout: Layout = "features",
    mask: Tensor | None = None,
    *,
    zeros: bool = False,
) -> Sweep:
    """Sums, extremes and class sums of one tensor, in one pass.

    Args:
        values: [n, d] (`features`), [n, d, *positions] (`maps`) or [n, *positions, d] (`tokens`).
        groups: the samples by class, from `segments`.
        layout: where the units are.
        mask: for tokens [n, t], true where a token counts.
        zeros: count the values that are at most 0, where that comes almost for free (large maps on the CPU).

    Raises:
        ShapeError: `values` has the wrong number of axes or of samples, or the mask does not fit it.

    Cost:
        One read of the tensor: about 0.5 ns a value on one core for float32, float64 sums throughout.
        Other types, and tensors with NaN or infinity, take several reads.
    """
    check_shape(values, len(groups.label), layout)
    x = _flat(values.detach(), layout)
    mask = None if mask is None or layout != "tokens" else fit_mask(mask, x)
    if x.dtype in _SMALL:
        x = x.float()
    if not has_kernel(x):
        return _plain(x, groups, layout, mask)
    swept = _in_compiled_code(x, groups, layout, mask, zeros=zeros)
    return swept if np.isfinite(swept.m2).all() else _plain(x, groups, layout, mask)


def has_kernel(x: Tensor) -> bool:
    """Whether compiled code can read a tensor: float32 on the CPU."""
    return x.is_cpu and x.dtype == torch.float32


def fit_mask(mask: Tensor, tokens: Tensor) -> Tensor:
    """The mask as booleans [n, t] on the device of `tokens` [n, t, d].

    Raises:
        ShapeError: there is not one entry per token.
    """
    if mask.numel() != tokens.shape[0] * tokens.shape[1] or len(mask) != len(tokens):
        raise ShapeError(
            f"mask: expected one entry for each of {tokens.shape[0]} × {tokens.shape[1]} tokens, "
            f"got shape {tuple(mask.shape)}."
        )
    return mask.detach().reshape(tokens.shape[:2]).to(tokens.device) != 0


def check_shape(values: Tensor, n: int, layout: Layout) -> None:
    """Refuse a tensor that cannot be swept.

    Raises:
        ShapeError: it is complex, has not n samples, or has not the axes of the layout.
    """
    if values.is_complex():
        raise ShapeError("sweep: expected real values, got complex ones. Tap a layer with real outputs.")
    if values.ndim != 2 if layout == "features" else values.ndim < 3:
        raise ShapeError(f"sweep: a tensor of shape {tuple(values.shape)} does not fit the layout {layout!r}.")
    if len(values) != n:
        raise ShapeError(
            f"sweep: expected {n} samples, got a tensor of shape {tuple(values.shape)}. "
            "The first axis must be the sample."
        )


def _flat(values: Tensor, layout: Layout) -> Tensor:
    if layout == "features":
        return values
    return values.flatten(2) if layout == "maps" else values.flatten(1, -2)


def _in_compiled_code(x: Tensor, groups: Segments, layout: Layout, mask: Tensor | None, *, zeros: bool) -> Sweep:
    if layout == "features":
        return _features(x.contiguous().numpy(), groups)
    if layout == "tokens":
        return _tokens(x.contiguous(), groups, mask)
    if x.transpose(1, 2).is_contiguous():
        return _tokens(x.transpose(1, 2), groups, None)
    x = x.contiguous()
    return _small_maps(x, groups) if x.shape[2] < _FEW else _large_maps(x, groups, zeros=zeros)


def _rows(x: Array, order: Array, starts: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Totals per segment, and total, squares, low and high over all rows."""
    d = x.shape[1]
    totals, squares = np.empty((len(starts) - 1, d)), np.empty(d)
    low, high = np.empty(d, np.float32), np.empty(d, np.float32)
    compiled.sweep_rows(x, order, starts, totals, squares, low, high, _NOT_COUNTED, team())
    return totals, totals.sum(0), squares, low.astype(np.float64), high.astype(np.float64)


def _features(x: Array, groups: Segments) -> Sweep:
    totals, total, squares, low, high = _rows(x, groups.order, groups.starts)
    class_n = np.diff(groups.starts)
    return _seen_equally(len(x), len(x), (total, squares, low, high), (class_n, class_n[:, None], totals), None)


def _tokens(x: Tensor, groups: Segments, mask: Tensor | None) -> Sweep:
    """Tokens are rows whose segments are the samples."""
    n, t, d = x.shape
    if mask is None:
        order, length = np.arange(n * t), np.full(n, t)
    else:
        valid = mask.numpy()
        order, length = np.flatnonzero(valid), valid.sum(1)
    starts = np.concatenate([[0], np.cumsum(length)])
    totals, *sums = _rows(x.reshape(n * t, d).numpy(), order, starts)
    if length.all():
        means = totals / length[:, None]
    else:
        means = np.where(length[:, None] > 0, totals / np.maximum(length, 1)[:, None], np.nan)
    return _seen_equally(n, len(order), sums, _classes(means, length > 0, groups), torch.from_numpy(means).float())


def _small_maps(x: Tensor, groups: Segments) -> Sweep:
    """Few positions: a channel's sums along its positions would not vectorise, its columns do."""
    n, d, p = x.shape
    by_class = groups.n_classes * _PER_CLASS <= n
    order, starts = (groups.order, groups.starts) if by_class else (np.arange(n), np.array([0, n]))
    totals, total, squares, low, high = _rows(x.flatten(1).numpy(), order, starts)
    total, squares = (v.reshape(d, p).sum(1) for v in (total, squares))
    low, high = (v.reshape(d, p) for v in (low, high))
    sums = total, squares, low.min(1, initial=np.inf), high.max(1, initial=-np.inf)
    class_n = np.diff(groups.starts)
    if by_class and p:
        classes = class_n, class_n[:, None], totals.reshape(-1, d, p).sum(2) / p
        return _seen_equally(n, n * p, sums, classes, x.mean(2))
    means = x.sum(2, dtype=torch.float64).numpy() / (p or np.nan)
    return _seen_equally(n, n * p, sums, _classes(means, np.full(n, p > 0), groups), x.mean(2))


def _large_maps(x: Tensor, groups: Segments, *, zeros: bool) -> Sweep:
    n, d, p = x.shape
    totals, squares = np.empty((n, d)), np.empty((n, d))
    low, high = np.empty(d, np.float32), np.empty(d, np.float32)
    count = np.zeros(d if zeros else 0, np.int32)
    compiled.sweep_maps(x.numpy(), totals, squares, low, high, count, team(maps=True))
    means = totals / p
    sums = totals.sum(0), squares.sum(0), low.astype(np.float64), high.astype(np.float64)
    swept = _seen_equally(n, n * p, sums, _classes(means, np.full(n, True), groups), torch.from_numpy(means).float())
    return replace(swept, zeros=count.astype(np.int64)) if zeros else swept


def _classes(means: Array, counted: Array, groups: Segments) -> tuple[Array, Array, Array]:
    """Samples per class, those that count, and the sums of their means."""
    class_n = np.diff(groups.starts)
    if counted.all():
        clean, class_count = means, class_n
    else:
        clean = np.where(counted[:, None], means, 0.0)
        class_count = np.bincount(groups.label[counted], minlength=groups.n_classes)
    sums = torch.zeros(groups.n_classes, means.shape[1], dtype=torch.float64)
    sums.index_add_(0, torch.from_numpy(groups.label), torch.from_numpy(clean))
    return class_n, class_count[:, None], sums.numpy()


def _seen_equally(
    n: int,
    count: int,
    sums: tuple[Array, ...] | list[Array],
    classes: tuple[Array, ...],
    means: Tensor | None,
) -> Sweep:
    """A sweep in which every unit was seen equally often."""
    total, squares, low, high = sums
    class_n, class_count, class_total = classes
    with np.errstate(invalid="ignore"):
        m2 = np.maximum(squares - total * total / max(count, 1), 0.0)
    m2[(low == high) & np.isfinite(m2)] = 0.0
    d = len(total)
    return Sweep(n, np.full(d, float(count)), total, m2, low, high, np.zeros(d, np.int64),
                 class_n, class_count.astype(np.float64), class_total, means)  # fmt: skip


def _plain(x: Tensor, groups: Segments, layout: Layout, mask: Tensor | None) -> Sweep:
    """The same in torch operations, two passes, each unit with its own count of finite values."""
    label = torch.from_numpy(groups.label).to(x.device)
    double = x.double()
    finite = torch.isfinite(double)
    valid = finite if mask is None else finite & mask[..., None]
    seen = torch.ones_like(valid) if mask is None else mask[..., None].expand_as(valid)
    axes = {"features": (0,), "maps": (0, 2), "tokens": (0, 1)}[layout]
    count = valid.sum(axes).double()
    clean = torch.where(valid, double, 0.0)
    total = clean.sum(axes)
    centre = total / count.clamp(min=1)
    deviation = torch.where(valid, clean - (centre[:, None] if layout == "maps" else centre), 0.0)
    low, high = _least(double, valid, layout), -_least(-double, valid, layout)
    m2 = torch.where(low == high, 0.0, (deviation**2).sum(axes))
    position = {"features": None, "maps": 2, "tokens": 1}[layout]
    met, means = valid, clean
    if position is not None:
        length = valid.sum(position)
        met, means = length > 0, clean.sum(position) / length.clamp(min=1)
    shape = (groups.n_classes, means.shape[1])
    class_total = torch.zeros(shape, dtype=torch.float64, device=x.device).index_add_(0, label, means)
    class_count = torch.zeros(shape, dtype=torch.float64, device=x.device).index_add_(0, label, met.double())
    rows = None if position is None else torch.where(met, means, torch.nan)
    if rows is not None and x.dtype == torch.float32:
        rows = rows.float()
    lost = (seen & ~finite).sum(axes)
    return Sweep(len(x), _host(count), _host(total), _host(m2), _host(low), _host(high), _host(lost),
                 np.diff(groups.starts), _host(class_count), _host(class_total), rows)  # fmt: skip


def _least(double: Tensor, valid: Tensor, layout: Layout) -> Tensor:
    """The least valid value of each unit; a row of infinities makes it exist."""
    x = torch.where(valid, double, _INF)
    x = x.transpose(1, 2) if layout == "maps" else x
    x = x.flatten(0, -2)
    return torch.cat([x, x.new_full((1, x.shape[1]), _INF)]).amin(0)


def _host(value: Tensor) -> Array:
    return value.cpu().numpy()
