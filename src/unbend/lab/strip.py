"""Two tanh units tell a diagonal strip from both of its sides, but their two lines are not the decision boundary.

Each hidden unit is zero on a line. In the plane of the two activations (a1, a2) the classes can be parted by one line,
and that line, taken back to the input, is the boundary: it runs beside the hidden lines, not on them. Trained as it is
told, 100 epochs of Adam at Keras's rate on 200 samples end far from 100 %; ten times the rate, or full-batch training
over as many steps as many samples would give, gets there for most seeds.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import brentq
from torch import Tensor, nn

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREEN, INK, MUTED, VERMILION, field, legend, plane_lines, scatter
from unbend.numerics.result import result
from unbend.numerics.separable import Overlap, Separation

ACTIVATION = "tanh"
LINES = (VERMILION, GREEN)
"""The colours of the two hidden units."""
TOLD = ((200, 0.001), (200, 0.01), (1000, 0.001))
"""Samples and learning rate of the runs as told; the second has ten times Keras's rate, the third more samples."""
TOLD_EPOCHS, TOLD_BATCH, TOLD_SEEDS = 100, 10, 40


@result
class Strip:
    """What the printed weights do, and what training finds.

    Weights of a net stand in one row: both rows of W1 as torch has them, b1, w2, b2.

    Attributes:
        x: points of the strip and of its sides.
        y: 1 within the strip, 0 beside it.
        printed: the printed weights.
        n_checked: other points that the printed weights were tried on.
        printed_accuracy: share of them that is called right.
        line_at: where the hidden lines cross the diagonal through the middle, as x2 - x1.
        boundary_at: where the decision boundary does.
        is_input_overlap: whether a proof was accepted that no line parts the classes in the input plane.
        is_hidden_separation: whether a proof was accepted that a line parts them in the plane (a1, a2).
        told_n: samples of the runs as told: Glorot's weights, Adam, batches of 10, 100 epochs.
        told_rate: learning rate of each; Keras's is .001.
        told_accuracy: accuracy on all training samples at the end, a row for each of these, a column for each seed.
        n_draws: draws of the samples.
        n_seeds: nets that were trained on each draw.
        n_train: samples.
        n_steps: optimiser steps, those of 100 epochs in batches of 32.
        share_perfect: share of nets that call every training sample right.
        share_nearly: share of nets that call 99 in 100 right.
        film_step: steps after which one net was kept, the first before training.
        film_weights: its weights then.
        film_accuracy: share of the points that it called right.
    """

    x: Float[np.ndarray, "n 2"]
    y: Int64[np.ndarray, " n"]
    printed: Float64[np.ndarray, "9"]
    n_checked: int
    printed_accuracy: float
    line_at: Float64[np.ndarray, "2"]
    boundary_at: Float64[np.ndarray, "2"]
    is_input_overlap: bool
    is_hidden_separation: bool
    told_n: Int64[np.ndarray, " k"]
    told_rate: Float64[np.ndarray, " k"]
    told_accuracy: Float64[np.ndarray, "k s"]
    n_draws: int
    n_seeds: int
    n_train: Int64[np.ndarray, " m"]
    n_steps: Int64[np.ndarray, " m"]
    share_perfect: Float64[np.ndarray, " m"]
    share_nearly: Float64[np.ndarray, " m"]
    film_step: Int64[np.ndarray, " f"]
    film_weights: Float64[np.ndarray, "f 9"]
    film_accuracy: Float64[np.ndarray, " f"]


