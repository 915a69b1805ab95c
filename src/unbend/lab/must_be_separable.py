"""Data that reach the output layer need not be separable: only a net without a training error proves that they are.

The output layer of a two-class net is a hyperplane in the last hidden layer. Without a training error that hyperplane
is itself the proof of separability; with errors the layer may or may not be separable, and both happen. And a
random layer of n - 1 units separates any labels of n points, so "separable" does not say that anything was learned.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from matplotlib.figure import Figure
from torch import nn

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREY, ORANGE, VERMILION, legend
from unbend.numerics.result import result
from unbend.numerics.separable import Overlap, Separation

N_RANDOM = 60
WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
ACTIVATION = "tanh"


@result
class MustBeSeparable:
    """Nets of several widths on classes that overlap a little, and random layers under random labels.

    Attributes:
        n_train: training samples.
        width: units of the one hidden layer of every net.
        step: after how many steps it was asked.
        accuracy: training accuracy.
        held_out: held-out accuracy.
        is_separation: a proof was accepted that the last hidden layer is linearly separable.
        is_overlap: a proof was accepted that it is not.
        head_is_proof: the output layer's own weights were accepted as the proof of separability.
        random_n: points with labels by coin flip.
        random_draws: draws of a random layer, points and labels, at every width.
        random_width: units of a random layer.
        random_share: share of draws in which the random layer separates them.
        random_held_out: accuracy of the separating read-outs on other points with coin-flip labels.
    """

    n_train: int
    width: Int64[np.ndarray, " m"]
    step: Int64[np.ndarray, " m"]
    accuracy: Float64[np.ndarray, " m"]
    held_out: Float64[np.ndarray, " m"]
    is_separation: Bool[np.ndarray, " m"]
    is_overlap: Bool[np.ndarray, " m"]
    head_is_proof: Bool[np.ndarray, " m"]
    random_n: int
    random_draws: int
    random_width: Int64[np.ndarray, " r"]
    random_share: Float64[np.ndarray, " r"]
    random_held_out: float


def run(seed: int = 0, budget: Budget = "full") -> MustBeSeparable:
    """Train nets of many widths on noisy moons, and ask of each whether its last hidden layer is separable."""
    data = zoo.moons(160, noise=0.25, held_out=0.5, seed=seed)
    n_seeds, n_draws = (3, 20) if budget == "quick" else (10, 100)
    nets = [zoo.Net((2, d, 1), ACTIVATION, seed=1000 * seed + s) for d in WIDTHS for s in range(n_seeds)]
    recipe = zoo.Recipe(epochs=2000, rate=0.03)
    fleet = zoo.many(nets, *data.train, recipe, keep_every=200, engine="compiled")
    times = [(i, kept) for kept in (1, -1) for i in range(len(nets))]
    asked = [ask(zoo.net_of(fleet, i, kept=kept), data) for i, kept in times]
    accuracy, held_out, separation, overlap, proof = zip(*asked, strict=True)

    rng = np.random.default_rng(seed)
    random_width = (5, 15, 25, 29, 35, 45, N_RANDOM - 1)
    draws = [[random_layer(d, rng) for _ in range(n_draws)] for d in random_width]
    scores = [score for row in draws for score in row if score is not None]
    return MustBeSeparable(
        n_train=len(data.x_train),
        width=np.array([nets[i].widths[1] for i, _ in times]),
        step=np.array([fleet.steps[kept] for _, kept in times]),
        accuracy=np.array(accuracy),
        held_out=np.array(held_out),
        is_separation=np.array(separation),
        is_overlap=np.array(overlap),
        head_is_proof=np.array(proof),
        random_n=N_RANDOM,
        random_draws=n_draws,
        random_width=np.array(random_width),
        random_share=np.array([np.mean([score is not None for score in row]) for row in draws]),
        random_held_out=float(np.mean(scores or [np.nan])),
    )


def ask(net: nn.Sequential, data: zoo.DataSet) -> tuple[float, float, bool, bool, bool]:
    """Both accuracies, whether the hidden layer is proved separable, or proved not, and whether the head proves it."""
    net = net.double()
    x, y = data.x_train.double(), data.y_train
    h = unbend.representations(net, x, layers=["1"])["1"]
    verdict = unbend.separate(h, y)
    is_proved = verdict.verify(h, y)
    accuracy, held_out = zoo.accuracy(net, x, y), zoo.accuracy(net, data.x_test.double(), data.y_test)
    if not isinstance(verdict, Separation):
        return accuracy, held_out, False, isinstance(verdict, Overlap) and is_proved, False
    weight, bias = (p.detach().numpy() for p in net[-1].parameters())
    own = replace(verdict, weight=weight[0], bias=float(bias[0]), weight_low=None, bias_low=0.0, margin=0.0)
    return accuracy, held_out, is_proved, False, replace(own, robustness=0.0).verify(h, y)


def random_layer(d: int, rng: np.random.Generator) -> float | None:
    """A random layer on points with coin-flip labels: the read-out's accuracy on others, or None if none separates."""
    weight, bias = rng.normal(size=(2, d)) * 3, rng.normal(size=d) * 3
    x, y = rng.normal(size=(2 * N_RANDOM, 2)), rng.integers(0, 2, 2 * N_RANDOM)
    h = zoo.activation(ACTIVATION)(torch.from_numpy(x @ weight + bias)).numpy()
    verdict = unbend.separate(h[:N_RANDOM], y[:N_RANDOM])
    if not isinstance(verdict, Separation) or not verdict.verify(h[:N_RANDOM], y[:N_RANDOM]):
        return None
    return float(np.mean((h[N_RANDOM:] @ verdict.weight + verdict.bias > 0) == y[N_RANDOM:]))


