"""Does depth multiply linear regions? What L layers of n units can do, and what they do.

n to the power of L bounds nothing: four units in one layer cut a line into five pieces. What bounds the number is the
product of Zaslavsky's sums, one for each layer, and weights written by hand do grow exponentially with depth. A network
at initialisation, and one that training has made of it, has along a line about as many pieces as it has units in all,
and in the plane about half of their square, whether they stand in one layer or in sixteen (Hanin & Rolnick 2019).
"""

from math import comb, log10, prod

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from torch import nn

import unbend
from unbend import zoo
from unbend.lab import draw as words
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.numerics.cells import Plane
from unbend.numerics.result import result

_SHAPES = ((256,), (128,) * 2, (64,) * 4, (32,) * 8, (16,) * 16)
_TRAINED = (0, 2, 4)
_PLANE_SHAPES = ((48,), (16,) * 3, (8,) * 6)
_N_SEEDS = {"quick": 5, "full": 20}
_N_PLANE_SEEDS = {"quick": 4, "full": 10}
_N_TRAINED = {"quick": 1, "full": 3}
_STEPS = {"quick": 30, "full": 200}
_HALF_LINE = 100.0
_SHOWN = 2.5
_TENT_LAYERS = 10
_START = zoo.Initial("he", bias="torch")


@result
class Mosaic:
    """The cells of one network in a square of the plane.

    Attributes:
        vertices: corners of cells.
        corner_ids: the vertices of every cell in turn.
        face_ptr: where the corners of each cell begin, and where the last ends.
        n_on: units that are on in each cell.
    """

    vertices: Float64[np.ndarray, "v 2"]
    corner_ids: Int64[np.ndarray, " h"]
    face_ptr: Int64[np.ndarray, " f1"]
    n_on: Int64[np.ndarray, " f"]


@result
class RegionsDepth:
    """Linear pieces of networks with the same number of units and different depth.

    Attributes:
        shapes: hidden widths of the networks; all have 256 units.
        pieces: along a line at initialisation, a row for each seed.
        log10_bound: logarithm of n^L for each shape.
        trained_shapes: which of the shapes were trained on two spirals.
        before: pieces of those along the line before training, a row for each seed.
        after: and after it.
        plane_shapes: hidden widths of the networks counted in the plane; all have 48 units.
        regions: in the square [-100, 100]² at initialisation, a row for each seed.
        region_bound: the most regions that networks of these shapes can have in a plane, a product of Zaslavsky's sums.
        mosaics: the cells of the first seed's networks near the origin.
        few_shapes: hidden widths of the networks that go beyond n^L.
        few_inputs: inputs of each.
        few_regions: regions of each.
        tent_layers: hidden layers of the sawtooth, two units in each.
        tent_pieces: its pieces on [0, 1].
    """

    shapes: tuple[tuple[int, ...], ...]
    pieces: Int64[np.ndarray, "s c"]
    log10_bound: Float64[np.ndarray, " c"]
    trained_shapes: tuple[tuple[int, ...], ...]
    before: Int64[np.ndarray, "r t"]
    after: Int64[np.ndarray, "r t"]
    plane_shapes: tuple[tuple[int, ...], ...]
    regions: Int64[np.ndarray, "q p"]
    region_bound: Int64[np.ndarray, " p"]
    mosaics: tuple[Mosaic, ...]
    few_shapes: tuple[tuple[int, ...], ...]
    few_inputs: Int64[np.ndarray, " b"]
    few_regions: Int64[np.ndarray, " b"]
    tent_layers: int
    tent_pieces: int


