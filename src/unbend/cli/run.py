"""How the terminal shows a training run: a row per layer with its curves, what happened; also while it goes on."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from unbend._typing import Array
from unbend.chart.style import shorten
from unbend.cli.console import results
from unbend.cli.terminal import finding_lines
from unbend.record.history import is_over, open_history
from unbend.report.text import in_digits
from unbend.study.history.rules import judge
from unbend.study.history.values import RunHistory

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH, _FEW = 16, 6
_COLUMNS = ("readout", "silent", "saturated", "gradient", "update")
_LOGARITHMIC = ("gradient", "update")
_PAUSE = 1.0
"""Seconds between looks at the file of a run that goes on."""


def spark(values: Array, *, logarithmic: bool = False, width: int = _WIDTH) -> str:
    """A curve in a few characters; empty where nothing is known.

    Example:
        >>> spark(np.array([0.0, 1.0, 2.0, 3.0]))
        '▁▃▆█'
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.log10(np.where(values > 0, values, np.nan)) if logarithmic else values
    seen = seen[np.isfinite(seen)]
    if not len(seen):
        return ""
    parts = np.array_split(seen, min(width, len(seen)))
    means = np.array([part.mean() for part in parts])
    low, high = means.min(), means.max()
    level = (means - low) / (high - low) if high > low else np.zeros(len(means))
    return "".join(_BARS[round(float(value) * (len(_BARS) - 1))] for value in level)


def shown_run(history: RunHistory) -> Group:
    """The terminal's view of a run: the network's numbers, a row per layer, what happened."""
    about = history.about
    last = history.snapshots[-1] if history.snapshots else None
    said = "no snapshot yet"
    if last is not None:
        said = f"step {last.step:,}  ·  {len(history.snapshots):,} snapshots  ·  {last.seconds:,.0f} s"
    head = Text.assemble((about.model or "a run", "bold"), "  ·  ", said)
    found = [finding_lines(one.finding, f"step {one.step:,}") for one in judge(history)]
    notes = [Text(note, style="dim") for note in about.notes]
    return Group(head, *notes, Text(), _network(history), Text(), _layers(history), *found)


def _network(history: RunHistory) -> Table:
    table = _table(("network", "first", "now", ""))
    names = ("loss", "validation_loss", "accuracy", "validation_accuracy", "learning_rate", "gradient", "cost")
    for name in (name for name in names if name in history.logged_names()):
        values = history.value(name)
        known = values[np.isfinite(values)]
        table.add_row(name.replace("_", " "), in_digits(known[0]), in_digits(known[-1]), spark(values))
    return table


def _layers(history: RunHistory) -> Table:
    """A row per layer; a column that is 0 throughout says nothing and is left out."""
    columns = [
        what for what in _COLUMNS if any(s.get(what) for snap in history.snapshots for s in snap.layers.values())
    ]
    table = _table(("layer", *columns))
    for layer in history.about.layers:
        cells = []
        for what in columns:
            values = history.layer(layer.name, what)
            known = values[np.isfinite(values)]
            curve = spark(values, logarithmic=what in _LOGARITHMIC, width=_FEW)
            cells.append(f"{float(known[-1]):.2g} {curve:<{_FEW}}" if len(known) else "")
        table.add_row(shorten(layer.name) or "(the model)", *cells)
    return table


def _table(names: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for i, name in enumerate(names):
        table.add_column(name, justify="left" if i == 0 or not name else "right", no_wrap=True,
                         style="" if name else "cyan")  # fmt: skip
    return table


def follow(path: Path) -> RunHistory:
    """Show a run while it goes on, until it is over or Ctrl-C; what was last read comes back."""
    console = results()
    history = open_history(path)
    if not console.is_terminal:
        return history
    with Live(shown_run(history), console=console, auto_refresh=False, transient=True) as live:
        while not is_over(path):
            time.sleep(_PAUSE)
            history = open_history(path)
            live.update(shown_run(history), refresh=True)
    return open_history(path)
