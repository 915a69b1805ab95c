"""Class separability rises through the layers of a trained net, but which number says so matters.

The scatter within classes against that between them, tr(S_W S_B⁺), falls by about the same factor at every activation
of a net with batch normalisation (the law of equi-separation), and rises in an untrained one. Without batch
normalisation or an initialisation that suits ReLU the law can fail although every training sample is learned. Held-out
rows gain far less than training rows, and the plain ratio tr S_B / tr S_W says as much about class shares as about
separation.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure
from torch import nn

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREY, ORANGE, VERMILION, legend
from unbend.numerics.result import result

N_HIDDEN = 6
ACTIVATION = "relu"
NETS: dict[str, tuple[Literal["batch"] | None, zoo.Recipe]] = {
    "batch norm, SGD": ("batch", zoo.Recipe(30, 100, "sgd", rate=0.05, momentum=0.9, weight_decay=5e-4)),
    "plain, Adam": (None, zoo.Recipe(30, 100, rate=1e-3)),
}


@result
class SeparabilityRises:
    """What six ReLU layers of two nets do to a thousand digits; column 0 of `train` and `held_out` is the input.

    Attributes:
        nets: how they are built.
        n_train: training samples.
        accuracy: training accuracy of the nets.
        train: training accuracy of a linear read-out of the input and of every activation.
        held_out: held-out accuracy of it.
        separation: tr(S_W S_B⁺) after every activation; smaller is more separated.
        untrained: the same before training.
        correlation: of ln separation with depth.
        untrained_correlation: the same before training.
        trace_before: tr S_B / tr S_W before every activation of the trained nets.
        trace_after: the same after it.
        prior: share of one of two classes of the same shape.
        prior_trace: tr S_B / tr S_W of the two.
    """

    nets: tuple[str, ...]
    n_train: int
    accuracy: Float64[np.ndarray, " m"]
    train: Float64[np.ndarray, "m l"]
    held_out: Float64[np.ndarray, "m l"]
    separation: Float64[np.ndarray, "m a"]
    untrained: Float64[np.ndarray, "m a"]
    correlation: Float64[np.ndarray, " m"]
    untrained_correlation: Float64[np.ndarray, " m"]
    trace_before: Float64[np.ndarray, "m a"]
    trace_after: Float64[np.ndarray, "m a"]
    prior: Float64[np.ndarray, " p"]
    prior_trace: Float64[np.ndarray, " p"]


def run(seed: int = 0, budget: Budget = "full") -> SeparabilityRises:
    """Study two nets before and after training, and one pair of classes in several shares."""
    data = digits(seed)
    n_epochs = 30 if budget == "quick" else 150
    found = []
    for norm, recipe in NETS.values():
        net = zoo.mlp([784, *[100] * N_HIDDEN, 10], activation=ACTIVATION, norm=norm, seed=seed)
        before = depth_of(net, data)
        zoo.train(net, *data.train, replace(recipe, epochs=n_epochs), seed=seed)
        after, own = depth_of(net, data), zoo.accuracy(net, *data.train)
        at = np.array([i for i, kind in enumerate(after.kinds) if kind == "activation"])
        rows = np.r_[0, at]
        found.append(
            (own, after.train[rows], after.held_out[rows], after.separation[at], before.separation[at],
             after.line_correlation, before.line_correlation, after.trace_ratio[at - 1], after.trace_ratio[at])
        )  # fmt: skip
    own, train, held_out, separation, untrained, line, untrained_line, trace_before, trace_after = map(
        np.array, zip(*found, strict=True)
    )
    prior = np.array([0.5, 0.25, 0.1, 0.03, 0.01])
    return SeparabilityRises(
        nets=tuple(NETS),
        n_train=len(data.x_train),
        accuracy=own,
        train=train,
        held_out=held_out,
        separation=separation,
        untrained=untrained,
        correlation=line,
        untrained_correlation=untrained_line,
        trace_before=trace_before,
        trace_after=trace_after,
        prior=prior,
        prior_trace=np.array([trace_ratio(*two_classes(float(p), seed)) for p in prior]),
    )


def digits(seed: int) -> zoo.DataSet:
    """1,000 digits to train on, and 1,000 others."""
    return zoo.data("mnist-5k", seed=seed).flat().first(1000, 1000)


def depth_of(net: nn.Sequential, data: zoo.DataSet) -> Any:
    """Separability over depth."""
    measures = ["scatter", "readout"]
    return unbend.study(net, data.train, held_out=data.test, twin=False, measures=measures).across["depth"]


def two_classes(prior: float, seed: int) -> tuple[Float64[np.ndarray, "n 2"], Int64[np.ndarray, " n"]]:
    """Two round normal clouds of spread 1, three apart; `prior` is the share of the second."""
    generator = torch.Generator().manual_seed(seed)
    n = 20_000
    y = (np.arange(n) < prior * n).astype(np.int64)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64).numpy()
    return x + 3.0 * y[:, None] * np.array([1.0, 0.0]), y


def trace_ratio(x: Float64[np.ndarray, "n d"], y: Int64[np.ndarray, " n"]) -> float:
    """The ratio tr S_B / tr S_W that most articles plot."""
    means = np.stack([x[y == label].mean(0) for label in (0, 1)])
    within = ((x - means[y]) ** 2).sum()
    return float(((means[y] - x.mean(0)) ** 2).sum() / within)


def holds(result: SeparabilityRises) -> Verdict:
    """The law of equi-separation, where it fails, and what held-out rows and class shares do to the story."""
    fall = np.log(result.separation[:, 0] / result.separation[:, -1])
    falls = result.trace_after < result.trace_before
    checks = (
        Check(
            "correlation of ln tr(S_W S_B⁺) with depth, batch norm", float(result.correlation[0]), -1.0, -0.97, "-.99"
        ),
        Check("the same for both nets untrained, least", float(result.untrained_correlation.min()), 0.95, 1.0, "+.99"),
        Check("the same without batch norm", float(result.correlation[1]), -1.0, 0.0, "-.72 to -.99 over seeds"),
        Check(
            "ln of the fall of tr(S_W S_B⁺) from first to last activation, batch norm",
            float(fall[0]),
            2.0,
            reason="3 to 4 over seeds",
        ),
        Check(
            "the same without batch norm, as a share of it",
            float(fall[1] / fall[0]),
            -1.0,
            0.6,
            "PyTorch's default initialisation suits ReLU badly",
        ),
        Check("least training accuracy of both nets", float(result.accuracy.min()), 0.99, 1.0, "both have learned"),
        Check("training error of the read-out at the last activation", float(1 - result.train[0, -1]), 0.0, 0.005),
        Check(
            "held-out gain of the read-out over that at the first activation",
            float(result.held_out[0, -1] - result.held_out[0, 1]),
            -0.05,
            0.05,
            "it saturates after the first layer",
        ),
        Check("ReLUs at which tr S_B / tr S_W falls (share)", float(falls.mean()), reason="reported only"),
        Check("tr S_B / tr S_W at shares ½ and ½", float(result.prior_trace[0]), 1.08, 1.17, "9/4 / 2 = 1.12"),
        Check("the same classes at .01", float(result.prior_trace[-1]), 0.035, 0.055, "9 (.01) (.99) / 2 = .045"),
    )
    return Verdict(
        "holds with a condition",
        "With batch norm tr(S_W S_B⁺) falls by an even factor per layer; in a plain net, which learns as many rows, by "
        "far less. Held-out rows stop gaining after the first layer, and the plain ratio of traces misleads.",
        checks,
    )


def finding(result: SeparabilityRises) -> str:
    """The correlations, and what training and held-out rows gain."""
    return (
        f"With batch norm ln tr(S_W S_B⁺) is linear in depth (correlation {result.correlation[0]:.3f}; untrained "
        f"{result.untrained_correlation[0]:+.3f}), less so without ({result.correlation[1]:.2f}). On "
        f"training rows a read-out gets {percent(result.train[0, 1])} at the first and "
        f"{percent(result.train[0, -1])} at the "
        f"last activation, on held-out rows {percent(result.held_out[0, 1])} and {percent(result.held_out[0, -1])}."
    )


def draw(result: SeparabilityRises, figure: Figure) -> None:
    """The law, the read-outs, and the ratio of traces against class shares."""
    figure.set_size_inches(7.4, 3.0)
    law, accuracy, prior = figure.subplots(1, 3)
    depth = np.arange(1, N_HIDDEN + 1)
    for m, (color, mark) in enumerate(((BLUE, "o"), (ORANGE, "s"))):
        law.semilogy(depth, result.separation[m], mark + "-", color=color, markersize=4, label=result.nets[m])
    law.semilogy(depth, result.untrained[0], "^:", color=GREY, markersize=4, label="untrained")
    law.set(xlabel="activation", ylabel="tr(S_W S_B⁺), small = separated")
    law.set_title("law of equi-separation", loc="left")
    low, high = law.get_ylim()
    law.set_ylim(low / 6, high)  # room for the words under the lines
    legend(law, loc="lower left")
    for values, color, look, name in (
        (result.train[0], VERMILION, "s--", "training rows"),
        (result.held_out[0], BLUE, "o-", "held-out rows"),
    ):
        accuracy.plot(np.r_[0, depth], 100 * values, look, color=color, markersize=4, label=name)
    accuracy.set(xlabel="activation (0: the input)", ylabel="accuracy of a linear read-out (%)")
    accuracy.set_title(result.nets[0], loc="left")
    legend(accuracy, loc="best")
    prior.loglog(result.prior, result.prior_trace, "o", color=BLUE, markersize=4, label="measured")
    p = np.geomspace(0.01, 0.5, 50)
    prior.loglog(p, 4.5 * p * (1 - p), color=GREY, linewidth=1, label="p (1 - p) δ² / tr Σ")
    prior.set(xlabel="share p of one class", ylabel="tr S_B / tr S_W")
    prior.set_title("same classes, other shares", loc="left")
    legend(prior, loc="lower right")


CLAIM = Claim(
    name="separability_rises",
    section="Seeing separability arise",
    told="Class separability rises through the layers of a network.",
    told_by="articles and research papers",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    needs=("mnist-5k",),
    source="He & Su 2023, the law of equi-separation",
)
