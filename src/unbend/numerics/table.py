"""Every row of a layer, kept: for the questions that a summary cannot answer, such as a proof over all rows."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unbend._one_line import in_one_line
from unbend._typing import Array, Int64
from unbend.numerics.batch import Batch


@dataclass(frozen=True, slots=True, eq=False)
class TableState:
    """All rows seen, in the order seen. The one State whose size grows with the number of rows.

    Attributes:
        ids: row numbers, by part.
        rows: the layer's rows as it put them out, by part.
        y: class indices or targets, by part.
    """

    ids: tuple[Int64[Array, "_"], ...]
    rows: tuple[Tensor, ...]
    y: tuple[Tensor, ...]

    __repr__ = in_one_line

    @classmethod
    def of(cls, batch: Batch) -> "TableState":
        """The rows of one batch, copied."""
        return cls((batch.samples.ids,), (batch.rows.detach().cpu().clone(),), (batch.samples.y,))

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "TableState":
        """No rows."""
        return cls((), (), ())

    def __add__(self, other: "TableState") -> "TableState":
        return type(self)(self.ids + other.ids, self.rows + other.rows, self.y + other.y)

    def by_id(self) -> tuple[Array, Tensor, Tensor]:
        """Row numbers rising, with their rows and labels."""
        if not self.ids:
            return np.zeros(0, np.int64), torch.zeros(0, 0), torch.zeros(0, dtype=torch.int64)
        ids = np.concatenate(self.ids)
        order = np.argsort(ids, kind="stable")
        index = torch.from_numpy(order)
        return ids[order], torch.cat(self.rows)[index], torch.cat(self.y)[index]
