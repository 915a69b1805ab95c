"""Put a layer of two units before the output, retrain, and look: the classes lie apart in a plane.

It works for any model, and the plane can be proved separable where every training row is right. What one sees is
another network than the one the layer was put into: it is slow to train, even from trained weights, and less accurate
on held-out rows. How it is built decides too: two units that bend with ReLU leave ten classes a quarter of the plane,
and many starts fail.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import nn

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREY, ORANGE, PAPER, legend, scatter, window
from unbend.numerics.result import result
from unbend.numerics.separable import JointSeparation

BENDS = ("none", "tanh")
CORNERED = "relu"
BATCH = 300
N_STARTS = 4
SHORT = 200
GOOD = 0.95


@result
class TwoUnitPlane:
    """The plane of the two units while it is trained.

    Attributes:
        y: classes of some training rows.
        step: after how many steps.
        points: where the rows lie.
        weight: the output layer.
        bias: its bias.
        accuracy: share of these rows that are right.
    """

    y: Int64[np.ndarray, " n"]
    step: Int64[np.ndarray, " f"]
    points: Float[np.ndarray, "f n 2"]
    weight: Float[np.ndarray, "f k 2"]
    bias: Float[np.ndarray, "f k"]
    accuracy: Float64[np.ndarray, " f"]


@result
class Bottleneck:
    """Trained networks for handwritten digits into which two units were put before the output.

    Attributes:
        models: the networks, and what bends after the two units; nothing in the first.
        n_steps: steps of the retraining.
        train: training accuracy after it.
        held_out: held-out accuracy after it.
        is_separable: whether a proof was accepted that the classes of the training rows are separable in the plane.
        steps_to_99: steps of the retraining until 99 % of the rows of an epoch were right; -1 if they never were.
        plain_train: training accuracy of the network before the two units were put in.
        plain_held_out: its held-out accuracy.
        plain_steps_to_99: steps of its own training, from random weights.
        cornered: training accuracy of the MLP with two units that bend with ReLU, one number per start.
        plane: of the first network.
    """

    models: tuple[str, ...]
    n_steps: int
    train: Float64[np.ndarray, " m"]
    held_out: Float64[np.ndarray, " m"]
    is_separable: Bool[np.ndarray, " m"]
    steps_to_99: Int64[np.ndarray, " m"]
    plain_train: Float64[np.ndarray, " m"]
    plain_held_out: Float64[np.ndarray, " m"]
    plain_steps_to_99: Int64[np.ndarray, " m"]
    cornered: Float64[np.ndarray, " s"]
    plane: TwoUnitPlane


def run(seed: int = 0, budget: Budget = "full") -> Bottleneck:
    """Train an MLP, and a convolutional net; then put two units before the output, and train on."""
    data = digits(seed)
    n_epochs = SHORT if budget == "quick" else 300
    per_epoch = -(-len(data.x_train) // BATCH)
    models: dict[str, nn.Module] = {"MLP": zoo.mlp([64, 128, 10], seed=seed)}
    if budget == "full":
        models["convolutional net"] = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *zoo.small_cnn(side=8, seed=seed))
    names, rows, planes = [], [], []
    for name, model in models.items():
        history = zoo.train(model, *data.train, zoo.Recipe(100, BATCH, rate=0.005), seed=seed)
        own = (*accuracies(model, data), first_good(history, per_epoch))
        for bend in BENDS if name == "MLP" else BENDS[:1]:
            narrow, path = zoo.narrow(model, 2, activation=None if bend == "none" else bend, seed=seed)
            shown = frames(n_epochs * per_epoch)
            history = zoo.train(narrow, *data.train, retraining(n_epochs), seed=seed, snapshot_at=shown)
            is_proved = is_separable(in_plane(narrow, path, data.x_train), data.y_train)
            names.append(name if bend == "none" else f"{name}, {bend}")
            rows.append((*accuracies(narrow, data), is_proved, first_good(history, per_epoch), *own))
            if not planes:
                planes.append(film_of(narrow, path, history, data))
    train, held_out, separable, steps, plain_train, plain_held_out, plain_steps = map(np.array, zip(*rows, strict=True))
    return Bottleneck(
        models=tuple(names),
        n_steps=n_epochs * per_epoch,
        train=train,
        held_out=held_out,
        plain_train=plain_train,
        plain_held_out=plain_held_out,
        is_separable=separable,
        steps_to_99=steps,
        plain_steps_to_99=plain_steps,
        cornered=np.array([with_relu(models["MLP"], data, N_STARTS * seed + i) for i in range(N_STARTS)]),
        plane=planes[0],
    )


def retraining(n_epochs: int) -> zoo.Recipe:
    """How a network is trained on with two units in it."""
    return zoo.Recipe(n_epochs, BATCH, rate=0.02, decay_at=(0.7, 0.9))


def with_relu(model: nn.Module, data: zoo.DataSet, seed: int) -> float:
    """Training accuracy after a shorter retraining with two units that bend with ReLU."""
    narrow, _ = zoo.narrow(model, 2, activation=CORNERED, seed=seed)
    zoo.train(narrow, *data.train, retraining(SHORT), seed=seed)
    return zoo.accuracy(narrow, *data.train)


def accuracies(model: nn.Module, data: zoo.DataSet) -> tuple[float, float]:
    """On training and on held-out rows."""
    return zoo.accuracy(model, *data.train), zoo.accuracy(model, *data.test)


def digits(seed: int) -> zoo.DataSet:
    """The handwritten digits."""
    return zoo.data("digits", seed=seed).flat()


def frames(n_steps: int) -> list[int]:
    """When to look: often at first, seldom later."""
    return sorted({round(step) for step in [0.0, *np.geomspace(1, n_steps, 48)]})


def in_plane(model: nn.Module, path: str, x: torch.Tensor) -> torch.Tensor:
    """Where the rows lie in the plane of the two units."""
    return unbend.representations(model, x, layers=[path])[path]


def is_separable(h: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether a linear read-out is found that is right in every row, and its proof accepted."""
    verdict = unbend.separate(h, y)
    return isinstance(verdict, JointSeparation) and verdict.verify(h, y)


