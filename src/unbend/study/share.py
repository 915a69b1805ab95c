"""The share of the rows that this process takes: everything, or that of one rank of a distributed run.

In: the process group, where there is one. Out: `Share`.
"""

from dataclasses import dataclass

from unbend._typing import Array, Bool


@dataclass(frozen=True, slots=True)
class Share:
    """The share of the rows that one of `n` ranks takes: every n-th, so that shares differ by one row at most.

    Attributes:
        rank: which, from 0.
        n: how many there are.
    """

    rank: int = 0
    n: int = 1

    def mine(self, places: Array) -> Bool[Array, "..."]:
        """Which of the places in a data set are this rank's."""
        return places % self.n == self.rank

    def of(self, rows: Array) -> Array:
        """This rank's share of some rows."""
        return rows[self.rank :: self.n]


def share() -> Share:
    """This process's share: everything, unless it is a rank of an initialised process group."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return Share(distributed.get_rank(), distributed.get_world_size())
    return Share()
