"""A fixed number of rows, chosen by hashed row id: the same rows in every layer, rank, run and merge."""

import sys
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Int64, Shaped
from unbend.numerics.batch import Batch

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
    rows: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]

    @classmethod
    def of(cls, batch: Batch) -> "SampleState":
        """The rows of one batch that may enter."""
        s = batch.samples
        rows, targets = batch.rows, s.targets()
        chosen = np.arange(len(s.ids)) if s.drawn is None else s.drawn
        index = torch.from_numpy(chosen)
        kept = rows[index.to(rows.device)].cpu()
        kept = kept if kept.dtype == torch.float64 else kept.float()
        loose = ((kept,), (targets[index],)) if len(chosen) else ((), ())
        return cls(s.keep, s.ids[chosen], s.codes[chosen], *loose)

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "SampleState":  # noqa: ARG003
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
        return both.settled() if len(both.ids) > both.size + _SLACK else both

    def settled(self) -> "SampleState":
        """Exactly the rows that are kept, by rising hash; a row seen twice is kept once."""
        if not len(self.ids):
            return self
        order = np.lexsort((self.ids, self.codes))
        _, first = np.unique(self.ids[order], return_index=True)
        order = order[np.sort(first)][: self.size]
        index = torch.from_numpy(order)
        rows, targets = torch.cat(self.rows)[index], torch.cat(self.targets)[index]
        return replace(self, ids=self.ids[order], codes=self.codes[order], rows=(rows,), targets=(targets,))

    def table(self) -> tuple[Tensor, Tensor]:
        """Rows [s, d] and targets [s, t] of the settled sample."""
        whole = self.settled()
        if not whole.rows:
            return torch.zeros(0, 0), torch.zeros(0, 0, dtype=torch.float64)
        return whole.rows[0], whole.targets[0]
