"""More parameters than samples: does the error come down again?

It does. For least squares with the smallest weights there is an exact law with a peak where features equal samples;
random ReLU features on real digits show minimum, peak and a second, lower minimum; and a trained network on MNIST-1D
peaks where its parameters can just fit every output of every sample (Belkin et al. 2019). With the best ridge for each
size there is no peak: the error only falls (Nakkiran et al. 2021).
"""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import draw as words
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.numerics.result import result

_LAW_SAMPLES = 60
_LAW_FEATURES = (6, 12, 24, 36, 45, 51, 69, 75, 90, 120, 240, 600)
_LAW_DRAWS = {"quick": 150, "full": 1000}
_SAMPLES = 300
_FEATURES = {
    "quick": (5, 20, 50, 100, 200, 300, 400, 800, 3000),
    "full": (5, 10, 20, 40, 60, 80, 110, 150, 200, 250, 280, 300, 320, 360, 450, 600, 1000, 2000, 4000, 8000, 16000),
}
_N_SEEDS = {"quick": 2, "full": 5}
_NET_SAMPLES = {"quick": 60, "full": 100}
_NET_SHARES = {"quick": (0.15, 0.4, 1.0, 4.0), "full": (0.1, 0.2, 0.35, 0.55, 0.75, 1.0, 1.3, 1.8, 3.0, 6.0)}
_NET_SEEDS = {"quick": 2, "full": 4}
_NET_STEPS = {"quick": 1200, "full": 4000}
_NET_WRONG = 0.15
_CLASSES = 10
_FLOOR = 1e-3
"""A smaller error is drawn at the edge of the figure: it is 0 but for rounding."""
_RIDGES = tuple(10.0**power for power in np.arange(-4, 4.1, 0.5))


@result
class DoubleDescent:
    """Held-out errors against the number of parameters, in three settings.

    Attributes:
        law_samples: n of the least squares problems, all noise of variance 1.
        law_features: N of each.
        law: what the theorem says the excess error is on average.
        law_measured: mean over the draws.
        samples: digits that random features are fitted to.
        features: how many random ReLU features.
        fit_train: squared error on those digits, by seed and number of features.
        fit_test: squared error on held-out digits.
        ridge_test: the same with the ridge that is best for each number of features, on these held-out digits; the
            result that there is no peak is one on the best ridge, not on one that is found without them.
        net_samples: training samples of MNIST-1D, 15 % of the labels drawn anew by chance.
        net_widths: hidden units of the trained networks.
        net_parameters: their weights and biases.
        net_train: squared error on the training labels at the end, by seed and width.
        net_test: squared error on held-out samples, whose labels are right.
    """

    law_samples: int
    law_features: Int64[np.ndarray, " l"]
    law: Float64[np.ndarray, " l"]
    law_measured: Float64[np.ndarray, " l"]
    samples: int
    features: Int64[np.ndarray, " f"]
    fit_train: Float64[np.ndarray, "s f"]
    fit_test: Float64[np.ndarray, "s f"]
    ridge_test: Float64[np.ndarray, "s f"]
    net_samples: int
    net_widths: Int64[np.ndarray, " w"]
    net_parameters: Int64[np.ndarray, " w"]
    net_train: Float64[np.ndarray, "r w"]
    net_test: Float64[np.ndarray, "r w"]


def run(seed: int = 0, budget: Budget = "full") -> DoubleDescent:
    """Measure the law, fit random features to digits, and train networks on MNIST-1D."""
    mnist = zoo.data("mnist-1d")
    law = [law_of(_LAW_SAMPLES, n) for n in _LAW_FEATURES]
    measured = [excess(_LAW_SAMPLES, n, _LAW_DRAWS[budget], seed) for n in _LAW_FEATURES]
    digits = zoo.data("digits", held_out=0.5, seed=seed)
    fits = np.array(
        [
            [random_features(digits.first(_SAMPLES, 900), n, 1000 * seed + s) for n in _FEATURES[budget]]
            for s in range(_N_SEEDS[budget])
        ]
    )
    n = _NET_SAMPLES[budget]
    widths = [width_of(share * n * _CLASSES) for share in _NET_SHARES[budget]]
    net_train, net_test = networks(mnist.first(n, len(mnist.x_test)), widths, seed, budget)
    return DoubleDescent(
        law_samples=_LAW_SAMPLES,
        law_features=np.array(_LAW_FEATURES),
        law=np.array(law),
        law_measured=np.array(measured),
        samples=_SAMPLES,
        features=np.array(_FEATURES[budget]),
        fit_train=fits[..., 0],
        fit_test=fits[..., 1],
        ridge_test=fits[..., 2],
        net_samples=n,
        net_widths=np.array(widths),
        net_parameters=np.array([zoo.parameter_count((40, w, _CLASSES)) for w in widths]),
        net_train=net_train,
        net_test=net_test,
    )


def law_of(samples: int, features: int) -> float:
    """The mean excess error of least squares on noise of variance 1: N/(n-N-1) below n features, n/(N-n-1) above."""
    few, many = sorted((samples, features))
    return few / (many - few - 1)