def first_good(history: zoo.History, per_epoch: int) -> int:
    """Steps until an epoch had 99 % of its rows right; -1 if none had."""
    good = np.flatnonzero(history.accuracy >= 0.99)
    return int((good[0] + 1) * per_epoch) if len(good) else -1


def film_of(model: nn.Module, path: str, history: zoo.History, data: zoo.DataSet) -> TwoUnitPlane:
    """The plane at every moment that was kept, and the output layer on it."""
    x, y = data.x_train[:600], data.y_train[:600].numpy()
    kept = []
    for i in range(len(history.snapshot_steps)):
        zoo.restore(model, history, i)
        head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        kept.append((in_plane(model, path, x), *(p.detach().clone() for p in head.parameters())))
    points, weight, bias = (torch.stack(parts).numpy() for parts in zip(*kept, strict=True))
    told = (points @ weight.transpose(0, 2, 1) + bias[:, None]).argmax(2)
    return TwoUnitPlane(
        y=y, step=history.snapshot_steps, points=points, weight=weight, bias=bias, accuracy=np.mean(told == y, axis=1)
    )


def holds(result: Bottleneck) -> Verdict:
    """The plane of two units that do not bend is separable, and the units cost steps and accuracy."""
    lost = result.plain_held_out - result.held_out
    slower = result.steps_to_99[0] / result.plain_steps_to_99[0] if result.steps_to_99[0] > 0 else np.inf
    others = [i for i, name in enumerate(result.models) if i > 0 and not name.startswith("MLP")]
    checks = (
        Check(
            "training accuracy through two units that do not bend, MLP",
            float(result.train[0]),
            0.999,
            1.0,
            "they train: no error in any of 22 seeds",
        ),
        Check(
            "its plane is proved separable (1 = proved)",
            float(result.is_separable[0]),
            1.0,
            1.0,
            "exact arithmetic; without a training error the output layer is the proof",
        ),
        *(
            Check(
                f"training accuracy through two units that do not bend, {result.models[i]}",
                float(result.train[i]),
                0.9,
                1.0,
                "not every start gets the last rows right: .991 to 1 seen",
            )
            for i in others
        ),
        Check(
            "held-out accuracy lost by them (percentage points)",
            100 * float(lost[0]),
            0.1,
            15.0,
            "1.1 to 6.1 over 22 seeds, 3.5 in the mean; one held-out row is .3",
        ),
        Check(
            "steps to 99 % of the training rows, over those without them",
            float(slower),
            1.05,
            np.inf,
            "it trains slower: 1.2 to 2.1 times over 22 seeds",
        ),
        Check(
            f"starts with ReLU after the two units that end below {percent(GOOD)} of the training rows (share)",
            float(np.mean(result.cornered < GOOD)),
            0.25,
            1.0,
            "only a quarter of the plane is left to ten classes",
        ),
    )
    return Verdict(
        "holds with a condition",
        "Retrained long enough, two units that do not bend hold all ten classes of an MLP apart in a plane; but it is "
        "another, slower and less accurate network that one then looks at.",
        checks,
    )