def run(seed: int = 0, budget: Budget = "full") -> RegionsDepth:
    """Count pieces of untrained networks along a line and in the plane, and of trained ones along a line."""
    first = 1000 * seed
    pieces = [[pieces_on_line(net(w, first + s), first + s) for w in _SHAPES] for s in range(_N_SEEDS[budget])]
    trained_shapes = tuple(_SHAPES[i] for i in _TRAINED)
    before, after = [], []
    for s in range(first, first + _N_TRAINED[budget]):
        nets = [net(w, s) for w in trained_shapes]
        before.append([pieces_on_line(one, s) for one in nets])
        for one in nets:
            train(one, _STEPS[budget], s)
        after.append([pieces_on_line(one, s) for one in nets])
    everywhere = Plane.box((-_HALF_LINE, -_HALF_LINE), (_HALF_LINE, _HALF_LINE))
    regions = [
        [unbend.cells(net(w, first + s), everywhere).n_faces for w in _PLANE_SHAPES]
        for s in range(_N_PLANE_SEEDS[budget])
    ]
    return RegionsDepth(
        shapes=_SHAPES,
        pieces=np.array(pieces, dtype=np.int64),
        log10_bound=np.array([len(w) * log10(w[0]) for w in _SHAPES]),
        trained_shapes=trained_shapes,
        before=np.array(before, dtype=np.int64),
        after=np.array(after, dtype=np.int64),
        plane_shapes=_PLANE_SHAPES,
        regions=np.array(regions, dtype=np.int64),
        region_bound=np.array([most_regions(2, w) for w in _PLANE_SHAPES], dtype=np.int64),
        mosaics=tuple(mosaic(net(w, first)) for w in _PLANE_SHAPES),
        few_shapes=((4,), (16,), (4, 4)),
        few_inputs=np.array([1, 2, 1]),
        few_regions=np.array(
            [lines_regions(4, 1, first), lines_regions(16, 2, first), pieces_between(zoo.sawtooth(4, 2))]
        ),
        tent_layers=_TENT_LAYERS,
        tent_pieces=pieces_between(zoo.sawtooth(_TENT_LAYERS), 0.0, 1.0),
    )


def most_regions(n_inputs: int, widths: tuple[int, ...]) -> int:
    """The product of Zaslavsky's sums over the layers: what no ReLU network of these widths goes beyond.

    A layer of n units cuts each region of the layers before it, whose image has at most d dimensions, into at most
    Σ_{j≤d} C(n, j) (Zaslavsky 1975); d is the least width so far.
    """
    ends = [min((n_inputs, *widths[: layer + 1])) for layer in range(len(widths))]
    return prod(sum(comb(n, j) for j in range(d + 1)) for n, d in zip(widths, ends, strict=True))


def lines_regions(n_units: int, n_inputs: int, seed: int) -> int:
    """Regions of one layer over the whole line or plane: nearly parallel units would cross beyond any window.

    The units' directions are spread over half a turn, so that every two lines cross near the origin.
    """
    rng = np.random.default_rng(seed)
    if n_inputs == 1:
        weight, bias = np.ones((n_units, 1)), rng.normal(size=n_units)
        return pieces_between(_layer(weight, bias))
    angle = np.pi * (np.arange(n_units) + rng.uniform(0.2, 0.8, n_units)) / n_units
    weight = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    one = _layer(weight, rng.normal(size=n_units))
    return unbend.cells(one, Plane.box((-_HALF_LINE, -_HALF_LINE), (_HALF_LINE, _HALF_LINE))).n_faces


def _layer(weight: Float64[np.ndarray, "n d"], bias: Float64[np.ndarray, " n"]) -> nn.Sequential:
    """One hidden ReLU layer with these weights, and outputs of 1."""
    net = zoo.mlp((weight.shape[1], len(weight), 1), seed=0).double()
    first = {"0.weight": torch.from_numpy(weight), "0.bias": torch.from_numpy(bias)}
    net.load_state_dict({**net.state_dict(), **first})
    return net


def pieces_between(model: nn.Sequential, low: float = -_HALF_LINE, high: float = _HALF_LINE) -> int:
    """Linear pieces of a network of one input between two places."""
    lead = nn.utils.skip_init(nn.Linear, 2, 1, bias=False, dtype=torch.float64)
    lead.load_state_dict({"weight": torch.tensor([[1.0, 0.0]])})
    strip = Plane.box((low, 0.0), (high, 1.0))
    return len(np.unique(unbend.cells(nn.Sequential(lead, *model), strip).pieces()))


def net(widths: tuple[int, ...], seed: int) -> nn.Sequential:
    """A ReLU network of two inputs at He's initialisation, with biases."""
    return zoo.initialise(zoo.mlp((2, *widths, 1), seed=seed), _START, seed=seed).double()


def train(model: nn.Module, steps: int, seed: int) -> None:
    """Teach it two spirals."""
    data = zoo.spirals(seed=seed)
    x, y = data.x_train.double(), data.y_train
    zoo.train(model, x, y, zoo.Recipe(epochs=steps, rate=3e-3), seed=seed)