def excess(samples: int, features: int, draws: int, seed: int) -> float:
    """The same, measured: the mean squared length of the smallest least squares weights."""
    generator = np.random.default_rng([seed, features])
    x = generator.standard_normal((draws, samples, features))
    noise = generator.standard_normal((draws, samples, 20))
    across = x.transpose(0, 2, 1)
    if features < samples:
        weights = np.linalg.solve(across @ x, across @ noise)
    else:
        weights = across @ np.linalg.solve(x @ across, noise)
    return float((weights**2).sum(axis=1).mean())


def random_features(data: zoo.DataSet, n: int, seed: int) -> tuple[float, float, float]:
    """Squared errors of read-outs of random ReLU units: least squares, on the samples and held out; the best ridge."""
    weight = np.random.default_rng(seed).standard_normal((data.x_train.shape[1], n))
    # Around the mean image, so that next to no unit is dead or never bends.
    middle = data.x_train.double().mean(dim=0)
    train, test = (
        np.maximum((x.double() - middle).numpy() @ weight, 0.0) / n**0.5 for x in (data.x_train, data.x_test)
    )
    wanted, held_out = (one_hot(y).double().numpy() for y in (data.y_train, data.y_test))
    read_out = smallest(train, wanted)
    pairs = ((train, wanted), (test, held_out))
    seen, unseen = (float(((h @ read_out - y) ** 2).sum(axis=1).mean()) for h, y in pairs)
    return seen, unseen, min(with_ridges(train, wanted, test, held_out))


def with_ridges(
    h: Float64[np.ndarray, "n f"],
    wanted: Float64[np.ndarray, "n k"],
    test: Float64[np.ndarray, "m f"],
    held_out: Float64[np.ndarray, "m k"],
) -> list[float]:
    """Held-out squared errors by ridge: weights V (σ / (σ² + λ)) Uᵀ y, from one decomposition h = U σ Vᵀ."""
    left, sizes, right = np.linalg.svd(h, full_matrices=False)
    projected, seen = left.T @ wanted, test @ right.T
    shrunk = (sizes / (sizes**2 + ridge) for ridge in _RIDGES)
    return [float(((seen * factor @ projected - held_out) ** 2).sum(axis=1).mean()) for factor in shrunk]


def smallest(h: Float64[np.ndarray, "n f"], wanted: Float64[np.ndarray, "n k"]) -> Float64[np.ndarray, "f k"]:
    """Of all weights with the least squared error, the smallest."""
    if h.shape[1] <= 2 * len(h):
        return np.linalg.lstsq(h, wanted)[0]
    return h.T @ np.linalg.solve(h @ h.T, wanted)


def networks(
    data: zoo.DataSet, widths: list[int], seed: int, budget: Budget
) -> tuple[Float64[np.ndarray, "r w"], Float64[np.ndarray, "r w"]]:
    """Squared errors, on the training labels and held out, of trained networks of one hidden layer."""
    labels = spoil(data.y_train, seed)
    n = _NET_SEEDS[budget]
    nets = [zoo.Net((40, width, _CLASSES), "relu", seed=1000 * seed + s) for s in range(n) for width in widths]
    recipe = zoo.Recipe(epochs=_NET_STEPS[budget], rate=0.01)
    fleet = zoo.many(nets, data.x_train, one_hot(labels), recipe, loss="mse", engine="compiled")
    out = zoo.fleet_outputs(fleet, data.x_test).astype(np.float64)
    test = ((out - one_hot(data.y_test).numpy()) ** 2).sum(axis=2).mean(axis=1)
    return _CLASSES * fleet.loss[-1].reshape(n, -1), test.reshape(n, -1)


def spoil(y: Int64[torch.Tensor, " n"], seed: int) -> Int64[torch.Tensor, " n"]:
    """The labels, 15 % of them drawn anew by chance."""
    generator = torch.Generator().manual_seed(seed)
    is_drawn = torch.rand(len(y), generator=generator) < _NET_WRONG
    return torch.where(is_drawn, torch.randint(_CLASSES, (len(y),), generator=generator), y)


def one_hot(y: Int64[torch.Tensor, " n"]) -> torch.Tensor:
    """One column per class."""
    return torch.nn.functional.one_hot(y, _CLASSES).float()


def width_of(parameters: float) -> int:
    """The hidden width with about so many parameters."""
    return max(1, round((parameters - _CLASSES) / (40 + 1 + _CLASSES)))


