"""How fast classes become separable, layer by layer, while a network trains.

A linear read-out of every layer after ever more steps. On handwritten digits there is little to arise: the pixels
can be read off almost as well, an untrained net blurs them from layer to layer, training undoes that, and hidden
layers can be read off long before the output is right. On two spirals, which no line tells apart, separability does
arise, in the deeper layers.
"""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.draw import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, VERMILION, band, legend
from unbend.numerics.probe import ProbeRecipe
from unbend.numerics.result import result

READ_OUT = ProbeRecipe(l2=1e-3, n_shuffles=0, n_types=0)
COLORS = (SKY, BLUE, GREEN, ORANGE, PINK)


@result
class Course:
    """Read-outs of one network over its training.

    Attributes:
        data: the data set.
        widths: of the network.
        activation: of its hidden layers.
        steps: of the training, 0 before the first.
        layers: the hidden layers, after their activation.
        held_out: accuracy of their linear read-outs on held-out samples, by seed, step and layer.
        train: the same on the samples the read-outs were fitted to.
        own: the network's own held-out accuracy, by seed and step.
        input: accuracy of a linear read-out of the input on held-out samples, by seed.
    """

    data: str
    widths: tuple[int, ...]
    activation: str
    steps: Int64[np.ndarray, " t"]
    layers: tuple[str, ...]
    held_out: Float64[np.ndarray, "s t l"]
    train: Float64[np.ndarray, "s t l"]
    own: Float64[np.ndarray, "s t"]
    input: Float64[np.ndarray, " s"]


@result
class SeparabilityOverTime:
    """The course of a net on real digits, and of one on two spirals.

    Attributes:
        digits: scikit-learn's handwritten digits.
        spirals: two classes in the plane, wound into each other.
    """

    digits: Course
    spirals: Course


