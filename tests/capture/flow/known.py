"""Architectures that were at hand while the rules were written."""

import torch
from tests.capture.flow.cases import Case, N, Net, mask, normal, tokens
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import rnn
from torch.utils.checkpoint import checkpoint


def plain() -> Case:
    net = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Identity(), nn.Dropout(), nn.Linear(7, 4))
    return Case(net, normal(N, 5), {
        "0": ("input", "nu", 7), "1": ("0", "nu", 7), "2": ("=1", "nu", 7), "3": ("=1", "nu", 7),
        "4": ("1", "nu", 4), "output": ("=4", "nu", 4),
    })  # fmt: skip


def convolutional() -> Case:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 4))
    return Case(net, normal(N, 3, 8, 8), {
        "0": ("input", "nupp", 6), "1": ("0", "nupp", 6), "2": ("1", "nupp", 6), "3": ("=2", "nu", 54),
        "4": ("2", "nu", 4),
    })  # fmt: skip


def residual() -> Case:
    def run(net, x):
        h = F.relu(net.b1(net.c1(x)), inplace=True)
        return net.fc(F.relu(net.b2(net.c2(h)).add_(net.short(x))).mean((2, 3)))

    net = Net(
        run, c1=nn.Conv2d(3, 6, 3, padding=1), b1=nn.BatchNorm2d(6), c2=nn.Conv2d(6, 6, 3, padding=1),
        b2=nn.BatchNorm2d(6), short=nn.Conv2d(3, 6, 1), fc=nn.Linear(6, 2),
    )  # fmt: skip
    return Case(net, normal(N, 3, 6, 6), {
        "b1": ("c1", "nupp", 6), "relu": ("b1", "nupp", 6), "c2": ("relu", "nupp", 6), "short": ("input", "nupp", 6),
        "relu#2": ("b2 short", "nupp", 6), "fc": ("relu#2", "nu", 2),
    })  # fmt: skip


def dense() -> Case:
    def run(net, x):
        h = torch.cat([x, net.a(x)], 1)
        return net.c(torch.cat([h, net.b(h)], 1))

    net = Net(run, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(7, 5, 1), c=nn.Conv2d(12, 6, 1))
    return Case(net, normal(N, 3, 5, 5), {"b": ("input a", "nupp", 5), "c": ("input a b", "nupp", 6)})


def u_net() -> Case:
    def run(net, x):
        h = net.down(x)
        return net.out(torch.cat([h, net.up(F.relu(net.mid(F.max_pool2d(h, 2))))], 1))

    net = Net(
        run, down=nn.Conv2d(3, 4, 3, padding=1), mid=nn.Conv2d(4, 8, 3, padding=1),
        up=nn.ConvTranspose2d(8, 4, 2, 2), out=nn.Conv2d(8, 2, 1),
    )  # fmt: skip
    return Case(net, normal(N, 3, 8, 8), {
        "mid": ("down", "nupp", 8), "up": ("relu", "nupp", 4), "out": ("down up", "nupp", 2),
    })  # fmt: skip


def temporal() -> Case:
    class Chomp(nn.Module):
        def forward(self, x):
            return x[:, :, :-2]

    net = nn.Sequential(nn.Conv1d(4, 6, 3, padding=2), Chomp(), nn.ReLU(), nn.Conv1d(6, 5, 3), nn.GLU(2))
    return Case(net, normal(N, 4, 10), {
        "0": ("input", "nup", 6), "1": ("0", "nup", 6), "2": ("1", "nup", 6), "3": ("2", "nup", 5),
        "4": ("3", "nup", 5),
    })  # fmt: skip


def gated() -> Case:
    def run(net, x):
        a, b = net.c(x).chunk(2, -1)
        return net.d(a * torch.sigmoid(b))

    return Case(Net(run, c=nn.Linear(4, 12), d=nn.Linear(6, 5)), normal(N, 9, 4), {
        "c": ("input", "npu", 12), "sigmoid": ("c", "npu", 6), "d": ("c sigmoid", "npu", 5),
    })  # fmt: skip


def channels_last() -> Case:
    def run(net, x):
        h = net.stem(x)
        return net.pool(
            h + (net.gain * net.b(net.act(net.a(net.n(net.dw(h).permute(0, 2, 3, 1)))))).permute(0, 3, 1, 2)
        )

    net = Net(
        run, stem=nn.Conv2d(3, 6, 2, 2), dw=nn.Conv2d(6, 6, 3, padding=1, groups=6), n=nn.LayerNorm(6),
        a=nn.Linear(6, 24), act=nn.GELU(), b=nn.Linear(24, 6), gain=nn.Parameter(torch.ones(6)),
        pool=nn.AdaptiveAvgPool2d(2),
    )  # fmt: skip
    return Case(net, normal(N, 3, 8, 8), {
        "dw": ("stem", "nupp", 6), "n": ("dw", "nppu", 6), "act": ("a", "nppu", 24), "b": ("act", "nppu", 6),
        "pool": ("stem b", "nupp", 6),
    })  # fmt: skip


