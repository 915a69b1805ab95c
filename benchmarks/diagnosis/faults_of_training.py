"""Faults of training and of evaluation: rates, lengths, dead and saturated units, statistics, numbers that overflow.

In: a setup. Out: the case with the fault, or its sound twin.
"""

import torch
from benchmarks.diagnosis.data import Parts
from benchmarks.diagnosis.fault import (
    DEAD,
    EXPLODE,
    HEAD,
    HIGH,
    LARGE,
    LOST,
    OVER,
    SATURATED,
    UNDER,
    UNTRAINED,
    VANISH,
    case,
    fault,
)
from benchmarks.diagnosis.networks import chain, mlp
from torch import nn
from torch.nn import functional as F

AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d)


def affine_layers(net):
    return [(n, m) for n, m in net.named_modules() if isinstance(m, AFFINE)]


@fault("rate too high", "mlp, conv, vit, gru, tanh", causes=[HIGH], symptoms=[DEAD, SATURATED, EXPLODE, LARGE, [r"nan|not finite|infinite"], LOST, UNDER],
       examples=["The training diverged.", "The weights have blown up: lower the learning rate.", "The learning rate is too high."])  # fmt: skip
def rate_high(setup):
    return case(setup, setup.train(rate=1.0 if setup.is_faulty else None))


@fault("rate too low", "mlp, conv, regression, lstm, two branches", causes=[UNDER], symptoms=[UNTRAINED, HEAD],
       examples=["The network is under-fitted: its loss is still falling.", "The learning rate is too low, or it was trained too short: train longer."])  # fmt: skip
def rate_low(setup):
    return case(setup, setup.train(rate=2e-5 if setup.is_faulty else None))


@fault("never trained", "mlp, conv, vit, lstm, regression, one logit", causes=[UNTRAINED], symptoms=[UNDER, HEAD],
       examples=["The network was never trained.", "All weights are equal to a fresh draw.", "The network is untrained: its weights have their initial values."])  # fmt: skip
def never_trained(setup):
    return case(setup, setup.train(epochs=0 if setup.is_faulty else None))


@fault("stopped early", "mlp, conv, tcn, gru, smooth regression, sigmoid", causes=[UNDER], symptoms=[UNTRAINED, HEAD],
       examples=["The network is under-trained: more epochs lower the loss.", "Training was stopped too early: the loss still falls."])  # fmt: skip
def stopped_early(setup):
    return case(setup, setup.train(epochs=1 if setup.is_faulty else None, batch=150 if setup.is_faulty else 50))


@fault("over-fitted", "mlp, conv, two branches, smooth regression", causes=[OVER], symptoms=[HEAD, [r"too few rows|rows per"]],
       examples=["The network over-fits: 1.000 in training, 0.712 held out.", "It memorises its training rows.", "What it learned does not carry over to held-out rows."])  # fmt: skip
def over_fitted(setup):
    if not setup.is_faulty:
        return case(setup, setup.train())
    x, y = setup.parts.train
    rows = x[:80], y[:80]
    return case(setup, setup.train(rows=rows, epochs=150), train=rows)


def hidden(net):
    """An affine layer in the middle, and its name."""
    layers = affine_layers(net)
    return layers[min(1, len(layers) - 2)]


def around(net, name):
    """The layer, and the activation that stands behind it."""
    names = [n for n, _ in net.named_modules()]
    return name, *(n for n in names[names.index(name) + 1 : names.index(name) + 2])


@fault("dead by a bias", "mlp, conv, tcn, regression", causes=[DEAD], symptoms=[LOST, HEAD, UNDER, VANISH, UNTRAINED],
       examples=["48 of 48 units of act2 are dead.", "Units of fc2 never fire: their bias is far below zero.", "Most units of act2 are silent."])  # fmt: skip
def dead_bias(setup):
    net = setup.kind.build()
    name, layer = hidden(net)
    places = around(net, name)
    if setup.is_faulty:
        layer.bias.data[: max(1, round(0.95 * len(layer.bias)))] -= 30.0
    return case(setup, setup.train(net), places=(*places, name.rpartition(".")[0] or name))


