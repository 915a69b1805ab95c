"""Constant, funnel, bottleneck, expanding: does the shape of the layers matter?

At the same number of weights, and with no layer under 32 units as the builders of the field have it, the four shapes
end within a few points of each other on handwritten digits, one shape's seeds within one or two. What does cost is a
layer too narrow for ten classes, whatever the shape around it.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import draw as words
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.numerics.result import result

_PATTERNS = ("constant", "funnel", "bottleneck", "expanding")
_PARAMETERS = 20_000
_LAYERS = 4
_NARROW = {"quick": (1, 8), "full": (1, 2, 4, 8, 16, 32)}
_N_SEEDS = {"quick": 2, "full": 5}
_N_NARROW = {"quick": 1, "full": 2}
_EPOCHS = {"quick": 12, "full": 20}


@result
class Patterns:
    """Held-out accuracy of networks of the same size and different shape.

    Attributes:
        names: of the four patterns.
        widths: of every layer, input and output included.
        parameters: weights and biases of each.
        accuracy: share of held-out digits called right, by seed and pattern.
        narrow: units of the narrowest of four layers whose others have 64.
        narrow_accuracy: the same for those networks, by seed.
        n_train: training samples.
        n_test: held-out samples.
    """

    names: tuple[str, ...]
    widths: tuple[tuple[int, ...], ...]
    parameters: Int64[np.ndarray, " p"]
    accuracy: Float64[np.ndarray, "s p"]
    narrow: Int64[np.ndarray, " w"]
    narrow_accuracy: Float64[np.ndarray, "r w"]
    n_train: int
    n_test: int


def run(seed: int = 0, budget: Budget = "full") -> Patterns:
    """Train the four shapes at 20,000 weights, and networks with one narrow layer."""
    data = zoo.data("digits", held_out=0.6, seed=seed)
    shapes = [tuple(zoo.widths_of_size(name, _PARAMETERS, _LAYERS, ends=(64, 10))) for name in _PATTERNS]
    narrow = [(64, 64, 64, units, 64, 10) for units in _NARROW[budget]]

    def accuracies(all_widths: Sequence[tuple[int, ...]], n_seeds: int) -> Float64[np.ndarray, "s w"]:
        rows = [[accuracy_of(w, data, _EPOCHS[budget], 1000 * seed + s) for w in all_widths] for s in range(n_seeds)]
        return np.array(rows)

    return Patterns(
        names=_PATTERNS,
        widths=tuple(shapes),
        parameters=np.array([zoo.parameter_count(widths) for widths in shapes]),
        accuracy=accuracies(shapes, _N_SEEDS[budget]),
        narrow=np.array(_NARROW[budget]),
        narrow_accuracy=accuracies(narrow, _N_NARROW[budget]),
        n_train=len(data.x_train),
        n_test=len(data.x_test),
    )


def accuracy_of(widths: tuple[int, ...], data: zoo.DataSet, epochs: int, seed: int) -> float:
    """Held-out accuracy of a ReLU network of these widths after training."""
    net = zoo.mlp(widths, seed=seed)
    recipe = zoo.Recipe(epochs=epochs, batch_size=50, rate=5e-3, decay_at=(0.7,))
    zoo.train(net, *data.train, recipe, seed=seed)
    return zoo.accuracy(net, *data.test)


def holds(result: Patterns) -> Verdict:
    """The shapes are alike; a narrow layer is what costs."""
    mean = result.accuracy.mean(axis=0)
    size = np.abs(result.parameters / _PARAMETERS - 1).max()
    narrowest = result.narrow_accuracy[:, 0].mean()
    apart = float(mean.max() - mean.min())
    checks = (
        Check("largest deviation from 20,000 weights, as a share", float(size), 0.0, 0.03, "equal size is the point"),
        Check(
            "best shape less worst shape, mean accuracy",
            apart,
            0.0,
            0.05,
            "1 to 3.5 points seen with two seeds",
        ),
        Check("accuracy of the worst shape", float(mean.min()), 0.85, reason="all of them learn the digits"),
        Check(
            "worst shape less a network whose third layer has 1 unit",
            float(mean.min() - narrowest),
            0.2,
            reason="what a layer too narrow costs",
        ),
        Check(
            "the same, over best less worst shape", float(mean.min() - narrowest) / apart, 5.0, reason="10 to 40 seen"
        ),
    )
    truth = (
        "On handwritten digits and at equal size the four shapes end within five points of each other; a layer of one "
        "unit among them costs more than five times what the shape does."
    )
    return Verdict("false as told", truth, checks)


def finding(result: Patterns) -> str:
    """Mean accuracy of every shape, and of the narrow ones."""
    mean, spread = 100 * result.accuracy.mean(axis=0), 100 * np.ptp(result.accuracy, axis=0).mean()
    shapes = ", ".join(f"{name} {value:.1f} %" for name, value in zip(result.names, mean, strict=True))
    narrow = 100 * result.narrow_accuracy.mean(axis=0)
    return (
        f"Held-out accuracy at {_PARAMETERS:,} weights, {len(result.accuracy)} seeds: {shapes}, where seeds of one "
        f"shape span {spread:.1f} points; with a layer of {result.narrow[0]} unit it is {narrow[0]:.0f} %."
    )


def draw(result: Patterns, figure: Figure) -> None:
    """The shapes, their accuracies seed by seed, and accuracy against the narrowest layer."""
    figure.set_size_inches(8.0, 3.6)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.5, 1), height_ratios=(1, 1.6))
    shapes, dots, narrow = (
        figure.add_subplot(grid[0, 0]),
        figure.add_subplot(grid[1, 0]),
        figure.add_subplot(grid[:, 1]),
    )
    colors = (words.BLUE, words.ORANGE, words.GREEN, words.PINK)
    at = np.arange(len(result.names))
    for i, (widths, color) in enumerate(zip(result.widths, colors, strict=True)):
        hidden = widths[1:-1]
        half = 0.4 * np.array(hidden) / max(max(w) for w in result.widths)
        for layer, (reach, units) in enumerate(zip(half, hidden, strict=True)):
            shapes.barh(-layer, 2 * reach, left=i - reach, height=0.62, color=color, alpha=0.5)
            shapes.text(i, -layer, f"{units}", ha="center", va="center", fontsize=6.5)
        accuracy = 100 * result.accuracy[:, i]
        jitter = np.linspace(-0.15, 0.15, len(accuracy))
        dots.plot(i + jitter, accuracy, "o", color=color, markersize=4, alpha=0.6, markeredgewidth=0)
        dots.plot([i - 0.25, i + 0.25], 2 * [accuracy.mean()], "-", color=color, linewidth=2)
    for axes in (shapes, dots):
        axes.set(xlim=(-0.6, len(at) - 0.4))
    shapes.set(yticks=[0, -3], yticklabels=["first", "last"], ylabel="hidden layer", xticks=[])
    shapes.set_title(f"units in each layer, about {_PARAMETERS:,} weights", loc="left")
    dots.set_xticks(at, result.names)
    dots.set(ylabel="held-out accuracy (%)", xlabel="shape (one mark for each seed, line: mean)")
    words.band(narrow, result.narrow, 100 * result.narrow_accuracy, color=words.VERMILION, label="64-64-w-64")
    best, worst = 100 * result.accuracy.mean(axis=0).max(), 100 * result.accuracy.mean(axis=0).min()
    narrow.axhspan(worst, best, color=words.GREY, alpha=0.4, linewidth=0, label="means of the four shapes")
    narrow.set(xscale="log", xlabel="units w of the narrowest layer", ylabel="held-out accuracy (%)")
    narrow.set_xticks(result.narrow, [str(w) for w in result.narrow])
    narrow.minorticks_off()
    words.legend(narrow, loc="lower right")


CLAIM = Claim(
    name="patterns",
    section="Linear regions, width and depth",
    told="The shape of the hidden layers decides: constant, funnel, bottleneck or expanding.",
    told_by="articles on architecture",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="measured here",
)
