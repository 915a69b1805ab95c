"""From what a step's spots added up to the numbers of a snapshot.

In: sums and rows on the host, labels. Out: numbers by name, as in `history.values.FIELDS`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Float64, Int64
from unbend.errors import DataError
from unbend.numerics.activity import DORMANT, MOSTLY
from unbend.numerics.scatter import scatter
from unbend.numerics.second import SecondState
from unbend.numerics.single import turn
from unbend.numerics.views import sketch
from unbend.study.watch.sink import ValueHistogram
from unbend.study.watch.sums import Taken

SUMS = 64
"""Signed sums of a wide layer's units that questions about classes are asked of: 256 rows tell nothing of 512 units."""
BINS = 64
"""Of a histogram of values."""
MOST_VALUES = 1 << 16
"""Values that a histogram is made of, in about a millisecond."""
_OF_ANY, _OF_UNITS = ("rms", "spread", "silent"), ("rms", "spread", "silent", "dormant", "saturated", "zeros")
_SHARE = 1e-2
"""By how much shares of one sample may miss their sum of 1, as they do in half precision."""
_RIDGE = 1e-2
"""Of the read-out, in units of the mean eigenvalue: enough for as many rows as there are sums."""


def of_sums(taken: Taken, is_judged: Array) -> list[dict[str, float]]:
    """What the units of each layer did: the numbers of `numerics.moments` and `numerics.activity`, for whole layers.

    Made in a few operations on the units of all layers at once, since a snapshot may be taken at every step. A unit
    with a value that is not finite counts nothing.

    Args:
        taken: what the spots added up.
        is_judged: which are activations, of whose units more can be said than that they are silent [l].
    """
    if not len(taken.starts):
        return []
    sums, low, high, layer = taken.sums, taken.low, taken.high, taken.layer
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        good = np.isfinite(sums[0] + sums[1] + low + high)
        if not good.all():
            sums, low, high = np.where(good, sums, 0.0), np.where(good, low, 1.0), np.where(good, high, 1.0)
        mean, squares, zeros, magnitude, flat = sums / taken.count[layer]
        d, whole = np.add.reduceat((good, magnitude), taken.starts, axis=1)
        silent = (low == 0) & (high == 0)
        parts = np.add.reduceat((
            squares,
            np.maximum(squares - mean * mean, 0.0),
            silent,
            ((magnitude <= (DORMANT * whole / d)[layer]) | silent) & good,
            (flat >= MOSTLY) & ~silent & good,
            zeros,
        ), taken.starts, axis=1) / d  # fmt: skip
        parts[:2] **= 0.5
    return [
        {} if k == 0 or m == 0 else dict(zip(_OF_UNITS if judged else _OF_ANY, values, strict=False))
        for values, judged, k, m in zip(parts.T.tolist(), is_judged, taken.n, d, strict=True)
    ]


def of_graphs(numbers: Sequence[Sequence[float]], is_judged: Array) -> list[dict[str, float]]:
    """The same of what compiled graphs made of their sums already.

    Args:
        numbers: as `sums.SpotTable.numbers` gives them.
        is_judged: which are activations [l].
    """
    return [
        dict(zip(_OF_UNITS if judged else _OF_ANY, values, strict=False)) if values[6] and values[7] else {}
        for values, judged in zip(numbers, is_judged.tolist(), strict=True)
    ]


def of_rows(rows: Tensor, label: Int64[Array, "m"] | None) -> dict[str, float]:
    """How many directions a layer's rows use and, with labels, how far apart they put the classes."""
    x = rows.double()
    finite = torch.isfinite(x).all(1)
    x = x[finite]
    if len(x) < 4:
        return {}
    found = {"rank": effective_rank(x)}
    if label is None:
        return found
    y = label[finite.numpy()]
    y = np.unique(y, return_inverse=True)[1]
    if y.max() == 0:
        return found
    small = sketch(x, SUMS) if x.shape[1] > SUMS else x
    spread = scatter(_second(small.numpy(), np.eye(y.max() + 1)[y]))
    if spread is not None:
        found |= {"fisher": spread.fisher, "separation": spread.separation}
    found["readout"] = readout_accuracy(small.numpy(), y)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _second(x: Float64[Array, "m d"], y: Float64[Array, "m k"]) -> SecondState:
    """The second moments of a few rows; `SecondState.of_rows` would load compiled code, which takes a second."""
    mean, share = x.mean(0), y.mean(0)
    z, t = x - mean, y - share
    return SecondState(len(x), 0, mean, z.T @ z, share, z.T @ t, t.T @ t)


