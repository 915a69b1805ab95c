"""What a page shows of `Probes`: what a linear reader reads off every layer, and whether that is the layer's merit."""

from itertools import pairwise
from typing import Any

import numpy as np

from unbend._shares import percent
from unbend.numerics.interval import PairedDifference, paired_interval
from unbend.numerics.probe import Probe, Probes
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section


@section.register
def probes(result: Probes, place: Place = NOWHERE) -> Section:
    """The accuracies over depth, and a table with gains, controls and certificates."""
    labels = [place.label(name) for name in result.layers]
    told = "; ".join(f"{label}: {percent(p.accuracy)}" for label, p in zip(labels, result.layers.values(), strict=True))
    picture = Picture(
        "What the best linear reader reads off each layer",
        f"Logistic probes, fitted to {result.n:,} training rows and judged on {result.n_test:,} held-out rows. Blue: "
        "accuracy on the labels. Orange diamonds: the same probe on a control task, one random label for each kind of "
        "input; the distance is the layer's merit, not the probe's capacity. Grey squares: how much of shuffled labels "
        "it memorises on the fitted rows. Dotted: chance.",
        view="probes",
        data=_view(result, place),
        label=f"Held-out accuracy of the probes of {len(labels)} layers. {told}",
        ratio=2.7,
        table=_table(result, labels),
        size="full",
    )
    return Section(pictures=(picture,))


def _view(result: Probes, place: Place) -> dict[str, Any]:
    """The curves as the page draws them."""
    found = list(result.layers.values())
    return {
        "layers": place.positions(result.layers),
        "accuracy": np.array([p.accuracy for p in found]),
        "low": np.array([p.low for p in found]),
        "high": np.array([p.high for p in found]),
        "task": np.array([_or_nan(p.control.task_accuracy) for p in found]),
        "capacity": np.array([_or_nan(p.control.capacity) for p in found]),
        "chance": float(found[0].control.chance),
    }


def _or_nan(share: float | None) -> float:
    return np.nan if share is None else share


def _table(result: Probes, labels: list[str]) -> Table:
    right = {name: probe.right for name, probe in result.layers.items()}
    gains = {b: paired_interval(right[b], right[a], result.level) for a, b in pairwise(right)}
    rows = tuple(
        (label, percent(p.accuracy), f"{percent(p.low)} to {percent(p.high)}", _points(gains.get(name)),
         f"{p.loss:.3f}", f"{p.l2:.0e}", _selectivity(p.control.selectivity), _maybe(p.control.capacity),
         _certificate(p))
        for label, (name, p) in zip(labels, result.layers.items(), strict=True)
    )  # fmt: skip
    head = (
        "layer", "held-out accuracy", f"{percent(result.level)} interval", "gain over the layer before", "log-loss",
        "penalty", "selectivity", "shuffled labels memorised", "optimality gap",
    )  # fmt: skip
    return Table(
        head, rows,
        "Gains and selectivities are percentage points on the same held-out rows, with their paired intervals. The gap "
        "bounds how far the fitted loss is from the best, relative to it.",
    )  # fmt: skip


def _maybe(share: float | None) -> str:
    return "" if share is None else percent(share)


def _selectivity(found: PairedDifference | None) -> str:
    return "" if found is None else _points((found.difference, found.low, found.high))


def _points(ends: tuple[float, float, float] | None) -> str:
    """A difference and the ends of its interval."""
    if ends is None:
        return ""
    difference, low, high = (100 * end for end in ends)
    return f"{difference:+.1f} ({low:+.1f} to {high:+.1f})"


def _certificate(probe: Probe) -> str:
    gap = f"{probe.optimality.relative_gap:.0e}"
    return gap if probe.optimality.is_converged else f"{gap}, not converged"
