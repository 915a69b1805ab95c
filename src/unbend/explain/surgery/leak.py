"""What a probe makes of erased rows that the eraser was not fitted to: the theorem holds for its own rows only.

In: a model on data, erasers. Out: a `Leak` for every layer. The probe is fitted to one half of the held-out rows and
judged on the other.
"""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.capture import Tap
from unbend.explain.setup import Setup
from unbend.explain.surgery.fit import LayerFit
from unbend.numerics.interval import wilson
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.numerics.streaming.choose import Selection
from unbend.study.progress import Progress
from unbend.study.values import wanted_state

_ROWS = 2000
_FEWEST = 40


@result
class Leak:
    """A logistic probe of erased held-out rows.

    Attributes:
        n: rows it was judged on.
        before: its accuracy on the layer as it is.
        after: its accuracy on the erased layer.
        low: lower end of the 95 % interval of that.
        high: upper end.
        base_rate: share of the most frequent class among those rows.
    """

    n: int
    before: float
    after: float
    low: float
    high: float
    base_rate: float


def leaks(made: Setup, taps: Sequence[Tap], known: Mapping[str, LayerFit], progress: Progress) -> dict[str, Leak]:
    """What a probe makes of each erased layer on rows that the eraser has not seen.

    Cost:
        A pass over the held-out rows, and two logistic regressions of at most 1,000 rows a layer.
    """
    some = made.work.rows.some("held_out", _ROWS)
    states = made.states(taps, some, (SampleState,), selection=Selection(1.0, _ROWS))
    found: dict[str, Leak] = {}
    for i, tap in enumerate(taps):
        progress("Probing erased layers", i, len(taps))
        eraser = known[tap.name].eraser
        rows, targets = map(torch.from_numpy, wanted_state(states[tap.name], SampleState).table())
        if eraser is not None and len(rows) >= _FEWEST:
            found[tap.name] = _leak(rows.double(), eraser(rows.double()), targets.argmax(1).numpy())
    return found


def _leak(before: Tensor, after: Tensor, y: Array) -> Leak:
    n = len(y) // 2
    judged = y[n:]
    rights = [_right(rows.numpy(), y, n) for rows in (before, after)]
    low, high = wilson(int(rights[1].sum()), len(judged))
    base = np.bincount(judged).max() / len(judged)
    return Leak(
        n=len(judged), before=float(rights[0].mean()), after=float(rights[1].mean()), low=float(low), high=float(high),
        base_rate=float(base),
    )  # fmt: skip


def _right(rows: Array, y: Array, n: int) -> Array:
    """Which rows from the n-th on a probe fitted to those before is right in."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  a second to load

    if len(np.unique(y[:n])) < 2:
        return y[n:] == y[0]
    spread = rows[:n].std(0)
    scaled = (rows - rows[:n].mean(0)) / np.where(spread > 1e-9 * np.abs(rows[:n]).max(initial=1.0), spread, np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a probe that has not converged is told as it is
        return LogisticRegression(C=0.1, max_iter=200).fit(scaled[:n], y[:n]).predict(scaled[n:]) == y[n:]
