"""Layers without an activation between them are one affine map, however many there are.

W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2): a stack of Linear layers folds into one weight and one bias. It can be
trained for as long as one likes and draws a straight boundary; one bend between the layers, and it folds no more.
"""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure
from torch import nn

from unbend import zoo
from unbend.explain.flow import PlaneFlow, flow
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREY, VERMILION, field, grid, legend, scatter
from unbend.numerics.result import result
from unbend.plot import flow as draw_flow
from unbend.plot import n_flow_frames

WIDTHS = (2, 2, 2, 2, 1)


@result
class AffineCollapse:
    """Stacks of layers against the one layer they fold into, and one task with and without bends.

    Attributes:
        n_layers: of every stack.
        difference: largest |stack - folded|, over all rows and outputs, in float64.
        bent_difference: the same stacks with tanh between the layers, against the affine map nearest to them:
            root mean square, as a share of the outputs' spread.
        x: rows of the two moons, to train on.
        y: their classes.
        affine_accuracy: of the stack without activations, trained on them.
        line_accuracy: of a single Linear layer, trained on them.
        bent_accuracy: of the stack with tanh.
        weight: the trained stack folded into one layer.
        bias: of that layer.
        affine: the moons and a grid on their way through the stack without activations.
        bent: the same through the stack with tanh.
        out_weight: output weights of the net with tanh.
        out_bias: its output bias.
    """

    n_layers: Int64[np.ndarray, " s"]
    difference: Float64[np.ndarray, " s"]
    bent_difference: Float64[np.ndarray, " s"]
    x: Float64[np.ndarray, "n 2"]
    y: Int64[np.ndarray, " n"]
    affine_accuracy: float
    line_accuracy: float
    bent_accuracy: float
    weight: Float64[np.ndarray, "1 2"]
    bias: Float64[np.ndarray, " 1"]
    affine: PlaneFlow
    bent: PlaneFlow
    out_weight: Float64[np.ndarray, " 2"]
    out_bias: float


def run(seed: int = 0, budget: Budget = "full") -> AffineCollapse:
    """Fold random stacks and a trained one; measure what one bend changes."""
    n_layers = np.array([2, 3, 5, 10, 20, 50])
    stacks = [stack([16] * (n + 1), "identity", seed + 100 * n) for n in n_layers.tolist()]
    bent = [stack([16] * (n + 1), "tanh", seed + 100 * n) for n in n_layers.tolist()]
    rows = torch.randn(1000, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    data = zoo.moons(400, seed=seed)
    x = data.x_train.double().numpy()
    straight, tanh = (train_best(WIDTHS, name, data, seed, budget) for name in ("identity", "tanh"))
    weight, bias = fold_affine(straight)
    head = [layer for layer in tanh if isinstance(layer, nn.Linear)][-1]
    lines = grid((-1.5, -1.0), (2.5, 1.5))
    planes = [name for name, _ in tanh.named_children()][:-1]
    return AffineCollapse(
        n_layers=n_layers,
        difference=np.array([distance(net, rows) for net in stacks]),
        bent_difference=np.array([affine_rest(net, rows) for net in bent]),
        x=x,
        y=data.y_train.numpy(),
        affine_accuracy=zoo.accuracy(straight, *data.train),
        line_accuracy=zoo.accuracy(train_best((2, 1), "identity", data, seed, budget), *data.train),
        bent_accuracy=zoo.accuracy(tanh, *data.train),
        weight=weight.numpy(),
        bias=bias.numpy(),
        affine=flow(straight, x, data.y_train, layers=planes, lines=lines),
        bent=flow(tanh, x, data.y_train, layers=planes, lines=lines),
        out_weight=head.weight.detach().double().numpy()[0],
        out_bias=float(head.bias.detach()),
    )


def stack(widths: list[int], activation: str, seed: int) -> nn.Sequential:
    """Linear layers with random weights of a size that keeps the signal's, in float64."""
    net = zoo.initialise(zoo.mlp(widths, activation=activation, seed=seed), zoo.Initial("lecun", bias=0.1), seed=seed)
    return net.double()


def fold_affine(net: nn.Sequential) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight and the bias of the one Linear layer that does what the Linear layers of `net` do in turn."""
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    weight = torch.eye(layers[0].in_features, dtype=torch.float64)
    bias = torch.zeros(layers[0].in_features, dtype=torch.float64)
    for layer in layers:
        own = layer.weight.detach().double()
        weight, bias = own @ weight, own @ bias + layer.bias.detach().double()
    return weight, bias


def distance(net: nn.Sequential, rows: torch.Tensor) -> float:
    """The largest difference between a stack and the layer it folds into."""
    weight, bias = fold_affine(net)
    return float((zoo.outputs(net, rows) - (rows @ weight.T + bias)).abs().max())


def affine_rest(net: nn.Sequential, rows: torch.Tensor) -> float:
    """What the affine map nearest to a net leaves unexplained: root mean square over the outputs' spread."""
    y = zoo.outputs(net, rows)
    design = torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], dim=1)
    rest = y - design @ torch.linalg.lstsq(design, y).solution
    return float((rest.square().mean() / y.var(dim=0, correction=0).mean()).sqrt())