def run(seed: int = 0, budget: Budget = "full") -> Strip:
    """Try the printed weights, then train many nets from different seeds on few and on many samples."""
    printed = printed_weights()
    n_draws, n_seeds = (5, 20) if budget == "quick" else (10, 40)
    draws = range(10 * seed, 10 * seed + n_draws)
    points = zoo.strip(200, held_out=0.0, seed=draws[0])
    x, y = points.x_train.numpy(), points.y_train.numpy()
    others = zoo.strip(20_000, held_out=0.0, seed=seed)
    called = logit(printed, others.x_train.numpy()) > 0
    a = hidden(printed, x)
    in_input, in_hidden = unbend.separate(x, y), unbend.separate(a, y)

    told = TOLD[:2] if budget == "quick" else TOLD

    n_train = (50, 200, 1000)
    steps = [100 * -(-n // 32) for n in n_train]
    accuracy = [train(n, s, n_seeds, draws) for n, s in zip(n_train, steps, strict=True)]
    film = film_of(points, int(accuracy[1][0].argmax()), steps[1])
    return Strip(
        x=x,
        y=y,
        printed=printed,
        n_checked=len(called),
        printed_accuracy=float(np.mean(called == others.y_train.numpy())),
        line_at=np.sort([line_crossing(printed, unit) for unit in (0, 1)]),
        boundary_at=np.array([boundary_crossing(printed, *side) for side in ((-0.9, 0.0), (0.0, 0.9))]),
        is_input_overlap=isinstance(in_input, Overlap) and in_input.verify(x, y),
        is_hidden_separation=isinstance(in_hidden, Separation) and in_hidden.verify(a, y),
        told_n=np.array([n for n, _ in told]),
        told_rate=np.array([rate for _, rate in told]),
        told_accuracy=np.array([as_told(n, rate, seed) for n, rate in told]),
        n_draws=n_draws,
        n_seeds=n_seeds,
        n_train=np.array(n_train),
        n_steps=np.array(steps),
        share_perfect=np.array([np.mean(row == 1) for row in accuracy]),
        share_nearly=np.array([np.mean(row >= 0.99) for row in accuracy]),
        film_step=film.steps,
        film_weights=film.weights.astype(np.float64),
        film_accuracy=np.array([np.mean((logit(row, x) > 0) == y) for row in film.weights.astype(np.float64)]),
    )


def printed_weights() -> Float64[np.ndarray, "9"]:
    """The weights as they were printed, in one row."""
    return np.concatenate([p.detach().double().numpy().ravel() for p in zoo.strip_net().parameters()])


def train(n: int, steps: int, n_seeds: int, draws: range) -> Float64[np.ndarray, "r e"]:
    """Training accuracy of nets from different seeds, for several draws of the samples; every step on all of them."""
    recipe, accuracy = zoo.Recipe(epochs=steps, rate=0.01), []
    for draw_seed in draws:
        data = zoo.strip(n, held_out=0.0, seed=draw_seed)
        fleet = zoo.many(nets(range(n_seeds)), *data.train, recipe)
        outputs = zoo.fleet_outputs(fleet, data.x_train)[..., 0]
        accuracy.append(np.mean((outputs > 0) == data.y_train.numpy(), axis=1))
    return np.stack(accuracy)


def as_told(n: int, rate: float, seed: int) -> Float64[np.ndarray, " s"]:
    """Accuracy of forty 2-2-1 nets trained as Keras would: Glorot's weights, Adam, shuffled batches of ten.

    The nets stand side by side in one tensor, each with weights, samples and an order of samples of its own; as their
    losses are summed, none feels the others.
    """
    own = range(100 * seed, 100 * seed + TOLD_SEEDS)
    draws = [zoo.strip(n, held_out=0.0, seed=each) for each in own]
    x, y = torch.stack([draw.x_train for draw in draws]), torch.stack([draw.y_train for draw in draws]).float()
    nets_in_turn = torch.arange(TOLD_SEEDS)[:, None]
    drawn = (zoo.initialise(zoo.mlp((2, 2, 1), seed=each), "xavier", seed=each) for each in own)
    stacks = [
        torch.stack(same) for same in zip(*([p.detach() for p in net.parameters()] for net in drawn), strict=True)
    ]
    weights = [stack.transpose(1, 2).contiguous().requires_grad_() for stack in stacks[::2]]
    biases = [stack[:, None].clone().requires_grad_() for stack in stacks[1::2]]
    optimizer = torch.optim.Adam([*weights, *biases], lr=rate, eps=1e-7)
    generator = torch.Generator().manual_seed(seed)

    def output(points: Tensor) -> Tensor:
        bent = getattr(torch, ACTIVATION, torch.clone)(torch.baddbmm(biases[0], points, weights[0]))
        return torch.baddbmm(biases[1], bent, weights[1])[..., 0]

    for _ in range(TOLD_EPOCHS):
        order = torch.rand(TOLD_SEEDS, n, generator=generator).argsort(dim=1)
        for rows in order.split(TOLD_BATCH, dim=1):
            at = nets_in_turn, rows
            loss = nn.functional.binary_cross_entropy_with_logits(output(x[at]), y[at], reduction="none")
            optimizer.zero_grad()
            loss.mean(dim=1).sum().backward()
            optimizer.step()
    with torch.no_grad():
        right = (output(x) > 0) == (y > 0.5)
    return right.double().mean(dim=1).numpy()


def nets(seeds: range) -> list[zoo.Net]:
    """2-2-1 nets that differ in their initial weights."""
    return [zoo.Net((2, 2, 1), ACTIVATION, seed=s) for s in seeds]


def film_of(points: zoo.DataSet, index: int, steps: int) -> zoo.Fleet:
    """The training of one of these nets once more, with its weights kept on the way."""
    recipe = zoo.Recipe(epochs=steps, rate=0.01)
    return zoo.many(nets(range(index, index + 1)), *points.train, recipe, keep_every=10)


def hidden(weights: Float64[np.ndarray, "9"], x: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 2"]:
    """The plane (a1, a2) of the hidden activations."""
    return np.tanh(x @ weights[:4].reshape(2, 2).T + weights[4:6])


def logit(weights: Float64[np.ndarray, "9"], x: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
    """The net's output; above 0 it says "strip"."""
    return hidden(weights, x) @ weights[6:8] + weights[8]


def across(t: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 2"]:
    """Points at x2 - x1 = t on the line through the origin that crosses the strip at a right angle."""
    return np.stack([-t / 2, t / 2], axis=1)


def line_crossing(weights: Float64[np.ndarray, "9"], unit: int) -> float:
    """Where the line of a hidden unit crosses it."""
    w1, w2 = weights[2 * unit : 2 * unit + 2]
    return float(-weights[4 + unit] / ((w2 - w1) / 2))


def boundary_crossing(weights: Float64[np.ndarray, "9"], low: float, high: float) -> float:
    """Where the decision boundary crosses it; NaN if it does not between these two places."""
    ends = logit(weights, across(np.array([low, high])))
    if ends[0] * ends[1] > 0:
        return float("nan")
    return float(brentq(lambda t: logit(weights, across(np.array([t])))[0], low, high))


def holds(result: Strip) -> Verdict:
    """The weights work, the lines are not the boundary, and 100 epochs do not always do."""
    few, some, _ = result.share_perfect
    perfect = (result.told_accuracy == 1).mean(axis=1)
    gap = np.abs(result.boundary_at) - np.abs(result.line_at)
    checks = (
        Check("accuracy of the printed weights", result.printed_accuracy, 1.0, 1.0, "the data leave a gap"),
        Check("no line parts the input (1 = proved)", float(result.is_input_overlap), 1.0, 1.0, "exact arithmetic"),
        Check("a line parts (a1, a2) (1 = proved)", float(result.is_hidden_separation), 1.0, 1.0, "exact arithmetic"),
        Check("mean |x2 - x1| of the hidden lines", float(np.abs(result.line_at).mean()), 0.465, 0.485, "±.47"),
        Check("mean |x2 - x1| of the boundary", float(np.abs(result.boundary_at).mean()), 0.53, 0.55, "±.54"),
        Check("least distance of boundary and line", float(gap.min()), 0.04, 1.0, "well above rounding"),
        Check("as told, 200 samples: share of nets at 100 %", float(perfect[0]), 0.0, 0.1, "none of 40 seen"),
        Check(
            "as told, 200 samples: median accuracy",
            float(np.median(result.told_accuracy[0])),
            0.5,
            0.7,
            ".57 to .59 over seeds",
        ),
        *(
            Check(
                f"as told, {n:,} samples: share of nets at 100 %, minus that with 200",
                float(share - perfect[0]),
                0.1,
                0.95,
                "five times the samples are five times the steps; .2 to .7 over seven seeds",
            )
            for n, share in zip(result.told_n[2:], perfect[2:], strict=True)
        ),
        Check(
            "ten times the rate: share of nets at 100 %", float(perfect[1]), 0.5, 0.95, ".62 to .78 over eight seeds"
        ),
        Check("share of nets at 100 %, 50 samples", float(few), 0.0, 0.45, "200 steps; .02 to .43 a draw"),
        Check("share of nets at 100 %, 200 samples", float(some), 0.6, 0.97, "700 steps; .68 to .91 a draw"),
        Check("difference of the two", float(some - few), 0.3, 1.0, "epochs are not steps"),
    )
    return Verdict(
        "holds with a condition",
        "One line parts the classes in (a1, a2), but the hidden lines are not the decision boundary. As told (Adam at "
        ".001, batches of 10) 100 epochs on 200 samples end far from 100 %; ten times the rate gets there for most "
        "seeds, and more samples, which are more steps, help.",
        checks,
    )


def finding(result: Strip) -> str:
    """Where lines and boundary lie, and how often training gets there."""
    told, faster = (int((row == 1).sum()) for row in result.told_accuracy[:2])
    shares = ", ".join(f"{percent(s)} with {n:,}" for n, s in zip(result.n_train, result.share_perfect, strict=True))
    return (
        f"The printed weights call {percent(result.printed_accuracy)} of {result.n_checked:,} points right; their "
        f"lines cross at x2 - x1 = {result.line_at[0]:.2f} and {result.line_at[1]:.2f}, the boundary at "
        f"{result.boundary_at[0]:.2f} and {result.boundary_at[1]:.2f}. As told, {told} of {TOLD_SEEDS} nets reach "
        f"100 %, in the median {percent(np.median(result.told_accuracy[0]))}; with ten times the rate {faster}. Of "
        f"{result.n_draws * result.n_seeds} nets at that rate, all samples in every step, {shares} samples are there."
    )


def draw(result: Strip, figure: Figure) -> None:
    """The printed weights above; training below."""
    figure.set_size_inches(7.2, 5.0)
    axes = figure.subplots(2, 3)
    _input_plane(axes[0, 0], result, result.printed, "printed weights")
    _hidden_plane(axes[0, 1], result, result.printed, "their hidden plane")
    _profile(axes[0, 2], result)
    _input_plane(axes[1, 0], result, result.film_weights[0], "before training")
    _input_plane(axes[1, 1], result, result.film_weights[-1], f"after {result.film_step[-1]} steps")
    _shares(axes[1, 2], result)


def film(result: Strip, figure: Figure, i: int) -> None:
    """The lines in the input plane, and the plane (a1, a2), at one moment of the training."""
    left, right = figure.subplots(1, 2)
    told = f"step {result.film_step[i]}: {percent(result.film_accuracy[i])} right"
    _input_plane(left, result, result.film_weights[i], told)
    _hidden_plane(right, result, result.film_weights[i], "hidden plane")


def n_frames(result: Strip) -> int:
    """One for every time that the weights were kept."""
    return len(result.film_step)


def _input_plane(axes: Axes, result: Strip, weights: Float64[np.ndarray, "9"], title: str) -> None:
    scatter(axes, result.x, result.y, size=2.5)
    axes.set(xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), xlabel="x1", ylabel="x2", aspect="equal")
    field(axes, lambda x: 1 / (1 + np.exp(-logit(weights, x))))
    plane_lines(axes, weights[:4].reshape(2, 2), weights[4:6], colors=LINES)
    axes.set_title(title, loc="left")
    axes.set_xlabel("x1 (strokes: where a unit is > 0)")


def _hidden_plane(axes: Axes, result: Strip, weights: Float64[np.ndarray, "9"], title: str) -> None:
    scatter(axes, hidden(weights, result.x), result.y, size=2.5)
    axes.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), xlabel="a1", ylabel="a2", aspect="equal")
    plane_lines(axes, weights[6:8][None], weights[8:], colors=(INK,))
    axes.set_title(title, loc="left")


def _profile(axes: Axes, result: Strip) -> None:
    """Activations and output along the line that crosses the strip."""
    t = np.linspace(-1.3, 1.3, 201)
    a = hidden(result.printed, across(t))
    for unit in (0, 1):
        axes.plot(t, a[:, unit], color=LINES[unit], label=f"a{unit + 1}")
    axes.plot(t, logit(result.printed, across(t)) / 4, color=INK, label="output / 4")
    axes.axhline(0, color=MUTED, linewidth=0.5)
    for place in result.boundary_at:
        axes.axvline(place, 0.14, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="x2 - x1, across the middle", ylabel="activation", ylim=(-1.7, 1.7))
    axes.set_title("lines are not the boundary", loc="left")
    legend(axes, loc="lower center", ncols=3, fontsize=6.5, columnspacing=0.8, handlelength=1.2)


def _shares(axes: Axes, result: Strip) -> None:
    places = np.arange(len(result.n_train))
    bars = axes.bar(places, 100 * result.share_perfect, color=BLUE, width=0.6)
    axes.bar_label(bars, fmt="%.0f", fontsize=7)
    axes.set(xlabel="training samples", ylabel="nets at 100 % (%)", ylim=(0, 100))
    axes.set_xticks(places, [f"{n:,}\n{s:,} steps" for n, s in zip(result.n_train, result.n_steps, strict=True)])
    axes.set_title(f"100 epochs, {result.n_draws * result.n_seeds} nets", loc="left")


CLAIM = Claim(
    name="strip",
    section="Seeing separability arise",
    told="A 2-2-1 tanh net cuts a diagonal strip out with two lines, and is at 100 % after 100 epochs.",
    told_by="an article for beginners, with Keras",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    film=film,
    n_frames=n_frames,
    source="measured here; the printed weights are an article's",
)
