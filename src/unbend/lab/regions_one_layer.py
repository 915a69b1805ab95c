"""One layer of n units: how many regions does it cut its input into?

Every ReLU unit bends along one hyperplane, so a layer makes the regions of an arrangement of n hyperplanes. On a
line these are n + 1, which is where "O(n) regions" comes from; in the plane they are 1 + n + n(n-1)/2, and in d
dimensions the sum of C(n, j) over j up to d (Zaslavsky 1975), of the order of n to the power of d.
"""

from math import comb

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from scipy.linalg import null_space
from torch import nn

import unbend
from unbend import zoo
from unbend.lab import draw as words
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.numerics.cells import Cells, Plane
from unbend.numerics.result import result

_SIZES = {
    "quick": {1: (4, 8, 16, 32), 2: (4, 8, 16, 32), 3: (4, 8), 4: (4, 6)},
    "full": {1: (4, 8, 16, 32, 64), 2: (4, 8, 16, 32, 64), 3: (4, 8, 16, 24), 4: (4, 6, 8, 12)},
}
_N_SEEDS = {"quick": 2, "full": 5}
_DRAWN = 9
_WINDOW_UNITS = 64


@result
class RegionsOneLayer:
    """Counted regions of layers drawn by chance, beside Zaslavsky's formula.

    Attributes:
        d: dimension of the input, one entry per counted case.
        n: units of the layer.
        counted: regions found, a row for each seed.
        formula: the sum of C(n, j) over j from 0 to d.
        in_window: regions of a layer of 64 units in the square [-1, 1]², two inputs, PyTorch's own initial weights.
        vertices: corners of the drawn cells of a layer of nine units.
        corner_ids: the vertices of every drawn cell in turn.
        face_ptr: where the corners of each cell begin, and where the last ends.
        n_on: units that are on in each drawn cell.
    """

    d: Int64[np.ndarray, " c"]
    n: Int64[np.ndarray, " c"]
    counted: Int64[np.ndarray, "s c"]
    formula: Int64[np.ndarray, " c"]
    in_window: Int64[np.ndarray, " s"]
    vertices: Float64[np.ndarray, "v 2"]
    corner_ids: Int64[np.ndarray, " h"]
    face_ptr: Int64[np.ndarray, " f1"]
    n_on: Int64[np.ndarray, " f"]


def run(seed: int = 0, budget: Budget = "full") -> RegionsOneLayer:
    """Draw layers of many sizes, and count their regions in one to four dimensions."""
    cases = [(d, n) for d, sizes in _SIZES[budget].items() for n in sizes]
    counted = []
    for row in range(_N_SEEDS[budget]):
        generator = np.random.default_rng([seed, row])
        counted.append([n_regions(*layer(n, d, generator)) for d, n in cases])
    drawn = cells_of(*spread_out_lines(_DRAWN, np.random.default_rng([seed, 99])))
    square = Plane.box((-1, -1), (1, 1))
    nets = [zoo.mlp((2, _WINDOW_UNITS, 1), seed=seed * 100 + row) for row in range(_N_SEEDS[budget])]
    return RegionsOneLayer(
        d=np.array([d for d, _ in cases]),
        n=np.array([n for _, n in cases]),
        counted=np.array(counted, dtype=np.int64),
        formula=np.array([sum(comb(n, j) for j in range(d + 1)) for d, n in cases], dtype=np.int64),
        in_window=np.array([unbend.cells(net, square).n_faces for net in nets], dtype=np.int64),
        vertices=drawn.vertices,
        corner_ids=drawn.corner_ids,
        face_ptr=drawn.face_ptr,
        n_on=drawn.bits().sum(axis=1, dtype=np.int64),
    )


def layer(
    n: int, d: int, generator: np.random.Generator
) -> tuple[Float64[np.ndarray, "n d"], Float64[np.ndarray, " n"]]:
    """Weights and biases from the normal distribution: hyperplanes in general position."""
    return generator.standard_normal((n, d)), generator.standard_normal(n)


def spread_out_lines(
    n: int, generator: np.random.Generator
) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, " n"]]:
    """Lines of well-spread directions, whose crossings all lie close enough to be drawn."""
    angle = np.pi * (np.arange(n) + generator.uniform(0.25, 0.75, n)) / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1), generator.uniform(-1.0, 1.0, n)


def n_regions(weight: Float64[np.ndarray, "n d"], bias: Float64[np.ndarray, " n"]) -> int:
    """How many regions the hyperplanes `weight @ x + bias = 0` cut all of space into.

    In the plane the exact cells are counted. In d > 2 dimensions, putting in hyperplane j splits as many regions
    as the hyperplanes before it make *on* it, which is the same question in d - 1 dimensions.
    """
    if weight.shape[1] <= 2:
        return cells_of(weight, bias).n_faces
    total = 1
    for j in range(len(weight)):
        foot = -bias[j] * weight[j] / (weight[j] @ weight[j])
        on_it = weight[:j] @ null_space(weight[j : j + 1])
        total += n_regions(on_it, weight[:j] @ foot + bias[:j]) if j else 1
    return total


