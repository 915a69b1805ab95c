"""The first layers of a network serve another task too; the last ones belong to their own.

A small convolutional net learns five kinds of digits. Its first layers are kept as they are, the others learn the
other five. What the kept layers are worth shows beside random layers kept in their place, and depends on how many
samples there are to learn from.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure
from torch import Tensor, nn

from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.draw import BLUE, GREY, SKY, VERMILION, band, legend
from unbend.numerics.result import result

PLACES = (0, 3, 7)
"""Where the two convolutions and the hidden Linear layer of `zoo.small_cnn` stand."""
WAYS = ("transferred, kept", "transferred, trained on", "random, kept")
SIDE = 16


@dataclass(frozen=True, slots=True)
class TransferSize:
    """What a budget allows.

    Attributes:
        n_seeds: repetitions.
        n_kept: how many layers are taken over.
        n_target: training samples of the new classes.
        n_steps: of training.
    """

    n_seeds: int
    n_kept: tuple[int, ...]
    n_target: tuple[int, ...]
    n_steps: int


SIZES: dict[Budget, TransferSize] = {
    "quick": TransferSize(3, (0, 2, 3), (100,), 80),
    "full": TransferSize(3, (0, 1, 2, 3), (100, 1_000), 100),
}


@result
class Transfer:
    """Accuracy on five held-out classes, by how many layers came from a net that learned the other five.

    Attributes:
        n_kept: layers taken over; with 0 all are trained from scratch.
        n_target: training samples of the new classes.
        ways: where the first layers come from, and whether they are trained on.
        accuracy: on held-out samples of the new classes, by number of samples, way, seed and layers taken over.
        base_accuracy: of the nets the layers come from, on their own five classes.
        data: the data set.
        n_steps: of every training on the new classes, about.
    """

    n_kept: Int64[np.ndarray, " j"]
    n_target: tuple[int, ...]
    ways: tuple[str, ...]
    accuracy: Float64[np.ndarray, "n w s j"]
    base_accuracy: Float64[np.ndarray, " s"]
    data: str
    n_steps: int


@result
class Half:
    """Five of the classes, numbered from 0.

    Attributes:
        x: training images.
        y: their classes.
        x_test: held-out images.
        y_test: their classes.
    """

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor

    def first(self, n: int) -> "Half":
        """The same with fewer training samples."""
        return Half(x=self.x[:n], y=self.y[:n], x_test=self.x_test, y_test=self.y_test)


def run(seed: int = 0, budget: Budget = "full") -> Transfer:
    """Train on one half of the classes, take layers over, train the others on the other half."""
    size = SIZES[budget]
    data = _small_images(zoo.data("mnist-5k", seed=seed))
    accuracy = np.zeros((len(size.n_target), len(WAYS), size.n_seeds, len(size.n_kept)))
    base_accuracy = np.zeros(size.n_seeds)
    for s in range(size.n_seeds):
        own = 100 * seed + s
        source, target = halves(data, own)
        base = _fresh(own)
        base_accuracy[s] = _fit(base, source, 2 * size.n_steps, own)
        for n, samples in enumerate(size.n_target):
            for j, n_layers in enumerate(size.n_kept):
                for w, lender in enumerate((base, base, _fresh(own + 30))):
                    if n_layers == 0 and w:
                        accuracy[n, w, s, j] = accuracy[n, 0, s, j]
                        continue
                    net = _borrow(lender, n_layers, own + 60, is_kept=WAYS[w].endswith("kept"))
                    accuracy[n, w, s, j] = _fit(net, target.first(samples), size.n_steps, own)
    return Transfer(
        n_kept=np.array(size.n_kept),
        n_target=size.n_target,
        ways=WAYS,
        accuracy=accuracy,
        base_accuracy=base_accuracy,
        data=data.name,
        n_steps=size.n_steps,
    )


def _small_images(data: zoo.DataSet) -> zoo.DataSet:
    """Images of 16 x 16 pixels: the mean of two by two, with a margin."""
    train, test = (nn.functional.avg_pool2d(nn.functional.pad(x, (2,) * 4), 2) for x in (data.x_train, data.x_test))
    return replace(data, x_train=train, x_test=test)


def _fresh(seed: int) -> nn.Sequential:
    return zoo.small_cnn(side=SIDE, n_classes=5, seed=seed)


def halves(data: zoo.DataSet, seed: int) -> tuple[Half, Half]:
    """The data of five classes drawn by chance, and of the other five."""
    order = torch.randperm(10, generator=torch.Generator().manual_seed(seed))
    return _half(data, order[:5]), _half(data, order[5:])


def _half(data: zoo.DataSet, classes: Tensor) -> Half:
    number = torch.full((10,), -1)
    number[classes] = torch.arange(5)
    y, y_test = number[data.y_train], number[data.y_test]
    return Half(x=data.x_train[y >= 0], y=y[y >= 0], x_test=data.x_test[y_test >= 0], y_test=y_test[y_test >= 0])


def _borrow(lender: nn.Sequential, n_layers: int, seed: int, *, is_kept: bool) -> nn.Sequential:
    """A fresh net whose first layers are copies of the lender's, kept as they are or free to learn."""
    net = _fresh(seed)
    for place in PLACES[:n_layers]:
        net[place].load_state_dict(lender[place].state_dict())
        net[place].requires_grad_(not is_kept)
    return net