def holds(result: MustBeSeparable) -> Verdict:
    """Nets without an error prove separability, nets with errors may sit on classes that overlap."""
    perfect = result.accuracy == 1
    decided = result.is_separation | result.is_overlap
    below, above = result.random_share[0], result.random_share[-1]
    n_called = float(result.random_share.sum()) * result.random_draws * result.random_n
    error = 4 * 0.5 / max(n_called, 1.0) ** 0.5
    checks = (
        Check("share of layers with a proof either way", float(decided.mean()), 1.0, 1.0, "exactly one exists"),
        Check(
            "nets without an error whose own output weights are the proof (share)",
            float(result.head_is_proof[perfect].mean()),
            1.0,
            1.0,
            "the output layer is a hyperplane",
        ),
        Check("nets with an error whose weights are a proof", float(result.head_is_proof[~perfect].sum()), 0.0, 0.0),
        Check(
            "trained nets whose last hidden layer provably overlaps",
            float(result.is_overlap.sum()),
            3.0,
            reason="it can be so, and it is at widths 2 and 3",
        ),
        Check(
            "nets with errors above a separable layer",
            float((result.is_separation & ~perfect).sum()),
            1.0,
            reason="the head lags behind its layer",
        ),
        Check(f"random labels separable at width {result.random_width[-1]}", float(above), 1.0, 1.0, "d = n - 1"),
        Check(f"random labels separable at width {result.random_width[0]}", float(below), 0.0, 0.1, "Cover: 1e-11"),
        Check(
            "accuracy of those read-outs on other points",
            result.random_held_out,
            0.5 - error,
            0.5 + error,
            "a coin, within 4 s.e.",
        ),
    )
    return Verdict(
        "holds with a condition",
        "Only a net without a training error proves that its last hidden layer is separable; others may rest on "
        "classes that overlap, and a random layer of n - 1 units separates whatever labels n points have.",
        checks,
    )


def finding(result: MustBeSeparable) -> str:
    """How many nets rest on overlapping classes, and what random layers separate."""
    perfect = result.accuracy == 1
    lagging = int((result.is_separation & ~perfect).sum())
    return (
        f"Of {len(perfect)} nets, {int(perfect.sum())} make no training error, and their output weights are accepted "
        f"as the proof; {int(result.is_overlap.sum())} rest on classes that provably overlap, and {lagging} err above "
        f"a separable layer. A random layer of {result.random_width[-1]} units separates coin-flip labels of "
        f"{result.random_n} points in {percent(result.random_share[-1])} of draws."
    )


def draw(result: MustBeSeparable, figure: Figure) -> None:
    """Training accuracy against width by verdict, and what random layers separate."""
    left, right = figure.subplots(1, 2)
    own = result.head_is_proof
    kinds = (
        ("overlap, proved", result.is_overlap, VERMILION, "x"),
        ("separable, but the net errs", result.is_separation & ~own, ORANGE, "^"),
        ("separable, by the net's own head", own, BLUE, "o"),
    )
    shift = 1 + 0.12 * (np.arange(len(result.width)) % 5 - 2) / 2  # nets of one width side by side
    for name, chosen, color, mark in kinds:
        left.plot((result.width * shift)[chosen], 100 * result.accuracy[chosen], mark, color=color, markersize=5,
                  alpha=0.8, label=name)  # fmt: skip
    left.set(xscale="log", xlabel="hidden units", ylabel="training accuracy (%)")
    left.set_xticks(WIDTHS[::2], [str(width) for width in WIDTHS[::2]])
    left.minorticks_off()
    left.set_title("last hidden layer of trained nets", loc="left")
    legend(left, loc=(0.36, 0.32))
    right.plot(result.random_width, 100 * result.random_share, "o-", color=BLUE)
    right.axvline(result.random_n - 1, color=GREY, linestyle=":", linewidth=0.8)
    right.text(result.random_n - 2, 50, "n - 1", color=GREY, ha="right", va="center")
    right.set(xlabel="units of a random layer", ylabel="coin-flip labels separable (%)", ylim=(-5, 105))
    right.set_title(f"random layer, {result.random_n} points", loc="left")


CLAIM = Claim(
    name="must_be_separable",
    section="Seeing separability arise",
    told="Data that reach the output layer must be linearly separable there.",
    told_by="articles for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
)
