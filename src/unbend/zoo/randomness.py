"""Seeds and threads that leave no trace.

In: a seed. Out: a block in which torch draws from it. This module must not know what is
drawn. The global generator, the thread count and the accelerators' generators are as before on leaving.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """A block in which torch's CPU generator starts at `seed`; with None it goes on as it is.

    `torch.manual_seed` would also reseed every accelerator, which nothing here restores, so only the CPU's
    generator is touched.
    """
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def threads(n: int) -> Iterator[None]:
    """A block in which torch uses `n` threads.

    Small products are quicker on one: with two threads on a busy machine they fell behind 20-fold. One thread
    also fixes the order of every sum, so that the same seed gives the same bits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
