"""Two hidden units solve XOR with weights that anyone can check by hand.

ReLU: both units look along x1 + x2, the second from 1 on, and their difference folds the plane so that a line parts
the corners. Sigmoid: one unit says OR, one says AND, and the output says "OR and not AND".
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from unbend import zoo
from unbend.explain.flow import PlaneFlow, flow
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.draw import GREEN, PINK, field, grid, plane_lines, scatter
from unbend.numerics.result import result
from unbend.plot import flow as draw_flow
from unbend.plot import n_flow_frames

XOR = np.array([0.0, 1.0, 1.0, 0.0])
SIGMOID = np.array([0.00715, 0.99236, 0.99236, 0.00715])


@result
class XorByHand:
    """Both nets at the four corners, in the hidden plane, and as arrays.

    Attributes:
        x: the corners (0, 0), (0, 1), (1, 0), (1, 1).
        y: their classes.
        relu: outputs of the ReLU net.
        sigmoid: outputs of the sigmoid net, steepness 10.
        hidden_relu: the corners in the plane of the two ReLU units.
        hidden_sigmoid: the corners in the plane of the two sigmoid units.
        weights: first-layer weights of the ReLU net, then of the sigmoid net, rows are units.
        biases: of those units.
        out_weights: output weights of both nets.
        out_biases: output biases of both nets.
        steps: the corners and a grid on their way through the ReLU net.
    """

    x: Float64[np.ndarray, "4 2"]
    y: Int64[np.ndarray, " 4"]
    relu: Float64[np.ndarray, " 4"]
    sigmoid: Float64[np.ndarray, " 4"]
    hidden_relu: Float64[np.ndarray, "4 2"]
    hidden_sigmoid: Float64[np.ndarray, "4 2"]
    weights: Float64[np.ndarray, "2 2 2"]
    biases: Float64[np.ndarray, "2 2"]
    out_weights: Float64[np.ndarray, "2 2"]
    out_biases: Float64[np.ndarray, " 2"]
    steps: PlaneFlow


def run(seed: int = 0, budget: Budget = "full") -> XorByHand:  # noqa: ARG001  nothing here is drawn by chance
    """Put the corners through both nets."""
    corners = zoo.xor()
    x = corners.x_train.double()
    lines = grid((-0.5, -0.5), (1.5, 1.5))
    nets = zoo.xor_relu().double(), zoo.xor_sigmoid(10.0).double()
    first, last = ([linear_of(net, which) for net in nets] for which in (0, -1))
    return XorByHand(
        x=x.numpy(),
        y=corners.y_train.numpy(),
        relu=zoo.outputs(nets[0], x)[:, 0].numpy(),
        sigmoid=zoo.outputs(nets[1], x)[:, 0].numpy(),
        hidden_relu=zoo.outputs(nets[0][:2], x).numpy(),
        hidden_sigmoid=zoo.outputs(nets[1][:2], x).numpy(),
        weights=np.stack([layer.weight.detach().numpy() for layer in first]),
        biases=np.stack([layer.bias.detach().numpy() for layer in first]),
        out_weights=np.concatenate([layer.weight.detach().numpy() for layer in last]),
        out_biases=np.concatenate([layer.bias.detach().numpy() for layer in last]),
        steps=flow(nets[0], x, corners.y_train, layers=["0", "1"], lines=lines, class_names=("XOR = 0", "XOR = 1")),
    )


def linear_of(net: nn.Sequential, which: int) -> nn.Linear:
    """The first (0) or the last (-1) Linear layer."""
    return [layer for layer in net if isinstance(layer, nn.Linear)][which]


def holds(result: XorByHand) -> Verdict:
    """ReLU exactly, sigmoid to the digits that are printed."""
    checks = (
        Check("ReLU net: largest |output - XOR|", float(np.abs(result.relu - XOR).max()), 0, 0,
              "sums of whole numbers have no rounding"),
        Check("sigmoid net: largest |output - (.00715, .99236, .99236, .00715)|",
              float(np.abs(result.sigmoid - SIGMOID).max()), 0, 5e-6, "half of the last printed digit"),
        Check("corners called right by the sigmoid net", float(((result.sigmoid > 0.5) == result.y).sum()), 4, 4,
              "all of them"),
    )  # fmt: skip
    return Verdict("holds", "Two units suffice to represent XOR: exactly with ReLU, to .01 with sigmoids.", checks)


def finding(result: XorByHand) -> str:
    """Both nets at the corners."""
    relu, sigmoid = ((f"{value:.5g}" for value in values) for values in (result.relu, result.sigmoid))
    return f"At (0, 0), (0, 1), (1, 0), (1, 1) the ReLU net gives {', '.join(relu)}, the other {', '.join(sigmoid)}."


def draw(result: XorByHand, figure: Figure) -> None:
    """For both nets: input with the units' lines, hidden plane with the output's line, output over the input."""
    figure.set_size_inches(7.4, 4.9)
    panels = figure.subplots(2, 3)
    for row, (name, function) in enumerate((("ReLU", relu), ("sigmoid", logistic))):
        inputs, hidden, output = panels[row]
        weight, bias = result.weights[row], result.biases[row]
        frame(inputs, (-0.5, 1.5), "x1", "x2", f"{name}: input, where units are 0")
        plane_lines(inputs, weight, bias, colors=(GREEN, PINK), names=("unit 1", "unit 2"))
        places = result.hidden_relu if row == 0 else result.hidden_sigmoid
        reach = (-0.4, 2.4) if row == 0 else (-0.2, 1.2)
        frame(hidden, reach, "unit 1", "unit 2", "hidden plane, the output's line")
        threshold = 0.5 if row == 0 else 0.0
        plane_lines(hidden, result.out_weights[[row]], result.out_biases[[row]] - threshold)
        frame(output, (-0.5, 1.5), "x1", "x2", "output over the input")
        field(output, lambda p, row=row, f=function: of_net(result, row, f, p))
        scatter(inputs, result.x, result.y, names=("XOR = 0", "XOR = 1") if row == 0 else None, size=7, alpha=1)
        scatter(hidden, places, result.y, size=7, alpha=1)
        scatter(output, result.x, result.y, size=7, alpha=1)
    hidden_twice(panels[0, 1], result)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)


def hidden_twice(axes: Axes, result: XorByHand) -> None:
    """Say that two corners lie on one point."""
    middle = result.hidden_relu[1]
    axes.annotate("(0, 1) and (1, 0)", middle, (6, -3), textcoords="offset points", fontsize=6.5, va="top")


def frame(axes: Axes, limits: tuple[float, float], across: str, up: str, title: str) -> None:
    """A square window with its labels."""
    axes.set(xlim=limits, ylim=limits, xlabel=across, ylabel=up)
    axes.set_aspect("equal")
    axes.set_title(title, loc="left", fontsize=8)


def of_net(result: XorByHand, row: int, function: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    """The output of a net over points, from its weights alone."""
    hidden = function(points @ result.weights[row].T + result.biases[row])
    value = hidden @ result.out_weights[row] + result.out_biases[row]
    return value if row == 0 else logistic(value)


def relu(z: np.ndarray) -> np.ndarray:
    """What is positive."""
    return np.maximum(z, 0)


def logistic(z: np.ndarray) -> np.ndarray:
    """The sigmoid."""
    return 1 / (1 + np.exp(-z))


def film(result: XorByHand, figure: Figure, i: int) -> None:
    """The plane folds onto a line, the ReLU bends the line, and the output's line passes between the corners."""
    axes = figure.subplots()
    draw_flow(axes, result.steps, i)
    axes.set(xlim=(-1.1, 3.4), ylim=(-1.5, 3.0))
    if i >= n_flow_frames(result.steps):
        plane_lines(axes, result.out_weights[[0]], result.out_biases[[0]] - 0.5)
        axes.set_title("the output's line", loc="left")


def n_frames(result: XorByHand) -> int:
    """The flow, and a rest at the line."""
    return n_flow_frames(result.steps) + 10


CLAIM = Claim(
    name="xor_by_hand",
    section="Foundations",
    told="Two hidden units solve XOR, with weights written by hand.",
    told_by="textbooks",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    film=film,
    n_frames=n_frames,
    source="Goodfellow, Bengio & Courville 2016, section 6.1; Rumelhart, Hinton & Williams 1986",
)
