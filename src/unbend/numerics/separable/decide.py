"""`separate`: from arrays and labels to a verdict, by the form of the question."""

import functools
import math
import time
from contextlib import AbstractContextManager
from itertools import combinations
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int64
from threadpoolctl import ThreadpoolController

from unbend.errors import DataError
from unbend.numerics.floating import as_shipped
from unbend.numerics.separable.binary import binary
from unbend.numerics.separable.joint import joint
from unbend.numerics.separable.rows import ArrayLike, rows
from unbend.numerics.separable.search import Limits
from unbend.numerics.separable.verdicts import Answers, Verdict

Form: TypeAlias = Literal["joint", "one-vs-rest", "pairwise"]
NARROW = 300
"""Width up to which more than one BLAS thread costs more than it gains."""


@as_shipped()
def separate(
    x: ArrayLike, y: ArrayLike, *, form: Form = "joint", budget: float | None = None, seed: int = 0
) -> Verdict | Answers:
    """Decide whether the classes are linearly separable, with a proof either way.

    Two classes: is there a hyperplane with one class strictly on each side? More classes, by `form`:

    - `"joint"`: is there a linear read-out whose argmax is right in every row? That is what a network's last
      layer needs.
    - `"one-vs-rest"`: for each class, is there a hyperplane between it and all others?
    - `"pairwise"`: the same for each pair of classes.

    One-vs-rest implies joint, joint implies pairwise, and not the other way round. The proof is about the numbers
    as stored, to the last bit: `robustness` says how much rounding it survives.

    Args:
        x: samples [n, d], numpy or torch, floating point or integers. Nothing is rounded.
        y: integer labels [n].
        form: which question to ask of more than two classes.
        budget: seconds after which an open search returns `Undecided`. None: until its methods are exhausted.
        seed: of the first working set. The verdict does not depend on it, the proof may.

    Returns:
        `Separation`, `Overlap` or `Undecided` for two classes; `JointSeparation`, `JointOverlap` or `Undecided` for
        the joint question; `Answers` for the other forms. Each has `verify(x, y)`.

    Raises:
        ShapeError: x is not [n, d], or y does not fit it.
        DataError: no rows, values that are not finite, labels that are not integers.

    Cost:
        Some 20 Newton steps on a working set of about max(6 d, n / 50) rows, O(d²) per row and step, and 1 to 5
        passes over `x`. Memory beyond `x`: the working set as float64.

    Source:
        Gordan 1873 and Farkas 1902 (exactly one of the two proofs exists); Kirchberger 1903 (d + 2 witnesses);
        Albert and Anderson 1984 (logistic regression converges exactly where classes overlap).

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0, 0], [1, 1], [0, 1], [1, 0]])
        >>> verdict = separate(x, np.array([0, 0, 1, 1]))
        >>> type(verdict).__name__, verdict.weights.tolist(), verdict.verify(x, np.array([0, 0, 1, 1]))
        ('Overlap', [0.5, 0.5, 0.5, 0.5], True)
    """
    x, y = rows(x, y)
    limits = Limits(math.inf if budget is None else time.monotonic() + budget, seed)
    with blas(x.shape[1]):
        return answer(x, y, form, limits)


def answer(x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], form: str, limits: Limits) -> Verdict | Answers:
    """`separate` for arrays that are already checked."""
    classes = _classes(y)
    if form == "one-vs-rest":
        return Answers(form=form, verdicts=tuple(binary(x, y, c, None, limits)[0] for c in classes))
    if form == "pairwise":
        pairs = combinations(classes, 2)
        return Answers(form=form, verdicts=tuple(binary(x, y, b, a, limits)[0] for a, b in pairs))
    if form != "joint":
        raise DataError(f'form: expected "joint", "one-vs-rest" or "pairwise", got {form!r}.')
    if len(classes) == 1:
        return binary(x, y, classes[0], None, limits)[0]
    if len(classes) == 2:
        return binary(x, y, classes[1], classes[0], limits)[0]
    return joint(x, y, limits)[0]


def _classes(y: Int64[np.ndarray, "n"]) -> list[int]:
    """The labels that occur, sorted; by counting where they are close together."""
    low, high = int(y.min()), int(y.max())
    if high - low > len(y):
        return np.unique(y).tolist()
    return (np.flatnonzero(np.bincount(y - low)) + low).tolist()


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def blas(d: int) -> AbstractContextManager[Any]:
    """One BLAS thread for narrow problems, for the duration of a `with`."""
    return _controller().limit(limits=1 if d < NARROW else None, user_api="blas")