def run(seed: int = 0, budget: Budget = "full") -> SeparabilityOverTime:
    """Train, keeping snapshots, and read every layer off at each of them."""
    if budget == "quick":
        digits_at, spirals_at, seeds = (0, 16, 128, 512), (0, 64, 256, 512), [100 * seed]
    else:
        digits_at = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
        spirals_at = (0, 8, 16, 32, 64, 128, 256, 512, 1024)
        seeds = [100 * seed, 100 * seed + 1]
    digits = zoo.Recipe(epochs=-(-max(digits_at) // 23), batch_size=64)
    spirals = zoo.Recipe(epochs=max(spirals_at), rate=0.01)
    wound = {"n": 800, "turns": 1.5}
    return SeparabilityOverTime(
        digits=_course(
            (64, 64, 64, 64, 64, 10), "relu", [zoo.data("digits", seed=s) for s in seeds], digits, seeds, digits_at
        ),
        spirals=_course(
            (2, 12, 12, 12, 2),
            "tanh",
            [zoo.data("spirals", seed=s, **wound) for s in seeds],
            spirals,
            seeds,
            spirals_at,
        ),
    )


def _course(
    widths: tuple[int, ...],
    activation: str,
    sets: list[zoo.DataSet],
    recipe: zoo.Recipe,
    seeds: list[int],
    at: Collection[int],
) -> Course:
    names = tuple(str(2 * i + 1) for i in range(len(widths) - 2))
    held_out, train, own, inputs = [], [], [], []
    for data, seed in zip(sets, seeds, strict=True):
        net = zoo.mlp(widths, activation=activation, seed=seed)
        history = zoo.train(net, *data.train, recipe, seed=seed, snapshot_at=at)
        at_input = unbend.probe({"input": data.x_train}, data.y_train, test=({"input": data.x_test}, data.y_test),
                                recipe=READ_OUT)  # fmt: skip
        inputs.append(at_input.layers["input"].accuracy)
        rows, fitted, right = [], [], []
        for index in range(len(history.snapshot_steps)):
            zoo.restore(net, history, index)
            here, there = (unbend.representations(net, x, layers=names) for x in (data.x_train, data.x_test))
            probes = unbend.probe(here, data.y_train, test=(there, data.y_test), recipe=READ_OUT).layers
            rows.append([probes[name].accuracy for name in names])
            fitted.append([probes[name].train_accuracy for name in names])
            right.append(zoo.accuracy(net, *data.test))
        held_out.append(rows)
        train.append(fitted)
        own.append(right)
    layers = tuple(f"hidden {i + 1}" for i in range(len(names)))
    return Course(
        data=sets[0].name, widths=widths, activation=activation, steps=np.array(sorted(at)), layers=layers,
        held_out=np.array(held_out), train=np.array(train), own=np.array(own), input=np.array(inputs),
    )  # fmt: skip


def holds(result: SeparabilityOverTime) -> Verdict:
    """Where read-outs stand before, during and after."""
    digits, spirals = result.digits, result.spirals
    start, end = (np.median(digits.held_out, axis=0)[i] for i in (0, -1))
    early = int(np.flatnonzero(digits.steps == 16)[0])
    lag = np.median(digits.held_out[:, early, -1] - digits.own[:, early])
    spiral_start, spiral_end = (np.median(spirals.held_out, axis=0)[i] for i in (0, -1))
    checks = (
        Check("digits, before: first hidden read-out minus last", float(start[0] - start[-1]), 0.01, 0.4,
              "0.04 to 0.14 seen: an untrained net loses from layer to layer"),
        Check("digits, after: largest difference between hidden read-outs", float(np.ptp(end)), 0.0, 0.05,
              "0.01 to 0.03 seen"),
        Check("digits: rise of the last hidden read-out", float(end[-1] - start[-1]), 0.01, 0.4, "0.05 to 0.15 seen"),
        Check("digits: rise of the first hidden read-out", float(end[0] - start[0]), -0.02, 0.05, "0.00 to 0.04 seen"),
        Check("digits, step 16: last hidden read-out minus the net's own accuracy", float(lag), 0.2, 1.0,
              "0.5 to 0.8 seen: the output is the last to know"),
        Check("digits, after: last hidden read-out minus that of the pixels",
              float(end[-1] - np.median(digits.input)), -0.05, 0.05, "pixels are nearly as good"),
        Check("spirals: read-out of the input", float(np.median(spirals.input)), 0.4, 0.75,
              "0.64 to 0.70 seen, chance is 0.5"),
        Check("spirals, before: best hidden read-out", float(spiral_start.max()), 0.4, 0.85, "0.55 to 0.72 seen"),
        Check("spirals, after: last hidden read-out", float(spiral_end[-1]), 0.95, 1.0, "1 seen"),
        Check("spirals, after: last hidden read-out minus first", float(spiral_end[-1] - spiral_end[0]), 0.15, 0.6,
              "0.37 to 0.49 seen: it takes all the layers"),
    )  # fmt: skip
    truth = (
        "Where no line will do, separability arises with training, in the last layers; on digits training mostly "
        "repairs what an untrained net spoils, and hidden layers can be read off long before the output is right."
    )
    return Verdict("holds with a condition", truth, checks)


def finding(result: SeparabilityOverTime) -> str:
    """Read-outs of the first and last hidden layer, before and after."""
    digits, spirals = (np.median(course.held_out, axis=0) for course in (result.digits, result.spirals))
    own = np.median(result.digits.own, axis=0)
    early = int(np.flatnonzero(result.digits.steps == 16)[0])
    return (
        f"On digits the read-out of the pixels is {np.median(result.digits.input):.3f}; that of the first hidden layer "
        f"goes from {digits[0, 0]:.3f} to {digits[-1, 0]:.3f}, of the last from {digits[0, -1]:.3f} to "
        f"{digits[-1, -1]:.3f}; after {result.digits.steps[early]} steps it is {digits[early, -1]:.3f} where the net "
        f"itself is right on {own[early]:.3f}. On spirals the input gives {np.median(result.spirals.input):.3f}, the "
        f"last hidden layer {spirals[0, -1]:.3f} before and {spirals[-1, -1]:.3f} after training."
    )


def draw(result: SeparabilityOverTime, figure: Figure) -> None:
    """Read-outs over the steps, a panel for each data set."""
    figure.set_size_inches(9.0, 3.8)
    figure.set_layout_engine("constrained")
    for axes, course in zip(figure.subplots(1, 2), (result.digits, result.spirals), strict=True):
        _over_time(axes, course, len(course.steps) - 1)
    legend(figure.axes[0], loc="lower right")
    legend(figure.axes[1], loc="upper left")


def _over_time(axes: Axes, course: Course, last: int) -> None:
    """The read-outs up to snapshot `last`; step 0 stands left of step 1."""
    place = np.where(course.steps == 0, 0.5, course.steps)
    axes.axhline(np.median(course.input), color=GREY, linewidth=1.0, linestyle=":", label="input")
    seen = np.arange(len(place)) <= last
    for i, name in enumerate(course.layers):
        band(axes, place, course.held_out[..., i], color=COLORS[i], label=name, mark="osD^v"[i], keep=seen)
    band(axes, place, course.own, color=VERMILION, label="the net itself", mark="x", style="--", keep=seen)
    axes.set_xscale("log", base=2)
    ticks = place[:: max(1, len(place) // 6)]
    axes.set_xticks(ticks, [f"{step:g}" if step >= 1 else "0" for step in ticks])
    axes.set(xlabel="steps of training", ylabel="held-out accuracy of the read-out", ylim=_limits(course))
    axes.set_xlim(0.4, place[-1] * 1.3)
    axes.set_title(f"{course.data}, {'-'.join(map(str, course.widths))}, {course.activation}", fontsize=8)


def _limits(course: Course) -> tuple[float, float]:
    return max(0.0, min(course.held_out.min(), course.own.min(), course.input.min()) - 0.05), 1.02


def film(result: SeparabilityOverTime, figure: Figure, i: int) -> None:
    """Frame `i`: the read-outs over time so far, and over depth at this step, for the digits, then the spirals."""
    figure.set_size_inches(7.6, 3.6)
    figure.set_layout_engine("constrained")
    course, index = (
        (result.digits, i) if i < len(result.digits.steps) else (result.spirals, i - len(result.digits.steps))
    )
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.4, 1.0))
    _over_time(left, course, index)
    left.set_ylim(0.0, 1.02)
    legend(left, loc="lower right")
    names = ["input", *course.layers, "the net\nitself"]
    heights = np.concatenate(
        [[np.median(course.input)], np.median(course.held_out, axis=0)[index], [np.median(course.own, axis=0)[index]]]
    )
    right.bar(np.arange(len(names)), heights, color=[GREY, *COLORS[: len(course.layers)], VERMILION], width=0.7)
    right.set_xticks(np.arange(len(names)), [name.replace("hidden ", "") for name in names])
    right.set_xlabel("hidden layer")
    right.set_title(f"after {course.steps[index]:,} steps", fontsize=8, color=INK)


def n_frames(result: SeparabilityOverTime) -> int:
    """One for each snapshot of either course."""
    return len(result.digits.steps) + len(result.spirals.steps)


CLAIM = Claim(
    name="separability_over_time",
    section="Training",
    told="Training makes the classes separable, layer by layer.",
    told_by="articles for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    film=film,
    n_frames=n_frames,
    source="Alain & Bengio 2016, Understanding intermediate layers using linear classifier probes",
)
