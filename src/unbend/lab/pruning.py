"""Most weights of a trained network can be set to zero, if they are the smallest and the rest may adjust.

Of weights cut at random even half is far too much, and training on does not make up for nine tenths. A network full
of zeros takes as much room as before until it is stored as a sparse one.
"""

import copy
import zlib

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure
from torch import Tensor, nn

from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREEN, INK, ORANGE, SKY, VERMILION, band, legend
from unbend.numerics.result import result

# Networks, training samples, epochs of training on after each cut, and the shares cut.
SIZES: dict[Budget, tuple[int, int, int, tuple[float, ...]]] = {
    "quick": (1, 2_000, 4, (0.0, 0.5, 0.9)),
    "full": (2, 4_000, 2, (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)),
}
EPOCHS = 6
WAYS = ("smallest", "smallest, trained on", "at random", "at random, trained on")


@result
class Pruning:
    """Held-out accuracy and size of LeNet-300-100 on MNIST digits, by the share of its weights that is cut.

    Attributes:
        n_weights: in the weight matrices of the dense network.
        shares: of weights cut, sizes being compared over the whole network.
        zero_share: share of zeros in the weights after cutting and training on, as counted.
        ways: which weights are cut; at once, or share by share with training on after each cut.
        accuracy: by way, seed and share.
        small_accuracy: of dense networks with as many weights as are left, by seed and share.
        dense_bytes: the weights as 4-byte numbers.
        sparse_bytes: the weights that are left, with a 4-byte column each and the start of every row.
        bitmap_bytes: the weights that are left, with one bit for every place.
        zipped_bytes: all weights, compressed by zlib.
        n_train: digits trained on.
        n_test: held-out digits.
    """

    n_weights: int
    shares: Float64[np.ndarray, " p"]
    zero_share: Float64[np.ndarray, "s p"]
    ways: tuple[str, ...]
    accuracy: Float64[np.ndarray, "w s p"]
    small_accuracy: Float64[np.ndarray, "s p"]
    dense_bytes: int
    sparse_bytes: Float64[np.ndarray, "s p"]
    bitmap_bytes: Float64[np.ndarray, "s p"]
    zipped_bytes: Float64[np.ndarray, "s p"]
    n_train: int
    n_test: int


def run(seed: int = 0, budget: Budget = "full") -> Pruning:
    """Train, cut by size or at random, train on, and weigh what is left."""
    n_seeds, n_train, more, shares = SIZES[budget]
    accuracy = np.zeros((len(WAYS), n_seeds, len(shares)))
    small, zeros, sizes = (
        np.zeros(accuracy.shape[1:]),
        np.zeros(accuracy.shape[1:]),
        np.zeros((3, n_seeds, len(shares))),
    )
    data, n_weights = zoo.data("mnist-5k", seed=seed).first(n_train, 1_000), 0
    for s in range(n_seeds):
        own = 100 * seed + s
        dense = zoo.lenet_300_100(seed=own)
        _train(dense, data, EPOCHS, own)
        n_weights = sum(weight.numel() for weight in _weights(dense))
        nets, masks = [copy.deepcopy(dense) for _ in range(2)], [zoo.smallest(dense, 0.0)] * 2
        for p, share in enumerate(shares):
            at_once = (
                zoo.smallest(dense, share, scope="network"),
                zoo.any_at_random(dense, share, seed=own, scope="network"),
            )
            accuracy[::2, s, p] = [_accuracy_without(dense, cut, data) for cut in at_once]
            of_those_left = 1 - (1 - share) / zoo.kept_share(masks[0])
            masks = [
                zoo.smallest(nets[0], of_those_left, masks=masks[0], scope="network"),
                zoo.any_at_random(nets[1], of_those_left, seed=own + p, masks=masks[1], scope="network"),
            ]
            for way, net, left in zip((1, 3), nets, masks, strict=True):
                with zoo.masked(net, left):
                    _train(net, data, more, own)
                accuracy[way, s, p] = zoo.accuracy(net, *data.test)
            zeros[s, p] = 1 - sum(int(w.count_nonzero()) for w in _weights(nets[0])) / n_weights
            sizes[:, s, p] = _sizes(nets[0])
            small[s, p] = _small(n_weights * (1 - share), data, EPOCHS + more, own) if share else accuracy[1, s, p]
    sparse, bitmap, zipped = sizes
    return Pruning(
        n_weights=n_weights,
        shares=np.array(shares),
        zero_share=zeros,
        ways=WAYS,
        accuracy=accuracy,
        small_accuracy=small,
        dense_bytes=4 * n_weights,
        sparse_bytes=sparse,
        bitmap_bytes=bitmap,
        zipped_bytes=zipped,
        n_train=n_train,
        n_test=1_000,
    )


