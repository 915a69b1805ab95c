"""Too few hidden units, just right, too many?

On clean handwritten digits the held-out error falls with width and then stays: 512 units for 300 samples are not too
many. The famous U appears when some of the training labels are wrong and the network is trained until it has learned
them by heart; even then the error does not go on rising with width.
"""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import draw as words
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.numerics.result import result

_WIDTHS = {"quick": (1, 16, 256), "full": (1, 4, 8, 16, 32, 64, 128, 512)}
_N_SEEDS = {"quick": 1, "full": 3}
_EPOCHS = {"quick": 80, "full": 120}
_SAMPLES = 300
_WRONG = 0.3
_CHANCE = 0.9


@result
class Width:
    """Error of one hidden layer on the digits by width, with right labels and with some of them wrong.

    Attributes:
        widths: hidden units.
        wrong: share of training labels drawn anew by chance, one entry for each case.
        train: share of the training labels called wrong, by case, seed and width.
        test: share of held-out samples called wrong; their labels are right.
        n_train: training samples.
        n_test: held-out samples.
    """

    widths: Int64[np.ndarray, " w"]
    wrong: Float64[np.ndarray, " c"]
    train: Float64[np.ndarray, "c s w"]
    test: Float64[np.ndarray, "c s w"]
    n_train: int
    n_test: int


def run(seed: int = 0, budget: Budget = "full") -> Width:
    """Train every width on 300 digits, with right labels and with a third of them drawn by chance."""
    data = zoo.data("digits", held_out=0.5, seed=seed)
    data = data.first(_SAMPLES, len(data.x_test))
    wrong = (0.0, _WRONG)
    found = np.empty((2, len(wrong), _N_SEEDS[budget], len(_WIDTHS[budget])))
    for case, share in enumerate(wrong):
        for row in range(_N_SEEDS[budget]):
            one = 1000 * seed + row
            labels = spoil(data.y_train, share, one)
            found[:, case, row] = np.transpose([errors(w, data, labels, _EPOCHS[budget], one) for w in _WIDTHS[budget]])
    return Width(
        widths=np.array(_WIDTHS[budget]),
        wrong=np.array(wrong),
        train=found[0],
        test=found[1],
        n_train=len(data.x_train),
        n_test=len(data.x_test),
    )


def spoil(y: Int64[torch.Tensor, " n"], share: float, seed: int) -> Int64[torch.Tensor, " n"]:
    """The labels, a share of them drawn anew from the ten digits."""
    generator = torch.Generator().manual_seed(seed)
    is_drawn = torch.rand(len(y), generator=generator) < share
    return torch.where(is_drawn, torch.randint(10, (len(y),), generator=generator), y)


def errors(
    width: int, data: zoo.DataSet, labels: Int64[torch.Tensor, " n"], epochs: int, seed: int
) -> tuple[float, float]:
    """Error on the training labels and held-out error of one trained network."""
    net = zoo.mlp((64, width, 10), seed=seed)
    zoo.train(net, data.x_train, labels, zoo.Recipe(epochs=epochs, batch_size=75, rate=5e-3), seed=seed)
    return 1 - zoo.accuracy(net, data.x_train, labels), 1 - zoo.accuracy(net, *data.test)


def holds(result: Width) -> Verdict:
    """Too few is real; too many needs wrong labels."""
    train, test = result.train.mean(axis=1), result.test.mean(axis=1)
    best = test.argmin(axis=1)
    rise = float(test[1, best[1] :].max() / test[1].min())
    rounding = float(np.sqrt(test[0, -1] * (1 - test[0, -1]) / result.n_test))
    checks = (
        Check(
            "held-out error at 1 unit",
            float(test[0, 0]),
            0.5,
            _CHANCE + 3 * rounding,
            "one number cannot order ten digits",
        ),
        Check(
            "training error at the widest, right labels",
            float(train[0, -1]),
            0.0,
            0.01,
            "wide nets learn 300 digits by heart",
        ),
        Check(
            f"right labels: held-out error at {result.widths[-1]} units, less the least at any width",
            float(test[0, -1] - test[0].min()),
            0.0,
            3 * rounding,
            "three standard errors of the held-out samples",
        ),
        Check(
            f"{100 * result.wrong[1]:.0f} % of labels by chance: highest error beyond the best width, over the least",
            rise,
            1.1,
            reason="learning wrong labels by heart costs",
        ),
        Check(
            "and the width of the least error lies",
            float(result.widths[best[1]]),
            4.0,
            float(result.widths[-2]),
            "inside: a U",
        ),
        Check(
            "training error at the widest, labels drawn by chance",
            float(train[1, -1]),
            0.0,
            0.05,
            "they are learned by heart",
        ),
    )
    truth = (
        "Too few is real; on clean data no width was too many. The rising side of the U appears where labels are "
        "wrong and are learned by heart."
    )
    return Verdict("holds with a condition", truth, checks)


def finding(result: Width) -> str:
    """Held-out errors at the smallest, the best and the largest width."""
    parts = []
    for case, text in enumerate(("right labels", f"{100 * result.wrong[1]:.0f} % of the labels drawn by chance")):
        error = 100 * result.test[case].mean(axis=0)
        places = sorted({0, int(error.argmin()), len(error) - 1})
        parts.append(f"{text}: " + ", ".join(f"{error[i]:.1f} % at {result.widths[i]}" for i in places))
    return f"Held-out error on the digits, {result.n_train} training samples, by hidden units; {'; '.join(parts)}."


def draw(result: Width, figure: Figure) -> None:
    """Training and held-out error against width, both cases."""
    figure.set_size_inches(7.2, 3.4)
    panels = figure.subplots(1, 2, sharey=True)
    titles = ("right labels", f"{100 * result.wrong[1]:.0f} % of the training labels drawn by chance")
    for case, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        words.band(
            axes, result.widths, 100 * result.train[case], color=words.GREY, label="training", mark="s", style="--"
        )
        words.band(axes, result.widths, 100 * result.test[case], color=words.BLUE, label="held out")
        axes.set(xscale="log", xlabel="hidden units", ylim=(-2, 95), ylabel="error (% of samples)" if case == 0 else "")
        axes.set_xticks(result.widths, [str(w) for w in result.widths])
        axes.minorticks_off()
        axes.set_title(title, loc="left")
    words.legend(panels[0])


CLAIM = Claim(
    name="width",
    section="Linear regions, width and depth",
    told="A hidden layer can have too few units, just the right number, or too many.",
    told_by="articles for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Geman, Bienenstock & Doursat 1992; Neyshabur et al. 2015",
)
