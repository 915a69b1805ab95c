"""Deep narrow ReLU nets are mostly constant before training begins, and training cannot wake them.

A layer of width N sends an input to 0 with probability 2^-N, and without biases 0 stays 0. So a deep net gives one
number for every input unless all its layers let something through; its gradients are then all 0 but one.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from matplotlib.figure import Figure
from torch import Tensor

from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREEN, INK, ORANGE, VERMILION, legend
from unbend.numerics.result import result

BEND = zoo.activation("relu")
WIDTHS = (2, 3, 4, 8)
DEPTH, WIDTH = 10, 2
N_LAYERS = 40


@result
class BornDead:
    """How many nets of one input are constant at birth, and what training makes of those of ten layers.

    Attributes:
        n_nets: drawn for each width, with He's weights and no biases.
        layers: how many affine layers, the output included.
        widths: of the hidden layers.
        dead: share of constant nets, by width and number of layers.
        upper: the bound 1 - (1 - 2^-N)^(layers - 1).
        lower: the bound 1 - 2 (1 - 2^-N)^(layers - 1), from the two half-lines of inputs; 0 where it is negative.
        default_dead: share of nets of ten layers of width 2 with PyTorch's own weights and biases that are constant
            on 41 points of [-√3, √3].
        x: inputs of the trained nets, whose target is |x|.
        output: of nets of ten layers of width 2 after the training.
        is_born_dead: which of them were constant before.
        is_constant: which of them are constant after, to a thousandth of the target's range.
        largest_change: of any weight or bias but the last in the nets that were born dead.
        n_steps: of the training.
        remedies: other nets of ten layers, trained the same way.
        remedy_constant: share of them that are constant after.
    """

    n_nets: int
    layers: Int64[np.ndarray, " l"]
    widths: tuple[int, ...]
    dead: Float64[np.ndarray, "w l"]
    upper: Float64[np.ndarray, "w l"]
    lower: Float64[np.ndarray, "w l"]
    default_dead: float
    x: Float64[np.ndarray, " x"]
    output: Float64[np.ndarray, "nets x"]
    is_born_dead: Bool[np.ndarray, " nets"]
    is_constant: Bool[np.ndarray, " nets"]
    largest_change: float
    n_steps: int
    remedies: tuple[str, ...]
    remedy_constant: Float64[np.ndarray, " r"]


def run(seed: int = 0, budget: Budget = "full") -> BornDead:
    """Draw many nets and count the constant ones; train some of them."""
    n_nets, n_trained, n_steps = (4_000, 100, 500) if budget == "quick" else (20_000, 200, 1_000)
    layers = np.arange(1, N_LAYERS + 1)
    generator = torch.Generator().manual_seed(seed)
    dead = np.array([_dead_shares(n_nets, width, generator) for width in WIDTHS])
    alive = np.array([(1 - 0.5**width) ** (layers - 1.0) for width in WIDTHS])
    x = torch.linspace(-(3**0.5), 3**0.5, 41)[:, None]
    nets = [zoo.Net((1, *[WIDTH] * (DEPTH - 1), 1), BEND, 1000 * seed + i, initial="he") for i in range(n_trained)]
    recipe = zoo.Recipe(epochs=n_steps, rate=0.01)
    fleet = zoo.many(nets, x, x.abs(), recipe)
    born, after = (zoo.fleet_outputs(fleet, x, kept=kept)[..., 0].astype(np.float64) for kept in (0, -1))
    is_born_dead = np.ptp(born, axis=1) == 0
    moved = np.abs(fleet.weights[-1] - fleet.weights[0])
    changes = [
        moved[start : stop - 1].max()
        for start, stop, is_dead in zip(fleet.offsets[:-1], fleet.offsets[1:], is_born_dead, strict=True)
        if is_dead
    ]
    remedies = {
        "leaky ReLU": [zoo.Net(net.widths, "leaky_relu", net.seed, initial="he") for net in nets],
        "tanh": [zoo.Net(net.widths, "tanh", net.seed, initial="xavier") for net in nets],
        "ReLU, width 8": [zoo.Net((1, *[8] * (DEPTH - 1), 1), BEND, net.seed, initial="he") for net in nets],
    }
    return BornDead(
        n_nets=n_nets, layers=layers, widths=WIDTHS, dead=dead, upper=1 - alive, lower=np.maximum(1 - 2 * alive, 0.0),
        default_dead=_default_dead(n_nets, x, generator), x=x[:, 0].double().numpy(), output=after,
        is_born_dead=is_born_dead, is_constant=_is_constant(after), largest_change=float(max(changes, default=0.0)),
        n_steps=n_steps, remedies=tuple(remedies),
        remedy_constant=np.array([_constant_share(wise, x, recipe) for wise in remedies.values()]),
    )  # fmt: skip


def _dead_shares(n_nets: int, width: int, generator: torch.Generator) -> Float64[np.ndarray, " l"]:
    """The share of constant nets by depth. Without biases f(cx) = c f(x) for c > 0, so x = -1 and 1 decide."""
    h = torch.tensor([[-1.0], [1.0]]).expand(n_nets, 2, 1)
    shares = [0.0]
    for _ in range(N_LAYERS - 1):
        fan_in = h.shape[2]
        weight = torch.randn(n_nets, width, fan_in, generator=generator) * (2 / fan_in) ** 0.5
        h = BEND(h @ weight.mT)
        h = h / h.abs().amax((1, 2), keepdim=True).clamp_min(1e-30)
        shares.append(float((h == 0).all(2).all(1).double().mean()))
    return np.array(shares)


def _default_dead(n_nets: int, x: Tensor, generator: torch.Generator) -> float:
    h = x.expand(n_nets, *x.shape)
    for _ in range(DEPTH - 1):
        fan_in = h.shape[2]
        weight, bias = (
            (2 * torch.rand(n_nets, *shape, generator=generator) - 1) * fan_in**-0.5
            for shape in ((WIDTH, fan_in), (1, WIDTH))
        )
        h = BEND(torch.baddbmm(bias, h, weight.mT))
    return float((h == h[:, :1]).all(2).all(1).double().mean())


def _is_constant(output: Float64[np.ndarray, "nets x"]) -> Bool[np.ndarray, " nets"]:
    return np.ptp(output, axis=1) < 1e-3 * 3**0.5


def _constant_share(nets: list[zoo.Net], x: Tensor, recipe: zoo.Recipe) -> float:
    fleet = zoo.many(nets, x, x.abs(), recipe)
    return float(_is_constant(zoo.fleet_outputs(fleet, x)[..., 0].astype(np.float64)).mean())


def _shares(result: BornDead) -> tuple[float, float, float]:
    """The dead share of ten layers of width 2, and its two bounds."""
    width, depth = result.widths.index(WIDTH), int(np.flatnonzero(result.layers == DEPTH)[0])
    return float(result.dead[width, depth]), float(result.lower[width, depth]), float(result.upper[width, depth])


def holds(result: BornDead) -> Verdict:
    """The shares lie between the bounds, and no training moves a dead net."""
    share, lower, upper = _shares(result)
    noise = 4 * 0.5 / result.n_nets**0.5
    born, late = float(result.is_born_dead.mean()), float(result.is_constant.mean())
    checks = (
        Check(f"{DEPTH} layers of width {WIDTH}: constant share", share, lower, upper, "the two bounds; 0.881 seen"),
        Check(
            "largest excess over the upper bound", float((result.dead - result.upper).max()), -1.0, noise,
            "one half-line dies in a layer with probability 2^-N; 4 standard errors",
        ),
        Check(
            "largest shortfall below the lower bound", float((result.lower - result.dead).max()), -1.0, noise,
            "both half-lines must die: at least 1 minus the chances that either lives; 4 standard errors",
        ),
        Check(
            "the same with PyTorch's weights and biases", result.default_dead, 0.85, 0.90,
            "0.868 to 0.879 seen",
        ),
        Check("born dead among the trained nets", born, 0.6, 1.0, "0.88, and the spread of 100 nets"),
        Check("largest change of a weight in them", result.largest_change, 0.0, 0.0, "their gradients are exactly 0"),
        Check("constant after the training", late, born, 1.0, "none comes back; others collapse on the way"),
        *(
            Check(f"{name}: constant after the training", float(value), 0.0, 0.5,
                  "2 to 36 % of a hundred nets seen, against 93 % and more of the ReLU nets of width 2")
            for name, value in zip(result.remedies, result.remedy_constant, strict=True)
        ),
    )  # fmt: skip
    truth = (
        f"A ReLU net of {DEPTH} layers of width {WIDTH} is constant at birth in {percent(round(share, 2))} of draws, "
        "below the bound "
        f"{upper:.3f}; width is the cure, as the chance falls with 2^-N; an activation that is nowhere flat helps."
    )
    return Verdict("holds", truth, checks)


def finding(result: BornDead) -> str:
    """The share at birth, its bounds, and the share after training."""
    share, lower, upper = _shares(result)
    depth = int(np.flatnonzero(result.layers == DEPTH)[0])
    widest = f"{result.dead[-1, depth]:.3f} at width {result.widths[-1]}"
    others = ", ".join(f"{percent(v)} of {n}" for n, v in zip(result.remedies, result.remedy_constant, strict=True))
    return (
        f"Of {result.n_nets:,} ReLU nets of {DEPTH} layers of width {WIDTH} {share:.3f} are constant at birth, between "
        f"the bounds {lower:.3f} and {upper:.3f} ({result.default_dead:.3f} with PyTorch's own weights and biases; "
        f"{widest}). After {result.n_steps:,} steps on |x| {percent(result.is_constant.mean())} are constant, against "
        f"{others}."
    )


def draw(result: BornDead, figure: Figure) -> None:
    """The share of constant nets against depth, and what the trained nets give."""
    figure.set_size_inches(8.0, 3.6)
    figure.set_layout_engine("constrained")
    left, right = figure.subplots(1, 2)
    colors = (VERMILION, ORANGE, GREEN, BLUE)
    for width, dead, upper, color in zip(result.widths, result.dead, result.upper, colors, strict=True):
        left.plot(result.layers, dead, "-", color=color, label=f"width {width}")
        left.plot(result.layers, upper, ":", color=color, linewidth=1.0)
    left.plot([], [], ":", color=INK, linewidth=1.0, label="upper bound")
    left.set(xlabel="affine layers", ylabel="share of nets that are constant at birth", ylim=(0, 1.02))
    legend(left, loc="center right", bbox_to_anchor=(1.0, 0.36))
    right.plot(result.x, np.abs(result.x), color=INK, linewidth=2.5, alpha=0.4, label="target |x|")
    kinds = (
        (result.is_born_dead, VERMILION, "born dead"),
        (result.is_constant & ~result.is_born_dead, ORANGE, "collapsed in training"),
        (~result.is_constant, BLUE, "alive"),
    )
    for chosen, color, name in kinds:
        lines = result.output[chosen][:40]
        if len(lines):
            right.plot(result.x, lines.T, color=color, linewidth=0.7, alpha=0.6)
        right.plot([], [], color=color, label=f"{name}: {percent(chosen.mean())}")
    right.set(xlabel="input x", ylabel="output", ylim=(-0.2, 2.3))
    right.set_title(f"{DEPTH} layers of width {WIDTH} after {result.n_steps:,} steps", fontsize=8)
    legend(right, loc="upper center")


CLAIM = Claim(
    name="born_dead",
    section="Training",
    told="Deep narrow ReLU nets die at birth.",
    told_by="a research paper",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Lu, Shin, Su & Karniadakis 2020, Dying ReLU and initialization",
)