def vision_transformer() -> Case:
    def attend(net, x):
        n, t, d = x.shape
        q, k, v = net.qkv(net.n1(x)).reshape(n, t, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
        return net.o(((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).reshape(n, t, d))

    def run(net, x):
        x = net.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([net.first.expand(len(x), -1, -1), x], 1) + net.place
        x = x + attend(net, x)
        x = x + net.mlp(net.n2(x))
        return net.head(x[:, 0])

    net = Net(
        run, patch=nn.Conv2d(3, 8, 4, 4), first=nn.Parameter(torch.randn(1, 1, 8)), n1=nn.LayerNorm(8),
        place=nn.Parameter(torch.randn(1, 5, 8)), qkv=nn.Linear(8, 24), o=nn.Linear(8, 8), n2=nn.LayerNorm(8),
        mlp=nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 8)), head=nn.Linear(8, 2),
    )  # fmt: skip
    return Case(net, normal(N, 3, 8, 8), {
        "patch": ("input", "nupp", 8), "n1": ("patch", "npu", 8), "qkv": ("n1", "npu", 24), "o": ("qkv", "npu", 8),
        "n2": ("patch o", "npu", 8), "mlp.2": ("=mlp.1",), "mlp.3": ("mlp.1", "npu", 8), "mlp": ("=mlp.3",),
        "head": ("patch o mlp.3", "nu", 2),
    })  # fmt: skip


def mixer() -> Case:
    def run(net, x):
        x = x + net.t2(F.gelu(net.t1(net.n(x).transpose(1, 2)))).transpose(1, 2)
        return x + net.c(x)

    net = Net(run, n=nn.LayerNorm(6), t1=nn.Linear(5, 10), t2=nn.Linear(10, 5), c=nn.Linear(6, 6))
    return Case(net, normal(N, 5, 6), {
        "t1": ("n", "npu", 10), "t2": ("gelu", "npu", 5), "c": ("input t2", "npu", 6),
        "output": ("input t2 c", "npu", 6),
    })  # fmt: skip


def recurrent() -> Case:
    def run(net, x):
        return net.head(net.r(net.e(x).transpose(0, 1))[0].mean(0))

    return Case(
        Net(run, e=nn.Embedding(20, 5), r=nn.LSTM(5, 4, bidirectional=True), head=nn.Linear(8, 2)), tokens(6),
        {"e": ("input", "npu", 5), "r": ("e", "pnu", 8), "head": ("r", "nu", 2)},
    )  # fmt: skip


def packed() -> Case:
    def run(net, x):
        out = rnn.pack_padded_sequence(x, torch.tensor([6, 4, 3, 3]), batch_first=True)
        return net.head(rnn.pad_packed_sequence(net.r(out)[0], batch_first=True)[0])

    return Case(Net(run, r=nn.GRU(5, 7, batch_first=True), head=nn.Linear(7, 2)), normal(N, 6, 5), {
        "r": ("input", "npu", 7), "head": ("r", "npu", 2),
    })  # fmt: skip


def siamese() -> Case:
    def run(net, a, b):
        return net.head(torch.cat([net.f(a), net.f(b)], 1))

    net = Net(run, f=nn.Sequential(nn.Linear(5, 6), nn.ReLU()), head=nn.Linear(12, 2))
    return Case(net, (normal(N, 5), normal(N, 5)), {
        "f.0": ("input[0]", "nu", 6), "f.0#2": ("input[1]", "nu", 6), "f#2": ("=f.1#2", "nu", 6),
        "head": ("f.1 f.1#2", "nu", 2),
    })  # fmt: skip


def several_heads() -> Case:
    def run(net, x):
        h = net.t(x).relu()
        return {"a": net.a(h), "b": net.b(h)}

    return Case(Net(run, t=nn.Linear(5, 6), a=nn.Linear(6, 2), b=nn.Linear(6, 3)), normal(N, 5), {
        "a": ("relu", "nu", 2), "b": ("relu", "nu", 3), "output": ("=a",), "output[1]": ("=b",),
    })  # fmt: skip


def excite() -> Case:
    def run(net, x):
        h = net.c(x)
        return net.o(h * torch.sigmoid(net.f2(F.relu(net.f1(h.mean((2, 3))))))[:, :, None, None])

    net = Net(run, c=nn.Conv2d(3, 8, 3), f1=nn.Linear(8, 2), f2=nn.Linear(2, 8), o=nn.Conv2d(8, 4, 1))
    return Case(net, normal(N, 3, 6, 6), {
        "f1": ("c", "nu", 2), "f2": ("relu", "nu", 8), "o": ("c sigmoid", "nupp", 4),
    })  # fmt: skip


