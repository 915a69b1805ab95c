"""Depth is exponentially stronger than width: Telgarsky's sawtooth, exactly.

The tent map composed k times has 2^k teeth, and 2 ReLU units in each of k layers make it, exactly, in floating
point. One hidden layer needs 2^k units for it. But the price rises late: of twelve layers, half can be taken away
for no more units at all, so "one layer less needs exponential width" is not what that theorem says. For radial
functions in high dimension it is: there one hidden layer in place of two needs exponentially many units (Eldan &
Shamir 2016).
"""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from unbend import zoo
from unbend.lab import draw as words
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.numerics.result import result

_DOUBLINGS = 12
_DEEPEST = 60
_PROBES = {"quick": 500, "full": 4000}
_DRAWN = (1, 2, 3, 5)
_FRAMES = 7
_EVEN = (1, 2, 3, 4, 6, 12)


@result
class Sawtooth:
    """How deep the sawtooth stays exact, and what every depth costs.

    Attributes:
        doublings: k, how often the tent is composed.
        wrong64: share of probed multiples of 2^-k where the float64 net is not exactly 0, 1, 0, 1, …, for each k.
        wrong32: the same in float32.
        layers: hidden layers of the nets that compute tent^12.
        units: hidden units of each.
        pieces: straight pieces found on [0, 1] in each.
        gap: largest difference of each to the exact sawtooth at all multiples of 2^-13.
        fewest: the fewest units with which so many layers can make that many pieces at all.
    """

    doublings: Int64[np.ndarray, " k"]
    wrong64: Float64[np.ndarray, " k"]
    wrong32: Float64[np.ndarray, " k"]
    layers: Int64[np.ndarray, " l"]
    units: Int64[np.ndarray, " l"]
    pieces: Int64[np.ndarray, " l"]
    gap: Float64[np.ndarray, " l"]
    fewest: Int64[np.ndarray, " l"]


def run(seed: int = 0, budget: Budget = "full") -> Sawtooth:
    """Probe the sawtooth at every depth in two precisions, and build tent^12 with twelve layers down to one."""
    doublings = np.arange(1, _DEEPEST + 1)
    wrong = [
        [share_wrong(int(k), dtype, _PROBES[budget], seed) for k in doublings]
        for dtype in (torch.float64, torch.float32)
    ]
    layers = np.arange(_DOUBLINGS, 0, -1)
    nets = [tents(_DOUBLINGS, int(n)) for n in layers]
    found = [corners(net, _DOUBLINGS) for net in nets]
    return Sawtooth(
        doublings=doublings,
        wrong64=np.array(wrong[0]),
        wrong32=np.array(wrong[1]),
        layers=layers,
        units=np.array([n_units(net) for net in nets]),
        pieces=np.array([pieces for pieces, _ in found]),
        gap=np.array([gap for _, gap in found]),
        fewest=np.array([fewest_units(2**_DOUBLINGS, int(n)) for n in layers]),
    )


def share_wrong(doublings: int, dtype: torch.dtype, n: int, seed: int) -> float:
    """The share of points j / 2^k, j drawn by chance, where the net does not give j mod 2 exactly."""
    generator = torch.Generator().manual_seed(seed)
    j = torch.randint(2**doublings, (n,), generator=generator)
    x = (j.double() / 2.0**doublings).to(dtype)
    return float((zoo.outputs(tent(doublings, dtype), x[:, None])[:, 0] != j % 2).double().mean())


def tent(doublings: int, dtype: torch.dtype) -> nn.Module:
    """The tent composed so many times, two units in each layer."""
    return zoo.sawtooth(doublings, dtype=dtype)


def tents(doublings: int, n_layers: int) -> nn.Module:
    """The tent composed so many times in so many hidden layers, the doublings shared out evenly among them."""
    each, more = divmod(doublings, n_layers)
    shallow = zoo.sawtooth(each * (n_layers - more), n_layers - more)
    # Two affine maps between the parts are one: no layer in between that could bend.
    return nn.Sequential(*shallow, *zoo.sawtooth((each + 1) * more, more)) if more else shallow