def pieces_on_line(model: nn.Sequential, seed: int) -> int:
    """Linear pieces along a line through the origin in a direction of chance, 100 units of length each way.

    A line is a strip of the plane whose second direction the network does not see.
    """
    angle = np.random.default_rng(seed).uniform(0.0, np.pi)
    lead = nn.utils.skip_init(nn.Linear, 2, 2, bias=False, dtype=torch.float64)
    lead.load_state_dict({"weight": torch.tensor([[np.cos(angle), 0.0], [np.sin(angle), 0.0]])})
    strip = Plane.box((-_HALF_LINE, 0.0), (_HALF_LINE, 1.0))
    return len(np.unique(unbend.cells(nn.Sequential(lead, *model), strip).pieces()))


def mosaic(model: nn.Module) -> Mosaic:
    """The cells near the origin."""
    found = unbend.cells(model, Plane.box((-_SHOWN, -_SHOWN), (_SHOWN, _SHOWN)))
    return Mosaic(
        vertices=found.vertices,
        corner_ids=found.corner_ids,
        face_ptr=found.face_ptr,
        n_on=found.bits().sum(axis=1, dtype=np.int64),
    )


def holds(result: RegionsDepth) -> Verdict:
    """As many pieces as units on a line, half their square in the plane, at any depth, trained or not."""
    n_units, n_plane = sum(result.shapes[0]), sum(result.plane_shapes[0])
    on_line = [
        Check(
            f"pieces per unit on a line, {name_of(shape)}, mean over {len(result.pieces)} seeds",
            float(mean),
            0.7,
            1.3,
            "expected 1 + 1/256 (Hanin & Rolnick 2019); a 16x16 net spreads by 0.2",
        )
        for shape, mean in zip(result.shapes, result.pieces.mean(axis=0) / n_units, strict=True)
    ]
    in_plane = [
        Check(
            f"regions in the plane per N²/2, {name_of(shape)}, mean over {len(result.regions)} seeds",
            float(mean),
            0.6,
            1.4,
            "1 + N + N(N-1)/2 of one layer is 1.04 N²/2 at N = 48; deep nets spread by 0.2 to 0.4",
        )
        for shape, mean in zip(result.plane_shapes, result.regions.mean(axis=0) / (n_plane**2 / 2), strict=True)
    ]
    deep = result.shapes.index((16,) * 16)
    short_of_bound = float(result.log10_bound[deep] - np.log10(result.pieces[:, deep].max()))
    by_depth = float(result.after[:, -1].mean() / result.after[:, 0].mean())
    checks = (
        *on_line,
        Check(
            "log10 of n^L over the most pieces found, 16x16",
            short_of_bound,
            15.0,
            reason="16^16 is 10^19.3, and no net of 256 units is expected to have over 10^4 pieces",
        ),
        Check(
            "pieces after training, 16x16 over 1x256",
            by_depth,
            0.5,
            2.0,
            "n^L would be 10^16.9 to 1; training changes the count by small factors, .86 to 1.37 in single nets",
        ),
        *(
            Check(
                f"pieces per unit on a line after training, {name_of(shape)}",
                float(mean),
                0.5,
                2.0,
                "training changes the count by small factors (Hanin & Rolnick 2019); .86 to 1.37 in single nets",
            )
            for shape, mean in zip(result.trained_shapes, result.after.mean(axis=0) / n_units, strict=True)
        ),
        *in_plane,
        *_bounds(result),
    )
    truth = (
        "n^L is no upper bound, products of Zaslavsky's sums are; deep networks can have exponentially many regions, "
        "but at initialisation and after training they have about as many pieces along a line as units, at any depth."
    )
    return Verdict("false as told", truth, checks)


def _bounds(result: RegionsDepth) -> tuple[Check, ...]:
    """n^L is gone beyond, the products are not, and weights written by hand double the pieces with every layer."""
    beyond = zip(result.few_shapes, result.few_inputs.tolist(), result.few_regions.tolist(), strict=True)
    return (
        *(
            Check(
                f"regions of {name_of(shape)} {'on a line' if d == 1 else 'in the plane'}, over n^L = {prod(shape)}",
                regions / prod(shape),
                1.001,
                most_regions(d, shape) / prod(shape),
                f"more than n^L, at most the product {most_regions(d, shape)}",
            )
            for shape, d, regions in beyond
        ),
        Check(
            "most regions found in the plane, over the product of Zaslavsky's sums",
            float((result.regions / result.region_bound).max()),
            0.0,
            1.0,
            "a theorem; in a window there may be fewer",
        ),
        Check(
            f"pieces of a sawtooth of {result.tent_layers} layers of 2 units",
            float(result.tent_pieces),
            2.0**result.tent_layers,
            2.0**result.tent_layers,
            "Telgarsky 2015: deep networks can have exponentially many",
        ),
    )