def autoencoder() -> Case:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(64, 5), nn.Linear(5, 64), nn.Unflatten(1, (4, 4, 4)),
        nn.ConvTranspose2d(4, 3, 2, 2),
    )  # fmt: skip
    return Case(net, normal(N, 3, 8, 8), {
        "1": ("=0", "nu", 64), "3": ("2", "nu", 64), "4": ("=3", "nupp", 4), "5": ("3", "nupp", 3),
    })  # fmt: skip


class Rectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)


class RectifyElsewhere(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(x.detach().numpy().clip(0))


def by_hand() -> Case:
    def run(net, x):
        h = net.b(net.a(x).clamp(min=0))
        h = net.c(torch.maximum(h, torch.tensor(0.0)))
        h = net.d(h * (h > 0))
        h = net.e(torch.where(h > 0, h, torch.zeros(())))
        h = net.f(torch.sin(h))
        h = net.g(0.5 * h * (1 + torch.erf(h / 2**0.5)))
        return net.i(Rectify.apply(net.h(h.abs())))

    return Case(Net(run, **{name: nn.Linear(5, 5) for name in "abcdefghi"}), normal(N, 5), {
        "b": ("clamp",), "c": ("maximum",), "d": ("gate",), "e": ("where",), "f": ("sin",), "g": ("erf",),
        "h": ("abs",), "i": ("clamp#2",), "clamp": ("a", "nu", 5), "gate": ("c", "nu", 5), "erf": ("f", "nu", 5),
    }, activations={"clamp": True, "maximum": True, "gate": True, "where": True, "sin": False, "erf": False,
                    "abs": False, "clamp#2": True})  # fmt: skip


def elsewhere() -> Case:
    def run(net, x):
        return net.c(net.b(RectifyElsewhere.apply(net.a(x))))

    return Case(Net(run, a=nn.Linear(5, 6), b=nn.Linear(6, 4), c=nn.Linear(4, 2)), normal(N, 5), {
        "b": ("a ?", "nu", 4), "c": ("b", "nu", 2),
    })  # fmt: skip


def writing() -> Case:
    def run(net, x, extra):
        x[:, 0] = 0
        x += 2
        extra["b"].relu_()
        return net.b(net.a(x) + extra["b"])

    inputs = (normal(N, 5), {"a": normal(N, 6), "b": normal(N, 6)})
    return Case(Net(run, a=nn.Linear(5, 6), b=nn.Linear(6, 2)), inputs, {
        "a": ("input[0]", "nu", 6), "b": ("a relu", "nu", 2),
    }, writes=("input[0]", "input[1]['b']"))  # fmt: skip


def scattered() -> Case:
    def run(net, x):
        y = torch.zeros(len(x), 8)
        y[:, :4] = net.a(x)
        y[:, 4:].copy_(net.b(x))
        return net.c(torch.zeros(len(x), 10).scatter(1, torch.arange(8).expand(len(x), 8), y))

    return Case(Net(run, a=nn.Linear(5, 4), b=nn.Linear(5, 4), c=nn.Linear(10, 2)), normal(N, 5), {"c": ("a b",)})


def without_gradient() -> Case:
    def run(net, x):
        with torch.no_grad():
            h = net.a(x)
        return net.c(checkpoint(lambda z: net.b(z).relu(), h, use_reentrant=False))

    return Case(Net(run, a=nn.Linear(5, 6), b=nn.Linear(6, 6), c=nn.Linear(6, 2)), normal(N, 5), {
        "b": ("a", "nu", 6), "c": ("relu", "nu", 2),
    })  # fmt: skip


def encoder() -> Case:
    def run(net, ids, pad_mask):
        return net.head(net.t(net.e(ids), src_key_padding_mask=pad_mask).mean(1))

    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = Net(
        run, e=nn.Embedding(20, 8), t=nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), head=nn.Linear(8, 2)
    )
    return Case(net, {"ids": tokens(6), "pad_mask": mask(6, 6, 4, 5, 3) == 0}, {
        "t.layers.0.self_attn": ("e", "npu", 8), "t.layers.0.norm1": ("e t.layers.0.self_attn", "npu", 8),
        "head": ("t.layers.0.norm2", "nu", 2),
    }, masks={"t.layers.0.linear1": ("input['pad_mask']", "padding"), "head": None})  # fmt: skip


def frames() -> Case:
    def run(net, x):
        h = net.c(x.flatten(0, 1)).mean((2, 3)).view(x.shape[0], x.shape[1], -1)
        return net.r(net.h(h))[0]

    net = Net(run, c=nn.Conv2d(3, 4, 3), h=nn.Linear(4, 5), r=nn.GRU(5, 6, batch_first=True))
    return Case(net, normal(N, 7, 3, 6, 6), {"c": ("input", "nupp", 4), "h": ("c", "npu", 5), "r": ("h", "npu", 6)})


KNOWN = [
    plain, convolutional, residual, dense, u_net, temporal, gated, channels_last, vision_transformer, mixer, recurrent,
    packed, siamese, several_heads, excite, autoencoder, by_hand, elsewhere, writing, scattered, without_gradient,
    encoder, frames,
]  # fmt: skip
