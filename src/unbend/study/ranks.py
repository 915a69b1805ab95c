"""The ranks of a distributed run: each takes its share of the rows, and the sums are added in the order of the ranks.

    torchrun --nproc_per_node=4 -m unbend report net.py:model data.npz

A sum of States does not depend on how the rows were shared out, so every rank ends with the study one process makes.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import reduce
from itertools import chain
from typing import Any, TypeVar

from torch import distributed

from unbend.errors import RankError, UnbendError
from unbend.study.fold import add_sums
from unbend.study.share import Share, share

T = TypeVar("T")
PATIENCE = "UNBEND_PATIENCE"
"""Name of the environment variable that holds the seconds for which a rank waits for the others; 1,800 without it."""
_SHOWN = 160


def gather(make: Callable[[], T], share: Share) -> list[T]:
    """What every rank made, in the order of the ranks, on every rank.

    Raises:
        UnbendError: what any rank raised; on all of them, so that none waits for another.
        RankError: a rank has died, or was silent for longer than the time limit of the group.
    """
    if share.n == 1:
        return [make()]
    mine: Any
    try:
        mine = make()
    except UnbendError as error:
        mine = error
    found: list[Any] = [None] * share.n
    try:
        distributed.all_gather_object(found, mine)
    except RuntimeError as error:  # gloo and nccl say by it that a connection is closed, or that time is up
        words = " ".join(str(error).split())
        reason = words if len(words) <= _SHOWN else f"... {words[-_SHOWN:]}"
        raise RankError(
            f"ranks: rank {share.rank} of {share.n} waits for one that has died or is stuck ({reason}). See what the "
            "others printed, and run all of them again."
        ) from error
    for value in found:
        if isinstance(value, UnbendError):
            raise value
    return found


def total(make: Callable[[], dict[str, Any]], share: Share) -> dict[str, Any]:
    """The sum, entry by entry, of what every rank made: States by layer and class, or by layer.

    Cost:
        The entries of all ranks, one layer at a time.
    """
    mine: dict[str, Any] = {}

    def gather_words() -> list[str]:
        mine.update(make())
        return list(mine)

    names = dict.fromkeys(chain.from_iterable(gather(gather_words, share)))
    return {name: _sum(name, mine, share) for name in names}


def _sum(name: str, mine: dict[str, Any], share: Share) -> Any:
    parts = gather(lambda: {name: mine.pop(name)} if name in mine else {}, share)
    return reduce(add_sums, parts)[name]


@contextmanager
def joined() -> Iterator[bool]:
    """Join the process group that `torchrun` set up, if it did; says whether this process is the one that writes.

    A group that is there already is used and left as it is.
    """
    is_ours = (
        distributed.is_available() and not distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1
    )
    if is_ours:
        patience = timedelta(seconds=float(os.environ.get(PATIENCE, "1800")))
        distributed.init_process_group("gloo", timeout=patience)
    try:
        yield share().rank == 0
    finally:
        if is_ours:
            distributed.destroy_process_group()
