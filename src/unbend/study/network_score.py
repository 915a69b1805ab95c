"""What the network itself gets right, read off row samples of its output.

In: the layer of the output, its samples. Out: which rows it reads rightly, or its R². Must not know the model.
"""

import numpy as np

from unbend._typing import Array, Bool, Shaped
from unbend.numerics.readout import r2
from unbend.numerics.sample import SampleState
from unbend.numerics.single import turn
from unbend.study.values import Layer


def right_rows(output: Layer, *samples: SampleState) -> list[Bool[Array, "_"]] | None:
    """Which rows of each sample the network reads rightly; None where its output is no score per class.

    Args:
        output: the layer of the network's output.
        samples: rows of that layer; all of them together show whether a single output is a logit or a probability.
    """
    tables = [sample.table() for sample in samples]
    middle = turn((rows for rows, _ in tables), is_logit=output.is_head)
    found = [_correct(rows, targets, middle) for rows, targets in tables]
    known = [right for right in found if right is not None]
    return known if len(known) == len(found) else None


def r2_of_output(sample: SampleState) -> float | None:
    """R² of the network's output; None where it is not one number per target, or no target varies."""
    rows, targets = sample.table()
    if rows.shape != targets.shape:
        return None
    return r2(targets - rows.astype(np.float64), targets)


def right_shares(output: Layer, *samples: SampleState) -> list[Array] | None:
    """Of each row, the share of its yes/no labels that the network reads rightly.

    None where its output is not one number per label.

    Args:
        output: the layer of the network's output.
        samples: rows of that layer, as for `right_rows`.
    """
    tables = [sample.table() for sample in samples]
    if any(rows.shape != targets.shape for rows, targets in tables):
        return None
    middle = turn((rows for rows, _ in tables), is_logit=output.is_head)
    return [((rows > middle) == (targets > 0.5)).mean(1) for rows, targets in tables]


def _correct(rows: Shaped[Array, "s d"], targets: Shaped[Array, "s t"], middle: float) -> Array | None:
    k = targets.shape[1]
    label = targets.argmax(1) if k else np.zeros(0, np.int64)
    if k <= rows.shape[1] <= 2 * k and rows.shape[1] > 1:
        return rows.argmax(1) == label
    if rows.shape[1] == 1 and k == 2:
        return (rows[:, 0] > middle) == label
    return None
