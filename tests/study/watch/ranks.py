"""One rank of a run over gloo, or the same run alone: `main` in a process of its own."""

import pickle
import sys
import time
from datetime import timedelta

import torch
from tests.study.watch.runs import Functional, batches
from torch import distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import unbend
from unbend.errors import ModelError, RankError

PATIENCE = 12
"""Seconds for which a rank waits for another."""


def train(rank, ranks, place, *, watched=True, parallel=True, leave_at=None, sleep_at=None):
    """Train on this rank's part of every batch; what a test compares is left in a file of this rank."""
    model = Functional()
    call = DistributedDataParallel(model) if ranks > 1 and parallel else model
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    watch = unbend.watch(call, every=2, budget=None, file=place / "run.unbend" if watched else None)
    if watched:
        watch.__enter__()
    for i, (x, y) in enumerate(batches(9, size=64)):
        if leave_at is not None and rank == 1 and i == leave_at:
            sys.exit(0)
        if sleep_at is not None and rank == 1 and i == sleep_at:
            time.sleep(10 * PATIENCE)
        mine = slice(rank * 64 // ranks, (rank + 1) * 64 // ranks)
        loss = F.cross_entropy(call(x[mine]), y[mine])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        watch.label(y[mine])
        watch.log(loss=loss)
        optimiser.step()
    if watched:
        watch.__exit__(None, None, None)
    told = [(one.step, one.finding.rule) for one in watch.findings]
    steps = watch.history.steps.tolist()
    (place / f"rank{rank}").write_bytes(pickle.dumps((model.state_dict(), steps, told)))


def sharded():
    """Shard before the watch, between the watch and its block, inside the block, and in a wrapper: four refusals."""
    from torch.distributed._composable.fsdp import fully_shard
    from torch.distributed.fsdp import FullyShardedDataParallel

    mesh = torch.distributed.init_device_mesh("cpu", (distributed.get_world_size(),))

    def before(model):
        fully_shard(model, mesh=mesh)
        unbend.watch(model)

    def between(model):
        watch = unbend.watch(model)
        fully_shard(model, mesh=mesh)
        watch.__enter__()

    def inside(model):
        with unbend.watch(model):
            fully_shard(model, mesh=mesh)
            model(torch.zeros(4, 20))

    def wrapped(model):
        unbend.watch(FullyShardedDataParallel(model, device_id=torch.device("cpu")))

    for case in (before, between, inside, wrapped):
        try:
            case(Functional())
        except ModelError as error:
            sys.stdout.write(f"{case.__name__}: {error}\n")


def main(case, rank, ranks, place):
    """Meet the other ranks in the folder, and run the case."""
    torch.set_num_threads(1)
    if ranks > 1:
        where = f"file://{place}/meet"
        patience = timedelta(seconds=PATIENCE)
        distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=ranks, timeout=patience)
    if case == "sharded":
        sharded()
        return
    how = {
        "train": {}, "unwatched": {"watched": False}, "leaves": {"parallel": False, "leave_at": 4},
        "sleeps": {"parallel": False, "sleep_at": 4},
    }[case]  # fmt: skip
    try:
        train(rank, ranks, place, **how)
    except RankError as error:
        sys.stdout.write(str(error))
        sys.exit(3)
