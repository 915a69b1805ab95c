"""Networks of rows, sets and graphs: branches, gates, experts, codes, and inputs and outputs of every form."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from tests.architectures.entry import Entry, N, Net, normal, residual
from torch import Tensor, nn
from torch.nn import functional as F

ROWS = normal(6)
SETS = normal(5, 6)


def mlp(*widths: int) -> nn.Sequential:
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.gate = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        return gate * F.relu(self.body(x)) + (1 - gate) * x


class Maxout(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.pieces = nn.Linear(a, 3 * b)

    def forward(self, x):
        return self.pieces(x).unflatten(-1, (-1, 3)).amax(-1)


class Experts(nn.Module):
    """A soft mixture of experts."""

    def __init__(self):
        super().__init__()
        self.experts, self.router = nn.ModuleList(mlp(6, 5, 4) for _ in range(3)), nn.Linear(6, 3)

    def forward(self, x):
        share = self.router(x).softmax(-1)
        return sum(share[:, [i]] * expert(x) for i, expert in enumerate(self.experts))


class SparseExperts(Experts):
    """Each sample is seen by one expert only."""

    def forward(self, x):
        out, best = x.new_zeros(len(x), 4), self.router(x).argmax(-1)
        for i, expert in enumerate(self.experts):
            if (best == i).any():
                out[best == i] = expert(x[best == i])
        return out


class Spline(nn.Module):
    """A layer with a learned function on every edge, as Kolmogorov-Arnold networks have."""

    def __init__(self, a, b):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(b, a, 5) / a)
        self.register_buffer("centres", torch.linspace(-2, 2, 5))

    def forward(self, x):
        return torch.einsum("nai,bai->nb", torch.exp(-((x[..., None] - self.centres) ** 2)), self.weight)


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(3 * x)


class Radial(nn.Module):
    def __init__(self):
        super().__init__()
        self.centres, self.head = nn.Parameter(torch.randn(7, 6)), nn.Linear(7, 2)

    def forward(self, x):
        return self.head(torch.exp(-(torch.cdist(x, self.centres) ** 2) / 6))


class Hyper(nn.Module):
    """A network that writes the weights of another, for each sample."""

    def __init__(self):
        super().__init__()
        self.writer, self.head = mlp(6, 8, 24), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(torch.einsum("ni,nij->nj", x, self.writer(x).unflatten(-1, (6, 4)))))


class FixedPoint(nn.Module):
    """One layer called until it settles."""

    def __init__(self):
        super().__init__()
        self.into, self.step, self.head = nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        fed, h = self.into(x), 0 * self.into.bias
        for _ in range(4):
            h = torch.tanh(fed + 0.3 * self.step(h.expand_as(fed)))
        return self.head(h)


class Codes(nn.Module):
    """An autoencoder whose middle is the nearest of a few codes."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode, self.codes = mlp(6, 5, 3), mlp(3, 5, 6), nn.Embedding(8, 3)

    def forward(self, x):
        h = self.encode(x)
        nearest = torch.cdist(h, self.codes.weight).argmin(-1)
        return self.decode(h + (self.codes(nearest) - h).detach())


