"""A logistic regression in the place of the closed form, and what it costs.

In: a closed-form `Readout`, the row samples of its layer. Out: the same with the planes of a multinomial logistic
regression fitted on the training sample, the closed form kept in it. A discriminant assumes classes of one covariance,
and of few rows its scatter is mostly noise; a logistic regression assumes neither, but has no closed form.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Float64, Int64
from unbend.errors import DataError
from unbend.numerics.permuted import Fitted
from unbend.numerics.probe.inputs import require_range
from unbend.numerics.probe.logistic import fit, path
from unbend.numerics.probe.objective import Rows
from unbend.numerics.probe.split import held_out_mask
from unbend.numerics.probe.standard import Standard
from unbend.numerics.readout import Readout, score_classes
from unbend.numerics.sample import SampleState
from unbend.numerics.yes_no import average, only

PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4)
"""Penalties tried, on standardised units and the mean loss. Twice as many, or weaker ones, move held-out accuracies by
a row or two."""
_SHARE = 0.2
"""Share of the rows fitted that choose the penalty, and are fitted with the others afterwards."""
_GAP = 1e-2
"""Relative distance from the optimum that is proved. A hundredth of it moves one row in some hundred thousand."""
_SEED = 1
_START, _PASS, _BLOCK = 0.02, 1.5e-8, 2.5e-10
"""Seconds of one core of 2024: for a fit, for each row times unit times class of it, and for each class times cube of
the width, by which its curvature is inverted."""
_ONE_BLOCK = 30_000_000
"""Entries of the blocks of all classes from which they share one, as in `probe.precondition`."""
_WIDEST = 4096


def seconds(n: int, d: int, k: int) -> float:
    """What a fit takes, about, on one core of 2024; at most twice as long was measured.

    Args:
        n: rows.
        d: units.
        k: classes.

    Example:
        >>> seconds(1438, 64, 10) < 0.1, seconds(4096, 512, 10) < 2 < seconds(4096, 512, 100)
        (True, True)
    """
    blocks = 0 if d > _WIDEST else 1 if k * d * d > _ONE_BLOCK else k
    return _START + _PASS * n * d * k + _BLOCK * blocks * d**3


def logistic_readout(
    closed: Readout, train: SampleState, held_out: SampleState, like: Readout | None = None
) -> Readout:
    """The logistic read-out of a layer whose closed form is known; that closed form where none can be fitted.

    Args:
        closed: the closed form; it must be of classes, or of several yes/no labels.
        train: rows to fit.
        held_out: rows to score.
        like: a read-out of such a layer whose penalty is taken, which saves choosing it.

    Cost:
        `seconds`, once for every yes/no label.
    """
    if not closed.labels:
        return _of_classes(closed, train, held_out, like)
    each = tuple(
        _of_classes(label, only(train, j), only(held_out, j), like.labels[j] if like is not None else None)
        for j, label in enumerate(closed.labels)
    )
    if any(label.reader != "logistic" for label in each):
        return closed
    found = average(each[0].n_fit, each)
    return replace(found, reader="logistic", closed=closed)


def _of_classes(closed: Readout, train: SampleState, held_out: SampleState, like: Readout | None) -> Readout:
    rows, targets = train.table()
    ids = train.settled().ids
    is_finite = torch.isfinite(rows).all(1) if len(rows) else torch.zeros(0, dtype=torch.bool)
    if not is_finite.all():
        rows, targets, ids = rows[is_finite], targets[is_finite], ids[is_finite.numpy()]
    y = targets.argmax(1) if len(targets) else torch.zeros(0, dtype=torch.int64)
    found = _fit(rows, y, targets.shape[1], None if like is None else like.ridge)
    if found is None:
        return closed
    weight, bias, l2 = found
    x, z = (part.double().numpy() for part in held_out.table())
    mine = replace(closed, n_fit=len(rows), n_train=len(rows), ridge=l2, reader="logistic", closed=closed)
    return score_classes(mine, (weight, bias), Fitted(rows.double().numpy(), targets.numpy(), ids), (x, z))


def _fit(
    rows: Tensor, y: Int64[Tensor, "n"], k: int, l2: float | None
) -> tuple[Float64[Array, "k d"], Float64[Array, "k"], float] | None:
    """Weight, bias and penalty; None where there are not two classes, or squares that float64 cannot hold."""
    seen, code = torch.unique(y, return_inverse=True)
    if len(seen) < 2 or not rows.shape[1]:
        return None
    try:
        require_range("rows", rows)
    except DataError:
        return None
    standard = Standard.of(rows)
    table = Rows.of(standard.apply(rows), code, len(seen))
    chooses, near = held_out_mask(code, _SHARE, _SEED), None
    if l2 is None and chooses.any():
        tried, near = path(table, chooses, PENALTIES)
        l2 = tried.chosen
    l2 = max(PENALTIES) if l2 is None else l2
    start, known = (near.point, near.blocks) if near else (None, None)
    best = fit(table, l2, _GAP, start=start, known=known)
    w, b = standard.unstandardise(best.weight[:, :-1], best.weight[:, -1])
    weight, bias = np.zeros((k, rows.shape[1])), np.full(k, -np.inf)
    weight[seen.numpy()], bias[seen.numpy()] = w.numpy(), b.numpy()
    return weight, bias, l2
