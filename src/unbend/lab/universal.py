"""Is every activation universal? Exactly those that are not polynomials (Leshno et al. 1993).

One hidden layer of enough units fits any continuous function on an interval if its activation is no polynomial:
ReLU, tanh, a step, even a cosine. Units that square add up to a quadratic however many there are, and units that
cube to a cubic, so their error stops at that of the best quadratic and the best cubic.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from matplotlib.figure import Figure
from scipy.linalg import lstsq

from unbend import zoo
from unbend.lab import draw as words
from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.numerics.result import result

_WIDTHS = (2, 4, 8, 16, 32, 64, 128, 256)
_N_SEEDS = {"quick": 2, "full": 8}
_N_TRAINED = {"quick": 4, "full": 32}
_STEPS = {"quick": 500, "full": 3000}
_DEGREES = {"identity": 1, "square": 2, "cube": 3}
_STEEPEST = 8.0
_CUT = 1e-12
"""Singular values below this share of the largest carry rounding only."""
_DRAWN = ("square", "cube", "relu", "tanh", "step", "cosine")


@result
class Universal:
    """Errors of one hidden layer with the best output weights, as shares of the target's variance.

    Attributes:
        x: the grid on [-1, 1].
        target: e^sin(3x + 1) there.
        names: activations, all elementwise ones of the zoo.
        is_polynomial: what the zoo knows of each.
        widths: hidden units.
        error: least squares error, by seed of the hidden weights, activation and width.
        degrees: 1, 2, 3.
        best: error of the best polynomial of these degrees.
        fits: what the widest layer of the first seed gives, a row for each activation.
        trained_names: activations of the trained networks.
        trained: error of networks of 32 units, all weights trained, a row for each activation.
    """

    x: Float64[np.ndarray, " n"]
    target: Float64[np.ndarray, " n"]
    names: tuple[str, ...]
    is_polynomial: Bool[np.ndarray, " a"]
    widths: Int64[np.ndarray, " w"]
    error: Float64[np.ndarray, "s a w"]
    degrees: Int64[np.ndarray, " p"]
    best: Float64[np.ndarray, " p"]
    fits: Float64[np.ndarray, "a n"]
    trained_names: tuple[str, ...]
    trained: Float64[np.ndarray, "t r"]


def run(seed: int = 0, budget: Budget = "full") -> Universal:
    """Fit one target with every activation at growing width; then train all weights of a few."""
    x = np.linspace(-1.0, 1.0, 501)
    target = np.exp(np.sin(3 * x + 1))
    chosen = [one for one in zoo.ACTIVATIONS.values() if one.is_elementwise]
    error = np.empty((_N_SEEDS[budget], len(chosen), len(_WIDTHS)))
    fits = np.empty((len(chosen), len(x)))
    for row in range(len(error)):
        generator = np.random.default_rng([seed, row])
        slopes = generator.uniform(-_STEEPEST, _STEEPEST, max(_WIDTHS))
        centres = generator.uniform(-1.0, 1.0, max(_WIDTHS))
        z = slopes * (x[:, None] - centres)
        for i, one in enumerate(chosen):
            found = np.array([fit(hidden(one, z[:, :width]), target) for width in _WIDTHS])
            error[row, i] = ((found - target) ** 2).mean(axis=1) / target.var()
            if row == 0:
                fits[i] = found[-1]
    best = [np.mean((np.polynomial.Polynomial.fit(x, target, k)(x) - target) ** 2) / target.var() for k in (1, 2, 3)]
    trained_names = (*_DEGREES, "tanh")
    return Universal(
        x=x,
        target=target,
        names=tuple(one.name for one in chosen),
        is_polynomial=np.array([one.is_polynomial for one in chosen]),
        widths=np.array(_WIDTHS),
        error=error,
        degrees=np.array([1, 2, 3]),
        best=np.array(best),
        fits=fits,
        trained_names=trained_names,
        trained=train(trained_names, x, target, seed, budget),
    )


def hidden(one: zoo.Activation, z: Float64[np.ndarray, "n w"]) -> Float64[np.ndarray, "n w"]:
    """What the hidden units give."""
    return one(torch.from_numpy(z)).numpy()


def fit(h: Float64[np.ndarray, "n w"], target: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """The network with the best output weights and bias for these hidden units."""
    columns = np.column_stack([h, np.ones(len(h))])
    scale = np.linalg.norm(columns, axis=0)
    columns = columns / np.where(scale > 0, scale, 1.0)
    weights, *_ = lstsq(columns, target, cond=_CUT)
    return columns @ weights


def train(
    names: tuple[str, ...],
    x: Float64[np.ndarray, " n"],
    target: Float64[np.ndarray, " n"],
    seed: int,
    budget: Budget,
) -> Float64[np.ndarray, "t r"]:
    """Errors of networks of 32 units, all weights trained by gradients."""
    n = _N_TRAINED[budget]
    nets = [zoo.Net((1, 32, 1), name, seed=1000 * seed + s) for name in names for s in range(n)]
    inputs, outputs = (torch.from_numpy(values[::5]).float()[:, None] for values in (x, target))
    fleet = zoo.many(nets, inputs, outputs, zoo.Recipe(epochs=_STEPS[budget], rate=0.01))
    found = zoo.fleet_outputs(fleet, torch.from_numpy(x).float()[:, None])[:, :, 0].astype(np.float64)
    return (((found - target) ** 2).mean(axis=1) / target.var()).reshape(len(names), n)


def holds(result: Universal) -> Verdict:
    """Polynomials stop at the best polynomial of their degree, all others go on."""
    widest = np.median(result.error[:, :, -1], axis=0)
    goes_on = widest[~result.is_polynomial]
    checks = [
        Check(
            f"{name}, |error / error of the best polynomial of degree {k} - 1| at {result.widths[-1]} units, largest",
            float(np.abs(result.error[:, result.names.index(name), -1] / result.best[k - 1] - 1).max()),
            0.0,
            1e-6,
            "they are the same functions, so it is rounding",
        )
        for name, k in _DEGREES.items()
    ]
    smooth, worst = result.best.min(), result.names[int(np.argmax(np.where(result.is_polynomial, 0.0, widest)))]
    checks += [
        Check(
            f"largest error of the {len(goes_on)} non-polynomial activations at {result.widths[-1]} units ({worst})",
            float(goes_on.max()),
            0.0,
            0.05 * float(smooth),
            "5 % of the best cubic's; steps are the slowest, at about 1/width²",
        ),
        *(
            Check(
                f"trained {name} nets of 32 units: least error, over that of the best polynomial of degree {k}",
                float(result.trained[result.trained_names.index(name)].min() / result.best[k - 1]),
                0.999,
                reason="no training goes below it; .001 for float32",
            )
            for name, k in _DEGREES.items()
        ),
        Check(
            "trained tanh nets: median error, over the best cubic's",
            float(np.median(result.trained[-1]) / result.best[2]),
            0.0,
            0.5,
            "a network that is no cubic does better",
        ),
    ]
    truth = (
        "With units enough, a hidden layer comes as near as one likes to any continuous function on an interval if and "
        "only if its activation is no polynomial (a theorem of Leshno et al. 1993, measured here on one curve); x² "
        "gives no more than the best quadratic, x³ than the best cubic."
    )
    return Verdict("holds with a condition", truth, tuple(checks))


def finding(result: Universal) -> str:
    """The errors that stop and the one that is left of the others."""
    widest = 100 * np.median(result.error[:, :, -1], axis=0)
    goes_on = widest[~result.is_polynomial]
    stops = ", ".join(f"{widest[result.names.index(name)]:.2f} % with {name} units" for name in _DEGREES)
    return (
        f"With {result.widths[-1]} hidden units {stops} of the target's variance stay unexplained, as much as with the "
        f"best line, quadratic and cubic; with the {len(goes_on)} activations that are no polynomials at most "
        f"{goes_on.max():.1g} %."
    )


def draw(result: Universal, figure: Figure) -> None:
    """The fits of the widest layers, and error against width."""
    figure.set_size_inches(7.2, 3.4)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1, 1.3)})
    left.plot(result.x, result.target, color=words.GREY, linewidth=4, alpha=0.5, label="target")
    drawn = zip(_DRAWN, (words.VERMILION, words.ORANGE, words.BLUE, words.GREEN, words.PINK, words.SKY), strict=True)
    for (name, color), mark in zip(drawn, "s^oDvP", strict=True):
        i = result.names.index(name)
        if name in ("square", "cube", "relu"):
            left.plot(result.x, result.fits[i], color=color, linewidth=1.2, label=f"{name}, {result.widths[-1]} units")
        words.band(right, result.widths, result.error[:, i], color=color, label=name, mark=mark)
    for name, best in zip(("best line", "best quadratic", "best cubic"), result.best, strict=True):
        right.axhline(best, color=words.GREY, linewidth=0.8, linestyle="--")
        place = {"xycoords": right.get_yaxis_transform(), "va": "center", "fontsize": 6.5, "color": words.MUTED}
        right.annotate(name, (1.01, best), **place)
    left.set(xlabel="input x", ylabel="output")
    right.set(
        xscale="log", yscale="log", xlabel="hidden units", ylabel="unexplained share of the variance", ylim=(1e-9, 4)
    )
    right.set_xticks(result.widths, [str(w) for w in result.widths])
    right.minorticks_off()
    words.legend(left, place="above", ncols=2)
    words.legend(right, loc="lower left")


CLAIM = Claim(
    name="universal",
    section="Linear regions, width and depth",
    told="A network with one hidden layer fits any continuous function, whatever its activation.",
    told_by="articles for beginners, after a theorem",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Leshno, Lin, Pinkus & Schocken 1993",
)
