"""A dense network holds a sparse one that learns as well by itself, from its own first weights and not from others.

Train, cut the smallest weights, go back to the first values of those that are left, and train again. These
"winning tickets" keep up with the dense network down to a sixth of its weights or fewer; the same sparse network drawn
anew learns less, and the same number of weights at other places less still.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from matplotlib.figure import Figure
from torch import nn

from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, MUTED, ORANGE, VERMILION, band, legend
from unbend.numerics.result import result

WAYS = ("ticket", "drawn anew", "shuffled")
NEAR = 0.02
"""What counts as keeping up: two standard errors of an accuracy over 1,000 held-out samples."""


@dataclass(frozen=True, slots=True)
class LotterySize:
    """What a budget allows.

    Attributes:
        sets: data sets with their training samples and epochs.
        n_seeds: repetitions.
        n_rounds: of cutting.
        share: of the weights left that a round cuts.
        compared: rounds after which tickets are held against the other ways.
    """

    sets: tuple[tuple[str, int, int], ...]
    n_seeds: int
    n_rounds: int
    share: float
    compared: tuple[int, ...]


SIZES: dict[Budget, LotterySize] = {
    "quick": LotterySize((("mnist-5k", 1_500, 6),), 1, 3, 0.6, (2, 3)),
    "full": LotterySize((("mnist-5k", 4_000, 6), ("fashion-mnist", 6_000, 3)), 2, 5, 0.5, (2, 4, 5)),
}


@result
class Lottery:
    """Held-out accuracy of LeNet-300-100 with ever fewer weights.

    Attributes:
        sets: the data sets.
        kept: share of the weights that is left, from the dense network on.
        ways: "ticket" starts from the first weights of the dense network, "drawn anew" has the same weights left but
            other first values, "shuffled" has the first values but as many weights left at other places.
        accuracy: by set, way, seed and share; NaN where there was no training.
        n_test: held-out samples.
        matching: the smallest share, by set, down to which every ticket comes within 0.02 of the dense network, in the
            median over seeds.
    """

    sets: tuple[str, ...]
    kept: Float64[np.ndarray, " p"]
    ways: tuple[str, ...]
    accuracy: Float64[np.ndarray, "d w s p"]
    n_test: int
    matching: Float64[np.ndarray, " d"]


def run(seed: int = 0, budget: Budget = "full") -> Lottery:
    """Find the tickets round by round, and train their rivals beside them."""
    size = SIZES[budget]
    accuracy = np.full((len(size.sets), len(WAYS), size.n_seeds, size.n_rounds + 1), np.nan)
    kept = np.ones(size.n_rounds + 1)
    for d, (name, n_train, epochs) in enumerate(size.sets):
        data = zoo.data(name).first(n_train, 1_000)
        for s in range(size.n_seeds):
            own = 100 * seed + s

            def fit(net: nn.Module, own: int = own, data: zoo.DataSet = data, epochs: int = epochs) -> float:
                zoo.train(net, *data.train, zoo.Recipe(epochs=epochs, batch_size=100, rate=1.2e-3), seed=own)
                return zoo.accuracy(net, *data.test)

            net = zoo.lenet_300_100(seed=own)
            found = zoo.tickets(net, fit, rounds=size.n_rounds, share=size.share, output_share=size.share / 2)
            for ticket in found:
                kept[ticket.round], accuracy[d, 0, s, ticket.round] = ticket.kept, ticket.score
                if ticket.round in size.compared:
                    masks = {name: torch.from_numpy(mask) for name, mask in ticket.masks.items()}
                    with zoo.masked(zoo.lenet_300_100(seed=own + 50), masks) as other:
                        accuracy[d, 1, s, ticket.round] = fit(other)
                    with zoo.masked(zoo.lenet_300_100(seed=own), zoo.shuffle(masks, seed=own)) as other:
                        accuracy[d, 2, s, ticket.round] = fit(other)
    matching = np.array([_matching(kept, np.median(tickets, axis=0)) for tickets in accuracy[:, 0]])
    return Lottery(
        sets=tuple(name for name, _, _ in size.sets),
        kept=kept,
        ways=WAYS,
        accuracy=accuracy,
        n_test=1_000,
        matching=matching,
    )


def _matching(kept: Float64[np.ndarray, " p"], accuracy: Float64[np.ndarray, " p"]) -> float:
    falls = np.flatnonzero(accuracy < accuracy[0] - NEAR)
    return float(kept[falls[0] - 1] if len(falls) else kept[-1])


def _leads(result: Lottery) -> Float64[np.ndarray, "w p"]:
    """By how much tickets beat each rival, in the mean over sets and seeds, where they were compared."""
    compared = ~np.isnan(result.accuracy[:, 1]).any(axis=(0, 1))
    return (result.accuracy[:, :1] - result.accuracy[:, 1:])[..., compared].mean(axis=(0, 2))


def holds(result: Lottery) -> Verdict:
    """Tickets keep up, and beat both rivals."""
    leads = _leads(result)
    dense = np.median(result.accuracy[:, 0, :, 0], axis=1)
    checks = (
        *(
            Check(f"{name}: held-out accuracy of the dense network", float(value), 0.75, 1.0, "0.81 to 0.93 seen")
            for name, value in zip(result.sets, dense, strict=True)
        ),
        *(
            Check(
                f"{name}: smallest share within {NEAR} of the dense network", float(value), 0.0, 0.17,
                "0.03 to 0.16 seen, most within 0.01 too; the paper: about 0.036 on all of MNIST",
            )
            for name, value in zip(result.sets, result.matching, strict=True)
        ),
        Check(
            "lead of tickets over nets drawn anew, mean", float(leads[0].mean()), 0.02, 1.0,
            "0.04 to 0.1 seen; each accuracy is sure to about 0.01",
        ),
        Check(
            "lead of tickets over shuffled ones, mean", float(leads[1].mean()), 0.03, 1.0,
            "0.06 seen in full: where the weights are matters more than their first values",
        ),
        Check("lead over shuffled ones at the smallest share", float(leads[1, -1]), 0.05, 1.0, "0.09 seen in full"),
    )  # fmt: skip
    truth = (
        "On these small nets it holds: a ticket keeps up with the dense net down to a sixth of its weights or fewer, "
        "and beats its own structure drawn anew; for large nets rewinding to the very first weights is known to fail "
        "(Frankle et al. 2020, not measured here)."
    )
    return Verdict("holds with a condition", truth, checks)


def finding(result: Lottery) -> str:
    """How far tickets keep up, and the accuracies at the smallest share."""
    parts = []
    for name, accuracy, share in zip(result.sets, result.accuracy, result.matching, strict=True):
        ticket, anew, shuffled = np.median(accuracy[..., -1], axis=1)
        parts.append(
            f"on {name} tickets stay within {NEAR} of the dense net's {np.median(accuracy[0, :, 0]):.3f} down to "
            f"{percent(share)} of the weights, and at {percent(result.kept[-1])} reach {ticket:.3f}, drawn anew "
            f"{anew:.3f}, shuffled {shuffled:.3f}"
        )
    return "LeNet-300-100: " + "; ".join(parts) + "."


def draw(result: Lottery, figure: Figure) -> None:
    """Accuracy against the share of weights left, a panel for each data set."""
    figure.set_size_inches(4.3 * max(len(result.sets), 1.5), 3.6)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, len(result.sets), squeeze=False)[0]
    kept = 100 * result.kept
    for axes, name, accuracy in zip(panels, result.sets, result.accuracy, strict=True):
        dense = np.median(accuracy[0, :, 0])
        axes.axhline(dense, color=MUTED, linewidth=0.8, linestyle=":", label="dense net")
        for way, rows, color, mark in zip(result.ways, accuracy, (BLUE, ORANGE, VERMILION), "os^", strict=True):
            band(axes, kept, rows, color=color, label=way, mark=mark, keep=~np.isnan(rows).any(axis=0))
        axes.set(xlabel="weights left (%)", ylabel=f"accuracy on {result.n_test:,} held-out samples", xscale="log")
        axes.set_xticks(kept, [f"{share:.3g}" for share in kept])
        axes.minorticks_off()
        axes.invert_xaxis()
        axes.set_title(name, fontsize=8)
        legend(axes, loc="lower left")


CLAIM = Claim(
    name="lottery",
    section="Training",
    told="Dense networks hold winning tickets: sparse nets that train as well alone, from their first weights.",
    told_by="a research paper",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    needs=("mnist-5k", "fashion-mnist"),
    source="Frankle & Carbin 2019, The lottery ticket hypothesis",
)