def _accuracy_without(net: nn.Sequential, masks: dict[str, Tensor], data: zoo.DataSet) -> float:
    """Held-out accuracy with the weights cut, and nothing trained."""
    with zoo.masked(copy.deepcopy(net), masks) as cut:
        return zoo.accuracy(cut, *data.test)


def _weights(net: nn.Sequential) -> list[Tensor]:
    return [module.weight.detach() for module in net if isinstance(module, nn.Linear)]


def _train(net: nn.Sequential, data: zoo.DataSet, epochs: int, seed: int) -> None:
    zoo.train(net, *data.train, zoo.Recipe(epochs=epochs, batch_size=100), seed=seed)


def _small(n_weights: float, data: zoo.DataSet, epochs: int, seed: int) -> float:
    """Held-out accuracy of a dense network of LeNet's shape, 3 to 1, with about that many weights."""
    unit = next(u for u in range(1, 101) if 784 * 3 * u + 3 * u * u + 10 * u >= min(n_weights, 266_200))
    net = nn.Sequential(nn.Flatten(), *zoo.mlp([784, 3 * unit, unit, 10], seed=seed))
    _train(net, data, epochs, seed)
    return zoo.accuracy(net, *data.test)


def _sizes(net: nn.Sequential) -> tuple[float, float, float]:
    """Bytes as sparse rows, with a bitmap, and zipped."""
    weights = _weights(net)
    n_left = sum(int(weight.count_nonzero()) for weight in weights)
    n_rows, n_places = sum(len(weight) + 1 for weight in weights), sum(weight.numel() for weight in weights)
    zipped = sum(len(zlib.compress(weight.numpy().tobytes(), 6)) for weight in weights)
    return 8.0 * n_left + 4 * n_rows, 4 * n_left + n_places / 8, float(zipped)


def holds(result: Pruning) -> Verdict:
    """Nine tenths can go by size with training on; at random, and without it, accuracy falls."""
    accuracy = {way: np.median(rows, axis=0) for way, rows in zip(result.ways, result.accuracy, strict=True)}
    nine = int(np.argmin(np.abs(result.shares - 0.9)))
    dense = float(accuracy["smallest"][0])
    sparse = np.median(result.sparse_bytes, axis=0) / result.dense_bytes
    checks = (
        Check("share cut in the lines below", float(result.shares[nine]), 0.85, 0.95, "what is cut"),
        Check("share of zeros minus share cut, largest",
              float(np.abs(result.zero_share - result.shares).max()), 0.0, 1e-3,
              "whole weights"),
        Check("dense: held-out accuracy", dense, 0.85, 1.0, "0.88 to 0.92 seen"),
        Check("loss at that share: smallest, trained on", dense - float(accuracy["smallest, trained on"][nine]),
              -0.05, 0.02, "-0.03 to 0.00 seen; 1,000 held-out digits are sure to 0.01"),
        Check("loss at that share: at random", dense - float(accuracy["at random"][nine]), 0.2, 1.0,
              "0.74 to 0.80 seen"),
        Check("loss at that share: at random, trained on", dense - float(accuracy["at random, trained on"][nine]),
              0.03, 1.0, "0.10 to 0.22 seen: training on does not make up for it"),
        Check("accuracy at that share: smallest, bit by bit and trained on, minus all at once",
              float((accuracy["smallest, trained on"] - accuracy["smallest"])[nine]), 0.0, 1.0,
              "0.02 to 0.06 seen: the others make up for those that went"),
        Check("smallest beat random, both trained on",
              float((accuracy["smallest, trained on"] - accuracy["at random, trained on"])[nine]),
              0.03, 1.0, "0.10 to 0.21 seen"),
        Check("bytes as sparse rows over dense at a share of 0", float(sparse[0]), 1.9, 2.1,
              "a number and a column, 4 bytes each"),
        Check("bytes as sparse rows over dense at that share", float(sparse[nine]), 0.0, 0.5,
              "2 (1 - share), and the rows"),
    )  # fmt: skip
    truth = (
        "Nine weights in ten can be cut at little or no loss if the smallest go, bit by bit, and the others are "
        "trained on; random ones cannot, and the file only shrinks when zeros are not stored."
    )
    return Verdict("holds with a condition", truth, checks)


