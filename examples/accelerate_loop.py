"""A loop with Accelerate, watched as any other: `python examples/accelerate_loop.py`.

The model that `prepare` gave back is watched. Two micro-batches are one step, and what `accelerator.log` is told goes
into the history too.
"""

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import unbend
from unbend import load
from unbend.integrations.accelerate import watch_tracker


def main(epochs: int = 5):
    digits = load.data("digits")
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    net, optimiser, batches = accelerator.prepare(
        net, torch.optim.Adam(net.parameters(), 3e-3), DataLoader(TensorDataset(digits.x, digits.y), 64, shuffle=True)
    )

    with unbend.watch(net, every=10, file="run.unbend") as watch:
        accelerator.log_with = [watch_tracker(watch)]
        accelerator.init_trackers("digits")
        for _ in range(epochs):
            for x, y in batches:
                with accelerator.accumulate(net):
                    loss = F.cross_entropy(net(x), y)
                    accelerator.backward(loss)
                    accelerator.clip_grad_norm_(net.parameters(), 1.0)
                    watch.label(y)
                    accelerator.log({"loss": loss.item()})
                    optimiser.step()
                    optimiser.zero_grad()

    print("micro-batches of a step:", watch.history.value("micro_batches"))
    return net, watch


if __name__ == "__main__":
    main()
