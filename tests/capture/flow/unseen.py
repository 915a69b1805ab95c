"""Architectures written after the rules were, with expectations by hand before the first run."""

from dataclasses import dataclass

import torch
from tests.capture.flow.cases import Case, N, Net, mask, normal, tokens
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import rnn


def wavenet() -> Case:
    """Gated causal convolutions, padded on the left, with skip connections."""

    def run(net, x):
        h = net.inn(x)
        padded = F.pad(h, (2, 0))
        z = torch.tanh(net.filter(padded)) * torch.sigmoid(net.gate(padded))
        return net.out(F.relu(net.skip(z))[:, :, -1] + net.res(z + h).mean(-1))

    net = Net(
        run, inn=nn.Conv1d(3, 6, 1), filter=nn.Conv1d(6, 6, 3), gate=nn.Conv1d(6, 6, 3),
        skip=nn.Conv1d(6, 5, 1), res=nn.Conv1d(6, 5, 1), out=nn.Linear(5, 2),
    )  # fmt: skip
    return Case(net, normal(N, 3, 9), {
        "filter": ("inn", "nup", 6), "gate": ("inn", "nup", 6), "tanh": ("filter", "nup", 6),
        "sigmoid": ("gate", "nup", 6), "skip": ("tanh sigmoid", "nup", 5), "res": ("tanh sigmoid inn", "nup", 5),
        "out": ("relu res", "nu", 2),
    })  # fmt: skip


def windows() -> Case:
    """Windows of a channels-last map, attention of a Linear inside each, and back."""

    def run(net, x):
        h = net.norm(net.patch(x).permute(0, 2, 3, 1))
        w = h.view(N, 2, 2, 2, 2, 6).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 6)
        w = net.mix(w)
        back = w.view(N, 2, 2, 2, 2, 6).permute(0, 1, 3, 2, 4, 5).reshape(N, 4, 4, 6)
        return net.head((h + back).flatten(1, 2).mean(1))

    net = Net(run, patch=nn.Conv2d(3, 6, 2, 2), norm=nn.LayerNorm(6), mix=nn.Linear(6, 6), head=nn.Linear(6, 2))
    return Case(net, normal(N, 3, 8, 8), {
        "patch": ("input", "nupp", 6), "norm": ("patch", "nppu", 6), "mix": ("norm", "npu", 6),
        "head": ("norm mix", "nu", 2),
    })  # fmt: skip


def super_resolution() -> Case:
    """Pixels are shuffled out of channels."""
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.PReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2), nn.Tanh()
    )
    return Case(net, normal(N, 1, 5, 5), {
        "1": ("0", "nupp", 8), "2": ("1", "nupp", 12), "3": ("2", "nupp", 3), "4": ("3", "nupp", 3),
    })  # fmt: skip


def point_net() -> Case:
    """Points as positions of a Conv1d, a learned transform of the units, the largest over points."""

    def run(net, x):
        h = net.a(x)
        turn = net.t(h.amax(2)).view(-1, 6, 6)
        h = torch.bmm(h.transpose(2, 1), turn).transpose(2, 1)
        return net.head(net.b(h).max(2)[0])

    net = Net(run, a=nn.Conv1d(3, 6, 1), t=nn.Linear(6, 36), b=nn.Conv1d(6, 7, 1), head=nn.Linear(7, 2))
    return Case(net, normal(N, 3, 11), {
        "a": ("input", "nup", 6), "t": ("a", "nu", 36), "b": ("a t", "nup", 7), "head": ("b", "nu", 2),
    })  # fmt: skip


def cells() -> Case:
    """A recurrent cell in a loop, its states stacked behind the samples."""

    def run(net, x):
        h = c = torch.zeros(len(x), 6)
        states = []
        for t in range(x.shape[1]):
            h, c = net.cell(x[:, t], (h, c))
            states.append(h)
        return net.head(torch.stack(states, 1))

    net = Net(run, cell=nn.LSTMCell(3, 6), head=nn.Linear(6, 2))
    return Case(net, normal(N, 3, 3), {
        "cell": ("input", "nu", 6), "cell#2": ("input cell cell[1]", "nu", 6), "head": ("cell cell#2 cell#3", "npu", 2),
    })  # fmt: skip


def packed_input() -> Case:
    """A packed sequence as the model's input."""
    packed = rnn.pack_padded_sequence(normal(N, 5, 3), torch.tensor([5, 4, 2, 2]), batch_first=True)

    def run(net, x):
        _, h = net.r(x)
        return net.head(h[-1])

    return Case(Net(run, r=nn.GRU(3, 6, batch_first=True), head=nn.Linear(6, 2)), packed, {
        "r": ("input", "npu", 6), "head": ("r[1]", "nu", 2),
    })  # fmt: skip


