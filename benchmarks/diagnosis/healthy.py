"""Networks of kinds that people use, trained well: nothing in them deserves a problem, and few things a warning.

Out: `ZOO`, by name: a `Kind`, and the score on fresh rows below which a network counts as not well trained.
"""

from dataclasses import replace

import torch
from benchmarks.diagnosis import data
from benchmarks.diagnosis.fault import Case
from benchmarks.diagnosis.networks import KINDS, Attention, Kind, MeanOfTokens, Patches, chain, logit_loss, mlp, train
from torch import nn
from torch.nn import functional as F


class DenseLayer(nn.Module):
    def __init__(self, a, growth):
        super().__init__()
        self.norm, self.act, self.conv = nn.BatchNorm2d(a), nn.ReLU(), nn.Conv2d(a, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return torch.cat([x, self.conv(self.act(self.norm(x)))], 1)


def dense():
    return chain(
        stem=nn.Conv2d(1, 8, 3, padding=1, bias=False), dense1=DenseLayer(8, 8), dense2=DenseLayer(16, 8),
        narrow=nn.Conv2d(24, 16, 1), pool=nn.AvgPool2d(2), dense3=DenseLayer(16, 8), norm=nn.BatchNorm2d(24),
        act=nn.ReLU(), pool2=nn.AvgPool2d(2), flat=nn.Flatten(), head=nn.Linear(96, 10))  # fmt: skip


def depthwise():
    return chain(
        stem=nn.Conv2d(1, 16, 3, padding=1), norm1=nn.BatchNorm2d(16), act1=nn.ReLU6(),
        deep1=nn.Conv2d(16, 16, 3, padding=1, groups=16), point1=nn.Conv2d(16, 32, 1), norm2=nn.BatchNorm2d(32),
        act2=nn.ReLU6(), deep2=nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=32), point2=nn.Conv2d(32, 32, 1),
        norm3=nn.BatchNorm2d(32), act3=nn.ReLU6(), pool=nn.AvgPool2d(2), flat=nn.Flatten(),
        head=nn.Linear(128, 10))  # fmt: skip


class Mix(nn.Module):
    """Tokens mixed by one map, channels by another."""

    def __init__(self, tokens, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = chain(fc1=nn.Linear(tokens, 32), act=nn.GELU(), fc2=nn.Linear(32, tokens))
        self.channels = chain(fc1=nn.Linear(width, 48), act=nn.GELU(), fc2=nn.Linear(48, width))

    def forward(self, x):
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


def batch_norm():
    return chain(
        conv1=nn.Conv2d(1, 12, 3, padding=1, bias=False), norm1=nn.BatchNorm2d(12), act1=nn.ReLU(),
        conv2=nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False), norm2=nn.BatchNorm2d(24), act2=nn.ReLU(),
        pool=nn.AvgPool2d(2), flat=nn.Flatten(), head=nn.Linear(96, 10))  # fmt: skip


def clothing():
    return chain(
        conv1=nn.Conv2d(1, 8, 3, padding=1), act1=nn.ReLU(), pool1=nn.MaxPool2d(2), conv2=nn.Conv2d(8, 16, 3, padding=1),
        act2=nn.ReLU(), pool2=nn.MaxPool2d(2), flat=nn.Flatten(), drop=nn.Dropout(0.3), fc=nn.Linear(144, 48),
        act3=nn.ReLU(), head=nn.Linear(48, 10))  # fmt: skip


class WithPicture(nn.Module):
    """An encoder whose code is decoded again, and classified: in use, only the classes come out."""

    def __init__(self):
        super().__init__()
        self.encoder, self.act = mlp(64, 40, 16), nn.ReLU()
        self.head, self.decoder = nn.Linear(16, 10), nn.Linear(16, 64)
        self.blur = None

    def forward(self, x):
        code = self.act(self.encoder(x))
        self.blur = (self.decoder(code) - x).square().mean() if self.training else None
        return self.head(code)

    def loss(self, out, y):
        return F.cross_entropy(out, y) + 0.5 * self.blur


def dropout():
    return chain(
        fc1=nn.Linear(64, 64), act1=nn.ReLU(), drop1=nn.Dropout(0.2), fc2=nn.Linear(64, 32), act2=nn.ReLU(),
        drop2=nn.Dropout(0.2), head=nn.Linear(32, 10))  # fmt: skip


