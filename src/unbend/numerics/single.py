"""A single output for two classes: where it turns from the first to the second.

In: outputs. Out: a number. Must not know which network they are of.
"""

from collections.abc import Iterable

from unbend._typing import Array, Shaped


def turn(parts: Iterable[Shaped[Array, "..."]], *, is_logit: bool) -> float:
    """Where a single output turns to the second class: 0 for a logit, one half for a probability.

    Args:
        parts: outputs that are judged together.
        is_logit: whether they are known to be logits; else they are probabilities where all of them could be.

    Example:
        >>> import numpy as np
        >>> some = [np.array([0.2, 0.7])]
        >>> turn(some, is_logit=False), turn(some, is_logit=True), turn([np.array([-1.0, 2.0])], is_logit=False)
        (0.5, 0.0, 0.0)
    """
    if is_logit:
        return 0.0
    ends = [float(end) for rows in parts if len(rows) for end in (rows.min(), rows.max())]
    return 0.5 if ends and min(ends) >= 0 and max(ends) <= 1 else 0.0