class Variational(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.mean, self.log_var, self.decode = mlp(6, 5), nn.Linear(5, 3), nn.Linear(5, 3), mlp(3, 5, 6)

    def forward(self, x):
        h = F.relu(self.encode(x))
        mean, log_var = self.mean(h), self.log_var(h)
        noise = torch.randn_like(mean) if self.training else 0
        return self.decode(mean + noise * (log_var / 2).exp()), mean, log_var


class Graph(nn.Module):
    """A graph convolution with a dense adjacency for each sample."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, x, adjacency):
        shared = adjacency / adjacency.sum(-1, keepdim=True)
        h = F.relu(self.first(shared @ x))
        return self.head(F.relu(self.second(shared @ h)).mean(1))


class Steep(torch.autograd.Function):
    """A step whose gradient is made up, as spiking networks use."""

    @staticmethod
    def forward(ctx, x):
        return (x > 0).to(x)

    @staticmethod
    def backward(ctx, grad):
        return grad


class Spiking(nn.Module):
    def __init__(self):
        super().__init__()
        self.charge, self.head = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        charge, spikes = 0, 0
        for _ in range(4):
            charge = 0.8 * charge + self.charge(x)
            spike = Steep.apply(charge - 0.5)
            charge, spikes = charge * (1 - spike), spikes + spike
        return self.head(spikes)


class Capsules(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.head = nn.Linear(6, 12), nn.Linear(3, 2)

    def forward(self, x):
        capsules = self.into(x).unflatten(-1, (3, 4))
        return self.head(capsules.norm(dim=-1))


class HandNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(6)), nn.Parameter(torch.rand(6))

    def forward(self, x):
        return self.gamma * (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True) + self.beta


@dataclass
class Found:
    logits: Tensor
    hidden: Tensor


class GivesDataclass(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x):
        hidden = F.silu(self.body(x))
        return Found(self.head(hidden), hidden)


class TakesDict(nn.Module):
    """Takes one mapping as its one argument."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(6, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, batch):
        return {"logits": self.head(torch.tanh(self.left(batch["a"]) + self.right(batch["b"])))}


class TakesList(TakesDict):
    def forward(self, parts):
        return [self.head(torch.tanh(self.left(parts[0]) + self.right(parts[1])))]


class KeywordOnly(TakesDict):
    def forward(self, *, a, b):
        return self.head(torch.tanh(self.left(a) + self.right(b)))


class Categories(nn.Module):
    """Numbers and categories of a table."""

    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(5, 3), nn.BatchNorm1d(6), mlp(9, 8, 2)

    def forward(self, numbers, categories):
        return self.head(torch.cat([self.norm(numbers), self.embed(categories)], 1))


def siamese(s, a, b):
    return s.head((s.body(a) - s.body(b)).abs())


ENTRIES = [
    Entry(name="perceptron of three layers", inputs=ROWS, build=lambda: mlp(6, 8, 8, 2)),
    Entry(name="one linear layer", inputs=ROWS, build=lambda: nn.Sequential(nn.Linear(6, 2))),
    Entry(name="residual perceptron", inputs=ROWS,
          build=lambda: nn.Sequential(residual(*mlp(6, 8, 6)), residual(*mlp(6, 8, 6)), nn.Linear(6, 2))),
    Entry(name="one number for each sample", inputs=ROWS, axes={"output": "n"},
          build=lambda: Net(lambda s, x: s.body(x).squeeze(-1), body=mlp(6, 8, 1))),
    Entry(name="highway", inputs=ROWS, build=lambda: nn.Sequential(Highway(), Highway(), nn.Linear(6, 2))),
    Entry(name="maxout", inputs=ROWS, build=lambda: nn.Sequential(Maxout(6, 5), Maxout(5, 4), nn.Linear(4, 2))),
    Entry(name="gated linear units", inputs=ROWS,
          build=lambda: nn.Sequential(nn.Linear(6, 8), nn.GLU(), nn.Linear(4, 2))),
    Entry(name="mixture of experts", inputs=ROWS, build=lambda: nn.Sequential(Experts(), nn.ReLU(), nn.Linear(4, 2))),
    Entry(name="experts that see some samples each", inputs=ROWS,
          build=lambda: nn.Sequential(SparseExperts(), nn.ReLU(), nn.Linear(4, 2))),
    Entry(name="functions on edges (KAN)", inputs=ROWS, axes={"*:exp": "ncp"}, build=lambda: nn.Sequential(Spline(6, 5), Spline(5, 2))),
    Entry(name="sine network", inputs=ROWS,
          build=lambda: nn.Sequential(nn.Linear(6, 8), Sine(), nn.Linear(8, 8), Sine(), nn.Linear(8, 2))),
    Entry(name="radial basis functions", inputs=ROWS, build=Radial),
    Entry(name="hypernetwork", inputs=ROWS, build=Hyper),
    Entry(name="fixed point", inputs=ROWS, build=FixedPoint),
    Entry(name="autoencoder", inputs=ROWS, build=lambda: Net(lambda s, x: s.decode(torch.relu(s.encode(x))),
                                                             encode=mlp(6, 4, 2), decode=mlp(2, 4, 6))),
    Entry(name="variational autoencoder", inputs=ROWS, build=Variational),
    Entry(name="autoencoder with codes", inputs=ROWS, build=Codes),
    Entry(name="deep sets", inputs=SETS, axes={"body*": "npc"},
          build=lambda: Net(lambda s, x: s.head(s.body(x).sum(1)), body=mlp(6, 8, 5), head=mlp(5, 4, 2))),
    Entry(name="graph with a dense adjacency",
          inputs=lambda: (SETS(), (torch.rand(N, 5, 5) > 0.5).float() + torch.eye(5)), axes={"*": "npc", "head": "nc"}, build=Graph),
    Entry(name="siamese", inputs=lambda: (ROWS(), ROWS()),
          build=lambda: Net(siamese, body=mlp(6, 8, 4), head=nn.Linear(4, 2))),
    Entry(name="two branches", inputs=ROWS,
          build=lambda: Net(lambda s, x: s.head(torch.cat([s.left(x[:, :2]), s.right(x[:, 2:])], 1)),
                            left=mlp(2, 4, 3), right=mlp(4, 4, 3), head=nn.Linear(6, 2))),
    Entry(name="several heads", inputs=ROWS,
          build=lambda: Net(lambda s, x: (s.one(s.body(x)), s.other(s.body(x))), body=mlp(6, 8, 4),
                            one=nn.Linear(4, 2), other=nn.Linear(4, 3))),
    Entry(name="bilinear", inputs=lambda: (ROWS(), normal(3)()),
          build=lambda: Net(lambda s, a, b: s.head(torch.tanh(s.both(a, b))), both=nn.Bilinear(6, 3, 4),
                            head=nn.Linear(4, 2))),
    Entry(name="spiking", inputs=ROWS, build=Spiking),
    Entry(name="capsules", inputs=ROWS, build=Capsules),
    Entry(name="layer norm by hand", inputs=ROWS,
          build=lambda: nn.Sequential(nn.Linear(6, 6), HandNorm(), nn.ReLU(), nn.Linear(6, 2))),
    Entry(name="activations by arithmetic", inputs=ROWS,
          build=lambda: Net(lambda s, x: s.two(torch.where((h := s.one(x)) > 0, h, 0.1 * h).clamp(max=1)),
                            one=nn.Linear(6, 5), two=nn.Linear(5, 2))),
    Entry(name="a dataclass as output", inputs=ROWS, build=GivesDataclass),
    Entry(name="a mapping as the one argument", inputs=lambda: ({"a": ROWS(), "b": normal(3)()},), build=TakesDict),
    Entry(name="a list as the one argument", inputs=lambda: ([ROWS(), normal(3)()],), build=TakesList),
    Entry(name="keywords only", inputs=lambda: {"a": ROWS(), "b": normal(3)()}, build=KeywordOnly),
    Entry(name="numbers and categories", inputs=lambda: (ROWS(), torch.randint(5, (N,))), build=Categories),
    Entry(name="input written to in forward", inputs=ROWS,
          build=lambda: Net(lambda s, x: s.body(x.mul_(2).relu_()), body=mlp(6, 8, 2))),
]  # fmt: skip