def film() -> Case:
    """A condition scales and shifts the channels of a map."""

    def run(net, image, condition):
        scale, shift = net.film(condition).chunk(2, -1)
        h = net.a(image)
        return net.b(F.relu(h * (1 + scale[:, :, None, None]) + shift[:, :, None, None]))

    net = Net(run, film=nn.Linear(4, 12), a=nn.Conv2d(3, 6, 3), b=nn.Conv2d(6, 2, 1))
    return Case(net, {"image": normal(N, 3, 6, 6), "condition": normal(N, 4)}, {
        "film": ("input['condition']", "nu", 12), "a": ("input['image']", "nupp", 6), "relu": ("a film", "nupp", 6),
        "b": ("relu", "nupp", 2),
    })  # fmt: skip


def codebook() -> Case:
    """The nearest code, straight through."""

    def run(net, x):
        z = net.enc(x)
        code = torch.cdist(z, net.code.weight).argmin(-1)
        q = net.code(code)
        return net.dec(z + (q - z).detach())

    net = Net(run, enc=nn.Linear(5, 6), code=nn.Embedding(9, 6), dec=nn.Linear(6, 5))
    return Case(net, normal(N, 7, 5), {
        "enc": ("input", "npu", 6), "code": ("", "npu", 6), "dec": ("enc code", "npu", 5),
    })  # fmt: skip


def experts() -> Case:
    """Experts weighed by a softmax."""

    def run(net, x):
        share = net.gate(x).softmax(-1)
        found = torch.stack([net.a(x), net.b(x)], -1)
        return net.head(torch.einsum("nde,ne->nd", found, share))

    net = Net(run, gate=nn.Linear(5, 2), a=nn.Linear(5, 6), b=nn.Linear(5, 6), head=nn.Linear(6, 3))
    return Case(net, normal(N, 5), {"gate": ("input", "nu", 2), "head": ("a b gate", "nu", 3)})


def graph() -> Case:
    """Neighbours are averaged by a matrix that comes with the batch."""

    def run(net, x, edges):
        h = F.relu(edges @ net.a(x))
        return net.head((edges @ net.b(h)).sum(1))

    net = Net(run, a=nn.Linear(3, 6), b=nn.Linear(6, 6), head=nn.Linear(6, 2))
    return Case(net, (normal(N, 7, 3), normal(N, 7, 7).softmax(-1)), {
        "a": ("input[0]", "npu", 6), "relu": ("a input[1]", "npu", 6), "head": ("b input[1]", "nu", 2),
    })  # fmt: skip


def perceiver() -> Case:
    """Learned latents look at padded tokens through `nn.MultiheadAttention`."""

    def run(net, ids, padding_mask):
        tokens = net.emb(ids)
        latents = net.latents.expand(len(ids), -1, -1)
        h, _ = net.look(latents, tokens, tokens, key_padding_mask=padding_mask, need_weights=False)
        return net.head(net.mlp(h).mean(1))

    net = Net(
        run, emb=nn.Embedding(20, 8), latents=nn.Parameter(torch.randn(1, 3, 8)),
        look=nn.MultiheadAttention(8, 2, batch_first=True), mlp=nn.Sequential(nn.Linear(8, 9), nn.ELU()),
        head=nn.Linear(9, 2),
    )  # fmt: skip
    return Case(net, {"ids": tokens(6), "padding_mask": mask(6, 6, 4, 5, 3) == 0}, {
        "emb": ("input['ids']", "npu", 8), "look": ("emb", "npu", 8), "mlp.0": ("look", "npu", 9),
        "head": ("mlp.1", "nu", 2),
    }, masks={"emb": ("input['padding_mask']", "padding"), "look": None, "head": None})  # fmt: skip


def hard_swish() -> Case:
    """A hard swish by hand behind a group norm."""

    def run(net, x):
        h = net.n(net.a(x))
        return net.b(h * torch.clamp(h + 3, 0, 6) / 6)

    net = Net(run, a=nn.Conv2d(3, 8, 3), n=nn.GroupNorm(2, 8), b=nn.Conv2d(8, 2, 1))
    return Case(net, normal(N, 3, 6, 6), {
        "n": ("a", "nupp", 8), "clamp": ("n", "nupp", 8), "b": ("clamp", "nupp", 2),
    }, activations={"clamp": False})  # fmt: skip


def rectifiers() -> Case:
    """Three ways to write a rectifier, and three activations that only look like one: its double, ReLU6, its square."""

    def run(net, x):
        h = net.a(x)
        h[h < 0] = 0
        h = net.b(h)
        h = net.c(h.masked_fill(h < 0, 0.0))
        h = net.d((h + h.abs()) / 2)
        h = net.e(torch.maximum(h, torch.zeros_like(h)))
        h = net.f(h.clamp(0, 6))
        return net.g(h.clamp_min(0) ** 2)

    net = Net(run, **{name: nn.Linear(5, 5) for name in "abcdefg"})
    return Case(net, normal(N, 5), {
        "b": ("__setitem__", "nu", 5), "c": ("masked_fill", "nu", 5), "d": ("abs", "nu", 5), "e": ("maximum", "nu", 5),
        "f": ("clamp", "nu", 5), "g": ("pow", "nu", 5), "abs": ("c", "nu", 5),
    }, activations={"__setitem__": True, "masked_fill": True, "abs": False, "maximum": True, "clamp": False,
                    "pow": False})  # fmt: skip


