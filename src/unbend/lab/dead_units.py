"""Wide layers keep more ReLUs alive in number; what share dies is decided by rate, biases and normalisation.

A ReLU that is zero on some inputs is sparse, and that is its job; one that is zero on all of them is dead and no
longer learns. With Adam at a large rate the dead share of a layer grows with its width, at a small one it does not.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure
from torch import nn

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, band, legend
from unbend.numerics.result import result

RATES = (1e-3, 1e-2, 3e-2)
BIASES = (-1.0, -0.5, 0.0, 0.5)
REMEDIES = ("PyTorch's weights", "He's weights", "batch norm")
BIAS_WIDTH = 128
N_SEEDS = 3
"""Nets of each kind: the dead share of a narrow one, of 32 units, moves by a tenth from seed to seed."""


@result
class DeadUnits:
    """Shares of dead ReLUs after training nets with two hidden layers on real digits.

    A unit is dead when it is 0 on every training sample; shares are of all hidden units.

    Attributes:
        widths: of the hidden layers.
        rates: of Adam.
        dead: after the training, by rate, seed and width.
        zeros: share of zeros among all activations, the same way.
        accuracy: on held-out digits, the same way.
        born_dead: share of dead units before the training, by seed and width.
        sgd_rate: of plain gradient descent, for comparison.
        sgd_dead: dead share after the same steps of it, by seed and width.
        biases: constants that all biases started from, at width 128 and the smallest rate.
        remedies: how the weights of those nets were drawn, or what normalised them.
        bias_dead: dead share by remedy, seed and bias.
        bias_accuracy: on held-out digits, the same way.
        fast_dead: dead share of the widest nets after training at the largest rate, by remedy and seed.
        low_dead: dead share of nets whose biases started from the lowest constant, by seed and width.
        n: training samples on which a dead unit is 0.
    """

    widths: Int64[np.ndarray, " w"]
    rates: Float64[np.ndarray, " r"]
    dead: Float64[np.ndarray, "r s w"]
    zeros: Float64[np.ndarray, "r s w"]
    accuracy: Float64[np.ndarray, "r s w"]
    born_dead: Float64[np.ndarray, "s w"]
    sgd_rate: float
    sgd_dead: Float64[np.ndarray, "s w"]
    biases: Float64[np.ndarray, " b"]
    remedies: tuple[str, ...]
    bias_dead: Float64[np.ndarray, "m s b"]
    bias_accuracy: Float64[np.ndarray, "m s b"]
    fast_dead: Float64[np.ndarray, "m s"]
    low_dead: Float64[np.ndarray, "s w"]
    n: int


def run(seed: int = 0, budget: Budget = "full") -> DeadUnits:
    """Train nets of several widths at several rates, then nets with several first biases."""
    data = zoo.data("digits", seed=seed)
    is_quick = budget == "quick"
    n_seeds, widths = N_SEEDS, (16, 64, 256) if is_quick else (16, 32, 64, 128, 256)
    rates, biases = (RATES[::2], BIASES[:3]) if is_quick else (RATES, BIASES)
    shape = (len(rates), n_seeds, len(widths))
    dead, zeros, accuracy = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    born, sgd_dead = np.zeros(shape[1:]), np.zeros(shape[1:])
    bias_dead = np.zeros((len(REMEDIES), n_seeds, len(biases)))
    bias_accuracy = np.zeros_like(bias_dead)
    fast_dead, low_dead = np.zeros((len(REMEDIES), n_seeds)), np.zeros(shape[1:])
    sgd_rate = 0.5
    for s in range(n_seeds):
        own = 100 * seed + s
        for w, width in enumerate(widths):
            born[s, w] = _dead_and_zeros(_net(width, own), data)[0]
            for r, rate in enumerate(rates):
                net = _train(_net(width, own), data, own, rate, "adam")
                dead[r, s, w], zeros[r, s, w] = _dead_and_zeros(net, data)
                accuracy[r, s, w] = zoo.accuracy(net, *data.test)
            sgd_dead[s, w] = _dead_and_zeros(_train(_net(width, own), data, own, sgd_rate, "sgd"), data)[0]
            low = _train(_net(width, own, bias=biases[0]), data, own, rates[0], "adam")
            low_dead[s, w] = _dead_and_zeros(low, data)[0]
        for m, remedy in enumerate(REMEDIES):
            fast = _train(_net(widths[-1], own, remedy), data, own, rates[-1], "adam")
            fast_dead[m, s] = _dead_and_zeros(fast, data)[0]
            for b, bias in enumerate(biases):
                net = _train(_net(BIAS_WIDTH, own, remedy, bias), data, own, rates[0], "adam")
                bias_dead[m, s, b] = _dead_and_zeros(net, data)[0]
                bias_accuracy[m, s, b] = zoo.accuracy(net, *data.test)
    return DeadUnits(
        widths=np.array(widths), rates=np.array(rates), dead=dead, zeros=zeros, accuracy=accuracy, born_dead=born,
        sgd_rate=sgd_rate, sgd_dead=sgd_dead, biases=np.array(biases), remedies=REMEDIES, bias_dead=bias_dead,
        bias_accuracy=bias_accuracy, fast_dead=fast_dead, low_dead=low_dead, n=len(data.x_train),
    )  # fmt: skip


def _net(width: int, seed: int, remedy: str = "", bias: float | None = None) -> nn.Sequential:
    net = zoo.mlp([64, width, width, 10], norm="batch" if remedy == "batch norm" else None, seed=seed)
    rule: Literal["he", "torch"] = "he" if remedy == "He's weights" else "torch"
    return zoo.initialise(net, zoo.Initial(rule, bias=bias), seed=seed)


def _train(
    net: nn.Sequential, data: zoo.DataSet, seed: int, rate: float, optimizer: Literal["adam", "sgd"]
) -> nn.Sequential:
    zoo.train(net, *data.train, zoo.Recipe(epochs=5, batch_size=64, optimizer=optimizer, rate=rate), seed=seed)
    return net


def _dead_and_zeros(net: nn.Sequential, data: zoo.DataSet) -> tuple[float, float]:
    """The share of hidden units that are 0 on all training samples, and the share of zeros."""
    bends = [name for name, module in net.named_modules() if isinstance(module, nn.ReLU)]
    rows = unbend.representations(net, data.x_train, layers=bends).values()
    is_zero = np.concatenate([(h == 0).numpy() for h in rows], axis=1)
    return float(is_zero.all(axis=0).mean()), float(is_zero.mean())


def holds(result: DeadUnits) -> Verdict:
    """More units live in wider layers, yet their dead share rises at a large rate, and follows the biases."""
    dead, fast, slow = np.median(result.dead, axis=1), len(result.rates) - 1, 0
    plain, he, norm = (np.median(rows, axis=0) for rows in result.bias_dead)
    low, zero = 0, int(np.flatnonzero(result.biases == 0)[0])
    half = int(np.flatnonzero(result.biases == -0.5)[0])
    alive = 2 * result.widths * (1 - dead)
    fast_plain, fast_he, fast_norm = np.median(result.fast_dead, axis=1)
    checks = (
        *(
            Check(
                f"units alive at rate {rate:g}: width {result.widths[-1]} over width {result.widths[0]}",
                float(row[-1] / row[0]), 2.0, float(result.widths[-1] / result.widths[0]) * 1.5,
                "as a count the claim is right: 27 → 222 and more seen",
            )
            for rate, row in zip(result.rates, alive, strict=True)
        ),
        Check(
            f"dead share at rate {result.rates[fast]:g}: widest minus narrowest, mean",
            float((result.dead[fast, :, -1] - result.dead[fast, :, 0]).mean()),
            0.03, 1.0, "a share need not fall with width; +0.13 to +0.40 seen in single nets, 0.22 in their mean",
        ),
        Check(
            "dead share of the widest: largest rate minus smallest", float(dead[fast, -1] - dead[slow, -1]),
            0.2, 1.0, "+0.42 to +0.56 seen over seeds",
        ),
        Check(
            "zeros minus dead, widest, smallest rate",
            float(np.median(result.zeros, axis=1)[slow, -1] - dead[slow, -1]),
            0.02, 1.0, "sparse is not dead: live units are zero on some samples too",
        ),
        Check(
            f"least dead share at any width, biases from {result.biases[low]:g}", float(result.low_dead.min()),
            0.95, 1.0, "no unit is ever on, however many there are",
        ),
        Check(
            f"held-out accuracy, biases from {result.biases[low]:g}", float(np.median(result.bias_accuracy[0, :, low])),
            0.0, 0.2, "nothing learns but the output's biases; chance is 0.1",
        ),
        Check(f"dead share, biases from {result.biases[zero]:g}", float(plain[zero]), 0.0, 0.2, "0.08 to 0.12 seen"),
        Check(
            f"He's weights, biases from {result.biases[half]:g}: dead share below PyTorch's by",
            float(plain[half] - he[half]), 0.1, 1.0, "weights twice as large outweigh the bias; 0.41 to 0.62 seen",
        ),
        Check(
            f"He's weights, biases from {result.biases[low]:g}: dead share", float(he[low]), 0.3, 1.0,
            "0.68 to 0.76 seen: they help, and do not prevent it",
        ),
        Check("batch norm: largest dead share", float(norm.max()), 0.0, 0.02, "normalised before the ReLU: 0 seen"),
        Check(f"batch norm at rate {result.rates[fast]:g}, widest: dead share", float(fast_norm), 0.0, 0.05, "0 seen"),
        Check(
            f"He's weights at rate {result.rates[fast]:g}, widest: dead share over PyTorch's",
            float(fast_he / fast_plain), 0.5, 2.0, "they help at birth, not against deaths in training",
        ),
    )  # fmt: skip
    truth = (
        "As a count it is true: more units stay alive in a wider layer. Their dead share need not fall: under Adam at "
        "a large rate it rises with width, and low first biases kill layers of any width; batch norm prevents both, "
        "He's weights only lessen the second."
    )
    return Verdict("holds with a condition", truth, checks)


def finding(result: DeadUnits) -> str:
    """Dead shares by width, rate and bias."""
    dead = np.median(result.dead, axis=1)
    plain, he, norm = (np.median(rows, axis=0) for rows in result.bias_dead)
    few, many = (2 * result.widths[w] * (1 - dead[-1, w]) for w in (0, -1))
    return (
        f"At rate {result.rates[-1]:g} {percent(dead[-1, 0])} of the ReLUs die at width {result.widths[0]} and "
        f"{percent(dead[-1, -1])} at width {result.widths[-1]}, which leaves {few:.0f} and {many:.0f} alive; "
        f"at rate {result.rates[0]:g} it is {percent(dead[0, 0])} and {percent(dead[0, -1])}. With biases from "
        f"{result.biases[1]:g} {percent(plain[1])} are dead, {percent(he[1])} with He's weights and "
        f"{percent(norm[1])} with batch norm."
    )


def draw(result: DeadUnits, figure: Figure) -> None:
    """The dead share against width, and against the first biases."""
    figure.set_size_inches(8.0, 3.6)
    figure.set_layout_engine("constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for rate, rows, color, mark in zip(result.rates, result.dead, (GREEN, ORANGE, VERMILION), "^so", strict=False):
        band(left, result.widths, rows, color=color, label=f"Adam, rate {rate:g}", mark=mark)
    band(left, result.widths, result.sgd_dead, color=BLUE, label=f"SGD, rate {result.sgd_rate:g}", mark="D", style="--")
    band(left, result.widths, result.born_dead, color=GREY, label="before training", mark=".", style=":")
    left.set_xscale("log", base=2)
    left.set_xticks(result.widths, [str(width) for width in result.widths])
    left.set(xlabel="units per hidden layer", ylabel="dead share of the hidden units", ylim=(-0.03, 1.03))
    for name, rows, color, mark in zip(result.remedies, result.bias_dead, (VERMILION, BLUE, SKY), "os^", strict=True):
        band(right, result.biases, rows, color=color, label=name, mark=mark)
    right.set(xlabel="all biases start from", ylabel="dead share of the hidden units")
    right.set_title(f"width {BIAS_WIDTH}, Adam, rate {result.rates[0]:g}", fontsize=8)
    left.set_title(f"dead: 0 on all {result.n:,} training samples", fontsize=8)
    legend(left)
    legend(right)


CLAIM = Claim(
    name="dead_units",
    section="Training",
    told="Wide layers keep enough ReLUs alive.",
    told_by="articles on activations",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Glorot, Bordes & Bengio 2011; He et al. 2015; Ioffe & Szegedy 2015",
)
