"""What a page shows of the Results that span layers.

In: `Depth`, `Head`, `Similarity`, `Collapse`, `Gradients`. Out: Sections.
"""

import numpy as np

from unbend.numerics.collapse import Collapse
from unbend.numerics.gradient import Gradients
from unbend.numerics.similarity import Similarity
from unbend.plot import depth as plot_depth
from unbend.plot import gradient as plot_gradient
from unbend.plot import similarity as plot_similarity
from unbend.plot.vector import vector
from unbend.report.sections import Picture, Place, Section, Table, section
from unbend.report.text import Number, shown, written
from unbend.study.depth import Depth, Head


@section.register
def _(result: Depth, place: Place = Place()) -> Section:  # noqa: B008
    labels = [place.label(name) for name in result.layers]
    accuracy = bool(place.class_names)
    what = "accuracy" if accuracy else "R²"
    good = np.flatnonzero(np.isfinite(result.held_out))
    said = (f"Linear read-out {what} through {len(labels)} layers: held-out {shown(result.held_out[good[0]])} at "
            f"{labels[good[0]]}, {shown(result.held_out[good[-1]])} at {labels[good[-1]]}" if len(good)
            else f"Linear read-out {what} through {len(labels)} layers")  # fmt: skip

    def draw(ax):  # noqa: ANN001, ANN202
        plot_depth.readouts(ax, result, labels=labels, accuracy=accuracy)

    table = Table(
        ("layer", "held-out", "95 % interval", "train", "untrained twin", "permuted labels"),
        tuple((labels[i], shown(result.held_out[i]), f"{shown(result.low[i])} to {shown(result.high[i])}",
               shown(result.train[i]), shown(result.twin[i]), shown(result.control[i])) for i in range(len(labels))),
    )  # fmt: skip
    scale = " The scale counts errors: each step up divides them." if accuracy else ""
    curve = Picture(
        "What a straight cut can read", f"{what.capitalize() if accuracy else what} of a linear read-out of every layer."
        f"{scale} Filled: activations; open: affine layers.",
        vector(draw, said, size=(7.4, 3.5), margins=(0.5, 0.85, 1.15, 0.12)), table, size="curve",
        narrow=vector(draw, said + ".", size=(3.6, 3.0), margins=(0.48, 0.8, 1.0, 0.12)),
    )  # fmt: skip
    if not np.isfinite(result.fisher).any():
        return Section(pictures=(curve,))
    return Section(pictures=(curve, _staircase(result, labels), _law(result, labels)))


def _staircase(result: Depth, labels: list[str]) -> Picture:
    rows = tuple((label, written(v), written(r)) for label, v, r in zip(labels, result.fisher, result.trace_ratio, strict=True))
    return Picture(
        "Fisher staircase", "Debiased tr(W⁻¹B): affine layers (grey) cannot climb, activations (green) can.",
        vector(lambda ax: plot_depth.fisher(ax, result, labels=labels),
               f"Fisher value through the layers, from {written(result.fisher[0])} to {written(result.fisher[-1])}",
               size=(3.6, 1.9), margins=(0.42, 0.72, 0.05, 0.08)),
        Table(("layer", "Fisher, debiased", "trace ratio (misleading)"), rows,
              "The trace ratio is shown for comparison with other texts; a noisy unit lowers it, a bottleneck raises it."),
    )  # fmt: skip


def _law(result: Depth, labels: list[str]) -> Picture:
    rows = tuple((label, written(v)) for label, v in zip(labels, result.separation, strict=True))
    fit = ""
    if np.isfinite(result.line_slope):
        fit = f" Over the activations ×{np.exp(result.line_slope):.2g} per layer, correlation {result.line_correlation:.2f}."
    return Picture(
        "Equi-separation", f"tr(S_W S_B⁺), log scale: lower is further apart.{fit}",
        vector(lambda ax: plot_depth.separation(ax, result, labels=labels), f"Equi-separation through the layers.{fit}",
               size=(3.6, 1.9), margins=(0.42, 0.72, 0.05, 0.08)),
        Table(("layer", "tr(S_W S_B⁺)"), rows, "He & Su 2023: in well-trained networks it falls by about the same factor per layer."),
    )  # fmt: skip


@section.register
def _(result: Head, place: Place = Place()) -> Section:  # noqa: B008
    gain = f"{100 * result.gain:+.1f} points ({100 * result.low:+.1f} to {100 * result.high:+.1f})"
    return Section((
        Number("network's own head", result.own, shown(result.own), f"held out, {result.n:,} rows"),
        Number("on training rows", result.own_train, shown(result.own_train), "the network's own head"),
        Number("refitted head", result.refitted, shown(result.refitted), f"a linear read-out of {place.label(result.layer)}"),
        Number("gain", result.gain, gain, "refitted minus own, paired by row, with its 95 % interval"),
    ))  # fmt: skip


@section.register
def _(result: Similarity, place: Place = Place()) -> Section:  # noqa: B008
    labels = [place.label(name) for name in result.layers]
    n = len(labels)
    side = float(np.clip(0.28 * n + 1.2, 3.4, 5.2))
    rows = tuple((labels[i], *(f"{v:.2f}" if np.isfinite(v) else "–" for v in result.cka[i])) for i in range(n))
    picture = Picture(
        "Which layers say the same", f"Debiased linear CKA on {result.n:,} rows: 1 is the same up to rotation and scale.",
        vector(lambda ax: plot_similarity.similarity(ax, result, labels=labels), f"Similarity of {n} layers",
               size=(side, side), margins=None),
        Table(("", *labels), rows), size="medium",
    )  # fmt: skip
    return Section(pictures=(picture,))


@section.register
def _(result: Gradients, place: Place = Place()) -> Section:  # noqa: B008
    labels = [place.label(name) for name in result.layers]
    rows = tuple((label, written(float(v))) for label, v in zip(labels, result.norm, strict=True))
    lost = result.orders_lost
    word = "" if not np.isfinite(lost) else f" It {'shrinks' if lost > 0 else 'grows'} by 10^{abs(lost):.1f} on its way back."
    picture = Picture(
        "How far learning reaches", f"Norm of the loss gradient at each layer, log scale.{word}",
        vector(lambda ax: plot_gradient.gradients(ax, result, labels=labels), f"Gradient norm through {len(labels)} layers.{word}",
               size=(3.8, 2.6), margins=(0.5, 0.8, 0.06, 0.1)),
        Table(("layer", "gradient norm"), rows, f"Root mean square over {result.n:,} samples."), size="medium",
    )  # fmt: skip
    return Section(pictures=(picture,))


@section.register
def _(result: Collapse, place: Place = Place()) -> Section:  # noqa: B008
    del place
    said = (
        ("NC1", result.nc1, "variability within classes against between"),
        ("NC2 norm", result.nc2_norm, "spread of the class means' distances to the centre"),
        ("NC2 angle", result.nc2_angle, "distance of the cosines between class means from a simplex"),
        ("NC3", result.nc3, "distance between the head and the class means"),
        ("NC4", result.nc4, "share of rows where head and nearest class mean disagree"),
    )
    return Section(tuple(Number(label, value, written(value), meaning) for label, value, meaning in said))
