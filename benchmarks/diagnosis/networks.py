"""The networks that faults are planted in, with the data, the loss and the rate that make them work.

Out: `KINDS`, by name. All modules are named, so that a finding can be held to the right place.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from benchmarks.diagnosis import data
from benchmarks.diagnosis.data import Parts
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Kind:
    """A network with the training that makes it work.

    Attributes:
        data: a seed to the rows.
        build: the network, freshly drawn.
        loss: of an output and its labels.
        rate: of Adam.
        epochs: passes over the rows.
        decay: of the weights.
        task: classification or regression.
    """

    data: Callable[[int], Parts]
    build: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    rate: float = 0.003
    epochs: int = 20
    decay: float = 0.0
    task: str = "classification"


def train(net, rows, kind, *, rate=None, epochs=None, decay=None, batch=50, optimiser=torch.optim.Adam, loss=None):
    """The network after its training, in evaluation mode; parameters that ask for no gradient stay."""
    x, y = rows
    free = [p for p in net.parameters() if p.requires_grad]
    how = {"lr": rate or kind.rate, "weight_decay": kind.decay if decay is None else decay}
    steps = optimiser(free, **how)
    net.train()
    for _ in range(kind.epochs if epochs is None else epochs):
        for picked in torch.randperm(len(x)).split(batch):
            steps.zero_grad()
            (loss or kind.loss)(net(x[picked]), y[picked]).backward()
            steps.step()
    return net.eval()


def chain(**parts):
    return nn.Sequential(OrderedDict(parts))


def mlp(*widths, act=nn.ReLU, **end):
    parts = {}
    for i, (a, b) in enumerate(pairwise(widths[:-1]), 1):
        parts |= {f"fc{i}": nn.Linear(a, b), f"act{i}": act()}
    return chain(**parts, head=nn.Linear(*widths[-2:]), **end)


def conv(middle=24, **end):
    return chain(
        conv1=nn.Conv2d(1, 12, 3, padding=1), act1=nn.ReLU(),
        conv2=nn.Conv2d(12, middle, 3, stride=2, padding=1), act2=nn.ReLU(),
        conv3=nn.Conv2d(middle, 24, 3, padding=1), act3=nn.ReLU(),
        pool=nn.AvgPool2d(2), flat=nn.Flatten(), head=nn.Linear(96, 10), **end)  # fmt: skip


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.norm1, self.act1 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU()
        self.conv2, self.norm2, self.act2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU()

    def forward(self, x):
        return self.act2(x + self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x))))))


def residual():
    return chain(
        stem=nn.Conv2d(1, 12, 3, padding=1, bias=False), norm=nn.BatchNorm2d(12), act=nn.ReLU(),
        block1=Residual(12), block2=Residual(12),
        pool=nn.AdaptiveAvgPool2d(2), flat=nn.Flatten(), head=nn.Linear(48, 10))  # fmt: skip


class Patches(nn.Module):
    def __init__(self, width, side=2):
        super().__init__()
        self.cut = nn.Conv2d(1, width, side, stride=side)
        self.place = nn.Parameter(0.1 * torch.randn(1, 16, width))

    def forward(self, x):
        return self.cut(x).flatten(2).transpose(1, 2) + self.place


class Attention(nn.Module):
    def __init__(self, width, heads=2):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = chain(fc1=nn.Linear(width, 2 * width), act=nn.GELU(), fc2=nn.Linear(2 * width, width))

    def forward(self, x):
        h = self.norm1(x)
        x = x + self.attend(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class MeanOfTokens(nn.Module):
    def __init__(self, width, k):
        super().__init__()
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, k)

    def forward(self, x):
        return self.head(self.norm(x).mean(1))


def vit():
    return chain(patches=Patches(24), block1=Attention(24), block2=Attention(24), end=MeanOfTokens(24, 10))


class Recurrent(nn.Module):
    def __init__(self, cell, width=32):
        super().__init__()
        self.cell, self.head = cell(8, width, batch_first=True), nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


class Dilated(nn.Module):
    def __init__(self, a, b, gap):
        super().__init__()
        self.conv, self.act = nn.Conv1d(a, b, 3, padding=gap, dilation=gap), nn.ReLU()

    def forward(self, x):
        h = self.act(self.conv(x))
        return h + x if x.shape == h.shape else h


def tcn(width=24):
    return chain(
        layer1=Dilated(1, 24, 1), layer2=Dilated(24, width, 2), layer3=Dilated(width, 24, 4),
        pool=nn.MaxPool1d(4), flat=nn.Flatten(), head=nn.Linear(240, 10))  # fmt: skip


class TwoBranches(nn.Module):
    """Upper and lower half of an image, each by a branch of its own."""

    def __init__(self):
        super().__init__()
        self.upper, self.lower = mlp(98, 32, 24), mlp(98, 32, 24)
        self.act, self.head = nn.ReLU(), nn.Linear(48, 10)

    def forward(self, x):
        return self.head(self.act(torch.cat([self.upper(x[:, :98]), self.lower(x[:, 98:])], 1)))


def logit_loss(out, y):
    return F.binary_cross_entropy_with_logits(out.squeeze(1), y.float())


KINDS = {
    "mlp": Kind(data.digits, lambda: mlp(64, 48, 32, 10)),
    "series mlp": Kind(data.series, lambda: mlp(40, 100, 60, 10), epochs=12),
    "conv": Kind(data.digit_images, conv, epochs=12),
    "residual": Kind(data.digit_images, residual, rate=0.005, epochs=8),
    "vit": Kind(data.digit_images, vit, epochs=14),
    "gru": Kind(data.digit_rows, lambda: Recurrent(nn.GRU), rate=0.01, epochs=15),
    "lstm": Kind(data.digit_rows, lambda: Recurrent(nn.LSTM), rate=0.01, epochs=15),
    "tcn": Kind(data.series_channel, tcn, epochs=10),
    "two branches": Kind(data.flat_clothes, TwoBranches, epochs=15),
    "tanh": Kind(data.digits, lambda: mlp(64, 48, 32, 10, act=nn.Tanh)),
    "sigmoid": Kind(data.digits, lambda: mlp(64, 48, 32, 10, act=nn.Sigmoid), rate=0.01),
    "one logit": Kind(data.moons, lambda: mlp(2, 24, 16, 1), logit_loss, rate=0.01, epochs=30),
    "shirts": Kind(data.shirts, lambda: mlp(196, 32, 16, 1), logit_loss, rate=0.002, epochs=10),
    "regression": Kind(data.friedman, lambda: mlp(10, 48, 32, 1), F.mse_loss, task="regression"),
    "smooth regression": Kind(data.friedman, lambda: mlp(10, 48, 32, 1, act=nn.SiLU), F.mse_loss, task="regression"),
}


def score(net, rows, task):
    """Accuracy, as the loss of the output means it (one logit: above 0), or R² over all targets."""
    x, y = rows
    with torch.no_grad():
        out = net(x).float()
    if not out.isfinite().all():
        return 0.0
    if task == "regression":
        return float(1 - (out - y).square().mean() / (y - y.mean(0)).square().mean())
    said = (out.squeeze(1) > 0).long() if out.shape[1] == 1 else out.argmax(1)
    return float((said == y).float().mean())