def histogram_of(rows: Tensor) -> ValueHistogram | None:
    """How the finite values of some rows are spread, of many rows those of some; None where there are none."""
    values = rows[:: -(-rows.numel() // MOST_VALUES)].double().flatten().numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    counts, edges = np.histogram(values, BINS)
    return ValueHistogram(counts, edges, float(values.sum()), float((values**2).sum()))


def effective_rank(x: Tensor) -> float:
    """Exp of the entropy of the variance shares of some rows, at most as many as there are rows (Roy & Vetterli 2007).

    Cost:
        O(m³) for m rows, or O(d³) where there are fewer units.
    """
    centred = x - x.mean(0)
    gram = centred @ centred.T if len(x) <= x.shape[1] else centred.T @ centred
    values = torch.linalg.eigvalsh(gram).clamp_min(0)
    total = float(values.sum())
    if not total > 1e-12 * float((x**2).sum()):
        return 0.0
    share = values / total
    share = share[share > 0]
    return float(torch.exp(-(share * share.log()).sum()))


def readout_accuracy(x: Float64[Array, "m d"], y: Int64[Array, "m"]) -> float:
    """Accuracy of ridge read-outs on rows left out of their fit: each half is read by that of the other half.

    NaN where no class has rows in both halves.
    """
    order = np.argsort(y, kind="stable")
    half = np.empty(len(y), np.int64)
    half[order] = np.arange(len(y)) % 2  # alternating within each class, so that both halves hold it
    right = n = 0
    for part in (0, 1):
        fit, held_out = half == part, half != part
        known = np.isin(y[held_out], y[fit])
        if not known.any():
            continue
        target = np.eye(y.max() + 1)[y[fit]]
        mean, scale = x[fit].mean(0), x[fit].std(0)
        scale = np.where(scale > 1e-12, scale, 1.0)
        z = (x[fit] - mean) / scale
        gram = z.T @ z
        gram += np.eye(len(gram)) * (_RIDGE * np.trace(gram) / len(gram) + 1e-12)
        weight = np.linalg.solve(gram, z.T @ (target - target.mean(0)))
        guess = (((x[held_out] - mean) / scale) @ weight + target.mean(0)).argmax(1)
        right += int((guess == y[held_out])[known].sum())
        n += int(known.sum())
    return right / n if n else np.nan


def labels_of(y: Tensor | Array | Sequence[Any] | None) -> Tensor | None:
    """Labels as a tensor.

    Raises:
        DataError: they are no numbers.
    """
    if y is None or isinstance(y, Tensor):
        return y
    try:
        return torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise DataError(
            f"label: expected class indices, a tensor or numbers in a list, got {type(y).__name__}: {error}. Map your "
            "labels to 0..k-1."
        ) from error


def codes(y: Tensor | None, n: int) -> Int64[Array, "m"] | None:
    """The classes of the first `n` samples, copied; None where the labels are none, or are none of these samples."""
    if y is None:
        return None
    if isinstance(y, Tensor) and y.ndim == 1 and y.dtype is torch.int64 and y.is_cpu:
        return y.numpy()[:n].copy() if len(y) >= n else None
    if y.is_meta or y.layout is not torch.strided:
        return None
    y = y.detach()
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.is_floating_point() and y.shape[1] > 1 and _is_share(y[:n]):
        y = y.argmax(1)
    if y.ndim != 1 or len(y) < n or y.is_complex():
        return None
    y = y[:n].cpu()
    if y.is_floating_point():
        if not bool((y == y.round()).all()) or len(y.unique()) > max(2, n // 4):
            return None
        y = y.round()
    return y.long().numpy().copy()


def _is_share(y: Tensor) -> bool:
    """Whether rows tell how much each class has of a sample, so that one of them leads; other targets do not."""
    return bool((y >= 0).all() and ((y.float().sum(1) - 1).abs() < _SHARE).all())


def guesses(rows: Tensor, n_classes: int, *, is_logit: bool = False) -> Int64[Array, "m"] | None:
    """The classes that outputs name; None where they are no scores of classes.

    Args:
        rows: outputs [m, d].
        n_classes: how many classes there are.
        is_logit: whether a single output is one; else it may be a probability, if all of them could be.
    """
    x = rows.numpy()
    if not np.isfinite(x).all():
        return None
    if x.shape[1] == 1 and n_classes == 2:
        return (x[:, 0] > turn([x], is_logit=is_logit)).astype(np.int64)
    return x.argmax(1) if x.shape[1] >= n_classes > 1 else None
