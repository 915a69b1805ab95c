"""What stands beside every verdict, so that "separable" is not taken for more than it says."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64

from unbend.numerics.separable.clearance import Hyperplane, argmax_clearance, is_right
from unbend.numerics.separable.control import control
from unbend.numerics.separable.cover import cover_probability
from unbend.numerics.separable.packing import packing
from unbend.numerics.separable.rows import ArrayLike
from unbend.numerics.separable.search import Limits
from unbend.numerics.separable.step import Frame, Packing
from unbend.numerics.separable.verdicts import (
    JointOverlap,
    JointSeparation,
    Overlap,
    Separation,
    Undecided,
    Verdict,
    codes,
    sides,
)

LAST_BITS = 8
"""A robustness below this many units of rounding of the stored numbers is rounding itself."""
BALANCED = (0.4, 0.6)
"""Share of one class between which Cover's count is used."""
RANK_ROWS = 4
"""Rows per column from which the numerical rank is taken."""
UNITS = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24}


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """A verdict with the read-out that stands for it.

    Attributes:
        verdict: the verdict.
        weight: one normal per class, or one alone for two classes.
        bias: the offsets.
        classes: the labels, sorted.
    """

    verdict: Verdict
    weight: Float64[np.ndarray, "c d"]
    bias: Float64[np.ndarray, "c"]
    classes: Int64[np.ndarray, "k"]

    def right(self, x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"]) -> int:
        """How many rows the read-out provably gets right."""
        if len(self.bias) > 1:
            code = codes(y, self.classes)
            if code is None:
                known = np.isin(y, self.classes)
                return self.right(x[known], y[known])
            return len(x) - argmax_clearance(x, code, self.weight, self.bias, None).wrong if len(x) else 0
        sign = sides(y, int(self.classes[-1]), None)
        return int(is_right(x, sign, Hyperplane(self.weight[0], float(self.bias[0]))).sum())


def frame(
    x: Float[np.ndarray, "n d"],
    y: Int64[np.ndarray, "n"],
    decision: Decision,
    held_out: tuple[np.ndarray, np.ndarray] | None,
    unit: float,
    shuffles: int,
    limits: tuple[Limits, Limits],
) -> tuple[Frame, Packing | None]:
    """The frame of a verdict, and the disjoint overlaps behind its lower bound.

    `limits` are those of the control and of the search for disjoint overlaps.
    """
    n, d = x.shape
    verdict = decision.verdict
    is_separable = isinstance(verdict, (Separation, JointSeparation))
    rank, spread = _rank(x), _spread(x)
    null = control(x, y, shuffles, limits[0])
    found_packing = packing(x, y, verdict, limits[1]) if isinstance(verdict, (Overlap, JointOverlap)) else None
    robustness = 0.0 if isinstance(verdict, Undecided) else verdict.robustness
    counts = np.unique(y, return_counts=True)[1]
    is_balanced = len(counts) == 2 and BALANCED[0] <= counts[0] / n <= BALANCED[1]
    accuracy = decision.right(*held_out) / len(held_out[0]) if held_out is not None and len(held_out[0]) else None
    whole = Frame(
        n=n,
        d=d,
        rank=rank,
        cover=cover_probability(n, rank) if is_balanced else None,
        control=null,
        spread=spread,
        margin=_ratio(verdict.margin, spread) if is_separable else None,
        robustness=robustness,
        last_bits_only=is_separable and robustness < LAST_BITS * unit,
        errors_at_most=0 if is_separable else n - decision.right(x, y),
        errors_at_least=found_packing.n_errors if found_packing else 0,
        held_out_accuracy=accuracy,
        n_held_out=0 if held_out is None else len(held_out[0]),
        is_worthless=is_separable and null.n > 0 and 2 * null.n_separable >= null.n,
    )
    return whole, found_packing


def unit_roundoff(x: ArrayLike) -> float:
    """Half the relative spacing of the stored numbers.

    Float64 that holds nothing but float32 values, not all whole, is taken for a converted float32 tensor.
    """
    kind = x.dtype if isinstance(x, torch.Tensor) else torch.from_numpy(np.empty(0, np.asarray(x).dtype)).dtype
    if kind in UNITS:
        return UNITS[kind]
    x = np.asarray(x.detach().cpu() if isinstance(x, torch.Tensor) else x)
    if x.dtype != np.float64:
        return 2.0**-53
    with np.errstate(over="ignore"):
        is_single = np.array_equal(x.astype(np.float32), x) and not np.array_equal(np.rint(x), x)
    return 2.0**-24 if is_single else 2.0**-53


def _rank(x: Float[np.ndarray, "n d"]) -> int:
    """Singular values of evenly spaced standardised rows above the rounding of their type."""
    n, d = x.shape
    most = max(RANK_ROWS * d, 2000)
    part = x[np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))].astype(np.float64)
    top = np.abs(part).max(axis=0, initial=0.0)
    part = part / np.where(top > 0, top, 1.0)
    part -= part.mean(axis=0)
    if min(part.shape) == 0 or not part.any():
        return 0
    values = np.linalg.svd(part, compute_uv=False)
    unit = float(np.finfo(x.dtype).eps)
    return int((values > values[0] * unit * math.sqrt(max(part.shape))).sum())


def _spread(x: Float[np.ndarray, "n d"]) -> float:
    top = float(np.abs(x).max(initial=0.0)) or 1.0
    total, step = 0.0, 8192
    mean = sum((x[i : i + step] / top).sum(axis=0, dtype=np.float64) for i in range(0, len(x), step)) / len(x)
    for start in range(0, len(x), step):
        total += float(((x[start : start + step] / top - mean) ** 2).sum())
    return top * math.sqrt(total / len(x))


def _ratio(margin: float, spread: float) -> float:
    return margin / spread if spread > 0 else math.inf
