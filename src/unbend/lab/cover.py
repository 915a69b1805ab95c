"""Separable is not learned: labels without any meaning are separable too, as long as the layer is wide enough.

Cover counted it in 1965: coin-flip labels of n points are separable with probability ½ at n = 2 (d + 1), and almost
surely below. A thousand photographs with random labels are separable by their raw pixels, and nothing is learned.
"""

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure
from scipy.stats import norm

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREY, VERMILION, legend
from unbend.numerics.result import result
from unbend.numerics.separable import Separation, cover_probability

N_POINTS = 40


@result
class Cover:
    """How often labels without meaning are separable, in random features and in raw pixels.

    Attributes:
        n: points in every draw of random features.
        n_draws: draws at every width.
        width: tanh units that are drawn at random.
        share: share of draws in which the coin-flip labels are separable, each with its proof.
        theory: Cover's probability of it.
        n_images: photographs, each with a label by coin flip.
        n_image_draws: how often their labels were drawn.
        image_share: share of these draws that are separable by the raw pixels, each with its proof.
        image_theory: Cover's probability of it.
        held_out: accuracy of the separating read-outs on 1,000 other photographs with coin-flip labels.
    """

    n: int
    n_draws: int
    width: Int64[np.ndarray, " w"]
    share: Float64[np.ndarray, " w"]
    theory: Float64[np.ndarray, " w"]
    n_images: Int64[np.ndarray, " m"]
    n_image_draws: int
    image_share: Float64[np.ndarray, " m"]
    image_theory: Float64[np.ndarray, " m"]
    held_out: float


def run(seed: int = 0, budget: Budget = "full") -> Cover:
    """Draw random features and labels, ask for a hyperplane, and do the same with photographs."""
    rng = np.random.default_rng(seed)
    n_draws, step = (60, 4) if budget == "quick" else (200, 2)
    width = range(3, 38, step)
    draws = [[is_separable(*random_features(d, rng)) for _ in range(n_draws)] for d in width]

    images = photographs()
    n_images = (500, 1000, 1250) if budget == "quick" else (500, 1000, 1250, 2000)
    n_image_draws = 1 if budget == "quick" else 2
    by_image = [[by_chance(images, n, rng) for _ in range(n_image_draws)] for n in n_images]
    return Cover(
        n=N_POINTS,
        n_draws=n_draws,
        width=np.array(width),
        share=np.mean(draws, axis=1),
        theory=np.array([cover_probability(N_POINTS, d) for d in width]),
        n_images=np.array(n_images),
        n_image_draws=n_image_draws,
        image_share=np.array([np.mean([found for found, _ in row]) for row in by_image]),
        image_theory=np.array([cover_probability(n, images.shape[1]) for n in n_images]),
        held_out=float(np.mean([score for row in by_image for found, score in row if found] or [np.nan])),
    )


def photographs() -> np.ndarray:
    """Some images, one row of 784 grey values each."""
    return zoo.data("fashion-mnist").flat().x_train[:4000].numpy()


