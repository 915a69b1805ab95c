"""Runs with nothing wrong that are no classifiers: losses below 0, layers of one number, several labels of a sample."""

import json
import math
import sys

import torch
from tests.study.history.planted import EVERY, blobs, mlp
from torch import nn
from torch.nn import functional as F

import unbend


def learn(model, loss, *, n=200, rate=3e-3):
    """Train on what `loss(model)` puts together anew each step: a loss, or one and labels."""
    optimiser = torch.optim.Adam(model.parameters(), rate)
    with unbend.watch(model, every=EVERY, budget=None) as watch:
        for _ in range(n):
            found = loss(model)
            value, y = found if isinstance(found, tuple) else (found, None)
            optimiser.zero_grad()
            value.backward()
            watch.label_if_known(y)
            watch.log(loss=value)
            optimiser.step()
    return watch


def rows(n=64):
    x, y = blobs()
    at = torch.randint(0, len(x), (n,))
    return x[at], y[at]


def density(model):
    """Of values that lie close together, so that their density is far above 1."""
    x = torch.randn(64, 4)
    mean, log_scale = model(x).chunk(2, 1)
    return (
        (0.5 * ((0.1 * x + 0.01 * torch.randn(64, 4) - mean) / log_scale.exp()) ** 2 + log_scale + 0.92).sum(1).mean()
    )


def reward(model):
    """Of actions that are rewarded near a place far from where they begin."""
    state = torch.rand(64, 4)
    away = model(state) - torch.stack((state[:, 0] + 4, -state[:, 1] - 4), 1)
    return -100 * (-away.square().sum(1) / 4).exp().mean()


def right_class(model):
    x, y = rows()
    return -model(x).softmax(1).gather(1, y[:, None]).mean(), y


def similarity(model):
    """Of two views, whatever their labels: what is put out is no score of classes."""
    x, y = rows()
    one, other = (F.normalize(model(x + 0.2 * torch.randn_like(x)), dim=1) for _ in range(2))
    return (one - other).square().sum(1).mean() + torch.pdist(one).square().mul(-2).exp().mean().log(), y


def information(model):
    """A lower bound of what one variable tells of another."""
    x = torch.randn(256, 1)
    y = x + 0.1 * torch.randn(256, 1)
    pairs, mixed = (model(torch.cat((x, other), 1)) for other in (y, y[torch.randperm(256)]))
    return -(pairs.mean() - mixed.logsumexp(0).squeeze() + math.log(256))


class Flow(nn.Module):
    """Two numbers, each moved and stretched in turn by what the other says: its layers take in one number."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList(nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 2)) for _ in range(4))
        self.volume = torch.zeros(1)

    def forward(self, x):
        volume = torch.zeros(len(x))
        for part in self.parts:
            still, moved = x.chunk(2, 1)
            move, stretch = part(still).chunk(2, 1)
            volume = volume + 3 * torch.tanh(stretch).sum(1)
            x = torch.cat((moved * (3 * torch.tanh(stretch)).exp() + move, still), 1)
        self.volume = volume
        return x


def flow(model):
    y = torch.randint(0, 2, (64,))
    x = 0.05 * ((2 * y - 1)[:, None] + 0.3 * torch.randn(64, 2))
    return (0.5 * model(x).square().sum(1) + 1.84 - model.volume).mean(), y


def several_labels(model):
    x, _ = rows()
    y = (x[:, :6] > torch.linspace(-1, 3, 6)).float()
    return F.binary_cross_entropy_with_logits(model(x), y), y


KINDS = {
    "density": (lambda: mlp(4, 64, 8, act=nn.Tanh), density),
    "reward": (lambda: mlp(4, 64, 2, act=nn.Tanh), reward),
    "right class": (lambda: mlp(16, 32, 4), right_class),
    "similarity": (lambda: mlp(16, 64, 8), similarity),
    "information": (lambda: mlp(2, 64, 64, 1), information),
    "flow": (Flow, flow),
    "several labels": (lambda: mlp(16, 64, 6), several_labels),
}


def accused(names):
    """What these runs are accused of, and how far their loss fell, as a line of JSON each."""
    for seed, name in enumerate(KINDS):
        if name not in names:
            continue
        build, loss = KINDS[name]
        torch.manual_seed(seed)
        watch = learn(build(), loss)
        loud = [one.finding.title for one in watch.findings if one.finding.severity in ("problem", "warning")]
        values = watch.history.value("loss")
        told = {"name": name, "accused": loud, "first": values[:3].mean(), "last": values[-3:].mean()}
        sys.stdout.write(json.dumps(told) + "\n")