def layer_norm():
    return chain(
        fc1=nn.Linear(13, 24), norm1=nn.LayerNorm(24), act1=nn.GELU(), fc2=nn.Linear(24, 24), norm2=nn.LayerNorm(24),
        act2=nn.GELU(), head=nn.Linear(24, 3))  # fmt: skip


class WideAndDeep(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.deep = nn.Linear(30, 2), mlp(30, 24, 16, 2)

    def forward(self, x):
        return self.wide(x) + self.deep(x)


def mixer():
    return chain(patches=Patches(24), mix1=Mix(16, 24), mix2=Mix(16, 24), end=MeanOfTokens(24, 10))


def one_block():
    return chain(patches=Patches(32), block=Attention(32, 4), end=MeanOfTokens(32, 10))


_PLAIN = KINDS["mlp"]
ZOO: dict[str, tuple[Kind, float]] = {
    "plain": (_PLAIN, 0.94),
    "plain convolutional": (KINDS["conv"], 0.94),
    "convolutional on clothes": (Kind(data.clothes, clothing, epochs=25), 0.74),
    "batch norm": (Kind(data.digit_images, batch_norm, rate=0.005, epochs=10), 0.95),
    "residual convolutional": (KINDS["residual"], 0.95),
    "depthwise": (Kind(data.digit_images, depthwise, rate=0.005, epochs=10), 0.93),
    "densely connected": (Kind(data.digit_images, dense, rate=0.005, epochs=10), 0.94),
    "vision transformer": (KINDS["vit"], 0.9),
    "vision transformer, one block": (Kind(data.digit_images, one_block, epochs=18), 0.88),
    "mixer": (Kind(data.digit_images, mixer, epochs=14), 0.9),
    "GRU": (KINDS["gru"], 0.94),
    "LSTM": (KINDS["lstm"], 0.94),
    "temporal convolution": (KINDS["tcn"], 0.72),
    "two branches": (KINDS["two branches"], 0.74),
    "wide and deep": (Kind(data.cancer, WideAndDeep, rate=0.003, epochs=20, decay=1e-3), 0.92),
    "tanh": (KINDS["tanh"], 0.94),
    "sigmoid": (KINDS["sigmoid"], 0.94),
    "one logit": (KINDS["one logit"], 0.96),
    "one logit, hard classes": (KINDS["shirts"], 0.77),
    "one logit, cancer": (Kind(data.cancer, lambda: mlp(30, 16, 1), logit_loss, epochs=20, decay=1e-3), 0.92),
    "regression": (KINDS["regression"], 0.85),
    "smooth regression": (KINDS["smooth regression"], 0.85),
    "noisy regression": (Kind(data.diabetes, lambda: mlp(10, 16, 1), F.mse_loss, epochs=20, decay=1e-2, task="regression"), 0.3),
    "imbalanced": (Kind(data.rare_shirts, lambda: mlp(196, 32, 16, 2), epochs=12, decay=1e-4), 0.955),
    "autoencoder as regression": (Kind(data.pictures_of_themselves, lambda: mlp(64, 48, 24, 48, 64), F.mse_loss, rate=0.002, epochs=40, task="regression"), 0.7),
    "autoencoder with classes": (Kind(data.digits, WithPicture, epochs=25), 0.93),
    "wide": (Kind(data.digits, lambda: mlp(64, 400, 10), rate=0.001, epochs=10), 0.94),
    "deep": (Kind(data.digits, lambda: mlp(64, *[48] * 6, 10), rate=0.002, epochs=40), 0.92),
    "dropout": (replace(_PLAIN, build=dropout, epochs=25), 0.94),
    "layer norm and GELU": (Kind(data.wine, layer_norm, rate=0.005, epochs=20), 0.9),
    "GELU": (replace(_PLAIN, build=lambda: mlp(64, 48, 32, 10, act=nn.GELU)), 0.94),
    "small table": (Kind(data.wine, lambda: mlp(13, 16, 3), rate=0.01, epochs=20), 0.9),
}  # fmt: skip


def raise_well(name, seed):
    """(case, floor) of one healthy network."""
    kind, floor = ZOO[name]
    torch.manual_seed(seed)
    parts = kind.data(seed)
    net = kind.build()
    loss = net.loss if isinstance(net, WithPicture) else None
    train(net, parts.train, kind, loss=loss)
    return Case(net, parts.train, parts.test, kind.loss, kind.task, parts.fresh), floor
