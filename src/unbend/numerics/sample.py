"""A fixed number of rows, chosen by hashed row id: the same rows in every layer, rank, run and merge."""

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Int64, Shaped, Tensor

if TYPE_CHECKING:
    import unbend.numerics.batch

_SLACK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class SampleState:
    """The rows whose hashed ids are the least seen so far.

    Attributes:
        size: how many rows are kept at most; of two that are added, the smaller.
        ids: row numbers [s].
        codes: their hashes [s].
        rows: the layer's rows, in float32 (float64 where the layer is) [s, d].
        targets: class one-hot or targets [s, t].
    """

    size: int
    ids: Int64[Array, "s"]
    codes: Shaped[Array, "s"]
    rows: tuple[Shaped[Array, "_ d"], ...]
    targets: tuple[Shaped[Array, "_ t"], ...]

    __repr__ = in_one_line

    @classmethod
    def of(cls, batch: "unbend.numerics.batch.Batch") -> "SampleState":
        """The rows of one batch that may enter."""
        s = batch.samples
        chosen = np.arange(len(s.ids)) if s.drawn is None else s.drawn
        targets = s.targets(chosen)
        loose = ((take(batch.rows, chosen).numpy(),), (targets.numpy(),)) if len(chosen) else ((), ())
        return cls(s.keep, s.ids[chosen], s.codes[chosen], *loose)

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "SampleState":
        """No rows, and no bound on how many others keep."""
        return cls(sys.maxsize, np.zeros(0, np.int64), np.zeros(0, np.uint64), (), ())

    def __add__(self, other: "SampleState") -> "SampleState":
        both = SampleState(
            min(self.size, other.size),
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.codes, other.codes]),
            self.rows + other.rows,
            self.targets + other.targets,
        )
        return both.settle() if len(both.ids) > both.size + _SLACK else both

    def settle(self) -> "SampleState":
        """Exactly the rows that are kept, by rising hash; a row seen twice is kept once."""
        if self._is_settled():
            return self
        order = in_order(self.ids, self.codes)[: self.size]
        rows, targets = np.concatenate(self.rows)[order], np.concatenate(self.targets)[order]
        return replace(self, ids=self.ids[order], codes=self.codes[order], rows=(rows,), targets=(targets,))

    def _is_settled(self) -> bool:
        is_short = len(self.ids) <= self.size and len(self.rows) <= 1
        return is_short and bool((self.codes[1:] > self.codes[:-1]).all())

    def table(self) -> tuple[Shaped[Array, "s d"], Shaped[Array, "s t"]]:
        """Rows [s, d] and targets [s, t] of the settled sample."""
        whole = self.settle()
        if not whole.rows:
            return np.zeros((0, 0), np.float32), np.zeros((0, 0))
        return whole.rows[0], whole.targets[0]


def in_order(ids: Int64[Array, "m"], codes: Shaped[Array, "m"]) -> Int64[Array, "s"]:
    """Positions by rising hash, each row number once."""
    order = np.lexsort((ids, codes))
    _, first = np.unique(ids[order], return_index=True)
    return order[np.sort(first)]


def take(rows: Tensor, chosen: Int64[Array, "s"]) -> Tensor:
    """Some rows as a sample keeps them: on the CPU, in float32 unless they are float64 [s, d]."""
    import torch

    taken = rows.index_select(0, torch.from_numpy(chosen).to(rows.device)).cpu()
    return taken if taken.dtype == torch.float64 else taken.float()
