"""Activation functions and their derivatives side by side, and what each may stand for at the output.

Values and slopes come from torch and its autograd, so that a function of your own joins by one line. Sigmoid comes near
1 soon, at 10 to within 5e-5; a ReLU with bias -b passes only what exceeds b; softmax of two logits is the sigmoid of
their difference; and a sigmoid at the output cannot give a number below 0, whatever is trained.
"""

import numpy as np
import torch
from jaxtyping import Float64
from matplotlib.figure import Figure
from torch import Tensor, nn

from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.draw import BLUE, FAINT, GREEN, VERMILION
from unbend.numerics.result import result

SHOWN = (
    "relu", "leaky_relu", "elu", "sigmoid", "tanh", "hardtanh", "silu", "gelu",
    "mish", "softplus", "softsign", "cosine", "gaussian", "square",
)  # fmt: skip
SMOOTH = ("sigmoid", "tanh", "silu", "gelu", "mish", "softplus", "cosine", "gaussian", "square")


@result
class Activations:
    """Functions and slopes on a grid, and what was measured of some of them.

    Attributes:
        names: of the functions; the last is one of our own.
        z: pre-activations.
        value: every function there.
        slope: its derivative there, by autograd.
        slope_error: largest difference of autograd from central differences, over the smooth functions.
        sigmoid_of_10: the sigmoid at 10, in float64.
        sigmoid_slope: the greatest slope of the sigmoid.
        swish_error: largest |z sigmoid(z) - torch's SiLU|.
        outside: how far the values of a function leave the range that is known for it, at most.
        passed_below: share of inputs up to b that a ReLU with bias -b lets pass.
        passed_above: share of inputs above b that it lets pass.
        softmax_sum_error: largest |sum of a softmax - 1|.
        softmax: the probabilities of three classes whose logits are z, 0 and 1.
        softmax_sigmoid_error: largest |softmax of two logits - sigmoid of their difference|.
        target: a curve from -1 to 1 to be learned, over `at`.
        at: where.
        linear: what a net with a linear output learned.
        squashed: what the same net with a sigmoid output learned.
        floor: the mean squared error that no output above 0 can go below on this curve.
    """

    names: tuple[str, ...]
    z: Float64[np.ndarray, " n"]
    value: Float64[np.ndarray, "a n"]
    slope: Float64[np.ndarray, "a n"]
    slope_error: float
    sigmoid_of_10: float
    sigmoid_slope: float
    swish_error: float
    outside: float
    passed_below: float
    passed_above: float
    softmax_sum_error: float
    softmax: Float64[np.ndarray, "3 n"]
    softmax_sigmoid_error: float
    target: Float64[np.ndarray, " t"]
    at: Float64[np.ndarray, " t"]
    linear: Float64[np.ndarray, " t"]
    squashed: Float64[np.ndarray, " t"]
    floor: float


def own(z: Tensor) -> Tensor:
    """A function of one's own: a wave on a line (Ziyin et al. 2020)."""
    return z + torch.sin(z) ** 2


