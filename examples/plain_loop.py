"""A training loop of your own, watched: `python examples/plain_loop.py` writes run.unbend and run.html."""

import torch
from torch import nn
from torch.nn import functional as F

import unbend
from unbend import load


def main(epochs: int = 10):
    digits = load.data("digits")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10))
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)

    with unbend.watch(net, file="run.unbend") as watch:
        for _ in range(epochs):
            for rows in torch.randperm(len(digits.x)).split(128):
                x, y = digits.x[rows], digits.y[rows]
                loss = F.cross_entropy(net(x), y)
                optimiser.zero_grad()
                loss.backward()
                watch.label(y)
                watch.log(loss=loss)
                optimiser.step()

    for found in watch.findings:
        print(f"step {found.step}: {found.finding.title}")
    unbend.report_run(watch.history, "run.html")
    return net, watch


if __name__ == "__main__":
    main()
