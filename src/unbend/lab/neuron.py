"""A layer is a weighted sum for each unit, then a function: f(x W + b).

A unit's weight points across a line of the input, to the side on which it is active; its bias moves the line. Texts
write W x for a column and x W for a row, torch stores W transposed: the numbers are the same, and the shapes say which.
"""

import numpy as np
import torch
from jaxtyping import Float64
from matplotlib.figure import Figure
from torch import nn

from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.draw import BLUE, GREY, INK, VERMILION, field, plane_lines
from unbend.numerics.result import result

N, D, UNITS = 7, 3, 4


@result
class Neuron:
    """One layer computed in five ways, and one unit over the plane.

    Attributes:
        ways: how the layer was computed.
        shapes: the shapes of input, weight and output in each.
        outputs: of every way, rows are samples, columns are units.
        weight: of a single unit of two inputs.
        bias: of that unit.
        points: some inputs of it.
        z: their weighted sums.
        distance: their signed distances from the unit's line, measured geometrically.
    """

    ways: tuple[str, ...]
    shapes: tuple[str, ...]
    outputs: Float64[np.ndarray, "w n d"]
    weight: Float64[np.ndarray, " 2"]
    bias: float
    points: Float64[np.ndarray, "p 2"]
    z: Float64[np.ndarray, " p"]
    distance: Float64[np.ndarray, " p"]


def run(seed: int = 0, budget: Budget = "full") -> Neuron:  # noqa: ARG001  there is nothing to make smaller
    """Compute a random layer in every convention, and one unit by geometry."""
    rng = np.random.default_rng(seed)
    x, weight, bias = rng.normal(size=(N, D)), rng.normal(size=(D, UNITS)), rng.normal(size=UNITS)
    found = {
        "sums by hand, one by one": by_hand(x, weight, bias),
        "rows: x W + b": np.stack([np.tanh(row @ weight + bias) for row in x]),
        "columns: Wᵀ x + b": np.stack([np.tanh(weight.T @ row[:, None] + bias[:, None])[:, 0] for row in x]),
        "a batch at once: X W + b": np.tanh(x @ weight + bias),
        "torch.nn.Linear: X Wᵀ + b": by_torch(x, weight, bias),
    }
    shapes = (
        "numbers",
        f"({D},) ({D}, {UNITS}) → ({UNITS},)",
        f"({UNITS}, {D}) ({D}, 1) → ({UNITS}, 1)",
        f"({N}, {D}) ({D}, {UNITS}) → ({N}, {UNITS})",
        f"({N}, {D}) with weight ({UNITS}, {D}) → ({N}, {UNITS})",
    )
    unit, offset = rng.normal(size=2) + np.array([1.0, 0.5]), float(rng.normal(scale=0.5))
    points = rng.uniform(-2, 2, size=(12, 2))
    return Neuron(
        ways=tuple(found),
        shapes=shapes,
        outputs=np.stack(list(found.values())),
        weight=unit,
        bias=offset,
        points=points,
        z=points @ unit + offset,
        distance=np.array([signed_distance(point, unit, offset) for point in points]),
    )


def by_hand(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Every product and every sum written out."""
    out = np.zeros((len(x), len(bias)))
    for i in range(len(x)):
        for unit in range(len(bias)):
            z = bias[unit]
            for j in range(x.shape[1]):
                z += x[i, j] * weight[j, unit]
            out[i, unit] = np.tanh(z)
    return out


def by_torch(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The same layer as a module, which stores one row of weights for each unit."""
    layer = nn.utils.skip_init(nn.Linear, *weight.shape, dtype=torch.float64)
    layer.load_state_dict({"weight": torch.from_numpy(weight.T), "bias": torch.from_numpy(bias)})
    with torch.no_grad():
        return torch.tanh(layer(torch.from_numpy(x))).numpy()


def signed_distance(point: np.ndarray, weight: np.ndarray, bias: float) -> float:
    """The distance from a point to the nearest point of the line w·x + b = 0, positive on the unit's side."""
    along = np.array([-weight[1], weight[0]]) / np.hypot(*weight)
    start = np.array([-bias / weight[0], 0.0])
    foot = start + ((point - start) @ along) * along
    return float(np.hypot(*(point - foot)) * np.sign((point - foot) @ weight))


def holds(result: Neuron) -> Verdict:
    """All ways agree, and the sum is a distance."""
    gap = np.abs(result.outputs - result.outputs[0]).max()
    astray = np.abs(result.z / np.hypot(*result.weight) - result.distance).max()
    checks = (
        Check("ways to compute a layer", float(len(result.ways)), 5, 5, "by hand, rows, columns, a batch, torch"),
        Check("largest difference between them", float(gap), 0, 1e-14, "the same sums in another order; rounding"),
        Check("smallest spread of an output over samples", float(np.ptp(result.outputs[0], axis=0).min()), 1e-3, 2.0,
              "far above rounding: equal constants would agree too"),
        Check("largest |(w·x + b) / |w| - distance from the line|", float(astray), 0, 1e-12, "geometry; rounding"),
    )  # fmt: skip
    return Verdict("holds", "Whatever the convention, the numbers are the same; only the shapes differ.", checks)


def finding(result: Neuron) -> str:
    """How far the conventions differ."""
    gap = np.abs(result.outputs - result.outputs[0]).max()
    return (
        f"Five ways to compute a layer of {UNITS} units on {N} samples agree to {gap:.1e}; "
        f"w·x + b is the distance from the unit's line times |w| = {np.hypot(*result.weight):.3g}."
    )


def draw(result: Neuron, figure: Figure) -> None:
    """One unit over the plane, and its sums on the curve of its activation."""
    figure.set_size_inches(7.4, 4.6)
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 1))
    left, right, table = (figure.add_subplot(place) for place in (grid[0, 0], grid[0, 1], grid[1, :]))
    table.set_axis_off()
    for row, (way, shape) in enumerate(zip(result.ways, result.shapes, strict=True)):
        table.text(0.05, 0.95 - 0.22 * row, way, fontsize=8, transform=table.transAxes)
        table.text(0.42, 0.95 - 0.22 * row, shape, fontsize=8, transform=table.transAxes)
    left.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), xlabel="x1", ylabel="x2")
    left.set_aspect("equal")
    left.set_title("tanh(w·x + b); arrow: w, strokes: where > 0", loc="left", fontsize=8)
    field(left, lambda p: np.tanh(p @ result.weight + result.bias), level=None, low=-1.0)
    plane_lines(left, result.weight[None], np.array([result.bias]))
    start = -result.bias * result.weight / (result.weight @ result.weight)
    left.annotate(
        "", tuple(start + result.weight), tuple(start), arrowprops={"arrowstyle": "->", "color": INK, "lw": 1.2}
    )
    right.axhline(0, color=GREY, linewidth=0.6)
    along = np.linspace(-6, 6, 241)
    right.plot(along, np.tanh(along), color=GREY)
    for chosen, color, mark in ((result.z > 0, VERMILION, "s"), (result.z <= 0, BLUE, "o")):
        left.plot(*result.points[chosen].T, mark, color=color, markersize=4.5)
        right.plot(result.z[chosen], np.tanh(result.z[chosen]), mark, color=color, markersize=4.5)
    right.set(xlabel="z = w·x + b", ylabel="tanh(z)", xlim=(-6, 6))
    right.set_title("the same points", loc="left")


CLAIM = Claim(
    name="neuron",
    section="Foundations",
    told="A neuron is w·x + b, then f.",
    told_by="textbooks and articles for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="McCulloch & Pitts 1943; Rosenblatt 1958",
)
