"""No line separates XOR, and four weights prove it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure

import unbend
from unbend.lab.claim import Budget, Check, Claim, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class XorImpossible:
    """The four points, and weights under which the two classes' hulls share a point.

    Args:
        x: the points.
        y: their classes.
        weights: of each point in its own class's mean; 0 for a point the proof does not need.
        is_proved: whether the proof was accepted in exact arithmetic.
    """

    x: Float64[np.ndarray, "n 2"]
    y: Int64[np.ndarray, " n"]
    weights: Float64[np.ndarray, " n"]
    is_proved: bool


def run(seed: int = 0, budget: Budget = "full") -> XorImpossible:  # noqa: ARG001  nothing here is drawn by chance
    """Ask for a line, and have the answer checked."""
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0, 1, 1, 0])
    overlap = unbend.separate(x, y)
    weights = np.zeros(len(x))
    weights[overlap.rows] = overlap.weights
    return XorImpossible(x, y, weights, overlap.verify(x, y))


def holds(result: XorImpossible) -> Verdict:
    """The proof is accepted, and its weights are the four halves of the textbook."""
    means = [result.weights[result.y == label] @ result.x[result.y == label] for label in (0, 1)]
    checks = (
        Check("the proof is accepted (1 = yes)", float(result.is_proved), 1, 1, "checked in exact arithmetic"),
        Check("largest |weight - 1/2|", float(np.abs(result.weights - 0.5).max()), 0, 1e-12, "rounding"),
        Check("distance of the two weighted means", float(np.linalg.norm(means[0] - means[1])), 0, 1e-12, "rounding"),
    )
    return Verdict("holds", "The two classes share the point (1/2, 1/2), so no line can part them.", checks)


def finding(result: XorImpossible) -> str:
    """The weights and the point that the classes share."""
    shared = result.weights[result.y == 0] @ result.x[result.y == 0]
    return (
        f"Weights {', '.join(f'{weight:g}' for weight in result.weights)} put the point "
        f"({shared[0]:g}, {shared[1]:g}) between the points of either class: an exact proof that no line parts them."
    )


def draw(result: XorImpossible, figure: Figure) -> None:
    """The four points and the two segments that cross."""
    axes = figure.subplots()
    for label, colour, mark in ((0, "#0072b2", "o"), (1, "#e69f00", "s")):
        points = result.x[result.y == label]
        axes.plot(*points.T, "-", color=colour, linewidth=1.0)
        axes.plot(*points.T, mark, color=colour, label=f"class {label}")
    axes.plot(*(result.weights[result.y == 0] @ result.x[result.y == 0]), "kx", label="shared point")
    axes.set(xlabel="x1", ylabel="x2", aspect="equal")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))


CLAIM = Claim(
    name="xor_impossible",
    section="Foundations",
    told="No line separates XOR.",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Minsky & Papert 1969",
)
