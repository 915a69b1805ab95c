"""Two units suffice to represent XOR; whether training finds it is another question.

Over a thousand seeds, two sigmoid or tanh units solve XOR in about half of the runs and two ReLU units in a fifth; more
units make it likely. A function that turns around can solve it with a single unit: it rises on both sides of a strip,
which no function that only rises does. Two units of Swish, GELU, cosine or square missed it once in fifteen thousand
runs, two that take the absolute value or a bell more often.
"""

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREEN, GREY, ORANGE, PINK, VERMILION, field, legend, plane_lines, scatter
from unbend.numerics.result import result

COMMON = ("sigmoid", "tanh", "relu")
RISING = ("sigmoid", "tanh", "relu", "leaky_relu", "hardtanh", "softplus", "elu")
TURNING = ("silu", "gelu", "cosine", "square", "gaussian", "abs")
RELIABLE = ("silu", "gelu", "cosine", "square")
WIDTHS = (1, 2, 3, 4, 8)
SEEN = {"sigmoid": 0.52, "tanh": 0.50, "relu": 0.22}
"""Share solved by two units over some thousand seeds."""
MOSTLY = {"abs": 0.75, "gaussian": 0.88}
"""The same, of functions that turn around and do not always get there."""
STEPS, EVERY = 1000, 25


@result
class XorTrained:
    """How often training solves XOR, and one run that did beside one that did not.

    Attributes:
        x: the four corners.
        y: their classes.
        activations: their names.
        turns: whether the function turns around, so that one unit can solve XOR.
        widths: hidden units.
        share: share of runs with all four corners right, by activation and width; NaN where none was run.
        n_runs: how many runs that was.
        steps: of training, where weights were kept.
        weights: first-layer weights of two tanh nets at those steps, the solved one first; rows are units.
        biases: of those units.
        out_weights: output weights of the two nets.
        out_biases: output biases of the two nets.
    """

    x: Float64[np.ndarray, "4 2"]
    y: Int64[np.ndarray, " 4"]
    activations: tuple[str, ...]
    turns: tuple[bool, ...]
    widths: Int64[np.ndarray, " w"]
    share: Float64[np.ndarray, "a w"]
    n_runs: Int64[np.ndarray, "a w"]
    steps: Int64[np.ndarray, " s"]
    weights: Float64[np.ndarray, "2 s 2 2"]
    biases: Float64[np.ndarray, "2 s 2"]
    out_weights: Float64[np.ndarray, "2 s 2"]
    out_biases: Float64[np.ndarray, "2 s"]


def run(seed: int = 0, budget: Budget = "full") -> XorTrained:
    """Train some thousand nets on the four corners."""
    corners = zoo.xor()
    names = (*RISING, *TURNING)
    n_runs = np.array([[size(name, width, budget) for width in WIDTHS] for name in names])
    share = [shares(name, counts, seed) for name, counts in zip(names, n_runs.tolist(), strict=True)]
    steps, weights = two_films(seed)
    return XorTrained(
        x=corners.x_train.double().numpy(),
        y=corners.y_train.numpy(),
        activations=names,
        turns=tuple(name in TURNING for name in names),
        widths=np.array(WIDTHS),
        share=np.array(share),
        n_runs=n_runs,
        steps=steps,
        weights=weights[..., :4].reshape(2, -1, 2, 2),
        biases=weights[..., 4:6],
        out_weights=weights[..., 6:8],
        out_biases=weights[..., 8],
    )


def size(name: str, width: int, budget: Budget) -> int:
    """How many nets of a kind: most for two units, others of one and two units, the rest for the three common ones."""
    if name in COMMON:
        most, others = (150, 30) if budget == "quick" else (1000, 250)
        return most if width == 2 else others
    few = (150 if name in MOSTLY and width == 2 else 30) if budget == "quick" else 200
    return few if width <= 2 else 0


def shares(name: str, counts: list[int], seed: int) -> list[float]:
    """The share of nets of each width that call all four corners right after training; NaN without nets."""
    corners = zoo.xor()
    nets = [
        zoo.Net((2, width, 1), name, seed=100_000 * seed + i)
        for width, n in zip(WIDTHS, counts, strict=True)
        for i in range(n)
    ]
    fleet = zoo.many(nets, *corners.train, zoo.Recipe(epochs=STEPS, rate=0.05))
    solved = ((zoo.fleet_outputs(fleet, corners.x_train)[..., 0] > 0) == corners.y_train.bool().numpy()).all(axis=1)
    return [float(part.mean()) if len(part) else np.nan for part in np.split(solved, np.cumsum(counts)[:-1])]