def train_best(widths: tuple[int, ...], activation: str, data: zoo.DataSet, seed: int, budget: Budget) -> nn.Sequential:
    """The best of some nets, trained on the same rows from different first weights."""
    # One in eight narrow tanh nets gets all of the moons right; of so many, one always does.
    nets = [zoo.Net(widths, activation, seed=1000 * seed + i) for i in range(80 if budget == "quick" else 128)]
    fleet = zoo.many(nets, *data.train, zoo.Recipe(epochs=1500, rate=0.02))
    return zoo.net_of(fleet, int(np.nanargmin(fleet.loss[-1])))


def holds(result: AffineCollapse) -> Verdict:
    """Equal to rounding without a bend, far from it with one; and no better than a line on the moons."""
    gain = result.bent_accuracy - result.affine_accuracy
    checks = (
        Check("largest |stack - one layer| over 2 to 50 layers, float64", float(result.difference.max()), 0, 1e-12,
              "the same sums in another order; outputs are of size 1 to 5"),
        Check("the same with tanh between, root mean square over the spread", float(result.bent_difference.min()),
              0.1, 1.0, "one bend is enough; .2 seen for two layers, more for deeper ones"),
        Check("accuracy on two moons: four layers without activation minus one layer",
              result.affine_accuracy - result.line_accuracy, -0.02, 0.02, "the same family of straight boundaries"),
        Check("accuracy on two moons: four layers with tanh minus without", gain, 0.08, 1.0,
              "a line gets 12 % of the moons wrong, bent nets none"),
    )  # fmt: skip
    truth = (
        "Depth without a bend adds nothing that one layer could not represent: the stack is one affine map, to "
        "rounding."
    )
    return Verdict("holds", truth, checks)


def finding(result: AffineCollapse) -> str:
    """The largest difference, and what the moons show."""
    return (
        f"{result.n_layers.max()} layers without an activation equal one layer to {result.difference.max():.1e}; "
        f"trained on two moons, four of them get {percent(result.affine_accuracy)} right, one gets "
        f"{percent(result.line_accuracy)}, and four with tanh {percent(result.bent_accuracy)}."
    )


def draw(result: AffineCollapse, figure: Figure) -> None:
    """The differences by depth; the boundary without a bend, and with one."""
    figure.set_size_inches(7.6, 2.9)
    left, middle, right = figure.subplots(1, 3)
    left.semilogy(result.n_layers, np.maximum(result.difference, 1e-17), "o-", color=BLUE, label="no activation, max.")
    left.semilogy(result.n_layers, result.bent_difference, "s-", color=VERMILION, label="tanh, r.m.s. / spread")
    left.axhline(2.0**-52, color=GREY, linestyle=":", linewidth=1.0, label="rounding, 2⁻⁵²")
    left.set(xscale="log", xlabel="Linear layers in the stack", ylabel="distance from one affine map", ylim=(1e-17, 30))
    left.set_xticks(result.n_layers, [str(n) for n in result.n_layers])
    left.minorticks_off()
    legend(left, loc="center", bbox_to_anchor=(0.55, 0.62))
    for axes, title in ((middle, "no activation"), (right, "tanh")):
        axes.set(xlim=(-1.6, 2.6), ylim=(-1.3, 1.8), xlabel="x1", ylabel="x2")
        axes.set_aspect("equal")
        accuracy = result.affine_accuracy if axes is middle else result.bent_accuracy
        axes.set_title(f"four layers, {title}: {percent(accuracy)}", loc="left")
    field(middle, lambda p: 1 / (1 + np.exp(-(p @ result.weight.T + result.bias)[:, 0])))
    field(right, lambda p: bent_at(result, p))
    for axes in (middle, right):
        scatter(axes, result.x, result.y, size=2.5)


def bent_at(result: AffineCollapse, points: np.ndarray) -> np.ndarray:
    """The probability of class 1 by the net with tanh."""
    for weight, bias, is_affine in zip(result.bent.weights, result.bent.biases, result.bent.is_affine, strict=True):
        points = points @ weight.T + bias if is_affine else np.tanh(points)
    return 1 / (1 + np.exp(-(points @ result.out_weight + result.out_bias)))


def film(result: AffineCollapse, figure: Figure, i: int) -> None:
    """The moons and a grid through both stacks, layer by layer: lines that stay lines, and lines that bend."""
    left, right = figure.subplots(1, 2)
    longest = n_flow_frames(result.bent)
    draw_flow(right, result.bent, i)
    right.set_title(f"with tanh: {right.get_title(loc='left')}", loc="left")
    draw_flow(left, result.affine, min(i * n_flow_frames(result.affine) // longest, longest))
    left.set_title(f"no activation: {left.get_title(loc='left')}", loc="left")


def n_frames(result: AffineCollapse) -> int:
    """As many as the net with more steps has."""
    return max(n_flow_frames(result.affine), n_flow_frames(result.bent))


CLAIM = Claim(
    name="affine_collapse",
    section="Foundations",
    told="Layers without an activation between them are one affine map.",
    told_by="textbooks and articles for beginners",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    film=film,
    n_frames=n_frames,
)