def coin_labels(h: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels by coin flip: they have nothing to do with the rows."""
    return rng.integers(0, 2, len(h))


def random_features(d: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of the plane behind `d` random tanh units, and labels."""
    h = np.tanh(2 * rng.normal(size=(N_POINTS, 2)) @ rng.normal(size=(2, d)) + rng.normal(size=d))
    return h, coin_labels(h, rng)


def is_separable(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether a hyperplane is found, and its proof accepted."""
    verdict = unbend.separate(x, y)
    return isinstance(verdict, Separation) and verdict.verify(x, y)


def by_chance(images: np.ndarray, n: int, rng: np.random.Generator) -> tuple[bool, float]:
    """Whether random labels of `n` images are separable, and how the read-out does on 1,000 others."""
    order = rng.permutation(len(images))
    x, fresh = images[order[:n]], images[order[n : n + 1000]]
    y = coin_labels(x, rng)
    verdict = unbend.separate(x, y)
    if not isinstance(verdict, Separation) or not verdict.verify(x, y):
        return False, np.nan
    return True, float(np.mean((fresh @ verdict.weight + verdict.bias > 0) == coin_labels(fresh, rng)))


def holds(result: Cover) -> Verdict:
    """Measured shares follow the count, and separable photographs teach nothing."""
    spread = np.sqrt(np.maximum(result.theory * (1 - result.theory), 1 / result.n_draws) / result.n_draws)
    middle = int(np.flatnonzero(result.width == result.n // 2 - 1)[0])
    separable = float(result.n_images[result.image_share == 1].max(initial=0))
    half, error = 4.2 * float(spread[middle]), 4 * 0.5 / 1000**0.5
    checks = (
        Check(
            "largest distance of a measured share from Cover's count, in standard errors",
            float(np.abs((result.share - result.theory) / spread).max()),
            0.0,
            4.2,
            f"{norm.sf(4.2) * 2 * len(result.width):.0e} is the chance that all widths together exceed it",
        ),
        Check(
            f"share of separable labels at width {result.n // 2 - 1}, n = {result.n}",
            float(result.share[middle]),
            0.5 - half,
            0.5 + half,
            "½ where n = 2 (d + 1), within 4.2 standard errors",
        ),
        Check(
            f"share of separable labels at width {result.width[-1]}",
            float(result.share[-1]),
            1.0,
            1.0,
            f"Cover: 1 less {1 - result.theory[-1]:.0e}",
        ),
        Check(
            f"share of separable labels at width {result.width[0]}",
            float(result.share[0]),
            0.0,
            0.0,
            f"Cover: {result.theory[0]:.0e}",
        ),
        Check(
            "most photographs whose random labels were always separable",
            separable,
            1000.0,
            1570.0,
            "784 pixels, so that Cover's ½ is at 1,570",
        ),
        Check(
            "accuracy of these read-outs on other photographs",
            result.held_out,
            0.5 - error,
            0.5 + error,
            "a coin, within 4 standard errors of 1,000 flips",
        ),
    )
    return Verdict(
        "false as told",
        "Of two points for each weight of the read-out, its bias counted, half of all labels that a coin can throw are "
        "separable, of fewer points soon all; only held-out rows tell learning apart.",
        checks,
    )


def finding(result: Cover) -> str:
    """Where random labels are separable, and what that is worth."""
    middle = int(np.flatnonzero(result.width == result.n // 2 - 1)[0])
    separable = int(result.n_images[result.image_share == 1].max(initial=0))
    return (
        f"Coin-flip labels of {result.n} points are separable in {percent(result.share[middle])} of {result.n_draws} "
        "draws "
        f"at width {result.n // 2 - 1} (Cover's count: {percent(result.theory[middle])}); those of {separable:,} "
        f"photographs are separable by raw pixels, with {percent(result.held_out)} right on other photographs."
    )


def draw(result: Cover, figure: Figure) -> None:
    """The share of separable labels against width, and against the number of photographs."""
    left, right = figure.subplots(1, 2, sharey=True)
    d = np.arange(1, result.n)
    left.plot(d, [cover_probability(result.n, int(i)) for i in d], color=GREY, label="Cover 1965")
    error = np.sqrt(result.theory * (1 - result.theory) / result.n_draws)
    left.errorbar(
        result.width, result.share, 2 * error, fmt="o", color=BLUE, markersize=4, capsize=2, linewidth=1,
        label="measured ± 2 s.e.",
    )  # fmt: skip
    left.axvline(result.n // 2 - 1, color=GREY, linewidth=0.6, linestyle=":")
    left.set(xlabel="width d (random tanh units)", ylabel="share of random labels that are separable")
    left.set_title(f"{result.n} points, {result.n_draws} draws a width", loc="left")
    n = np.arange(300, 2201, 10)
    right.plot(n, [cover_probability(int(i), 784) for i in n], color=GREY, label="Cover, d = 784")
    right.plot(result.n_images, result.image_share, "s", color=VERMILION, markersize=5, label="raw pixels, proved")
    right.set(xlabel="photographs n", ylim=(-0.05, 1.12))
    right.set_title("Fashion-MNIST, labels by coin flip", loc="left")
    legend(left, loc="lower right")
    legend(right, loc="lower left")


CLAIM = Claim(
    name="cover",
    section="Seeing separability arise",
    told="Classes that are linearly separable in a layer have been learned there.",
    told_by="a conclusion often drawn from separable layers",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    needs=("fashion-mnist",),
    source="Cover 1965",
)
