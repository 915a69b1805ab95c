"""What layers are worth to the network: held-out accuracy that it costs to leave them out, paired by row.

In: nothing; surgery, which can run the network, makes it. Out: a `Worth`, plain values that rules judge later, without
the model.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from unbend.numerics.interval import PairedDifference
from unbend.numerics.result import result

Way: TypeAlias = Literal["skip", "mean", "matrix"]
"""How layers are left out: their input handed on, their mean in their place, one affine map in their place."""

LITTLE = 0.01
"""Held-out accuracy that a layer may cost and still be called useless, with its whole interval below twice that."""
MUCH = 0.05
"""A layer is called essential where its loss costs more than this, with its whole interval."""


@result
class LayerCost:
    """What it costs to leave out some layers.

    Attributes:
        layers: which, in the order in which they run.
        way: how.
        cost: accuracy of the network as it is minus that without them, on the same rows.
    """

    layers: tuple[str, ...]
    way: Way
    cost: PairedDifference


@result
class Worth:
    """What the layers of a network are worth.

    Attributes:
        n: held-out rows on which that was judged.
        accuracy: of the network as it is.
        base_rate: share of the most frequent class.
        n_passes: forward passes that it took.
        costs: of single layers, and of runs of layers with one matrix in their place.
    """

    n: int
    accuracy: float
    base_rate: float
    n_passes: float
    costs: tuple[LayerCost, ...]


def is_little(cost: PairedDifference) -> bool:
    """Whether it is at most a point, and surely no more than two."""
    return cost.difference <= LITTLE and cost.high <= 2 * LITTLE


def is_much(cost: PairedDifference) -> bool:
    """Whether it is surely more than five points."""
    return cost.low > MUCH


def outermost(names: Iterable[str]) -> set[str]:
    """Those of some layers that stand inside none of the others: what is in a block goes with it.

    Example:
        >>> sorted(outermost(["block", "block.norm", "block:relu", "head"]))
        ['block', 'head']
    """
    every = set(names)
    return {one for one in every if not any(one.startswith((f"{other}.", f"{other}:")) for other in every)}


def points(gap: PairedDifference) -> str:
    """A difference of accuracies in points, with its interval.

    Example:
        >>> import numpy as np
        >>> from unbend.numerics.interval import paired_difference
        >>> points(paired_difference(np.ones(100, bool), np.arange(100) < 98))
        '2.0 (-2.0 to 7.0) points'
    """
    return f"{100 * gap.difference:.1f} ({100 * gap.low:.1f} to {100 * gap.high:.1f}) points"
