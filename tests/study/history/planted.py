"""Training runs with one thing wrong from a known step on, and runs with nothing wrong."""

import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import unbend

EVERY = 5
"""Steps between snapshots in all of these runs."""


@dataclass(frozen=True)
class Planted:
    """A run with a fault: what makes it, which rule must name it, and from which step on."""

    run: Any
    rule: str
    step: int | None = None
    layer: str | None = None


def mlp(*widths, act=nn.ReLU, seed=0, norm=False):
    torch.manual_seed(seed)
    layers = []
    for a, b in pairwise(widths[:-1]):
        layers += [nn.Linear(a, b), *([nn.BatchNorm1d(b)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def blobs(n=2048, k=4, d=16, seed=0, spread=1.0):
    """Classes of two clusters each, so that no plane tells them apart."""
    g = torch.Generator().manual_seed(seed)
    centre = torch.randn(2 * k, d, generator=g) * 1.5
    which = torch.randint(0, 2 * k, (n,), generator=g)
    return centre[which] + spread * torch.randn(n, d, generator=g), which % k


def fit(model, data, *, n=150, lr=0.05, optimiser=None, at=None, loss=F.cross_entropy, size=64, seed=0, valid=None):
    """Train; `at` is called with (step, model, optimiser, x, y) before each step and may change anything."""
    x, y = data
    optimiser = optimiser or torch.optim.SGD(model.parameters(), lr)
    g = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    with unbend.watch(model, every=EVERY, budget=None) as watch:
        for step in range(1, n + 1):
            rows = torch.randint(0, len(x), (size,), generator=g)
            xb, yb = x[rows], y[rows]
            if at is not None:
                xb, yb = at(step, model, optimiser, xb, yb) or (xb, yb)
            value = loss(model(xb), yb)
            optimiser.zero_grad()
            value.backward()
            watch.label(yb)
            watch.log(loss=value)
            if valid is not None and step % EVERY == 0:
                with torch.no_grad():
                    model.eval()
                    watch.log(validation_loss=loss(model(valid[0]), valid[1]))
                    model.train()
            optimiser.step()
    return watch


def rise(start, factor):
    def at(step, _model, optimiser, *_batch):
        if step == start:
            for group in optimiser.param_groups:
                group["lr"] *= factor

    return at


def change(start, do):
    def at(step, model, *_rest):
        if step == start:
            with torch.no_grad():
                do(model)

    return at


def _silence(model, share=0.6):
    n = int(share * len(model[0].bias))
    model[0].bias[:n] = -100.0


def _flatten(model):
    model[2].weight.copy_(torch.outer(torch.rand(32) + 0.5, torch.randn(32)))
    model[2].bias.zero_()


def _constant(model):
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.weight, 0.05)
            nn.init.zeros_(layer.bias)
    return model


def _tiny(model):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(0.02)
                layer.bias.zero_()
    return model


def _noisy(n, seed=3):
    x, y = blobs(n, seed=seed)
    g = torch.Generator().manual_seed(9)
    wrong = torch.rand(n, generator=g) < 0.3
    return x, torch.where(wrong, torch.randint(0, 4, (n,), generator=g), y)


def _rare(n=2048):
    x, y = blobs(n)
    keep = (y != 3) | (torch.arange(n) % 40 == 0)
    return x[keep], y[keep]


def _hidden(n=2048):
    """Class 3 lies where class 2 lies, and is rarer."""
    x, y = blobs(n, k=3)
    return x, torch.where((y == 2) & (torch.arange(n) % 5 == 0), 3, y)


def _odd(start):
    def at(step, _model, _optimiser, x, y):
        return (x * 3e3, (y + 1) % 4) if step == start else None

    return at


def _nan(start):
    def at(step, _model, _optimiser, x, y):
        return (torch.where(torch.arange(len(x))[:, None] == 3, torch.nan, x), y) if step == start else None

    return at


def _turned(start):
    """A loss and what turns its sign from a step on."""
    sign = [1.0]

    def at(step, *_rest):
        sign[0] = -1.0 if step >= start else 1.0

    return {"loss": lambda out, y: sign[0] * F.cross_entropy(out, y), "at": at}


NET = (16, 32, 32, 4)
RUNS = {
    "units die in one bad step": Planted(lambda: fit(mlp(*NET), blobs(), at=change(80, _silence)), "dying_units", 80, "1"),
    "units die when the rate rises": Planted(lambda: fit(mlp(*NET), blobs(), at=rise(80, 200)), "dying_units", 80),
    "a layer goes dark": Planted(
        lambda: fit(mlp(*NET), blobs(), at=change(80, lambda m: _silence(m, 1.0))), "all_zero", 80, "1"),
    "half the units are never reached": Planted(
        lambda: fit((m := mlp(*NET), _silence_first(m))[0], blobs()), "born_silent", 1, "1"),
    "weights grow fifty times": Planted(
        lambda: fit(mlp(*NET, act=nn.Tanh), blobs(), at=change(80, lambda m: m[0].weight.mul_(50))),
        "saturating_units", 80, "1"),
    "activations vanish": Planted(
        lambda: fit(mlp(*NET), blobs(), at=change(80, lambda m: (m[2].weight.mul_(1e-9), m[2].bias.zero_())), lr=1e-6),
        "scale_out_of_range", 80),
    "all weights alike": Planted(lambda: fit(_constant(mlp(*NET)), blobs()), "poor_start", 1),
    "weights far too small": Planted(
        lambda: fit(_tiny(mlp(16, 32, 32, 32, 32, 4)), blobs(), lr=1e-3), "poor_start", 1),
    "one direction is left": Planted(lambda: fit(mlp(*NET, act=nn.Tanh), blobs(), at=change(80, _flatten), lr=1e-4),
                                     "collapse", 80, "3"),
    "ten sigmoids": Planted(
        lambda: fit(mlp(16, *[32] * 10, 4, act=nn.Sigmoid), blobs()), "vanishing_gradient", 1, "0"),
    "one odd batch": Planted(lambda: fit(mlp(*NET), blobs(), at=_odd(81)), "exploding_gradient", 81),
    "a rate of fifty": Planted(lambda: fit(mlp(*NET, act=nn.Tanh), blobs(), lr=50), "update_ratio", 1),
    "a rate of nothing": Planted(lambda: fit(mlp(*NET), blobs(), lr=1e-9), "update_ratio", 1),
    "a layer is not handed over": Planted(
        lambda: fit(m := mlp(*NET), blobs(), optimiser=torch.optim.SGD([*m[0].parameters(), *m[4].parameters()], 0.05)),
        "unchanged_weights", 1, "2"),
    "a regression runs away": Planted(
        lambda: fit(mlp(16, 32, 1, act=nn.Tanh), (blobs()[0], blobs()[0][:, :1] * 3), loss=F.mse_loss, at=rise(80, 300),
                    lr=0.01), "diverging", 80),
    "a minus sign before the loss": Planted(
        lambda: fit(m := mlp(*NET), blobs(), optimiser=torch.optim.Adam(m.parameters(), 3e-3), **_turned(1)),
        "negated_loss", 1),
    "a loss whose sign turns": Planted(
        lambda: fit(m := mlp(*NET), blobs(), optimiser=torch.optim.Adam(m.parameters(), 3e-3), **_turned(80)),
        "negated_loss", 80),
    "a distance made as large as can be": Planted(
        lambda: fit(m := mlp(16, 32, 1), (blobs()[0], blobs()[0][:, :1] * 3), loss=lambda a, b: -F.mse_loss(a, b), n=220,
                    optimiser=torch.optim.Adam(m.parameters(), 3e-3)), "negated_loss", 1),
    "shuffled labels": Planted(
        lambda: fit(mlp(*NET), (blobs()[0], blobs()[1][torch.randperm(2048, generator=torch.Generator().manual_seed(1))]), n=220),
        "loss_not_falling"),
    "a rate that is too small": Planted(lambda: fit(mlp(*NET), blobs(), lr=3e-4, n=400), "slow_convergence"),
    "a rate at the edge": Planted(
        lambda: fit(mlp(16, 4), blobs(spread=3.0), size=16, n=200, lr=3.0), "oscillating_loss"),
    "few rows, noisy labels": Planted(
        lambda: fit(mlp(16, 128, 128, 4), _noisy(96), valid=blobs(512, seed=3),
                    optimiser=None, lr=0.2, n=300), "over_fit_onset"),
    "one class is rare": Planted(lambda: fit(mlp(*NET), _rare()), "class_imbalance"),
    "one class hides in another": Planted(lambda: fit(mlp(*NET), _hidden(), lr=0.1, n=250), "unread_class"),
    "one NaN in a batch": Planted(lambda: fit(mlp(*NET), blobs(), at=_nan(83)), "not_finite", 83),
}  # fmt: skip


def _silence_first(model):
    with torch.no_grad():
        _silence(model, 0.7)


def healthy():
    """Fifty runs with nothing wrong: five networks, five optimisers, two data sets."""
    nets = {
        "relu": lambda s: mlp(16, 32, 32, 4, seed=s),
        "tanh": lambda s: mlp(16, 32, 4, act=nn.Tanh, seed=s),
        "deep": lambda s: mlp(16, 48, 48, 48, 4, seed=s, norm=True),
        "gelu": lambda s: mlp(16, 64, 32, 4, act=nn.GELU, seed=s),
        "dropout": lambda s: nn.Sequential(*mlp(16, 48, 4, seed=s)[:2], nn.Dropout(0.2), nn.Linear(48, 4)),
    }
    optimisers = {
        "sgd": lambda m: torch.optim.SGD(m.parameters(), 0.1),
        "momentum": lambda m: torch.optim.SGD(m.parameters(), 0.05, momentum=0.9),
        "adam": lambda m: torch.optim.Adam(m.parameters(), 3e-3),
        "adamw": lambda m: torch.optim.AdamW(m.parameters(), 5e-3, weight_decay=0.01),
        "rmsprop": lambda m: torch.optim.RMSprop(m.parameters(), 1e-3),
    }
    for net, build in nets.items():
        for name, make in optimisers.items():
            for seed in (0, 1):
                yield f"{net}-{name}-{seed}", build, make, seed


def accused(names):
    """What healthy runs are accused of, as a line of JSON each."""
    for name, build, make, seed in healthy():
        if name not in names:
            continue
        net = build(seed)
        watch = fit(net, blobs(seed=seed), optimiser=make(net), seed=seed, valid=blobs(512, seed=seed))
        loud = [
            (one.step, one.finding.title) for one in watch.findings if one.finding.severity in ("problem", "warning")
        ]
        n, accuracy = len(watch.history.snapshots), float(watch.history.value("accuracy")[-4:].mean())
        sys.stdout.write(json.dumps({"name": name, "accused": loud, "n": n, "accuracy": accuracy}) + "\n")
