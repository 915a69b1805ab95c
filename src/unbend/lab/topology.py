"""Layers untie topology: with ReLU nine discs become one to three pieces, in fewer layers than with tanh.

Betti numbers count the pieces (β0) and the holes (β1) of a class. An invertible layer cannot change them for the class
as a whole, yet it can bring pieces so near that they are one at any reasonable scale. LeakyReLU bends as ReLU does but
can be inverted; it does nearly as well as ReLU, so it is the one-sided bend, not the loss of information, that counts.
"""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.draw import BLUE, GREEN, ORANGE, band, legend
from unbend.numerics.result import result
from unbend.numerics.topology import betti, ripser

ACTIVATIONS = ("relu", "leaky_relu", "tanh")
N_HIDDEN, WIDTH = 6, 15
N_NETS = 10
"""Nets of each activation: with five, the mean number of pieces moves by a third from seed to seed."""


@result
class Topology:
    """Pieces and holes of the class of nine discs, layer by layer.

    Attributes:
        activations: of the nets.
        accuracy: training accuracy of every net.
        pieces: β0 at the input and after every activation.
        holes: β1 there.
        layers_to_one: activations until the class is one piece; one more than there are if it never is.
        n_points: points of the class.
    """

    activations: tuple[str, ...]
    accuracy: Float64[np.ndarray, "a s"]
    pieces: Int64[np.ndarray, "a s l"]
    holes: Int64[np.ndarray, "a s l"]
    layers_to_one: Float64[np.ndarray, "a s"]
    n_points: int


def run(seed: int = 0, budget: Budget = "full") -> Topology:
    """Train nets of every activation, and count pieces and holes of the discs in every layer."""
    ripser()
    n, n_steps = (600, 1000) if budget == "quick" else (1000, 1500)
    data = zoo.nine_discs(n, held_out=0.0, seed=seed)
    discs = data.x_train[data.y_train == 1]
    at_input = betti(discs.double().numpy())
    accuracy, counts = [], []
    for bend in ACTIVATIONS:
        nets = train(bend, data, N_NETS, n_steps, seed)
        accuracy.append([zoo.accuracy(net, *data.train) for net in nets])
        counts.append([[at_input, *layer_by_layer(net, discs)] for net in nets])
    pieces, holes = np.moveaxis(np.array(counts), -1, 0)
    return Topology(
        activations=ACTIVATIONS,
        accuracy=np.array(accuracy),
        pieces=pieces,
        holes=holes,
        layers_to_one=np.where((pieces == 1).any(-1), (pieces == 1).argmax(-1), N_HIDDEN + 1).astype(np.float64),
        n_points=len(discs),
    )


def train(bend: str, data: zoo.DataSet, n_seeds: int, n_steps: int, seed: int) -> list[torch.nn.Sequential]:
    """Nets that differ in their initial weights; every step is on all samples."""
    widths = (2, *[WIDTH] * N_HIDDEN, 2)
    nets = [zoo.Net(widths, bend, seed=100 * seed + s, initial="he") for s in range(n_seeds)]
    fleet = zoo.many(nets, *data.train, zoo.Recipe(epochs=n_steps, rate=0.01, decay_at=(0.6, 0.85)))
    return [zoo.net_of(fleet, i) for i in range(n_seeds)]


def layer_by_layer(net: torch.nn.Sequential, x: torch.Tensor) -> list[tuple[int, int]]:
    """Pieces and holes after every activation."""
    layers = [str(2 * i + 1) for i in range(N_HIDDEN)]
    found = unbend.representations(net, x, layers=layers)
    return [betti(found[layer].double().numpy()) for layer in layers]


def holds(result: Topology) -> Verdict:
    """Nine pieces at the input, about two at the end, and ReLU gets there first."""
    relu, leaky, tanh = (float(row) for row in result.pieces[:, :, N_HIDDEN // 2 + 1 :].mean((1, 2)))
    checks = (
        Check("pieces at the input", float(result.pieces[:, :, 0].max()), 9.0, 9.0, "nine discs"),
        Check("holes at the input", float(result.holes[:, :, 0].max()), 0.0, 0.0, "a disc has none"),
        Check("mean training accuracy", float(result.accuracy.mean()), 0.95, 1.0, "the nets have learned"),
        Check(
            "mean pieces at the last activation, ReLU",
            float(result.pieces[0, :, -1].mean()),
            1.0,
            3.5,
            "1.4 to 3.2 over seeds; (9, 0) to (1, 0) in the paper's ten layers",
        ),
        Check(
            "mean pieces at the last activation, tanh less ReLU",
            float(result.pieces[2, :, -1].mean() - result.pieces[0, :, -1].mean()),
            0.0,
            reason="0.6 to 2.6 over seeds",
        ),
        Check(
            "mean pieces over the later half of the activations, tanh over ReLU",
            tanh / relu,
            1.15,
            reason="1.3 to 2.3 over seeds",
        ),
        Check(
            "where LeakyReLU stands between tanh (0) and ReLU (1)",
            (tanh - leaky) / (tanh - relu),
            0.5,
            2.2,
            "nearer to ReLU: .6 to 1.7 over seeds",
        ),
    )
    return Verdict(
        "holds",
        "Nine pieces become one to three through six layers with ReLU; tanh lets go of them later and keeps more. "
        "LeakyReLU, which can be inverted, stands nearer to ReLU, so that it is not the loss of information that does "
        "it.",
        checks,
    )


def finding(result: Topology) -> str:
    """Pieces layer by layer."""
    rows = "; ".join(
        f"{name} " + ", ".join(f"{mean:.1f}" for mean in pieces.mean(0))
        for name, pieces in zip(result.activations, result.pieces, strict=True)
    )
    return f"Mean number of pieces of the nine discs, from the input through {N_HIDDEN} activations: {rows}."


def draw(result: Topology, figure: Figure) -> None:
    """Pieces and holes over the layers."""
    left, right = figure.subplots(1, 2)
    depth = np.arange(N_HIDDEN + 1)
    looks = ((BLUE, "o", "ReLU"), (ORANGE, "s", "LeakyReLU"), (GREEN, "^", "tanh"))
    for a, (color, mark, name) in enumerate(looks):
        band(left, depth, result.pieces[a].astype(np.float64), color=color, mark=mark, label=name)
        band(right, depth, result.holes[a].astype(np.float64), color=color, mark=mark, label=name)
    for axes in (left, right):
        axes.yaxis.get_major_locator().set_params(integer=True)
    left.set(xlabel="activation (0: the input)", ylabel="pieces β0", ylim=(0, None))
    right.set(xlabel="activation (0: the input)", ylabel="holes β1", ylim=(0, None))
    left.set_title(f"nine discs, {result.pieces.shape[1]} nets each", loc="left")
    right.set_title("median and range", loc="left")
    legend(right, loc="upper left")


CLAIM = Claim(
    name="topology",
    section="Seeing separability arise",
    told="The layers of a network untie the topology of the classes, ReLU in fewer layers than tanh.",
    told_by="a research paper",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Naitzat, Zhitnikov & Lim 2020",
)
