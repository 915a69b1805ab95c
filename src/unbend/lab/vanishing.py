"""Gradients shrink by a factor per layer, and the factor is set by activation and initial weights together.

Behind twenty sigmoids the first layer's gradient is some 12, 17 or 32 orders of magnitude below the last one's,
depending on how the weights were drawn, and no order below it when they are drawn for sigmoids. Residual
connections and normalisation help as well; ReLU by itself does not.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float64
from matplotlib.figure import Figure
from torch import Tensor, nn

from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, VERMILION, legend
from unbend.numerics.result import result

WIDTH, N_HIDDEN = 100, 20


@dataclass(frozen=True, slots=True)
class Kind:
    """A deep network: its activation, its initial weights, and what else keeps gradients alive.

    Attributes:
        name: as it stands in the picture.
        activation: of every hidden layer.
        initial: its weights before training.
        norm: between the layers, if any.
        is_residual: whether each layer adds to its input.
        slope: root mean square derivative of the activation, where the factor per layer is known.
    """

    name: str
    activation: str
    initial: zoo.Initial
    norm: Literal["batch", "layer"] | None = None
    is_residual: bool = False
    slope: float = math.nan

    def build(self, seed: int) -> nn.Sequential:
        """The network for 8 x 8 images of ten digits."""
        build = zoo.residual_mlp if self.is_residual else zoo.mlp
        net = build([64, *[WIDTH] * N_HIDDEN, 10], activation=self.activation, norm=self.norm, seed=seed)
        return zoo.initialise(net, self.initial, seed=seed)

    @property
    def predicted_orders(self) -> float:
        """log10 of (slope · standard deviation · √width) per layer, over all hidden layers."""
        spread = {"xavier": WIDTH**-0.5, "torch": (3 * WIDTH) ** -0.5, "normal": 1.0}.get(self.initial.rule, math.nan)
        return N_HIDDEN * math.log10(self.slope * self.initial.gain * spread * WIDTH**0.5)


XAVIER, DEFAULT, TINY = zoo.Initial("xavier"), zoo.Initial("torch"), zoo.Initial("normal", gain=0.01)
KINDS = (
    Kind("sigmoid, N(0, 0.01²)", "sigmoid", TINY, slope=0.25),
    Kind("sigmoid, PyTorch's default", "sigmoid", DEFAULT, slope=0.25),
    Kind("sigmoid, Xavier", "sigmoid", XAVIER, slope=0.25),
    Kind("sigmoid, orthogonal × 4, centred", "sigmoid", zoo.Initial("orthogonal", gain=4.0, bias="centred")),
    Kind("sigmoid, default, residual", "sigmoid", DEFAULT, is_residual=True),
    Kind("sigmoid, default, batch norm", "sigmoid", DEFAULT, "batch"),
    Kind("tanh, PyTorch's default", "tanh", DEFAULT),
    Kind("ReLU, PyTorch's default", "relu", DEFAULT),
    Kind("ReLU, He", "relu", zoo.Initial("he")),
    Kind("ReLU, default, residual", "relu", DEFAULT, is_residual=True),
    Kind("ReLU, default, batch norm", "relu", DEFAULT, "batch"),
)
TRAINED_QUICKLY = (1, 3, 7, 8)


@result
class Vanishing:
    """Sizes of the gradients of deep networks at birth, and whether they learn.

    Attributes:
        kinds: the networks.
        size: norm of the loss gradient of every layer's weights, from the first layer to the last.
        orders: log10 of the first layer's norm over the last one's.
        predicted: the same from the factor per layer, for sigmoids around 0; NaN where it is not so simple.
        is_trained: which networks were trained.
        accuracy: on held-out digits after the training; NaN where there was none.
        n_steps: of the training, with Adam at its default rate of 0.001.
        floor: the norm at which the first layer's gradient is Adam's ε of 1e-8 in each weight; below it Adam, which
            otherwise does not mind how small gradients are, takes no steps worth the name.
    """

    kinds: tuple[str, ...]
    size: Float64[np.ndarray, "kinds seeds layers"]
    orders: Float64[np.ndarray, "kinds seeds"]
    predicted: Float64[np.ndarray, " kinds"]
    is_trained: Bool[np.ndarray, " kinds"]
    accuracy: Float64[np.ndarray, " kinds"]
    n_steps: int
    floor: float


def run(seed: int = 0, budget: Budget = "full") -> Vanishing:
    """Measure the gradients of freshly drawn networks on real digits, then train them."""
    data = zoo.data("digits", seed=seed)
    n_draws, epochs = (2, 4) if budget == "quick" else (5, 10)
    trained = np.array([budget == "full" or i in TRAINED_QUICKLY for i in range(len(KINDS))])
    size = np.zeros((len(KINDS), n_draws, N_HIDDEN + 1))
    accuracy, n_steps = np.full(len(KINDS), np.nan), 0
    for i, kind in enumerate(KINDS):
        for draw_ in range(n_draws):
            size[i, draw_] = _gradient_sizes(kind.build(100 * seed + draw_), *data.first(256, 0).train)
        if trained[i]:
            net = kind.build(100 * seed)
            n_steps = zoo.train(net, *data.train, zoo.Recipe(epochs=epochs, batch_size=64), seed=seed).n_steps
            accuracy[i] = zoo.accuracy(net, *data.test)
    with np.errstate(divide="ignore"):
        orders = np.log10(size[..., 0]) - np.log10(size[..., -1])
    floor = 1e-8 * (64 * WIDTH) ** 0.5
    predicted = np.array([kind.predicted_orders for kind in KINDS])
    return Vanishing(
        kinds=tuple(kind.name for kind in KINDS),
        size=size,
        orders=orders,
        predicted=predicted,
        is_trained=trained,
        accuracy=accuracy,
        n_steps=n_steps,
        floor=floor,
    )


def _gradient_sizes(net: nn.Sequential, x: Tensor, y: Tensor) -> Float64[np.ndarray, " layers"]:
    net.train()
    weights = [module.weight for module in net.modules() if isinstance(module, nn.Linear)]
    gradients = torch.autograd.grad(nn.functional.cross_entropy(net(x), y), weights)
    return np.array([float(gradient.double().norm()) for gradient in gradients])


def holds(result: Vanishing) -> Verdict:
    """The orders lost are those of the factor per layer; the remedies lose hardly any."""
    orders = dict(zip(result.kinds, np.median(result.orders, axis=1).tolist(), strict=True))
    accuracy = dict(zip(result.kinds, result.accuracy.tolist(), strict=True))
    size = dict(zip(result.kinds, np.median(result.size[..., 0], axis=1).tolist(), strict=True))
    default = "sigmoid, PyTorch's default"
    theory = [
        Check(
            f"{name}: log10 of the first gradient over the last", orders[name], expected - 1.0, expected + 1.0,
            f"{N_HIDDEN} layers of (slope · σ · √width) give {expected:.1f}; input and output layer are within 1",
        )
        for name, expected in zip(result.kinds, result.predicted.tolist(), strict=True) if np.isfinite(expected)
    ]  # fmt: skip
    is_sigmoid = np.isfinite(result.predicted)
    remedies = [
        Check(
            f"{name}: log10 of the first gradient over the last", orders[name], low, 2.0,
            "under 1.5 seen over seeds, 2.3 for residual sigmoids",
        )
        for name, low in (
            ("sigmoid, orthogonal × 4, centred", -1.0), ("sigmoid, default, residual", -3.0),
            ("sigmoid, default, batch norm", -1.0), ("ReLU, He", -1.0), ("ReLU, default, residual", -1.5),
            ("ReLU, default, batch norm", -1.0),
        )
    ]  # fmt: skip
    checks = (
        *theory,
        Check(
            "these three: farthest log10 of a hidden layer's gradient from a straight line over the layers",
            max(map(_off_line, result.size[is_sigmoid])), 0.0, 0.2,
            "exponential in depth is a straight line here; .03 to .1 seen on its way through 12 to 32 orders",
        ),
        *remedies,
        Check(
            "ReLU, PyTorch's default: log10 of the first gradient over the last",
            orders["ReLU, PyTorch's default"], -8.0, -5.0,
            "-6.5 seen; (1/√6) per layer gives -7.8, and biases soften it",
        ),
        Check(
            f"{default}: norm of the first gradient", size[default], 0.0, result.floor,
            "Adam's ε in each weight: below it, even Adam stands still",
        ),
        Check(f"{default}: held-out accuracy after training", accuracy[default], 0.0, 0.2, "chance is 0.1"),
        Check(
            "sigmoid, orthogonal × 4, centred: held-out accuracy after training",
            accuracy["sigmoid, orthogonal × 4, centred"], 0.7, 1.0,
            "as deep, as sigmoid; 0.87 after 92 steps, 0.92 after 230",
        ),
        Check("ReLU, He: held-out accuracy after training", accuracy["ReLU, He"], 0.7, 1.0,
              "0.87 after 92 steps, 0.94 after 230"),
    )  # fmt: skip
    truth = (
        "The loss is exponential in depth, but its base is (slope · weight spread · √width): 12, 17 or 32 orders for "
        "sigmoids by initialisation alone, 6 for ReLU with PyTorch's default, none where the base is made 1."
    )
    return Verdict("holds with a condition", truth, checks)


def _off_line(size: Float64[np.ndarray, "seeds layers"]) -> float:
    """How far log10 of the median gradient of a hidden layer lies from the best straight line, at most."""
    hidden = np.log10(np.median(size, axis=0)[1:-1])
    layers = np.arange(len(hidden))
    return float(np.abs(hidden - np.polyval(np.polyfit(layers, hidden, 1), layers)).max())


def finding(result: Vanishing) -> str:
    """The orders lost by initialisation, and what training made of them."""
    lost = {name: -value for name, value in zip(result.kinds, np.median(result.orders, axis=1), strict=True)}
    accuracy = dict(zip(result.kinds, result.accuracy, strict=True))
    good = "sigmoid, orthogonal × 4, centred"
    return (
        f"Through {N_HIDDEN} sigmoid layers the gradient loses {lost['sigmoid, Xavier']:.1f} orders of magnitude with "
        f"Xavier's weights, {lost[KINDS[1].name]:.1f} with PyTorch's default, {lost[KINDS[0].name]:.1f} with "
        f"N(0, 0.01²) and {lost[good]:.1f} with orthogonal weights × 4, centred; ReLU with PyTorch's default loses "
        f"{lost[KINDS[7].name]:.1f}. After {result.n_steps} steps of Adam the default sigmoid net calls "
        f"{percent(accuracy[KINDS[1].name])} of held-out digits right, the orthogonal one {percent(accuracy[good])}."
    )


_STYLES = {
    "sigmoid": ((VERMILION, "-"), (ORANGE, "-"), (PINK, "-"), (BLUE, "-"), (SKY, "--"), (GREEN, ":")),
    "other": ((GREY, "-."), (VERMILION, "-"), (BLUE, "-"), (SKY, "--"), (GREEN, ":")),
}


def draw(result: Vanishing, figure: Figure) -> None:
    """Gradient norms over the layers, sigmoids beside the others; accuracy against the first gradient's size."""
    figure.set_size_inches(10.0, 4.8)
    figure.set_layout_engine("constrained")
    left, middle, right = figure.subplots(1, 3)
    left.sharey(middle)
    layers = np.arange(1, result.size.shape[-1] + 1)
    counts = {left: 0, middle: 0}
    first = np.median(result.size[..., 0], axis=1)
    for i, name in enumerate(result.kinds):
        axes, family = (left, "sigmoid") if name.startswith("sigmoid") else (middle, "other")
        color, style = _STYLES[family][counts[axes]]
        counts[axes] += 1
        axes.semilogy(
            layers, np.median(result.size[i], axis=0), style, color=color, label=name.replace("PyTorch's ", "")
        )
        if result.is_trained[i]:
            right.semilogx(first[i], result.accuracy[i], "o" if family == "sigmoid" else "s", color=color)
    for axes in (left, middle):
        axes.set(xlabel="layer, from the input", ylabel="norm of the weights' gradient", xticks=(1, 6, 11, 16, 21))
        legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    right.axvline(result.floor, color=GREY, linewidth=0.8)
    right.annotate("Adam's ε in each weight", (result.floor, 0.5), xytext=(-4, 0), textcoords="offset points",
                   color=INK, rotation=90, ha="right", va="center", fontsize=7.5)  # fmt: skip
    right.set(
        xlabel="norm of the first layer's gradient", ylabel="held-out accuracy", ylim=(0, 1.02), xlim=(1e-36, 1e5)
    )
    right.set_xticks([1e-32, 1e-24, 1e-16, 1e-8, 1.0])
    right.set_title(f"after {result.n_steps} steps of Adam\n(● sigmoid, ■ others)", fontsize=8)


CLAIM = Claim(
    name="vanishing",
    section="Training",
    told="Twenty sigmoid layers make the first layer's gradient twenty orders of magnitude smaller.",
    told_by="articles for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Hochreiter 1991; Bengio, Simard & Frasconi 1994; Glorot & Bengio 2010; He et al. 2015",
)
