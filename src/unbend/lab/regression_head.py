"""In a regression the last hidden layer makes the target linear, as far as the net fits it.

Separability has a counterpart where the output is a number: the share of the target's variance that a linear read-out
of a layer explains, R². Through the layers of a net that has learned a formula it rises to 1, at the activations
only. On real data the training R² rises too, yet the held-out one may fall: a target can be made linear by heart.
"""

import numpy as np
import torch
from jaxtyping import Float64
from matplotlib.figure import Figure

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.draw import BLUE, GREY, VERMILION, legend
from unbend.numerics.result import result

ACTIVATION = "tanh"
HIDDEN = (16, 16, 16)


@result
class RegressionHead:
    """R² of a linear read-out of every layer, for a formula and for patients.

    Attributes:
        layers: what stands in the columns: the input, then every layer, the output last.
        tasks: what stands in the rows.
        n_train: training samples of every task.
        train: R² on training rows.
        held_out: R² on held-out rows.
        untrained: held-out R² in the same net before training.
        own: R² of the net itself on training rows.
        own_held_out: on held-out rows.
    """

    layers: tuple[str, ...]
    tasks: tuple[str, ...]
    n_train: tuple[int, ...]
    train: Float64[np.ndarray, "t l"]
    held_out: Float64[np.ndarray, "t l"]
    untrained: Float64[np.ndarray, "t l"]
    own: Float64[np.ndarray, " t"]
    own_held_out: Float64[np.ndarray, " t"]


def run(seed: int = 0, budget: Budget = "full") -> RegressionHead:
    """Train one net on each task, and read the target off every layer with a straight line."""
    n_steps = 500 if budget == "quick" else 2000
    tasks = {
        "exp(sin πx + y²)": (zoo.formula(bump, 400, seed=seed), zoo.Recipe(n_steps, rate=0.01, decay_at=(0.7,))),
        "diabetes, 442 patients": (zoo.data("diabetes", seed=seed), zoo.Recipe(200, rate=0.005)),
    }
    found, names = [], ()
    for data, recipe in tasks.values():
        net = zoo.mlp([data.x_train.shape[1], *HIDDEN, 1], activation=ACTIVATION, seed=seed)
        before = unbend.study(net, data.train, held_out=data.test, twin=False).across["depth"]
        zoo.train(net, *data.train, recipe, seed=seed)
        after = unbend.study(net, data.train, held_out=data.test, twin=False).across["depth"]
        own = [r2(net, *part) for part in (data.train, data.test)]
        found.append((after.train, after.held_out, before.held_out, *own))
        names = tuple(after.kinds)
    train, held_out, untrained, own, own_held_out = zip(*found, strict=True)
    return RegressionHead(
        layers=short_names(names),
        tasks=tuple(tasks),
        n_train=tuple(len(data.x_train) for data, _ in tasks.values()),
        train=np.stack(train),
        held_out=np.stack(held_out),
        untrained=np.stack(untrained),
        own=np.array(own),
        own_held_out=np.array(own_held_out),
    )


def bump(x: torch.Tensor) -> torch.Tensor:
    """A formula of two numbers that no plane fits."""
    return torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2)


def short_names(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Short names of the layers, such as "linear 1" and "bend 1"."""
    words = {"affine": "linear", "activation": "bend"}
    return tuple(words[kind] + f" {(i + 1) // 2}" if kind in words else kind for i, kind in enumerate(kinds))


def r2(net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of the target's variance that the net itself explains."""
    return float(1 - ((y - zoo.outputs(net, x)) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def holds(result: RegressionHead) -> Verdict:
    """R² rises to 1 at the bends for a formula; on patients only the training R² rises."""
    formula, patients = result.held_out
    affine = [i for i, name in enumerate(result.layers) if name.startswith("linear")]
    steps = np.diff(result.train, axis=1)
    checks = (
        Check("formula: held-out R² of the input", float(formula[0]), 0.0, 0.6, "a plane does not fit it"),
        Check("formula: held-out R² of the last hidden layer", float(formula[-2]), 0.97, 1.0, "seeds 0 to 4"),
        Check(
            "formula: gained over the same net untrained",
            float(formula[-2] - result.untrained[0, -2]),
            0.03,
            reason="random layers alone help too",
        ),
        Check(
            "largest rise of the training R² at a linear layer",
            float(max(steps[:, i - 1].max() for i in affine[:-1])),
            high=0.02,
            reason="a linear map adds nothing to a linear read-out; ridge and the row sample leave a little",
        ),
        Check(
            "net's own training R² less that of its last hidden layer's read-out",
            float((result.own - result.train[:, -2]).max()),
            high=0.01,
            reason="the net is one such read-out",
        ),
        Check(
            "patients: rise of the training R² from input to last hidden layer",
            float(result.train[1, -2] - result.train[1, 0]),
            0.1,
            reason="330 samples can be learned by heart",
        ),
        Check(
            "patients: the same for the held-out R²",
            float(patients[-2] - patients[0]),
            high=0.0,
            reason="what rises is learned by heart: it falls by .1 to .5",
        ),
    )
    return Verdict(
        "holds with a condition",
        "The last hidden layer makes the target linear as far as the net fits it; on held-out data that may be no more "
        "than the input did.",
        checks,
    )


def finding(result: RegressionHead) -> str:
    """R² at input and last hidden layer, for both tasks."""
    (a, b), (c, d) = (result.held_out[t, [0, -2]] for t in (0, 1))
    e, f = result.train[1, [0, -2]]
    return (
        f"Held-out R² of a linear read-out rises from {a:.2f} at the input to {b:.3f} at the last hidden layer for the "
        f"formula ({result.untrained[0, -2]:.2f} before training). For the patients it goes from {c:.2f} to {d:.2f}, "
        f"while the training R² rises from {e:.2f} to {f:.2f}."
    )


def draw(result: RegressionHead, figure: Figure) -> None:
    """R² over the layers of both nets."""
    axes = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(result.layers))
    for t, ax in enumerate(axes):
        for values, color, look, name in (
            (result.train[t], VERMILION, "s--", "training rows"),
            (result.held_out[t], BLUE, "o-", "held-out rows"),
            (result.untrained[t], GREY, ".:", "held-out, untrained net"),
        ):
            ax.plot(places[:-1], values[:-1], look, color=color, markersize=4, label=name)
        ax.set_xticks(places[:-1], result.layers[:-1], rotation=38, ha="right", rotation_mode="anchor")
        ax.set(xlabel="layer", ylim=(min(0, float(result.held_out.min())), 1.05))
        ax.set_title(result.tasks[t], loc="left")
    axes[0].set_ylabel("R² of a linear read-out")
    legend(axes[0], loc="lower right")


CLAIM = Claim(
    name="regression_head",
    section="Seeing separability arise",
    told="What separability is for classes, the last hidden layer does for a regression: it makes the target linear.",
    told_by="an open question at the end of an article",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
)