@fault("dead by a high rate", "mlp, conv, regression", causes=[DEAD, HIGH], symptoms=[LOST, HEAD, UNDER, LARGE, EXPLODE],
       examples=["31 of 32 units of act2 are dead.", "The learning rate is too high."])  # fmt: skip
def dead_rate(setup):
    return case(setup, setup.train(rate=0.2 if setup.is_faulty else None))


@fault("saturated", "tanh, sigmoid", causes=[SATURATED, LARGE], symptoms=[VANISH, LOST, HEAD, OVER],
       examples=["96 % of the values of act1 are saturated.", "The weights of fc1 are too large: ten times those of a fresh draw.", "The units of act2 saturate."])  # fmt: skip
def saturated(setup):
    net = setup.kind.build()
    if setup.is_faulty:
        for part in (net.fc1, net.fc2):
            part.weight.data *= 40
    return case(setup, setup.train(net, rate=0.002), places=("fc1", "act1", "fc2", "act2"))


def deep(act, gain, width=48, depth=9):
    net = mlp(64, *[width] * depth, 10, act=act)
    for _, part in affine_layers(net):
        nn.init.xavier_normal_(part.weight, gain)
        nn.init.zeros_(part.bias)
    return net


@fault("vanishing, deep sigmoid", "mlp", causes=[VANISH, [r"sigmoid", r"deep|in a row|stack|layers"]], symptoms=[UNDER, UNTRAINED, LOST, HEAD, SATURATED],
       examples=["Gradients vanish on the way to fc1.", "Nine sigmoids in a row: the gradient fades.", "The gradients of the first layers are tiny."])  # fmt: skip
def vanishing_sigmoid(setup):
    act, gain = (nn.Sigmoid, 1.0) if setup.is_faulty else (nn.Tanh, 1.0)
    return case(setup, setup.train(deep(act, gain), rate=0.001))


@fault("vanishing, small initial weights", "tanh", causes=[VANISH, [r"weights?|initial\w*", r"too small|tiny|small"]], symptoms=[UNDER, UNTRAINED, LOST, HEAD],
       examples=["Gradients vanish on the way to fc1.", "The initial weights are too small for ten layers.", "The signal shrinks from layer to layer: the weights are tiny, too small."])  # fmt: skip
def vanishing_tanh(setup):
    return case(setup, setup.train(deep(nn.Tanh, 0.04 if setup.is_faulty else 1.0), rate=0.001, epochs=10))


@fault("exploding", "mlp", causes=[EXPLODE, LARGE], symptoms=[DEAD, HIGH, LOST, HEAD, OVER, UNDER],
       examples=["Gradients explode from the last layer to the first.", "Activations grow by 4 a layer: they explode.", "The initial weights are too large."])  # fmt: skip
def exploding(setup):
    return case(setup, setup.train(deep(nn.ReLU, 6.0 if setup.is_faulty else 1.4), rate=0.001))


STALE = [
    [
        r"batch.?norm|running (mean|variance|statistic|average)s?|statistics",
        r"stale|old|batch|differ|do not (fit|match)|wrong|never (updated|moved)|out of date|running|momentum",
    ]
]


@fault("stale BatchNorm statistics", "residual, conv", causes=STALE, symptoms=[HEAD, OVER, LOST, DEAD],
       examples=["The running statistics of BatchNorm are stale: with batch statistics the network gets 97 %.", "BatchNorm's running mean does not match the data."])  # fmt: skip
def stale(setup):
    net = setup.kind.build()
    if hasattr(net, "conv1"):
        for i in (1, 2, 3):
            setattr(net, f"act{i}", chain(norm=nn.BatchNorm2d(12 if i == 1 else 24), relu=nn.ReLU()))
    if setup.is_faulty:
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 0.0005
    rows = Parts(*((3 * x + 2, y) for x, y in (setup.parts.train, setup.parts.test, setup.parts.fresh)))
    return case(setup, setup.train(net, rows=rows.train, rate=0.02), train=rows.train, test=rows.test, world=rows.fresh)