def finding(result: Pruning) -> str:
    """Accuracies and bytes where nine tenths are cut."""
    nine = int(np.argmin(np.abs(result.shares - 0.9)))
    at = {way: np.median(rows, axis=0) for way, rows in zip(result.ways, result.accuracy, strict=True)}
    return (
        f"With {percent(result.shares[nine])} of {result.n_weights:,} weights cut, accuracy goes from "
        f"{at['smallest'][0]:.3f} to {at['smallest'][nine]:.3f} if the smallest go, "
        f"{at['smallest, trained on'][nine]:.3f} once the others are trained on, {at['at random'][nine]:.3f} and "
        f"{at['at random, trained on'][nine]:.3f} if any go at random; a dense net with as many weights reaches "
        f"{np.median(result.small_accuracy[:, nine]):.3f}. Stored dense it still takes "
        f"{result.dense_bytes / 1e3:,.0f} kB, as sparse rows {np.median(result.sparse_bytes[:, nine]) / 1e3:,.0f} kB."
    )


def draw(result: Pruning, figure: Figure) -> None:
    """Accuracy and bytes against the share of weights that is left."""
    figure.set_size_inches(8.6, 3.6)
    figure.set_layout_engine("constrained")
    left, right = figure.subplots(1, 2)
    kept = 100 * (1 - result.shares)
    looks = ((SKY, "o", "--"), (BLUE, "o", "-"), (ORANGE, "s", "--"), (VERMILION, "s", "-"))
    for way, rows, (color, mark, style) in zip(result.ways, result.accuracy, looks, strict=True):
        band(left, kept, rows, color=color, label=way, mark=mark, style=style)
    band(left, kept, result.small_accuracy, color=GREEN, label="dense, as many weights", mark="^", style=":")
    left.set(ylabel=f"accuracy on {result.n_test:,} held-out digits", ylim=(0, 1.02))
    kinds = (
        ("sparse rows", result.sparse_bytes, BLUE, "o"),
        ("bitmap and numbers", result.bitmap_bytes, ORANGE, "s"),
        ("zlib", result.zipped_bytes, GREEN, "^"),
    )
    right.axhline(result.dense_bytes / 1e3, color=INK, linewidth=1.0, label="dense")
    for name, rows, color, mark in kinds:
        band(right, kept, rows / 1e3, color=color, label=name, mark=mark)
    right.set(ylabel="size of the weights (kB)", yscale="log")
    low, high = right.get_ylim()
    sizes = [size for size in (20, 50, 100, 200, 500, 1000, 2000) if low <= size <= high]
    right.set_yticks(sizes, [f"{size:,}" for size in sizes])
    for axes in (left, right):
        axes.set(xlabel="weights left (%)", xscale="log")
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100) if tick >= 0.99 * kept.min()]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.invert_xaxis()
        legend(axes, place="above", ncols=2)


CLAIM = Claim(
    name="pruning",
    section="Training",
    told="Nine tenths of a trained network's weights can be cut without loss, which makes it small.",
    told_by="articles and research papers",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    needs=("mnist-5k",),
    source="LeCun, Denker & Solla 1990; Han et al. 2015; Zhu & Gupta 2017",
)
