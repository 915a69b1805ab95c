"""The null of every verdict: the same question about the same rows with permuted labels."""

import numpy as np
from jaxtyping import Float, Int64

from unbend.numerics.result import result
from unbend.numerics.separable.binary import binary
from unbend.numerics.separable.joint import joint
from unbend.numerics.separable.search import Limits
from unbend.numerics.separable.verdicts import JointOverlap, JointSeparation, Overlap, Separation


@result
class Control:
    """How often the question has the answer "separable" when the labels mean nothing.

    Attributes:
        n_separable: permutations proved separable.
        n_overlap: permutations proved to overlap.
        n_undecided: permutations left open.
    """

    n_separable: int
    n_overlap: int
    n_undecided: int

    @property
    def n(self) -> int:
        """Permutations asked."""
        return self.n_separable + self.n_overlap + self.n_undecided

    @property
    def p_value(self) -> float:
        """Share of orders of the labels, the true one counted, that are separable or may be: (1 + s) / (1 + N)."""
        return (1 + self.n_separable + self.n_undecided) / (1 + self.n)


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
