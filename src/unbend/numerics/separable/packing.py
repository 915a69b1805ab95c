"""A proved lower bound on the errors of every read-out: overlap witnesses that share no row.

Each proof of overlap means at least one error among its own witnesses. Proofs on disjoint rows add up. The bound is
close in few dimensions and weak in many, where each proof takes d + 2 rows.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64

from unbend.numerics.separable.binary import binary
from unbend.numerics.separable.duplicates import contradictions, groups
from unbend.numerics.separable.joint import joint
from unbend.numerics.separable.search import Limits
from unbend.numerics.separable.step import Packing
from unbend.numerics.separable.verdicts import JointOverlap, Overlap


def packing(
    x: Float[np.ndarray, "n d"],
    y: Int64[np.ndarray, "n"],
    first: Overlap | JointOverlap,
    limits: Limits,
    most: int = 200,
) -> Packing:
    """Disjoint overlaps, beginning with equal rows of different labels, then found one after the other.

    Args:
        x: rows [n, d].
        y: labels [n].
        first: an overlap already proved.
        limits: when to stop looking; what is found stays proved.
        most: overlaps after which to stop.
    """
    found: list[Overlap | JointOverlap] = []
    alive = np.ones(len(x), bool)
    for pair in contradictions(groups(x), y)[:most]:
        found.append(_of_pair(first, pair, y))
        alive[pair] = False
    if not found:
        found.append(first)
        alive[first.rows] = False
    while len(found) < most and not limits.is_over:
        where = np.flatnonzero(alive)
        verdict = _decide(x[where], y[where], first, Limits(limits.deadline, len(found)))
        if not isinstance(verdict, (Overlap, JointOverlap)):
            break
        verdict = replace(verdict, n=first.n, rows=where[verdict.rows])
        found.append(verdict)
        alive[verdict.rows] = False
    return Packing(overlaps=tuple(found))


def _decide(
    x: Float[np.ndarray, "n d"], y: Int64[np.ndarray, "n"], like: Overlap | JointOverlap, limits: Limits
) -> object:
    if isinstance(like, JointOverlap):
        return joint(x, y, limits, pairs_first=True)[0] if len(np.unique(y)) > 2 else None
    return binary(x, y, like.positive, like.negative, limits)[0]


def _of_pair(
    like: Overlap | JointOverlap, pair: Int64[np.ndarray, "2"], y: Int64[np.ndarray, "n"]
) -> Overlap | JointOverlap:
    if isinstance(like, JointOverlap):
        return replace(like, rows=pair, rivals=y[pair[::-1]], weights=np.ones(2), robustness=0.0)
    return replace(like, rows=pair, weights=np.ones(2), robustness=0.0)
