"""Small training runs, each the same with and without a watch."""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional as F

import unbend


def perceptron(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(20, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 24), nn.Tanh(),
        nn.Linear(24, 3),
    )  # fmt: skip


class Block(nn.Module):
    """A residual block whose one activation module is called twice."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.norm, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)

    def forward(self, x):
        h = self.relu(self.norm(self.first(x)))
        return self.relu(x + self.second(h))


class Residual(nn.Module):
    def __init__(self, seed=0):
        torch.manual_seed(seed)
        super().__init__()
        self.stem, self.blocks = nn.Conv2d(1, 8, 3, padding=1), nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x.reshape(-1, 1, 4, 5))).mean((2, 3)))


class Attending(nn.Module):
    def __init__(self, seed=0, n=2):
        torch.manual_seed(seed)
        super().__init__()
        self.embed = nn.Linear(5, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, n, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x.reshape(-1, 4, 5))).mean(1))


class Functional(nn.Module):
    def __init__(self, seed=0):
        torch.manual_seed(seed)
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(20, 32), nn.Linear(32, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(F.relu(self.fc1(x)))))


NETS = {"perceptron": perceptron, "residual": Residual, "attending": Attending, "functional": Functional}


def batches(n, size=32, seed=1):
    g = torch.Generator().manual_seed(seed)
    for _ in range(n):
        x = torch.randn(size, 20, generator=g, dtype=torch.float32)
        yield x, x[:, :3].argmax(1)


def take_step(watch, model, optimiser, x, y):
    """One step of a watched run that classifies."""
    loss = F.cross_entropy(model(x), y)
    watch.label(y)
    watch.log(loss=loss)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def train(model, *, n=6, watched=True, call=None, step=None, optimiser=None, **how):
    """Train some steps; the watch, or None. `step(loss, optimiser)` does what follows a loss."""
    torch.manual_seed(7)
    optimiser = optimiser or torch.optim.Adam(model.parameters(), 1e-2)
    call = model if call is None else call
    how = {"every": 2, "budget": None} | how
    with unbend.watch(call if isinstance(call, nn.Module) else model, **how) if watched else nullcontext() as watch:
        for x, y in batches(n):
            loss = F.cross_entropy(call(x), y)
            if watch is not None:
                watch.label(y)
                watch.log(loss=loss)
            if step is None:
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            else:
                step(loss, optimiser)
    return watch


def is_same(one, other):
    """Whether two models hold the same numbers, to the last bit."""
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)
