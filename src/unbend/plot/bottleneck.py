"""The plane of two units before the output: points by class, the lines between the classes of the output, witnesses.

In: a `BottleneckPlane`. Out: marks on given axes.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int64, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from unbend._shares import percent
from unbend.explain.bottleneck.bottleneck import BottleneckPlane
from unbend.numerics.separable import JointOverlap, Overlap
from unbend.plot.film import image_of
from unbend.plot.style import INK, MUTED, PAPER, RC, class_color, shorten

_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
_PIXELS = 240
_MOST = 3000
"""Points of a part that are drawn."""
_ROOM = 0.08


def bottleneck(ax: Axes, result: BottleneckPlane, *, part: str = "train") -> None:
    """The plane at the end of the training, over the rows of one part; rows of a proof of overlap are ringed.

    Args:
        ax: where to draw.
        result: the plane.
        part: "train" or "held_out".
    """
    is_train = part == "train"
    points = result.points if is_train else result.held_out_points
    y = result.y if is_train else result.held_out_y
    _window(ax, result.points)
    _regions(ax, result.weight, result.bias, has_lines=result.has_lines)
    _dots(ax, points[:_MOST], y[:_MOST])
    if is_train and isinstance(result.verdict, (JointOverlap, Overlap)):
        ringed = points[result.verdict.rows[:200]]
        ax.plot(*ringed.T, "o", mfc="none", mec=INK, mew=0.9, ms=8, gid="witnesses")
    _names(ax, points, y, result.class_names)


def bottleneck_frame(ax: Axes, result: BottleneckPlane, i: int) -> None:
    """Frame `i` of the film of the training."""
    points = result.frame_points[i]
    _window(ax, points)
    _regions(ax, result.frame_weight[i], result.frame_bias[i], has_lines=result.has_lines)
    _dots(ax, points, result.frame_y)
    _names(ax, points, result.frame_y, result.class_names)
    right = float(np.mean(class_at(points, result.frame_weight[i], result.frame_bias[i]) == result.frame_y))
    told = f": {percent(right)} of these rows right" if result.has_lines else ""
    ax.set_title(f"step {result.frame_steps[i]:,}{told}", loc="left")


def bottleneck_film(result: BottleneckPlane, *, hold: int = 8) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of the film as images; the last one stays for a while.

    Args:
        result: the plane.
        hold: how many times the last frame is shown.
    """
    with rc_context(RC):
        for i in [*range(len(result.frame_steps)), *[len(result.frame_steps) - 1] * hold]:
            figure = Figure((4.6, 4.4), dpi=110, facecolor=PAPER)
            bottleneck_frame(figure.add_axes((0.12, 0.11, 0.85, 0.81)), result, i)
            yield image_of(figure)


def class_at(
    points: Float[np.ndarray, "*s 2"], weight: Float[np.ndarray, "k 2"], bias: Float[np.ndarray, "k"]
) -> Int64[np.ndarray, "*s"]:
    """The class that the output layer names; a single output is a score of class 1."""
    score = points @ weight.T + bias
    return (score[..., 0] > 0).astype(np.int64) if len(weight) == 1 else score.argmax(-1)


def window(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2 2"]:
    """Where an axis begins and ends, for each of the two units: all rows but the farthest, with room around them."""
    low, high = np.quantile(points, 0.002, axis=0), np.quantile(points, 0.998, axis=0)
    pad = _ROOM * np.maximum(high - low, 1e-9)
    return np.stack([low - pad, high + pad], 1)


def _window(ax: Axes, points: Float[np.ndarray, "n 2"]) -> None:
    (left, right), (low, high) = window(points)
    ax.set(xlim=(left, right), ylim=(low, high), xlabel="unit 1", ylabel="unit 2")


def _regions(ax: Axes, weight: Float[np.ndarray, "k 2"], bias: Float[np.ndarray, "k"], *, has_lines: bool) -> None:
    """What the output layer calls each place of the plane, as a tint, and the lines between."""
    if not has_lines:
        return
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    across, up = (a + (np.arange(_PIXELS) + 0.5) / _PIXELS * (b - a) for a, b in ((x0, x1), (y0, y1)))
    found = class_at(np.stack(np.meshgrid(across, up), -1), weight, bias)
    colors = np.array([to_rgb(class_color(i)) for i in range(int(found.max()) + 1)])
    tinted = np.concatenate([colors[found], np.full((*found.shape, 1), 0.13)], -1)
    ax.imshow(tinted, extent=(x0, x1, y0, y1), origin="lower", aspect="auto", interpolation="nearest", zorder=-2)
    for label in np.unique(found):
        if (found != label).any():
            ax.contour(across, up, (found == label).astype(float), levels=[0.5], colors=[MUTED], linewidths=0.5)


def _dots(ax: Axes, points: Float[np.ndarray, "n 2"], y: Int64[np.ndarray, "n"]) -> None:
    size = float(np.clip(90 / np.sqrt(max(len(points), 1)), 1.6, 4.5))
    for label in np.unique(y):
        mark = _MARKS[label % len(_MARKS)]
        ax.plot(*points[y == label].T, mark, color=class_color(int(label)), ms=size, mew=0, alpha=0.8)


def _names(ax: Axes, points: Float[np.ndarray, "n 2"], y: Int64[np.ndarray, "n"], names: tuple[str, ...]) -> None:
    if len(names) > 24:
        return
    for label in np.unique(y):
        x, up = np.median(points[y == label], axis=0)
        ax.text(x, up, shorten(names[label]), ha="center", va="center", fontweight="bold", clip_on=True,
                bbox={"boxstyle": "round,pad=0.15", "fc": PAPER, "ec": "none", "alpha": 0.75})  # fmt: skip