def video() -> Case:
    """A convolution over time and space, pooled to a sequence, then a recurrent layer with lengths."""

    def run(net, clip, lengths):
        h = F.relu(net.a(clip)).mean((-2, -1)).transpose(1, 2)
        out, _ = net.r(rnn.pack_padded_sequence(h, lengths, batch_first=True, enforce_sorted=False))
        out, _ = rnn.pad_packed_sequence(out, batch_first=True)
        return net.head(out)

    net = Net(run, a=nn.Conv3d(1, 6, 3, padding=(1, 0, 0)), r=nn.LSTM(6, 5, batch_first=True), head=nn.Linear(5, 2))
    return Case(net, {"clip": normal(N, 1, 7, 6, 6), "lengths": torch.tensor([7, 4, 5, 2])}, {
        "a": ("input['clip']", "nuppp", 6), "relu": ("a", "nuppp", 6), "r": ("relu", "npu", 5), "head": ("r", "npu", 2),
    }, masks={"a": ("input['lengths']", "lengths"), "r": ("input['lengths']", "lengths")})  # fmt: skip


def spectral() -> Case:
    """A Fourier mixer between norms, channels last."""

    def run(net, x):
        h = net.emb(x)
        h = net.n1(h + torch.fft.fft2(h).real)
        return net.head(net.n2(h + net.up(h)).amax(1))

    net = Net(
        run, emb=nn.Linear(3, 6), n1=nn.LayerNorm(6), up=nn.Linear(6, 6), n2=nn.LayerNorm(6), head=nn.Linear(6, 2)
    )
    return Case(net, normal(N, 7, 3), {
        "n1": ("emb", "npu", 6), "up": ("n1", "npu", 6), "n2": ("n1 up", "npu", 6), "head": ("n2", "nu", 2),
    })  # fmt: skip


@dataclass
class Batch:
    """Inputs as a dataclass."""

    ids: torch.Tensor
    parts: list


def dataclass_input() -> Case:
    """A dataclass with a list in it; one part of which is written to through NumPy."""

    def run(net, batch):
        batch.parts[1].numpy()[:, 0] = 0
        h = net.emb(batch.ids).mean(1)
        return net.head(torch.cat([h, net.a(batch.parts[0]), batch.parts[1]], -1))

    net = Net(run, emb=nn.Embedding(20, 6), a=nn.Linear(3, 4), head=nn.Linear(12, 2))
    return Case(net, (Batch(tokens(5), [normal(N, 3), normal(N, 2)]),), {
        "emb": ("input[0].ids", "npu", 6), "a": ("input[0].parts[0]", "nu", 4),
        "head": ("emb a input[0].parts[1]", "nu", 2),
    }, writes=("input[0].parts[1]",))  # fmt: skip


def bottleneck_crop() -> Case:
    """A residual whose shortcut is cropped in time, tokens as [n, t, d] around convolutions."""

    def run(net, x):
        h = net.emb(x)
        c = net.c(h.transpose(1, 2)).transpose(1, 2)
        return net.head(net.n(h[:, 1:-1] + F.gelu(c))[:, 0])

    net = Net(run, emb=nn.Linear(3, 6), c=nn.Conv1d(6, 6, 3), n=nn.LayerNorm(6), head=nn.Linear(6, 2))
    return Case(net, normal(N, 8, 3), {
        "emb": ("input", "npu", 6), "c": ("emb", "nup", 6), "gelu": ("c", "npu", 6), "n": ("emb gelu", "npu", 6),
        "head": ("n", "nu", 2),
    })  # fmt: skip


def silent_both() -> Case:
    """A user's own scaling between two convolutions, and a crop of the time axis."""

    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1, 6, 1))

        def forward(self, x):
            return (x * self.gain)[:, :, :-2]

    net = nn.Sequential(nn.Conv1d(3, 6, 3, padding=2), Scale(), nn.SiLU(), nn.Conv1d(6, 4, 1), nn.AdaptiveMaxPool1d(1))
    return Case(net, normal(N, 3, 9), {
        "1": ("0", "nup", 6), "2": ("1", "nup", 6), "3": ("2", "nup", 4), "4": ("3", "nu?", 4),
    })  # fmt: skip


UNSEEN = [
    wavenet, windows, super_resolution, point_net, cells, packed_input, film, codebook, experts, graph, perceiver,
    hard_swish, rectifiers, video, spectral, dataclass_input, bottleneck_crop, silent_both,
]  # fmt: skip