def two_films(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The steps, and the weights at each, of a tanh net that solves XOR and of one that does not."""
    corners = zoo.xor()
    nets = [zoo.Net((2, 2, 1), "tanh", seed=100_000 * seed + i) for i in range(24)]
    fleet = zoo.many(nets, *corners.train, zoo.Recipe(epochs=STEPS, rate=0.05), keep_every=EVERY)
    chosen = int(fleet.loss[-1].argmin()), int(fleet.loss[-1].argmax())
    rows = [fleet.weights[:, fleet.offsets[i] : fleet.offsets[i + 1]] for i in chosen]
    return fleet.steps, np.stack(rows).astype(np.float64)


def share_of(result: XorTrained, name: str, width: int) -> tuple[float, int]:
    """The share solved by nets of a kind, and how many of them there were."""
    at = result.activations.index(name), result.widths.tolist().index(width)
    return float(result.share[at]), int(result.n_runs[at])


def holds(result: XorTrained) -> Verdict:
    """Shares near those seen over thousands of seeds, and a theorem for one unit."""
    checks = []
    for name, seen in {**SEEN, **MOSTLY}.items():
        share, n = share_of(result, name, 2)
        slack = 4 * (seen * (1 - seen) / n) ** 0.5
        low, high = seen - slack, min(seen + slack, 0.995)
        checks.append(Check(f"share solved by two {name} units, {n} seeds", share, low, high,
                            f"{seen:.2f} over thousands of seeds, ± 4 standard errors"))  # fmt: skip
    checks += [
        Check(f"share solved by eight {name} units", share_of(result, name, 8)[0], 0.8, 1.0, ".95 to 1 seen")
        for name in COMMON
    ]
    rising = [share_of(result, name, 1)[0] for name in RISING]
    reliable = [share_of(result, name, 2)[0] for name in RELIABLE]
    alone, any_alone = ([share_of(result, name, 1)[0] for name in names] for names in (RELIABLE, TURNING))
    checks += [
        Check("largest share solved by one unit that only rises", max(rising), 0, 0,
              "it is a line's half-plane, and no line separates XOR"),
        Check(f"least share solved by two units of {', '.join(RELIABLE)}", min(reliable), 0.96, 1.0,
              "one of 15,000 nets failed; one of 30 would be .967"),
        Check("least share solved by one unit of these", min(alone), 0.8, 1.0, ".96 seen: one unit already suffices"),
        Check("least share solved by one unit that turns around", min(any_alone), 0.1, 1.0,
              "abs, in about half of the runs: one net that does it shows that a unit is enough"),
    ]  # fmt: skip
    truth = (
        "Two units suffice to represent XOR, but sigmoid and tanh find it in about half of the runs, ReLU in a fifth; "
        "one unit of a function that turns around suffices to represent it, and two of silu, gelu, cosine or square "
        "find it all but always, of abs or gaussian mostly."
    )
    return Verdict("holds with a condition", truth, tuple(checks))


def finding(result: XorTrained) -> str:
    """The shares of the three common ones, of eight units, and of Swish."""
    said = ", ".join(f"{name} {percent(share_of(result, name, 2)[0])}" for name in COMMON)
    eight = ", ".join(f"{percent(share_of(result, name, 8)[0])}" for name in COMMON)
    n = share_of(result, "tanh", 2)[1]
    return (
        f"Over {n:,} seeds two units solve XOR in this share of runs: {said}; eight units: {eight}. "
        f"Two Swish units: {percent(share_of(result, 'silu', 2)[0])}; a single one: "
        f"{percent(share_of(result, 'silu', 1)[0])}."
    )


def draw(result: XorTrained, figure: Figure) -> None:
    """The share solved by width, and by activation with one and with two units."""
    figure.set_size_inches(7.2, 3.3)
    left, right = figure.subplots(1, 2)
    for name, color, mark in zip(COMMON, (BLUE, ORANGE, VERMILION), "os^", strict=True):
        row = result.activations.index(name)
        share, n = result.share[row], result.n_runs[row]
        error = 2 * np.sqrt(share * (1 - share) / n)
        left.errorbar(result.widths, share, error, marker=mark, color=color, label=name, capsize=2, markersize=4)
    left.set(xlabel="hidden units", ylabel="share of runs that solve XOR (± 2 s.e.)", xticks=result.widths,
             ylim=(-0.04, 1.04))  # fmt: skip
    legend(left, loc="lower right")
    order = np.argsort(result.share[:, 1], kind="stable")
    for place, row in enumerate(order):
        color = GREEN if result.turns[row] else GREY
        right.plot(result.share[row, :2], [place, place], color=color, linewidth=1.0)
        right.plot(result.share[row, 1], place, "o", color=color, markersize=5)
        right.plot(result.share[row, 0], place, "o", color=color, markersize=5, markerfacecolor="white")
    for color, filled, label in ((GREEN, True, "turns around, 2 units"), (GREEN, False, "1 unit"),
                                 (GREY, True, "only rises, 2 units"), (GREY, False, "1 unit")):  # fmt: skip
        right.plot([], [], "o", color=color, markerfacecolor=color if filled else "white", markersize=5, label=label)
    right.set_yticks(range(len(order)), [result.activations[row] for row in order])
    right.set(xlabel="share of runs that solve XOR", ylabel="activation", xlim=(-0.04, 1.04))
    legend(right, place="above", ncols=2)


def film(result: XorTrained, figure: Figure, i: int) -> None:
    """The units' lines and the output during training, of a net that gets there and of one that does not."""
    for panel, (axes, title) in enumerate(zip(figure.subplots(1, 2), ("solved", "stuck"), strict=True)):
        axes.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), xlabel="x1", ylabel="x2")
        axes.set_aspect("equal")
        weight, bias = result.weights[panel, i], result.biases[panel, i]
        field(axes, lambda p, panel=panel: output(result, panel, i, p))
        plane_lines(axes, weight, bias, colors=(GREEN, PINK), names=("unit 1", "unit 2"))
        scatter(axes, result.x, result.y, size=8, alpha=1)
        axes.set_title(f"{title}: step {result.steps[i]:,}", loc="left")


def output(result: XorTrained, panel: int, i: int, points: np.ndarray) -> np.ndarray:
    """The probability of class 1 by one of the two filmed nets."""
    hidden = np.tanh(points @ result.weights[panel, i].T + result.biases[panel, i])
    return 1 / (1 + np.exp(-(hidden @ result.out_weights[panel, i] + result.out_biases[panel, i])))


def n_frames(result: XorTrained) -> int:
    """One for each kept step."""
    return len(result.steps)


CLAIM = Claim(
    name="xor_trained",
    section="Foundations",
    told="Two hidden units suffice to learn XOR.",
    told_by="articles for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    film=film,
    n_frames=n_frames,
    source="Hamey 1998; Sprinkhuizen-Kuyper & Boers 1999, on the local minima of two units without shortcuts",
)