def run(seed: int = 0, budget: Budget = "full") -> Activations:
    """Evaluate, differentiate, and train one net with two kinds of output."""
    z = torch.linspace(-5, 5, 401, dtype=torch.float64)
    curves = [zoo.curve(function, z) for function in (*SHOWN, own)]
    known = [zoo.activation(name) for name in SHOWN]
    logits = torch.randn(1000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    two = torch.softmax(logits[:, :2], dim=1)[:, 1] - torch.sigmoid(logits[:, 1] - logits[:, 0])
    passed = nn.functional.relu(z - 1.5) > 0
    at, target, linear, squashed = outputs(seed, budget)
    return Activations(
        names=(*SHOWN, "z + sin² z"),
        z=z.numpy(),
        value=np.stack([curve.value for curve in curves]),
        slope=np.stack([curve.derivative for curve in curves]),
        slope_error=max(slope_error(name, z) for name in SMOOTH),
        sigmoid_of_10=float(torch.sigmoid(torch.tensor(10.0, dtype=torch.float64))),
        sigmoid_slope=float(zoo.curve("sigmoid", z).derivative.max()),
        swish_error=float((z * torch.sigmoid(z) - nn.functional.silu(z)).abs().max()),
        outside=max(
            float(max(one.low - curve.value.min(), curve.value.max() - one.high))
            for one, curve in zip(known, curves, strict=False)
        ),
        passed_below=float(passed[z <= 1.5].double().mean()),
        passed_above=float(passed[z > 1.5].double().mean()),
        softmax=torch.softmax(torch.stack([z, torch.zeros_like(z), torch.ones_like(z)]), dim=0).numpy(),
        softmax_sum_error=float((torch.softmax(logits, dim=1).sum(dim=1) - 1).abs().max()),
        softmax_sigmoid_error=float(two.abs().max()),
        target=target,
        at=at,
        linear=linear,
        squashed=squashed,
        floor=float(np.square(np.minimum(target, 0)).mean()),
    )


def slope_error(name: str, z: Tensor) -> float:
    """The largest difference between autograd and central differences."""
    step = 1e-5
    function = zoo.activation(name)
    by_hand = (function(z + step) - function(z - step)) / (2 * step)
    return float(np.abs(zoo.curve(name, z).derivative - by_hand.numpy()).max())


def outputs(seed: int, budget: Budget) -> tuple[np.ndarray, ...]:
    """One period of a sine, learned with a linear and with a sigmoid output: places, target, and both."""
    x = torch.linspace(-np.pi, np.pi, 100)[:, None]
    y = x.sin()
    recipe = zoo.Recipe(epochs=600 if budget == "quick" else 2000, rate=0.02)
    learned = []
    for last in (nn.Identity(), nn.Sigmoid()):
        net = nn.Sequential(*zoo.mlp([1, 16, 1], activation="tanh", seed=seed), last)
        zoo.train(net, x, y, recipe, loss="mse", seed=seed)
        learned.append(zoo.outputs(net, x)[:, 0].double().numpy())
    return x[:, 0].double().numpy(), y[:, 0].double().numpy(), *learned


def holds(result: Activations) -> Verdict:
    """Slopes right, ranges kept, the printed digits, and the outputs' limits."""
    linear, squashed = (float(np.square(found - result.target).mean()) for found in (result.linear, result.squashed))
    checks = (
        Check("1 - sigmoid(10)", 1 - result.sigmoid_of_10, 4.5397e-5, 4.5399e-5, "1 / (1 + exp(10)): 0.999… is right"),
        Check("greatest slope of the sigmoid", result.sigmoid_slope, 0.25 - 1e-12, 0.25 + 1e-12, "at 0; tanh has 1"),
        Check("largest |autograd - central differences| of the slopes", result.slope_error, 0, 1e-8,
              "the differences' own error, about 1e-10"),
        Check("farthest a value leaves its known range", max(result.outside, 0.0), 0, 1e-12, "rounding"),
        Check("largest |z sigmoid(z) - SiLU|", result.swish_error, 0, 1e-14, "Swish is SiLU; rounding"),
        Check("share that a ReLU with bias -1.5 passes of inputs up to 1.5", result.passed_below, 0, 0, "exactly none"),
        Check("share that it passes of inputs above 1.5", result.passed_above, 1, 1, "exactly all"),
        Check("largest |sum of a softmax - 1|", result.softmax_sum_error, 0, 1e-14, "rounding"),
        Check("largest |softmax of two logits - sigmoid of their difference|", result.softmax_sigmoid_error, 0, 1e-14,
              "the same formula; rounding"),
        Check("a sine learned with a linear output: mean squared error", linear, 0, 0.02, ".001 and below seen"),
        Check("the same with a sigmoid output, over what no positive output can go below", squashed / result.floor,
              1, 1.2, "an output above 0 misses every target below 0"),
    )  # fmt: skip
    truth = (
        "sigmoid(10) is 0.99995, a ReLU with bias -b passes what exceeds b and nothing else, a softmax of two logits "
        "is the sigmoid of their difference, and a squashed output cannot leave its range, a linear one can."
    )
    return Verdict("holds", truth, checks)


def finding(result: Activations) -> str:
    """The printed digits, and the two outputs."""
    linear, squashed = (float(np.square(found - result.target).mean()) for found in (result.linear, result.squashed))
    return (
        f"sigmoid(10) = {result.sigmoid_of_10:.8f}; autograd's slopes equal differences to {result.slope_error:.0e}; "
        f"a sine is learned to an error of {linear:.1e} with a linear output and {squashed:.2f} with a sigmoid one."
    )


def draw(result: Activations, figure: Figure) -> None:
    """Every function with its slope, softmax, and the sine with two outputs."""
    figure.set_size_inches(9.0, 5.2)
    panels = figure.subplots(3, 6, sharex=False)
    for place, (axes, name) in enumerate(zip(panels.flat, result.names, strict=False)):
        axes.axhline(0, color=FAINT, linewidth=0.6)
        axes.plot(result.z, result.value[place], color=BLUE, label="f(z)")
        axes.plot(result.z, result.slope[place], "--", color=VERMILION, linewidth=1.1, label="f′(z)")
        axes.set(ylim=(-1.6, 2.6), xlim=(-5, 5), title=name)
        if place >= 12:
            axes.set_xlabel("z")
        if place % 6 == 0:
            axes.set_ylabel("f and slope f′")
    panels[0, 0].legend(frameon=False, fontsize=7, loc="upper left")
    soft, last, spare = panels.flat[-3:]
    spare.set_axis_off()
    for row, color, style, logit in zip(result.softmax, (BLUE, VERMILION, GREEN), ("-", "--", ":"), "z01", strict=True):
        soft.plot(result.z, row, style, color=color, label=f"logit {logit}")
    soft.set(title="softmax of z, 0, 1", xlabel="z", ylim=(-0.05, 1.05), xlim=(-5, 5))
    last.plot(result.at, result.target, color=FAINT, linewidth=4, label="target")
    last.plot(result.at, result.linear, color=BLUE, label="linear")
    last.plot(result.at, result.squashed, "--", color=VERMILION, label="sigmoid")
    last.set(title="output layers", xlabel="x", ylim=(-1.2, 1.3))
    # The curves fill their panels: the words stand beside them.
    handles, names = zip(*(axes.get_legend_handles_labels() for axes in (soft, last)), strict=True)
    said = [*(f"softmax, {name}" for name in names[0]), *(f"output, {name}" for name in names[1])]
    spare.legend([*handles[0], *handles[1]], said, frameon=False, fontsize=6.5, labelspacing=0.3, loc="center left")


CLAIM = Claim(
    name="activations",
    section="Foundations",
    told="sigmoid(10) = 0.999…; a ReLU with bias -b passes what exceeds b; outputs: sigmoid, softmax, linear.",
    told_by="articles for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Ramachandran, Zoph & Le 2017 (Swish); Hendrycks & Gimpel 2016 (GELU)",
)