def holds(result: DoubleDescent) -> Verdict:
    """The law, the peaks, and the second descent."""
    test = result.fit_test.mean(axis=0)
    peak = int(np.argmin(np.abs(result.features - result.samples)))
    net, ridge = result.net_test.mean(axis=0), result.ridge_test.mean(axis=0)
    ratio = result.net_parameters / (result.net_samples * _CLASSES)
    top = int(net.argmax())
    law_gap = float(np.abs(result.law_measured / result.law - 1).max())
    highest = float(result.features[test.argmax()] / result.samples)
    checks = (
        Check(
            "law of least squares: largest |measured / law - 1|",
            law_gap,
            0.0,
            0.25,
            "means over draws; near the peak single draws are heavy-tailed",
        ),
        Check(
            "random features: where the held-out error peaks, over samples", highest, 0.9, 1.1, "the peak is at N = n"
        ),
        Check("peak over first minimum", float(test[peak] / test[:peak].min()), 2.0, reason="there is a peak"),
        Check(
            "last over first minimum",
            float(test[-1] / test[:peak].min()),
            0.0,
            1.0,
            "the second descent ends below the first",
        ),
        Check(
            "best ridge: largest rise of the error from one size to a larger, over the least error",
            float(max(0.0, (ridge - np.minimum.accumulate(ridge)).max()) / ridge.min()),
            0.0,
            0.1,
            "no peak (Nakkiran et al. 2021); seeds move it by a few per cent",
        ),
        Check("best ridge over least squares, at the peak", float(ridge[peak] / test[peak]), 0.0, 0.5, "it is gone"),
        Check(
            "trained network: parameters where it peaks, over samples x classes",
            float(ratio[top]),
            0.3,
            1.5,
            "about 1; the grid is coarse",
        ),
        Check("its peak over the error of the widest", float(net[top] / net[-1]), 1.2, reason="the descent after it"),
    )
    truth = (
        "Without regularisation the held-out error falls again past the point where the parameters just fit the "
        "training set, for random features below the first minimum; with the best ridge for each size there is no peak."
    )
    return Verdict("holds with a condition", truth, checks)


def finding(result: DoubleDescent) -> str:
    """Minimum, peak and second descent."""
    test, net = result.fit_test.mean(axis=0), result.net_test.mean(axis=0)
    peak = int(np.argmin(np.abs(result.features - result.samples)))
    first, top = int(test[:peak].argmin()), int(net.argmax())
    return (
        f"Random ReLU features on {result.samples} digits: held-out squared error {test[first]:.2f} at "
        f"{result.features[first]} features, {test[peak]:.2g} at {result.features[peak]}, {test[-1]:.2f} at "
        f"{result.features[-1]:,}, with the best ridge {result.ridge_test.mean(axis=0)[peak]:.2f} at the peak; "
        f"a trained network on MNIST-1D, {percent(_NET_WRONG)} of the labels drawn by chance, peaks at "
        f"{result.net_parameters[top]:,} parameters, with {result.net_samples} samples of {_CLASSES} classes."
    )


def draw(result: DoubleDescent, figure: Figure) -> None:
    """The law, the random features and the networks."""
    figure.set_size_inches(8.4, 3.2)
    law, fit, net = figure.subplots(1, 3)
    n = result.law_samples
    for side in (np.arange(1, n - 1), np.arange(n + 2, result.law_features[-1])):
        label = "law" if side[0] == 1 else None
        law.plot(side / n, [law_of(n, int(i)) for i in side], "-", color=words.GREY, linewidth=1, label=label)
    law.plot(result.law_features / n, result.law_measured, "o", color=words.BLUE, markersize=4, label="measured")
    law.set(xlabel="features / samples", ylabel="excess error (noise variance = 1)")
    law.set_title(f"least squares, {n} samples", loc="left")
    _curves(fit, result.features / result.samples, result.fit_train, result.fit_test)
    words.band(
        fit, result.features / result.samples, result.ridge_test, color=words.GREEN, label="best ridge", mark="^"
    )
    fit.set(xlabel="features / samples", ylabel=f"squared error, drawn down to {_FLOOR:g}")
    fit.set_title("random ReLU features, digits", loc="left")
    _curves(net, result.net_parameters / (result.net_samples * _CLASSES), result.net_train, result.net_test)
    net.set(xlabel="parameters / (samples x classes)", ylabel=f"squared error, drawn down to {_FLOOR:g}")
    net.set_title("trained network, MNIST-1D", loc="left")
    for axes in (law, fit, net):
        axes.axvline(1.0, color=words.FAINT, linewidth=0.8, zorder=-1)
        axes.set(xscale="log", yscale="log")
        if axes is net:
            axes.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        axes.minorticks_off()
        words.legend(axes)


def _curves(
    axes: Axes, x: Float64[np.ndarray, " n"], train: Float64[np.ndarray, "s n"], test: Float64[np.ndarray, "s n"]
) -> None:
    words.band(axes, x, np.maximum(train, _FLOOR), color=words.GREY, label="training", mark="s", style="--")
    words.band(axes, x, test, color=words.BLUE, label="held out")
    axes.set_ylim(_FLOOR, 2 * float(test.max()))


CLAIM = Claim(
    name="double_descent",
    section="Linear regions, width and depth",
    told="In the over-parameterised regime the held-out error falls a second time.",
    told_by="articles and research papers",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    needs=("mnist-1d",),
    source="Belkin et al. 2019; Nakkiran et al. 2021; Hastie et al. 2022; Greydanus & Kobak 2024",
)