def n_units(net: nn.Module) -> int:
    """Hidden units: outputs of every Linear layer that an activation follows."""
    modules = list(net.children())
    return sum(
        before.out_features
        for before, after in pairwise(modules)
        if isinstance(before, nn.Linear) and not isinstance(after, nn.Linear)
    )


def corners(net: nn.Module, doublings: int) -> tuple[int, float]:
    """Straight pieces on [0, 1], and the largest error.

    The net is looked at on all multiples of 2^-(k+1): every tooth's foot, middle and tip. A piece ends where the
    slope between neighbours changes. No finer bend can hide: a layer of w such units, one of which bends at 0 only,
    makes at most w pieces of one, and the product of the widths is 2^k at every depth.
    """
    n = 2 ** (doublings + 1)
    x = torch.arange(n + 1, dtype=torch.float64) / n
    y = zoo.outputs(net, x[:, None])[:, 0]
    exact = torch.tensor([0.0, 0.5, 1.0, 0.5], dtype=torch.float64).repeat(n // 4 + 1)[: n + 1]
    return 1 + int((y.diff().diff() != 0).sum()), float((y - exact).abs().max())


def fewest_units(pieces: int, n_layers: int) -> int:
    """The fewest units with which a ReLU net of so many layers can have so many pieces on a line.

    It has at most the product of (width + 1) over its layers, and for a given sum the product is largest with equal
    widths.
    """
    units = n_layers
    while True:
        each, more = divmod(units, n_layers)
        if (each + 1) ** (n_layers - more) * (each + 2) ** more >= pieces:
            return units
        units += 1


def exact_to(wrong: Float64[np.ndarray, " k"]) -> int:
    """Up to how many doublings no probe is wrong."""
    return int(np.argmax(wrong > 0)) if (wrong > 0).any() else len(wrong)


def holds(result: Sawtooth) -> Verdict:
    """The teeth are there exactly; the price of fewer layers stays flat, then explodes."""
    at = dict(zip(result.layers.tolist(), result.units.tolist(), strict=True))
    checks = (
        Check(
            "doublings that are exact in float64",
            float(exact_to(result.wrong64)),
            30.0,
            53.0,
            "beyond 2^53 the points j / 2^k are not numbers of float64",
        ),
        Check(
            "doublings that are exact in float32",
            float(exact_to(result.wrong32)),
            24.0,
            24.0,
            "the 24 bits of float32's significand",
        ),
        Check("most pieces of tent^12, with 12 to 1 layers", float(result.pieces.max()), 4096.0, 4096.0, "2^12"),
        Check("fewest pieces of tent^12, with 12 to 1 layers", float(result.pieces.min()), 4096.0, 4096.0, "2^12"),
        Check(
            "largest error of tent^12 at any depth",
            float(result.gap.max()),
            0.0,
            0.0,
            "every number is a dyadic fraction",
        ),
        Check("units with 12 layers", float(at[12]), 24.0, 24.0, "two in each layer"),
        Check("units with 11 layers", float(at[11]), 24.0, 24.0, "2 x 10 + 4: a layer less costs nothing"),
        Check("units with 6 layers", float(at[6]), 24.0, 24.0, "4 in each layer: half the layers cost nothing"),
        Check(
            "largest units over L 2^(12/L), with L = 1, 2, 3, 4, 6, 12 layers",
            float(max(at[n] / (n * 2 ** (_DOUBLINGS / n)) for n in _EVEN)),
            1.0,
            1.0,
            "the price of a fixed depth L is exponential in 12/L",
        ),
        Check(
            "fewest units with which 2 layers can do it", float(result.fewest[-2]), 126.0, 128.0, "(63 + 1)² = 4,096"
        ),
        Check("units with 1 layer", float(at[1]), 4096.0, 4096.0, "one for each piece"),
        Check(
            "fewest units with which 1 layer can do it",
            float(result.fewest[-1]),
            4095.0,
            4096.0,
            "n units bend a line at most n times",
        ),
    )
    truth = (
        "For tents a layer less costs nothing, nor do half the layers less; exponential is the price of a depth that "
        "stays fixed. Elsewhere one layer less can be that dear: for radial functions of many inputs, two hidden "
        "layers against one (a theorem of Eldan & Shamir 2016, not measured here)."
    )
    return Verdict("holds with a condition", truth, checks)


def finding(result: Sawtooth) -> str:
    """Units at every depth."""
    at = dict(zip(result.layers.tolist(), result.units.tolist(), strict=True))
    priced = ", ".join(f"{at[n]:,} at {n}" for n in (12, 11, 6, 4, 3, 2, 1))
    return (
        f"tent^12 with its {result.pieces[0]:,} pieces takes exactly, by hidden layers, {priced} units; the tent stays "
        f"exact to {exact_to(result.wrong64)} compositions in float64 and {exact_to(result.wrong32)} in float32."
    )


def draw(result: Sawtooth, figure: Figure) -> None:
    """The first sawtooths, and units against layers."""
    figure.set_size_inches(7.2, 3.4)
    grid = figure.add_gridspec(len(_DRAWN), 2, width_ratios=(1, 1.25))
    for row, k in enumerate(_DRAWN):
        axes = figure.add_subplot(grid[row, 0])
        _teeth(axes, k)
        axes.set(ylabel="output", yticks=[0, 1], xticks=[0, 0.5, 1])
        axes.tick_params(labelbottom=row == len(_DRAWN) - 1)
        axes.set_title(f"{k} layer{'s' * (k > 1)}, {2 * k} units: {2**k} pieces", loc="left", fontsize=7.5)
    axes.set_xlabel("input x")
    right = figure.add_subplot(grid[:, 1])
    right.plot(result.layers, result.units, "o-", color=words.BLUE, markersize=4, label="tent¹², built")
    right.plot(result.layers, result.fewest, "--", color=words.GREY, linewidth=1, label="fewest for 4,096 pieces")
    for n in (12, 6, 4, 3, 2, 1):
        units = int(result.units[result.layers == n][0])
        right.annotate(f"{units:,}", (n, units), (4, 4), textcoords="offset points", fontsize=7.5)
    right.set(yscale="log", xlabel="hidden layers", ylabel="hidden units", xticks=range(1, 13), ylim=(8, 9000))
    words.legend(right)


def film(result: Sawtooth, figure: Figure, i: int) -> None:  # noqa: ARG001  a tent looks the same in every run
    """The tent composed i + 1 times."""
    axes = figure.subplots()
    _teeth(axes, i + 1)
    axes.set(xlabel="input x", ylabel="output")
    pieces, layers = f"{2 ** (i + 1):,}", f"{i + 1} layers" if i else "1 layer"
    axes.set_title(f"{layers}, {2 * (i + 1)} units: {pieces} pieces; one layer needs {pieces} units", loc="left")


def n_frames(result: Sawtooth) -> int:
    """One frame for every doubling that can be drawn."""
    return min(_FRAMES, len(result.doublings))


def _teeth(axes: Axes, k: int) -> None:
    x = torch.arange(2**k + 1, dtype=torch.float64) / 2**k
    axes.plot(x, zoo.outputs(tent(k, torch.float64), x[:, None])[:, 0], "-", color=words.BLUE, linewidth=1.0)


CLAIM = Claim(
    name="sawtooth",
    section="Linear regions, width and depth",
    told="Depth is exponentially stronger: with one layer less, a network needs exponentially many units.",
    told_by="articles on width and depth, after a theorem",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    film=film,
    n_frames=n_frames,
    source="Telgarsky 2015, 2016 (tents); Eldan & Shamir 2016 (radial functions)",
)
