"""Two processes that train together, watched as one: `torchrun --nproc-per-node 2 examples/ddp_torchrun.py`.

Every rank is watched; their sums are added once per snapshot, and rank 0 keeps the history of the whole.
"""

import torch
from torch import distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import unbend
from unbend import load


def main(steps: int = 60):
    distributed.init_process_group("gloo")
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    digits = load.data("digits")
    torch.manual_seed(0)
    net = DistributedDataParallel(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)))
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)

    with unbend.watch(net, every=10, file="run.unbend") as watch:
        for _ in range(steps):
            rows = torch.randint(len(digits.x), (128,))[rank::ranks]  # of one batch, each rank its part
            loss = F.cross_entropy(net(digits.x[rows]), digits.y[rows])
            optimiser.zero_grad()
            loss.backward()
            watch.label(digits.y[rows])
            watch.log(loss=loss)
            optimiser.step()

    if rank == 0:
        print(f"{watch.history.about.ranks} ranks, {len(watch.history.snapshots)} snapshots")
    distributed.destroy_process_group()
    return net, watch


if __name__ == "__main__":
    main()
