"""A training run as one self-contained page: what happened, the curves that moved, and a slider through the snapshots.

In: a `RunHistory`. Out: the text of an HTML page that opens offline. Must not know models.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from unbend._shares import percent
from unbend._typing import Array
from unbend.report.html import as_json, fill, looks, template, write
from unbend.report.text import in_digits
from unbend.study.history.rules import judge
from unbend.study.history.values import FIELDS, VALUES, RunHistory

TITLES: dict[str, str] = {
    "readout": "Read-out, held out",
    "fisher": "Fisher value",
    "separation": "Equi-separation",
    "rank": "Effective rank",
    "silent": "Silent units",
    "dormant": "Dormant units",
    "saturated": "Saturated units",
    "zeros": "Zeros",
    "rms": "Scale",
    "spread": "Spread",
    "gradient": "Gradient",
    "update": "Update over weight",
    "weight": "Weight norm",
}
"""The panels of layers, in the order in which they stand."""
_NETWORK = ("loss", "validation_loss", "accuracy", "validation_accuracy", "learning_rate", "gradient")
_LOGARITHMIC = ("separation", "rms", "spread", "gradient", "update", "learning_rate")
_SHARES = ("readout", "silent", "dormant", "saturated", "zeros", "accuracy", "validation_accuracy")
MOST = 6
"""Layers drawn in colour in one panel: those that moved most; the others are grey."""
POINTS = 600
"""Snapshots that a page shows; of more, evenly spaced ones, the first and the last among them."""


def report_run(history: RunHistory, path: str | os.PathLike[str]) -> None:
    """Write the page of a training run.

    Args:
        history: from `unbend.watch`, or from `unbend.open_history`.
        path: where the page goes.

    Raises:
        RecordError: it cannot be written.
    """
    write(run_page(history), path)


def run_page(history: RunHistory) -> str:
    """The page of a training run as text."""
    shown = _thin(history)
    found = judge(history)
    data = {
        "steps": shown.steps.tolist(),
        "layers": [[layer.name, layer.module] for layer in history.about.layers],
        "network": [_network_panel(shown, what) for what in _network_names(shown)],
        "panels": [panel for panel in (_panel(shown, what) for what in TITLES) if panel is not None],
        "marks": _marks(history, [(one.step, one.finding.severity, one.finding.title) for one in found]),
    }
    return fill(
        template("unbend.report", "run.html"),
        "run",
        looks("charts", "run"),
        title=f"{history.about.model or 'A network'}: a training run",
        lead=_lead(history),
        verdict=_verdict(history, sum(one.finding.severity in ("problem", "warning") for one in found)),
        findings=found,
        notes=history.about.notes,
        table=_table(shown),
        data=as_json(data),
    )


def movers(curves: Array, most: int = MOST) -> list[int]:
    """The curves [layer, snapshot] that moved most, in their own order.

    Movement is the range of a curve's values, those of a logarithmic scale in decades.
    """
    moved = np.array([np.ptp(curve[np.isfinite(curve)]) if np.isfinite(curve).any() else -1.0 for curve in curves])
    chosen = np.argsort(-moved, kind="stable")[:most]
    return sorted(int(i) for i in chosen if moved[i] >= 0)


def _thin(history: RunHistory) -> RunHistory:
    n = len(history.snapshots)
    if n <= POINTS:
        return history
    places = np.unique(np.linspace(0, n - 1, POINTS).round().astype(int))
    return RunHistory(history.about, tuple(history.snapshots[i] for i in places), history.events)


def _network_names(history: RunHistory) -> list[str]:
    known = history.logged_names()
    others = [name for name in known if name not in VALUES and name not in _NETWORK]
    return [name for name in (*_NETWORK, *others) if name in known and np.isfinite(history.value(name)).any()]


def _network_panel(history: RunHistory, what: str) -> dict[str, Any]:
    values = history.value(what)
    return {
        "name": what, "title": what.replace("_", " ").capitalize(),
        "meaning": VALUES.get(what, "as the loop logged it"),
        "log": what in _LOGARITHMIC and bool((values[np.isfinite(values)] > 0).all()), "share": what in _SHARES,
        "curves": [{"layer": -1, "values": _plain(values)}], "moved": [0],
    }  # fmt: skip


def _panel(history: RunHistory, what: str) -> dict[str, Any] | None:
    """One number of all layers; None where no layer knows it, or it is 0 throughout."""
    curves = np.stack([history.layer(layer.name, what) for layer in history.about.layers]) \
        if history.about.layers else np.zeros((0, 0))  # fmt: skip
    known = [i for i, curve in enumerate(curves) if np.isfinite(curve).any()]
    finite = curves[np.isfinite(curves)]
    if not known or not finite.any():
        return None
    is_log = what in _LOGARITHMIC
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(curves > 0, np.log10(curves), np.nan) if is_log else curves
    moved = movers(seen[known])
    return {
        "name": what, "title": TITLES[what], "meaning": FIELDS[what], "log": is_log, "share": what in _SHARES,
        "curves": [{"layer": i, "values": _plain(curves[i])} for i in known], "moved": moved,
    }  # fmt: skip


def _table(history: RunHistory) -> dict[str, Any]:
    """Every layer at the last snapshot, in words: what a page shows that may run no script."""
    panels = [what for what in TITLES if _panel(history, what) is not None]
    return {
        "head": [TITLES[what] for what in panels],
        "rows": [
            (layer.name or "(the model)", [_last(history.layer(layer.name, what), what) for what in panels])
            for layer in history.about.layers
        ],
    }


def _last(values: Array, what: str) -> str:
    """The value of the last snapshot; nothing where there never was one."""
    if not np.isfinite(values).any():
        return ""
    return percent(values[-1]) if what in _SHARES else in_digits(float(values[-1]))


def _plain(values: Array) -> list[float | None]:
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]


def _marks(history: RunHistory, found: Sequence[tuple[int, str, str]]) -> list[dict[str, Any]]:
    """What happened, for the time line: events, findings, changes of the learning rate."""
    marks = [{"step": e.step, "kind": "event", "text": f"{e.what}: {e.text}" if e.text else e.what}
             for e in history.events if e.what != "end"]  # fmt: skip
    marks += [{"step": step, "kind": severity, "text": title} for step, severity, title in found]
    rate, steps = history.value("learning_rate"), history.steps
    for i in range(1, len(steps)):
        if rate[i - 1] > 0 and (rate[i] > 1.5 * rate[i - 1] or rate[i] < rate[i - 1] / 1.5):
            marks.append({"step": int(steps[i]), "kind": "rate",
                          "text": f"learning rate {rate[i - 1]:.3g} → {rate[i]:.3g}"})  # fmt: skip
    return sorted(marks, key=lambda mark: mark["step"])


def _lead(history: RunHistory) -> str:
    about = history.about
    if not history.snapshots:
        return "No snapshot was taken yet."
    last = history.snapshots[-1]
    ranks = f" on {about.ranks} ranks" if about.ranks > 1 else ""
    cost = last.values.get("cost")
    told = f"; watching cost {percent(cost)} of the time" if cost is not None else ""
    return (
        f"{last.step:,} steps in {last.seconds:,.0f} s{ranks}, {len(history.snapshots):,} snapshots, "
        f"{about.n_parameters:,} parameters{told}."
    )


def _verdict(history: RunHistory, n: int) -> str:
    loss = history.value("loss")
    loss = loss[np.isfinite(loss)]
    said = f"The loss went from {loss[0]:.3g} to {loss[-1]:.3g}. " if len(loss) > 1 else ""
    found = "Nothing is wrong with the run." if n == 0 else f"{n} thing{'s' if n > 1 else ''} went wrong, see below."
    return said + (found if history.snapshots else "")