class AlwaysDropped(nn.Module):
    """A functional dropout that forgot whether it is training."""

    def __init__(self, net, place, p):
        super().__init__()
        self.net, self.place, self.p = net, place, p

    def forward(self, x):
        for name, part in self.net.named_children():
            x = part(x)
            if name == self.place:
                x = F.dropout(x, self.p, training=self.p > 0.5 or self.training)
        return x


@fault("dropout active in evaluation", "mlp, conv, regression", causes=[[r"drop-?out", r"evaluat|\bon\b|active|random|training=|every pass|functional|off"], [r"two passes|not deterministic|random", r"evaluat|same rows|differ"]],
       symptoms=[OVER, HEAD, UNDER],
       examples=["Dropout is active in evaluation: two passes over the same rows differ.", "The network is random in evaluation mode: a functional dropout is on."])  # fmt: skip
def dropped(setup):
    net = setup.kind.build()
    place = "flat" if "flat" in dict(net.named_children()) else "act2"
    net = AlwaysDropped(net, place, 0.6 if setup.is_faulty else 0.1)
    return case(setup, setup.train(net))


@fault("weights decayed to nothing", "mlp, conv, regression, two branches, lstm",
       causes=[[r"weights?", r"zero|decay\w*|shr[aiu]nk|nothing|too small|tiny|vanished"], [r"weight decay|regulari[sz]"]],
       symptoms=[LOST, UNDER, UNTRAINED, DEAD, VANISH, HEAD],
       examples=["The weights have decayed to nothing: weight decay is too strong.", "All weights are near zero.", "The weights of fc1 have shrunk to 1 % of a fresh draw."])  # fmt: skip
def decayed(setup):
    return case(setup, setup.train(decay=0.5 if setup.is_faulty else None))


@fault("not a number", "mlp, conv, vit, gru, regression", causes=[[r"\bnans?\b|not (a number|finite)|non-?finite"]], symptoms=[HIGH],
       examples=["Layer fc2 puts out NaN, first of all layers.", "A weight of fc2 is not finite.", "fc2 holds a NaN."])  # fmt: skip
def not_a_number(setup):
    net = setup.train()
    name, layer = next((n, m) for n, m in net.named_modules() if n in ("fc2", "conv2", "block1.mlp.fc1", "cell"))
    weight = layer.weight_hh_l0 if isinstance(layer, nn.GRU) else layer.weight
    if setup.is_faulty:
        weight.data.view(-1)[3] = torch.nan
    return case(setup, net, places=(name, "block1", "block1.mlp") if "." in name else (name,))


OVERFLOW = [[r"overflow|infinit|\binf\b|65[,. ]?504|float16|bfloat16|half precision|\brange of\b|fp16|bf16"]]


def overflowing(setup, dtype, size):
    """The same function in exact arithmetic: one layer larger, the next one smaller by as much."""
    net = setup.train()
    layers = [m for _, m in affine_layers(net)]
    if setup.is_faulty:
        for p in layers[0].parameters():
            p.data *= size
        layers[1].weight.data /= size
    net = net.to(dtype)
    train_, test, world = ((x.to(dtype), y) for x, y in (setup.parts.train, setup.parts.test, setup.parts.fresh))
    name = affine_layers(net)[0][0]
    return case(setup, net, train=train_, test=test, world=world, places=around(net, name))


@fault("float16 overflows", "mlp, two branches", causes=OVERFLOW, symptoms=[[r"nan|not finite"], LARGE, EXPLODE],
       examples=["fc1 overflows in float16: values above 65504.", "fc1 puts out infinite values: the range of float16 ends at 65,504."])  # fmt: skip
def half(setup):
    return overflowing(setup, torch.float16, 2e4)


@fault("bfloat16 overflows", "mlp, series mlp", causes=OVERFLOW, symptoms=[[r"nan|not finite"], LARGE, EXPLODE],
       examples=["fc1 overflows in bfloat16.", "fc1 puts out infinite values."])  # fmt: skip
def brain_half(setup):
    return overflowing(setup, torch.bfloat16, 2.5e38)
