"""What a page shows of `Depth` and `Head`: separability through the layers, and what the network makes of it."""

import numpy as np

from unbend._names import first_few
from unbend._shares import percent, points
from unbend.chart.depth import law_line
from unbend.numerics.readout import READERS
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import Number, in_digits
from unbend.study.depth import Depth
from unbend.study.head import Head

_WIDE, _SMALL = 1.8, 2.0


@section.register
def depth(result: Depth, place: Place = NOWHERE) -> Section:
    """The curve of the read-out with its baselines, the Fisher staircase and the law of equi-separation."""
    labels = [place.label(name) for name in result.layers]
    curve = _curve(result, labels, place)
    n = int(np.isfinite(result.fisher).sum())
    stairs = (_staircase(result, labels, place),) if n > 1 else ()  # one step is no staircase
    return Section(pictures=(curve, *stairs, _law(result, labels, place)) if n else (curve,))


def _curve(result: Depth, labels: list[str], place: Place) -> Picture:
    accuracy = bool(place.class_names or place.label_names)
    what = "Accuracy" if accuracy else "R²"
    scale = " Equal steps up divide the errors by equal factors." if accuracy else ""
    good = np.flatnonzero(np.isfinite(result.held_out))
    ends = [f"{percent(result.held_out[i])} at {labels[i]}" for i in (good[:1].tolist() + good[-1:].tolist())]
    reader = by_reader(result, labels)
    said = f"{what} of a linear read-out through {len(labels)} layers" + (
        f": held-out {', '.join(ends)}" if ends else ""
    )

    head = ("layer", "held-out", "95 % interval", "train", "untrained twin", "permuted labels")
    rows = tuple(
        (
            labels[i],
            percent(result.held_out[i]),
            f"{percent(result.low[i])} to {percent(result.high[i])}",
            percent(result.train[i]),
            _untrained_score(result, i),
            percent(result.control[i]),
        )
        for i in range(len(labels))
    )
    return Picture(
        "What a straight cut can read",
        f"{what} of {reader}.{scale} Filled dots are activations, open ones all other layers.",
        view="curve",
        data={
            "layers": place.positions(result.layers),
            "is_accuracy": accuracy,
            **{name: getattr(result, name) for name in ("held_out", "low", "high", "train", "twin", "control")},
        },
        label=f"{said}.",
        ratio=_WIDE,
        table=Table(head, rows),
        size="curve",
    )


def by_reader(result: Depth, labels: list[str]) -> str:
    """By what the layers are read, in words.

    Args:
        result: the curves.
        labels: what to call each layer.
    """
    readers = result.readers or ("",) * len(labels)
    kinds = list(dict.fromkeys(reader for reader in readers if reader))
    if not kinds:
        return "a linear read-out of every layer"
    usual = max(kinds, key=readers.count)
    others = [f"a {READERS[kind]} of {_few(labels, readers, kind)}" for kind in kinds if kind != usual]
    return " and ".join([f"a {READERS[usual]} of every {'other ' * bool(others)}layer", *others])


def _few(labels: list[str], readers: tuple[str, ...], kind: str) -> str:
    """The layers that are read by something else."""
    return first_few([label for label, reader in zip(labels, readers, strict=True) if reader == kind])


def _untrained_score(result: Depth, i: int) -> str:
    """The score of a layer before training, with the range of its draws where there are several."""
    mean = percent(result.twin[i])
    if result.n_draws < 2 or not np.isfinite(result.twin[i]):
        return mean
    return f"{mean} ({percent(result.twin_low[i])} to {percent(result.twin_high[i])}, {result.n_draws} draws)"


def _staircase(result: Depth, labels: list[str], place: Place) -> Picture:
    columns = zip(labels, result.fisher, result.trace_ratio, strict=True)
    return Picture(
        "Fisher staircase",
        _stairs_in_words(result),
        view="staircase",
        data={"layers": place.positions(result.layers), "fisher": result.fisher, "trace_ratio": result.trace_ratio},
        label=f"Fisher value by layer: {in_digits(result.fisher[0])} first, {in_digits(result.fisher[-1])} last",
        ratio=_SMALL,
        table=Table(
            ("layer", "Fisher", "trace ratio"),
            tuple((label, in_digits(float(f)), in_digits(float(r))) for label, f, r in columns),
            "The trace ratio misleads: one noisy unit lowers it, a bottleneck that destroys information raises it.",
        ),
    )


def _stairs_in_words(result: Depth) -> str:
    """What affine layers cannot do, where that is a theorem."""
    if result.is_one_path:
        return "Debiased tr(W⁻¹B): affine layers (grey) cannot climb it, activations (green) can."
    return (
        "Debiased tr(W⁻¹B), activations in green. Only between flat layers of one path can no affine layer raise it: "
        "here some layers are reduced to means or lie on branches."
    )


def _law(result: Depth, labels: list[str], place: Place) -> Picture:
    fit = ""
    if np.isfinite(result.line_slope):
        factor, tied = np.exp(result.line_slope), result.line_correlation
        fit = f" Times {factor:.2g} per activation; correlation with depth {tied:.2f}."
    fitted, line = law_line(result)
    return Picture(
        "Equi-separation",
        f"tr(S_W S_B⁺): lower is further apart.{fit}",
        view="law",
        data={
            "layers": place.positions(result.layers),
            "separation": result.separation,
            "fitted": fitted,
            "line": line,
        },
        label=f"Equi-separation value through the layers.{fit}",
        ratio=_SMALL,
        table=Table(
            ("layer", "tr(S_W S_B⁺)"),
            tuple((label, in_digits(float(v))) for label, v in zip(labels, result.separation, strict=True)),
            "He & Su 2023: in well-trained networks it falls by about the same factor at every layer.",
        ),
    )


@section.register
def head(result: Head, place: Place = NOWHERE) -> Section:
    """The network's own output against a read-out refitted on the layer that feeds it."""
    gain = [points(v) for v in (result.gain, result.low, result.high)]
    feeds = place.label(result.layer)
    return Section(
        (
            Number(
                "own head", result.own, percent(result.own), f"the network's own output, {result.n:,} held-out rows"
            ),
            Number("own, train", result.own_train, percent(result.own_train), "the same on training rows"),
            Number("refitted", result.refitted, percent(result.refitted), f"a linear read-out refitted on {feeds}"),
            Number(
                "gain",
                result.gain,
                f"{gain[0]} points",
                "refitted minus own, paired by row, with its 95 % interval",
                aside=f"{gain[1]} to {gain[2]}",
            ),
        )
    )
