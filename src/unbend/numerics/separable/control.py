"""The null of every verdict: the same question about the same rows with permuted labels."""

import numpy as np
from jaxtyping import Float, Int64

from unbend.numerics.separable.binary import binary
from unbend.numerics.separable.joint import joint
from unbend.numerics.separable.search import Limits
from unbend.numerics.separable.step import Control
from unbend.numerics.separable.verdicts import JointOverlap, JointSeparation, Overlap, Separation


def control(x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], shuffles: int, limits: Limits) -> Control:
    """Decide for permuted labels until `shuffles` are done or the time is spent; the first is always begun."""
    counts = {True: 0, False: 0, None: 0}
    for at in range(shuffles):
        if at and limits.is_over:
            break
        permuted = np.random.default_rng([limits.seed, at]).permutation(y)
        counts[_is_separable(x, permuted, Limits(limits.deadline, at))] += 1
    return Control(n_separable=counts[True], n_overlap=counts[False], n_undecided=counts[None])


def _is_separable(x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], limits: Limits) -> bool | None:
    classes = np.unique(y).tolist()
    if len(classes) > 2:
        verdict = joint(x, y, limits, pairs_first=True)[0]
    else:
        verdict, _ = binary(x, y, classes[-1], classes[0] if len(classes) == 2 else None, limits)
    if isinstance(verdict, (Separation, JointSeparation)):
        return True
    return False if isinstance(verdict, (Overlap, JointOverlap)) else None