def finding(result: Bottleneck) -> str:
    """What the two units do and cost."""
    proved = "proved separable" if result.is_separable[0] else "not separable"
    steps = f"{result.steps_to_99[0]:,}" if result.steps_to_99[0] > 0 else f"more than {result.n_steps:,}"
    return (
        f"With two units before the output the {result.models[0]} has {percent(result.train[0])} of the training "
        "rows right "
        f"after {result.n_steps:,} steps ({proved}), and {percent(result.held_out[0])} of the held-out rows instead of "
        f"{percent(result.plain_held_out[0])}. It needs {steps} steps to 99 % instead of "
        f"{result.plain_steps_to_99[0]:,}; "
        f"followed by ReLU, {np.sum(result.cornered < GOOD)} of {len(result.cornered)} starts end below "
        f"{percent(GOOD)} of the training rows, in the median at {percent(np.median(result.cornered))}."
    )


def draw(result: Bottleneck, figure: Figure) -> None:
    """The plane at the end, and what the two units cost."""
    figure.set_size_inches(7.2, 3.6)
    left, right = figure.subplots(1, 2)
    _plane(left, result.plane, -1, f"the two units of the {result.models[0]}")
    places = np.arange(len(result.models) + 1)
    names = [*result.models, f"MLP, {CORNERED}"]
    looks = ((result.plain_held_out, GREY, "without, held-out rows"), (result.train, ORANGE, "with, training rows"),
             (result.held_out, BLUE, "with, held-out rows"))  # fmt: skip
    for shift, (values, color, name) in zip((-0.27, 0, 0.27), looks, strict=True):
        bars = right.barh(places[:-1] + shift, 100 * values, 0.25, color=color, label=name)
        right.bar_label(bars, fmt="%.1f", fontsize=6.5, padding=2)
    bars = right.barh(places[-1:], 100 * np.median(result.cornered), 0.25, color=ORANGE)
    right.bar_label(bars, fmt="%.1f", fontsize=6.5, padding=2)
    starts = np.full(len(result.cornered), places[-1])
    right.plot(100 * result.cornered, starts, "|", color="black", ms=9, label="each start with ReLU; bar: median")
    right.set_yticks(places, [name.replace(", ", ",\n") for name in names])
    right.set(xlabel="accuracy (%)", ylabel="network with two units", xlim=(0, 112))
    right.invert_yaxis()
    legend(right, place="above", ncols=2)


def film(result: Bottleneck, figure: Figure, i: int) -> None:
    """The plane at one moment of the training."""
    figure.set_size_inches(4.4, 4.4)
    _plane(
        figure.subplots(), result.plane, i, f"step {result.plane.step[i]}: {percent(result.plane.accuracy[i])} right"
    )


def n_frames(result: Bottleneck) -> int:
    """One for every time that the plane was kept."""
    return len(result.plane.step)


def _plane(axes: Axes, plane: TwoUnitPlane, i: int, title: str) -> None:
    """Points by class, and the lines between the regions that the output layer gives to each."""
    points = plane.points[i].astype(np.float64)
    window(axes, points, equal=False)
    x, y = np.meshgrid(np.linspace(*axes.get_xlim(), 241), np.linspace(*axes.get_ylim(), 241))
    told = (np.stack([x, y], -1) @ plane.weight[i].T + plane.bias[i]).argmax(-1)
    for label in np.unique(told):
        if (told != label).any():
            axes.contour(x, y, (told == label).astype(float), levels=[0.5], colors=[GREY], linewidths=0.5)
    scatter(axes, points, plane.y, size=3)
    for label in range(10):
        across, up = np.median(points[plane.y == label], axis=0)
        text = axes.text(across, up, str(label), fontweight="bold", ha="center", va="center")
        text.set_path_effects([withStroke(linewidth=2.5, foreground=PAPER)])
    axes.set(xlabel="unit 1", ylabel="unit 2")
    axes.set_title(title, loc="left")


CLAIM = Claim(
    name="bottleneck",
    section="Seeing separability arise",
    told="Insert a layer of two units before the output, retrain, and look: the classes are linearly separable there.",
    told_by="an article for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    film=film,
    n_frames=n_frames,
)
