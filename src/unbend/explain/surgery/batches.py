"""The held-out rows that layers are judged on, batch by batch, for as long as there is time.

In: how many rows, a budget. Out: places of rows. Every batch is spread over all of them, so that to stop early leaves a
fair sample, and the first batches of one budget are those of another.
"""

import time
from collections.abc import Iterator

import torch
from jaxtyping import Int64
from torch import Tensor


def spread_batches(n: int, size: int, budget: float | None) -> Iterator[Int64[Tensor, "b"]]:
    """Places of rows, a batch at a time; the first one always.

    Args:
        n: rows.
        size: rows of a batch at most.
        budget: seconds of processor time after which no batch is begun; None for all rows, in their order.

    Example:
        >>> [batch.tolist() for batch in spread_batches(5, 2, None)]
        [[0, 1], [2, 3], [4]]
        >>> next(spread_batches(5, 2, 0.0)).tolist()
        [0, 3]
    """
    if budget is None:
        yield from torch.arange(n).split(size)
        return
    count = -(-n // size)
    end = time.thread_time() + budget
    for first in range(count):
        if first and time.thread_time() > end:
            return
        yield torch.arange(first, n, count)