def _fit(net: nn.Sequential, half: Half, n_steps: int, seed: int) -> float:
    """Train for some `n_steps` steps, and give the accuracy on held-out samples."""
    epochs = max(1, round(n_steps * 50 / len(half.x)))
    zoo.train(net, half.x, half.y, zoo.Recipe(epochs=epochs, batch_size=50, rate=2e-3), seed=seed)
    return zoo.accuracy(net, half.x_test, half.y_test)


def holds(result: Transfer) -> Verdict:
    """The convolutions transfer, the hidden layer behind them does not, and transferred layers beat random ones."""
    kept, tuned, random = (result.accuracy[:, w].mean(axis=1) for w in range(len(result.ways)))
    few, many = 0, len(result.n_target) - 1
    two = int(np.flatnonzero(result.n_kept == 2)[0])
    n_few, n_many = result.n_target[few], result.n_target[many]
    checks = (
        Check(
            "accuracy of the first net on its own classes", float(result.base_accuracy.min()), 0.9, 1.0,
            "0.94 to 0.98 seen",
        ),
        Check(
            f"{n_few} samples: both convolutions kept, minus from scratch",
            float(kept[few, two] - kept[few, 0]), -0.1, 0.12,
            "-0.06 to +0.08 seen in single nets, 0.01 in the mean of six; means of three lie within 0.08 of that",
        ),
        Check(
            f"{n_few} samples: both convolutions kept, minus random ones kept",
            float(kept[few, two] - random[few, two]), 0.01, 1.0, "0.04 to 0.33 seen in single nets, 0.2 in their mean",
        ),
        Check(
            f"{n_few} samples: all layers trained on, minus from scratch", float(tuned[few, -1] - tuned[few, 0]),
            -0.03, 0.12, "0.01 to 0.06 seen",
        ),
        *(
            Check(
                f"{samples:,} samples: both convolutions kept, minus from scratch",
                float(rows[two] - rows[0]), -0.05, 0.1, "+0.006 seen: about as good as one's own",
            )
            for samples, rows in zip(result.n_target[1:], kept[1:], strict=True)
        ),
        Check(
            f"{n_many} samples: all layers kept, minus both convolutions kept", float(kept[many, -1] - kept[many, two]),
            -1.0, -0.1, "-0.16 to -0.34 seen: the last hidden layer belongs to the other classes",
        ),
        Check(
            f"{n_many} samples: all layers kept, minus as many random ones", float(kept[many, -1] - random[many, -1]),
            0.15, 1.0, "0.24 to 0.50 seen",
        ),
    )  # fmt: skip
    truth = (
        "Kept as they are, the convolutions serve the other classes about as well as ones trained for them, and "
        "better than random ones do; the hidden layer behind them does not, unless it is trained on."
    )
    return Verdict("holds with a condition", truth, checks)


def finding(result: Transfer) -> str:
    """Accuracies from scratch, with both convolutions kept, and with all of them."""
    two = int(np.flatnonzero(result.n_kept == 2)[0])
    parts = []
    for samples, accuracy in zip(result.n_target, result.accuracy.mean(axis=2), strict=True):
        parts.append(
            f"with {samples:,} samples of the new classes a net reaches {accuracy[0, 0]:.3f} from scratch, "
            f"{accuracy[0, two]:.3f} with both convolutions kept, {accuracy[0, -1]:.3f} with all {result.n_kept[-1]} "
            f"({accuracy[2, -1]:.3f} if those are random)"
        )
    return f"On {result.data}, " + "; ".join(parts) + "."


def draw(result: Transfer, figure: Figure) -> None:
    """Accuracy against the number of layers taken over, a panel for each number of samples."""
    figure.set_size_inches(8.0, 3.6)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, len(result.n_target), squeeze=False)[0]
    for axes, samples, accuracy in zip(panels, result.n_target, result.accuracy, strict=True):
        alone = np.median(accuracy[0, :, 0])
        axes.axhline(alone, color=GREY, linewidth=0.8, linestyle=":", label="from scratch")
        for way, rows, color, mark in zip(result.ways, accuracy, (BLUE, SKY, VERMILION), "o^s", strict=True):
            band(axes, result.n_kept, rows, color=color, label=way, mark=mark)
        axes.set(xlabel="layers taken over", ylabel="accuracy on held-out samples", xticks=result.n_kept)
        axes.set_title(f"{samples:,} training samples of the new classes", fontsize=8)
        legend(axes, loc="lower left")


CLAIM = Claim(
    name="transfer",
    section="Training",
    told="Early layers transfer to another task.",
    told_by="articles and lecture notes",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    needs=("mnist-5k",),
    source="Yosinski et al. 2014, How transferable are features in deep neural networks?",
)