def finding(result: RegionsDepth) -> str:
    """Pieces by shape."""
    means = ", ".join(
        f"{mean:.0f} as {name_of(shape)}" for shape, mean in zip(result.shapes, result.pieces.mean(axis=0), strict=True)
    )
    ends = ", ".join(
        f"{mean:.0f} as {name_of(shape)}"
        for shape, mean in zip(result.trained_shapes, result.after.mean(axis=0), strict=True)
    )
    return (
        f"256 ReLU units make, along a line at initialisation, {means} pieces (means over {len(result.pieces)} seeds), "
        f"and after training {ends}, where n^L would be up to 10^{result.log10_bound.max():.0f}. Four units cut a line "
        f"into {result.few_regions[0]}, sixteen the plane into {result.few_regions[1]}: more than n^L."
    )


def name_of(shape: tuple[int, ...]) -> str:
    """Layers x units, as in 4x64."""
    return f"{len(shape)}x{shape[0]}"


def draw(result: RegionsDepth, figure: Figure) -> None:
    """Three mosaics of as many units, and the pieces along a line beside n^L."""
    figure.set_size_inches(7.2, 5.0)
    rows = figure.add_gridspec(2, 1, height_ratios=(1, 0.95))
    panels = rows[0].subgridspec(1, len(result.mosaics))
    for i, cells in enumerate(result.mosaics):
        axes = figure.add_subplot(panels[i])
        _mosaic(axes, cells)
        shade = "\nshade: even or odd number of units on" if i == 1 else ""
        axes.set(xlabel=f"input x1{shade}", ylabel="input x2" if i == 0 else "")
        shown = f"{name_of(result.plane_shapes[i])}: {len(cells.n_on):,} regions shown of {result.regions[0, i]:,}"
        axes.set_title(shown, loc="left", fontsize=7.5)
    axes = figure.add_subplot(rows[1])
    at = np.arange(len(result.shapes))
    axes.plot(at, 10**result.log10_bound, "s--", color=words.VERMILION, markersize=4, linewidth=1, label="n^L")
    jitter = np.linspace(-0.12, 0.12, len(result.pieces))
    for seed, row in enumerate(result.pieces):
        label = "at initialisation, one mark for each seed" if seed == 0 else None
        axes.plot(
            at + jitter[seed], row, "o", color=words.BLUE, markersize=2.5, alpha=0.7, markeredgewidth=0, label=label
        )
    trained = [result.shapes.index(shape) for shape in result.trained_shapes]
    axes.plot(trained, result.after.mean(axis=0), "D", color=words.ORANGE, markersize=5, label="after training, mean")
    axes.axhline(sum(result.shapes[0]), color=words.GREY, linewidth=0.8, label="units: 256")
    axes.set(yscale="log", xlabel="hidden layers x units in each", ylabel="linear pieces along a line", ylim=(30, 1e20))
    axes.set_xticks(at, [name_of(shape) for shape in result.shapes])
    words.legend(axes, loc="upper left")


def _mosaic(axes: Axes, cells: Mosaic) -> None:
    ends = zip(cells.face_ptr[:-1], cells.face_ptr[1:], strict=True)
    polygons = [cells.vertices[cells.corner_ids[a:b]] for a, b in ends]
    # Crossing a kink turns one unit on or off, so odd and even numbers of units colour the cells like a chessboard.
    is_odd = cells.n_on[:, None] % 2 == 1
    shades = np.where(is_odd, words.tint(words.BLUE, np.array([0.45])), words.tint(words.SKY, np.array([0.12])))
    axes.add_collection(PolyCollection(polygons, facecolors=shades, edgecolors=words.INK, linewidths=0.25))
    axes.set(xlim=(-_SHOWN, _SHOWN), ylim=(-_SHOWN, _SHOWN), aspect="equal")


CLAIM = Claim(
    name="regions_depth",
    section="Linear regions, width and depth",
    told="Deep networks have exponentially many linear regions, up to n^L for L layers of n units: so depth matters.",
    told_by="articles on width and depth",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Zaslavsky 1975; Montúfar et al. 2014; Telgarsky 2015; Hanin & Rolnick 2019",
)
