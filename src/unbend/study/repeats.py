"""Streams that several workers repeat: recognised by their rows.

In: the batches of one pass. Out: an error where every row came once from each worker, as it does if an IterableDataset
does not ask which worker it is in.
"""

from collections import Counter
from typing import Any, final

import torch
from torch import Tensor

from unbend.capture.inputs import named_tensors
from unbend.errors import DataError

_MOST = 1 << 20
"""Rows that are remembered; a longer stream is judged by these only if they are all of it, and else not at all."""


@final
class Repeats:
    """Counts equal rows of one pass.

    Args:
        n_workers: of the loader; with less than two nothing is counted.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._counts: Counter[tuple[bytes | str, ...]] = Counter()
        self._n = 0

    def add(self, inputs: Any, y: Any, n: int) -> None:
        """Take one batch of `n` rows in."""
        self._n += n
        if self._n_workers < 2 or self._n > _MOST:
            return
        columns = (t for _, t in named_tensors((inputs, y)) if t.numel() and len(t) == n)
        tables = [t.detach().cpu().reshape(n, -1).contiguous().view(torch.uint8).numpy() for t in columns]
        words = [] if y is None or isinstance(y, Tensor) else [str(word) for word in y]
        for i in range(n):
            self._counts[(*(table[i].tobytes() for table in tables), *words[i : i + 1])] += 1

    def check(self) -> None:
        """Refuse a pass in which each row came once from every worker.

        Raises:
            DataError: it did.
        """
        if self._n_workers < 2 or not 0 < self._n <= _MOST:
            return
        if all(count % self._n_workers == 0 for count in self._counts.values()):
            raise DataError(
                f"data: each of the {self._n_workers} workers gives the same rows, so that every row would count "
                f"{self._n_workers} times. Split them in __iter__ by torch.utils.data.get_worker_info(), or use "
                "num_workers=0."
            )
