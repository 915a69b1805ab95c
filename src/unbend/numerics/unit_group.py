"""Which hinges of a piecewise-affine network belong to the units of one layer, and what their signs say of a unit.

In: the signs of hinges. Out: the piece that each unit is on. Must not know weights.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Bool, Int64


@dataclass(frozen=True, slots=True, eq=False)
class UnitGroup:
    """The units of one activation of the network: which hinges are theirs, and how these encode a unit's state.

    Kind "breakpoints": a unit has `n_ways` breakpoints; hinge `first + b * n_units + unit` is breakpoint `b`.
    Kind "max": a unit is the largest of `n_ways` candidates, found by rounds of pairs; in each round
    hinge `p * n_units + unit` says that candidate `2p + 1` beats candidate `2p` of those still in.

    Attributes:
        name: of the layer.
        kind: what a unit's hinges are.
        n_units: how many units.
        n_ways: breakpoints, or candidates, of each.
        first: their first hinge.
    """

    name: str
    kind: Literal["breakpoints", "max"]
    n_units: int
    n_ways: int
    first: int

    __repr__ = in_one_line

    @property
    def n_hinges(self) -> int:
        """Hinges of the group: one per unit and breakpoint, or one per match of the tournament."""
        return self.n_units * (self.n_ways if self.kind == "breakpoints" else self.n_ways - 1)

    def states(self, bits: Bool[Array, "n hinges"]) -> Int64[Array, "n units"]:
        """Per unit: the number of breakpoints passed, or the index of the winning candidate."""
        own = bits[:, self.first : self.first + self.n_hinges]
        n = len(own)
        if self.kind == "breakpoints":
            return own.reshape(n, self.n_ways, self.n_units).sum(axis=1, dtype=np.int64)
        return self._winners(own)

    def _winners(self, bits: Bool[Array, "n own"]) -> Int64[Array, "n units"]:
        """The tournament, played: per unit the index of the candidate that wins."""
        n = len(bits)
        winners = np.broadcast_to(np.arange(self.n_ways)[None, :, None], (n, self.n_ways, self.n_units))
        at = 0
        while winners.shape[1] > 1:
            pairs = winners.shape[1] // 2
            second = bits[:, at : at + pairs * self.n_units].reshape(n, pairs, self.n_units)
            at += pairs * self.n_units
            best = np.where(second, winners[:, 1 : 2 * pairs : 2], winners[:, 0 : 2 * pairs : 2])
            # Of an odd number the last goes on unmatched.
            winners = np.concatenate([best, winners[:, 2 * pairs :]], axis=1)
        return np.ascontiguousarray(winners[:, 0])