def cells_of(weight: Float64[np.ndarray, "n d"], bias: Float64[np.ndarray, " n"]) -> Cells:
    """The cells of a ReLU layer of one or two inputs, in a window that holds every crossing of its kinks."""
    n, d = weight.shape
    if d == 1:  # a line is a plane whose second direction does not matter
        half = 1.1 * max(1.0, float(np.abs(bias / weight[:, 0]).max()))
        plane = Plane.box((-half, 0.0), (half, 1.0))
        return unbend.cells(as_net(np.pad(weight, ((0, 0), (0, 1))), bias), plane)
    i, j = np.triu_indices(n, 1)
    pairs, offsets = np.stack([weight[i], weight[j]], axis=1), np.stack([bias[i], bias[j]], axis=1)
    crossings = np.linalg.solve(pairs, -offsets[..., None])
    from_origin = np.abs(bias) / np.linalg.norm(weight, axis=1)
    half = 1.1 * max(1.0, float(np.abs(crossings).max(initial=0.0)), float(from_origin.max()))
    return unbend.cells(as_net(weight, bias), Plane.box((-half, -half), (half, half)))


def as_net(weight: Float64[np.ndarray, "n d"], bias: Float64[np.ndarray, " n"]) -> nn.Module:
    """A network whose hidden layer has these weights."""
    net = zoo.mlp((weight.shape[1], len(weight), 1), activation="relu", seed=0).double()
    with torch.no_grad():
        for parameter, values in zip(net.parameters(), (weight, bias), strict=False):
            parameter.copy_(torch.from_numpy(values))
    return net


def growth(result: RegionsOneLayer, d: int) -> float:
    """The power of n with which the regions grow over the last doubling of n in d dimensions."""
    at = np.flatnonzero(result.d == d)[-2:]
    few, many = result.counted[:, at].mean(axis=0)
    return float(np.log(many / few) / np.log(result.n[at[1]] / result.n[at[0]]))


def holds(result: RegionsOneLayer) -> Verdict:
    """Every count is Zaslavsky's; only on a line does it grow as n."""
    gap = np.abs(result.counted - result.formula).max()
    checks = (
        Check(
            "largest |regions counted - formula|", float(gap), 0.0, 0.0, "a theorem (Zaslavsky 1975); counts are exact"
        ),
        Check(
            "growth on a line, as a power of n",
            growth(result, 1),
            0.9,
            1.0,
            "(n + 1) from n to 2n: below 1, tending to 1",
        ),
        Check("growth in the plane, as a power of n", growth(result, 2), 1.8, 2.0, "tends to 2; O(n) would be 1"),
        Check(
            f"regions of {_WINDOW_UNITS} units within [-1, 1]² at PyTorch's initialisation, mean",
            float(result.in_window.mean()),
            high=float(sum(comb(_WINDOW_UNITS, j) for j in range(3))),
            reason="a window cannot hold more than the plane",
        ),
    )
    truth = "On a line it is n + 1; in the plane 1 + n + n(n-1)/2, in d dimensions the sum of C(n, j) over j ≤ d."
    return Verdict("holds with a condition", truth, checks)


def finding(result: RegionsOneLayer) -> str:
    """The counts at the largest layer of each dimension."""
    last = [int(np.flatnonzero(result.d == d)[-1]) for d in np.unique(result.d)]
    cases = ", ".join(f"{result.n[i]} units cut {result.d[i]}-D into {result.counted[0, i]:,}" for i in last)
    as_told = int((result.counted == result.formula).sum())
    return (
        f"{cases} regions: {as_told} of {result.counted.size} counts equal Zaslavsky's formula; the square [-1, 1]² "
        f"holds {result.in_window.mean():.0f} of the {sum(comb(_WINDOW_UNITS, j) for j in range(3)):,} that "
        f"{_WINDOW_UNITS} units of PyTorch's initialisation make in the plane."
    )


def draw(result: RegionsOneLayer, figure: Figure) -> None:
    """The cells of nine units in the plane, and counts against n for every dimension."""
    figure.set_size_inches(7.2, 3.4)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1, 1.25)})
    ends = zip(result.face_ptr[:-1], result.face_ptr[1:], strict=True)
    polygons = [result.vertices[result.corner_ids[a:b]] for a, b in ends]
    # Crossing a kink turns one unit on or off, so odd and even numbers of units colour the cells like a chessboard.
    shades = np.where(
        result.n_on[:, None] % 2, words.tint(words.BLUE, np.array([0.45])), words.tint(words.SKY, np.array([0.12]))
    )
    left.add_collection(PolyCollection(polygons, facecolors=shades, edgecolors=words.INK, linewidths=0.6))
    reach = np.quantile(np.abs(result.vertices).max(axis=1), 0.8)
    left.set(
        xlim=(-reach, reach),
        ylim=(-reach, reach),
        aspect="equal",
        xlabel="input x1\nshade: even or odd number of units on",
        ylabel="input x2",
    )
    left.set_title(f"{_DRAWN} units: {len(polygons)} regions in the plane", loc="left")
    for d, color, mark in zip((1, 2, 3, 4), (words.BLUE, words.ORANGE, words.GREEN, words.PINK), "osD^", strict=True):
        own = result.d == d
        fine = np.arange(1, result.n[own].max() + 1)
        right.plot(fine, [sum(comb(int(n), j) for j in range(d + 1)) for n in fine], "-", color=color, linewidth=1)
        right.plot(result.n[own], result.counted[0, own], mark, color=color, markersize=5, label=f"{d}-D input")
    right.set(xscale="log", yscale="log", xlabel="units n in the layer", ylabel="linear regions")
    right.set_title("counted (marks) and Zaslavsky's formula (lines)", loc="left")
    words.legend(right)


CLAIM = Claim(
    name="regions_one_layer",
    section="Linear regions, width and depth",
    told="One hidden layer of n units cuts the input into O(n) regions.",
    told_by="articles on width and depth",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Zaslavsky 1975",
)
