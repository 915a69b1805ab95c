"""No line separates XOR, and four weights prove it.

Half of (0, 0) and half of (1, 1) is the point (1/2, 1/2); so is half of (0, 1) and half of (1, 0). A line with the two
classes on different sides would have that point on both. `unbend.separate` finds such weights for any data.
"""

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.draw import INK, class_color, legend, scatter
from unbend.numerics.result import result
from unbend.numerics.separable import Overlap


@result
class XorImpossible:
    """The four points, and weights under which the two classes' hulls share a point.

    Attributes:
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
    x, y = (part.numpy() for part in zoo.xor().train)
    x = x.astype(np.float64)
    found = unbend.separate(x, y)
    weights = np.zeros(len(x))
    if not isinstance(found, Overlap):
        return XorImpossible(x=x, y=y, weights=weights, is_proved=False)
    weights[found.rows] = found.weights
    return XorImpossible(x=x, y=y, weights=weights, is_proved=bool(found.verify(x, y)))


def holds(result: XorImpossible) -> Verdict:
    """The proof is accepted, and its weights are the four halves of the textbook."""
    means = [result.weights[result.y == label] @ result.x[result.y == label] for label in (0, 1)]
    checks = (
        Check("the proof is accepted (1 = yes)", float(result.is_proved), 1, 1, "checked in exact arithmetic"),
        Check("largest |weight - 1/2|", float(np.abs(result.weights - 0.5).max()), 0, 1e-12, "rounding"),
        Check("distance of the two weighted means", float(np.linalg.norm(means[0] - means[1])), 0, 1e-12, "rounding"),
        Check("distance of the first from (1/2, 1/2)", float(np.linalg.norm(means[0] - 0.5)), 0, 1e-12, "rounding"),
    )
    return Verdict(
        "holds",
        "The segments between the points of each class cross at (1/2, 1/2), so no line can part the classes.",
        checks,
    )


def finding(result: XorImpossible) -> str:
    """The weights and the point that the classes share."""
    shared = result.weights[result.y == 0] @ result.x[result.y == 0]
    return (
        f"Weights {', '.join(f'{weight:g}' for weight in result.weights)} put the point "
        f"({shared[0]:g}, {shared[1]:g}) between the points of either class, though it belongs to neither: an exact "
        "proof that no line parts them."
    )


def draw(result: XorImpossible, figure: Figure) -> None:
    """The four points and the two segments that cross."""
    axes = figure.subplots()
    for label in (0, 1):
        axes.plot(*result.x[result.y == label].T, "-", color=class_color(label), linewidth=1.0)
    scatter(axes, result.x, result.y, names=("XOR = 0", "XOR = 1"), size=7, alpha=1)
    for point, weight in zip(result.x, result.weights, strict=True):
        outwards = 16 * (point - 0.5)
        axes.annotate(f"{weight:g}", point, tuple(outwards * 2), textcoords="offset points", ha="center", va="center")
    axes.plot(*(result.weights[result.y == 0] @ result.x[result.y == 0]), "x", color=INK, label="where they cross")
    axes.set(xlabel="x1", ylabel="x2", aspect="equal", xlim=(-0.2, 1.2), ylim=(-0.2, 1.2))
    legend(axes, place="right")


CLAIM = Claim(
    name="xor_impossible",
    section="Foundations",
    told="No line separates XOR.",
    told_by="textbooks",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Minsky & Papert 1969",
)
