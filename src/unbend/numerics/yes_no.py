"""Several yes/no labels of each row: a linear read-out of each, with its own base rate, and their average.

In: second moments and row samples whose targets are columns of 0 and 1. Out: a `Readout` that averages over the labels
and holds the read-out of each. The scatter of the rows is diagonalised once: a label changes the targets only.
"""

from dataclasses import replace

import numpy as np

from unbend._typing import Array
from unbend.numerics.readout import Readout, read
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState, eigen

_NORMAL = 1.959963984540054
"""Half of a 95 % interval, in standard errors."""


def label_readouts(state: SecondState, train: SampleState, held_out: SampleState, *, controls: bool = True) -> Readout:
    """The read-out of every yes/no label, as if the rows had no other, and the average of all.

    Args:
        state: second moments of the rows to fit.
        train: rows among those.
        held_out: rows to score.
        controls: whether permuted labels are fitted too.

    Cost:
        O(d³) once, and that of scoring a read-out of two classes for each label.
    """
    second = state.settle()
    basis = eigen(second)
    each = tuple(
        read(_of_label(second, j), basis, only(train, j), only(held_out, j), controls=controls)
        for j in range(len(second.y_mean))
    )
    return average(second.n, each)


def average(n_fit: int, each: tuple[Readout, ...]) -> Readout:
    """The read-outs of all labels as one, whose scores are averages over the labels.

    Args:
        n_fit: rows they were fitted on.
        each: read-outs of two classes, no and yes.
    """
    wrong = _wrong(each)
    return Readout(
        n_fit=n_fit,
        ridge=float(np.median([r.ridge for r in each])),
        weight=np.stack([r.weight[1] - r.weight[0] for r in each]),
        bias=np.array([r.bias[1] - r.bias[0] for r in each]),
        n_train=each[0].n_train,
        train=_mean([r.train for r in each]),
        train_interval=(np.nan, np.nan),
        n_held_out=each[0].n_held_out,
        held_out=_mean([r.held_out for r in each]),
        held_out_interval=_interval(wrong),
        control_train=_mean([r.control_train for r in each]),
        control_held_out=_mean([r.control_held_out for r in each]),
        confusion=None,
        correct=None,
        unexplained=wrong if len(wrong) else None,
        majority=_mean([r.majority for r in each]),
        balanced=_mean([r.balanced for r in each]),
        precision=_mean([r.precision for r in each]),
        majority_train=_mean([r.majority_train for r in each]),
        n_permuted=min(r.n_permuted for r in each),
        labels=each,
    )


def _of_label(second: SecondState, j: int) -> SecondState:
    """The second moments with one label as two classes, no and yes."""
    p = float(second.y_mean[j])
    cross = second.cross[:, j]
    yy = second.n * p * (1 - p) * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return replace(second, y_mean=np.array([1 - p, p]), cross=np.stack([-cross, cross], axis=1), yy=yy)


def only(sample: SampleState, j: int) -> SampleState:
    """A row sample with one of its yes/no labels as two classes.

    Args:
        sample: rows whose targets are columns of 0 and 1.
        j: which column.
    """
    whole = sample.settle()
    return replace(whole, targets=tuple(np.stack([1 - t[:, j], t[:, j]], axis=1) for t in whole.targets))


def _wrong(each: tuple[Readout, ...]) -> Array:
    """Of each held-out row, the share of its labels that are read wrongly."""
    found = [r.correct for r in each if r.correct is not None]
    return 1 - np.mean(found, axis=0) if found else np.zeros(0)


def _interval(wrong: Array) -> tuple[float, float]:
    """Normal interval of the average over rows; the labels of a row are not independent, the rows are."""
    if len(wrong) < 2:
        return np.nan, np.nan
    half = _NORMAL * wrong.std(ddof=1) / np.sqrt(len(wrong))
    centre = 1 - wrong.mean()
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
