"""Small networks whose output comes about in different ways, and samples for them."""

import torch
from torch import nn


class HeadFirst(nn.Module):
    """The output layer is registered first."""

    def __init__(self):
        super().__init__()
        self.head, self.a, self.b = nn.Linear(16, 3), nn.Linear(4, 16), nn.Linear(16, 16)

    def forward(self, x):
        return self.head(self.b(self.a(x).relu()).relu())


class Words(nn.Module):
    """A transformer over words, its head registered first and read after the mean, or before it."""

    def __init__(self, *, mean_first=True):
        super().__init__()
        self.head, self.embedding = nn.Linear(16, 3), nn.Embedding(20, 16)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0), 1, enable_nested_tensor=False
        )
        self.mean_first = mean_first

    def forward(self, x):
        h = self.encoder(self.embedding(x))
        return self.head(h.mean(1)) if self.mean_first else self.head(h).mean(1)


class Attention(nn.Module):
    """The output is what attention puts out: its `out_proj` is never called as a module."""

    def __init__(self):
        super().__init__()
        self.attention, self.embedding = nn.MultiheadAttention(4, 2, batch_first=True), nn.Embedding(20, 4)

    def forward(self, x):
        e = self.embedding(x)
        return self.attention(e, e, e)[0].mean(1)


class ConvolutionalHead(nn.Module):
    """A convolution to one map a class, their means, log-probabilities."""

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Conv2d(8, 3, 1), nn.Conv2d(1, 8, 3, padding=1)

    def forward(self, x):
        return self.head(self.body(x).relu()).mean((2, 3)).log_softmax(-1)


class ByHand(nn.Module):
    """The output layer is a product that forward computes itself."""

    def __init__(self):
        super().__init__()
        self.a, self.w = nn.Linear(4, 16), nn.Parameter(torch.randn(3, 16) / 4)

    def forward(self, x):
        return self.a(x).relu() @ self.w.T


class Sum(nn.Module):
    """Two output layers, added."""

    def __init__(self):
        super().__init__()
        self.a, self.first, self.second = nn.Linear(4, 16), nn.Linear(16, 3), nn.Linear(16, 3)

    def forward(self, x):
        h = self.a(x).relu()
        return self.first(h) + self.second(h)


class Mapping(nn.Module):
    """A mapping with the hidden layer beside the scores."""

    def __init__(self):
        super().__init__()
        self.head, self.a = nn.Linear(16, 3), nn.Linear(4, 16)

    def forward(self, x):
        h = self.a(x).relu()
        return {"hidden": h, "logits": self.head(h)}


def rows(n=240, seed=0):
    """Rows of four columns in three classes that a line can tell apart, nearly."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    centres = torch.tensor([[3.0, 0, 0, 0], [0, 3.0, 0, 0], [0, 0, 3.0, 0]])
    return centres[y] + torch.randn(n, 4, generator=generator), y


def words(n=240, seed=0):
    """Five words of twenty a row; the class is told by one of three words at a random place."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = torch.randint(3, 20, (n, 5), generator=generator)
    x[torch.arange(n), torch.randint(0, 5, (n,), generator=generator)] = y
    return x, y


def images(n=240, seed=0):
    """Images of eight by eight pixels; the class is told by which third is bright."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = 0.3 * torch.randn(n, 1, 8, 8, generator=generator)
    for i, label in enumerate(y.tolist()):
        x[i, 0, :, 3 * label : 3 * label + 2] += 1.0
        x[i, 0, label] += 1.0
    return x, y
