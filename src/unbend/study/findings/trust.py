"""Rules about the figures themselves: where they say less than they seem to."""

from collections.abc import Iterator

import numpy as np

from unbend._names import first_few
from unbend.numerics.readout import READERS, Readout
from unbend.numerics.scatter import Scatter
from unbend.numerics.spectrum import Spectrum
from unbend.study.examine.values import Reduction
from unbend.study.findings.evidence import Evidence, name_of
from unbend.study.values import Finding, Layer

GAP = 0.1
"""Training minus held-out score of a read-out from which it is said to over-fit."""
FREE = 0.95
"""Training accuracy with permuted labels from which separability of the training rows is no merit."""
LOSSY = 0.03
"""Accuracy that a mean over positions must cost to be worth a word."""
FEW_ROWS = 10.0
"""Rows per unit below which second moments are biased."""


def read_out_over_fits(e: Evidence) -> Iterator[Finding]:
    """Read-outs that are much better on their training rows; the widest gap is named."""
    gaps = [
        (r.train - r.held_out, layer, r)
        for layer, r in e.layers_with(Readout)
        if np.isfinite(r.held_out)
        and r.train - r.held_out > GAP
        and (r.correct is None or r.train > r.held_out_interval[1])
    ]
    if gaps:
        gap, layer, r = max(gaps, key=lambda g: g[0])
        others = f"; {len(gaps) - 1} other layers have a gap above {GAP:.2f}" if len(gaps) > 1 else ""
        yield Finding(
            "read_out_over_fits", "note", layer.name,
            f"What a {READERS[r.reader]} of {name_of(layer)} learns does not carry over: {r.train:.3f} on training "
            f"rows, {r.held_out:.3f} held out.",
            f"{e.score.capitalize()} gap {gap:.3f}, with {r.n_fit:,} rows for {r.weight.shape[1]} units{others}.",
            "Separability of the training rows is then no merit of the layer.",
            "Trust the held-out curve; use more data, or regularise the network more.",
            rests_on=(layer.name,),
        )  # fmt: skip


def chance_would_do(e: Evidence) -> Iterator[Finding]:
    """Layers wide enough to fit permuted labels."""
    free = [(layer, r) for layer, r in e.layers_with(Readout) if _fits_any(r) or _is_spread(layer, r.n_train)]
    if free:
        layer, r = free[0]
        d = r.weight.shape[1]
        where = f"{len(free)} layers are" if len(free) > 1 else f"{_opening(layer)} is"
        is_known = bool(np.isfinite(r.majority_train))
        most = f", where always naming the largest class gives {r.majority_train:.3f}" if is_known else ""
        fitted = (
            f"{r.control_train:.3f} of {r.n_train:,} shuffled labels are fitted by a linear discriminant of {d} units"
            f"{most}"
        )
        spread = f"{r.n_train:,} rows lie in {r.n_train - 1:,} directions of its {d} units"
        told = fitted if _fits_any(r) else spread
        yield Finding(
            "chance_would_do", "note", layer.name,
            f"{where} wide enough to separate even shuffled labels of these rows.",
            f"{_opening(layer)}: {told}, {r.n_train / max(d, 1):.1f} rows per unit.",
            "In enough dimensions a plane separates any labels (Cover 1965), so success on training rows says nothing "
            "there.",
            "Judge these layers by the held-out curve only, or measure on more rows.",
        )  # fmt: skip


def _fits_any(r: Readout) -> bool:
    """Whether permuted labels are fitted, and at least half of those that the largest class leaves over."""
    majority = float(np.nan_to_num(r.majority_train))
    return r.control_train > FREE and 2 * (1 - r.control_train) <= 1 - majority


def _is_spread(layer: Layer, n: int) -> bool:
    """Whether every row has a direction of its own, so that a plane separates any labels of them."""
    scatter = layer.result(Scatter)
    return scatter is not None and scatter.n == n and scatter.rank >= n - 1


def lossy_reduction(e: Evidence) -> Iterator[Finding]:
    """A mean over positions that leaves out what a read-out of more positions tells: a note about the mean."""
    lost = [] if e.examination is None else [r for r in e.examination.reductions if r.low > 0 and _gap(r) > LOSSY]
    if not lost:
        return
    most = max(lost, key=_gap)
    others = [f"{r.layer} ({r.reduced:.3f} and {r.finer:.3f})" for r in lost if r is not most]
    also = f" So at {first_few(others)}." if others else ""
    yield Finding(
        "lossy_reduction", "note", most.layer,
        f"The mean over positions leaves out of layer {most.layer} what its positions tell.",
        f"A logistic regression is right on {most.reduced:.3f} of {most.n:,} held-out rows from the mean of its "
        f"{most.positions:,} positions, on {most.finer:.3f} from {most.cells} cells of them ({_gap(most):+.3f}, 99 % "
        f"interval {most.low:+.3f} to {most.high:+.3f}, paired by row).{also}",
        "The curve shows what the mean holds. It is no fault of the layer: the next one gets every position.",
        f"Where the place counts, read the layer whole: reduce={{'{most.layer}': 'flatten'}} (--reduce "
        f"'{most.layer}=flatten').",
    )  # fmt: skip


def _gap(r: Reduction) -> float:
    return r.finer - r.reduced


def few_rows(e: Evidence) -> Iterator[Finding]:
    """Too few rows for the second moments of the widest layer."""
    worst = min(((s.rows_per_unit, i, layer, s) for i, (layer, s) in enumerate(e.layers_with(Spectrum))), default=None)
    if worst is not None and worst[0] < FEW_ROWS:
        ratio, _, layer, s = worst
        yield Finding(
            "few_rows", "note", layer.name,
            f"There are few rows for so wide a layer: {s.n:,} for the {len(s.values)} units of {name_of(layer)}.",
            f"{ratio:.1f} rows per unit; below {FEW_ROWS:.0f}, effective ranks are too small and read-outs over-fit.",
            "The figures of wide layers are then as much about this sample as about the network.",
            "Use more rows if you can; compare layers of like width only; prefer the debiased figures.",
        )  # fmt: skip


def _opening(layer: Layer) -> str:
    """The same at the beginning of a sentence."""
    name = name_of(layer)
    return name[0].upper() + name[1:]
