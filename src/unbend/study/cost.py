"""What a study will cost beside its forward passes, and what would avoid it: told before the work starts.

In: the layers without their Results, how many rows go into second moments. Out: seconds, and a sentence where they are
many. The figures are those of one core of 2024; nothing is timed.
"""

from collections.abc import Collection, Sequence

from unbend.numerics.sample import SampleState
from unbend.study.readers import logistic_seconds
from unbend.study.tables import widths_of
from unbend.study.values import Layer, Sums, TaskName

LONG = 60.0
"""Seconds from which a cost is told."""
_CUBE = 3.5e-10
"""Seconds for each cube of the width: eigenvalues take 2.7e-10, solving with them the rest."""
_SQUARE = 3e-11
"""Seconds for each row and square of the width: the symmetric product."""
_PERMUTED = 1.5
"""Seconds for the permuted labels of a layer, which have a budget."""


def layer_seconds(width: int, n_rows: int, n_targets: int) -> float:
    """Seconds that one layer takes.

    Args:
        width: columns of its rows.
        n_rows: rows that go into its second moments.
        n_targets: classes or targets; 0 without labels.
    """
    permuted = min(20 * 5e-11 * width * n_targets * (width + 2 * n_rows), _PERMUTED)
    return _CUBE * width**3 + _SQUARE * n_rows * width**2 + permuted


def draw_seconds(task: TaskName, frames: Sequence[Layer], sums: Sums, logistic: Collection[str]) -> float:
    """Seconds that the read-outs of one more untrained draw take.

    Args:
        task: what the labels are.
        frames: the layers.
        sums: those of the network.
        logistic: layers that are read by a logistic regression too.
    """
    total = 0.0
    for name, width in widths_of(frames).items():
        sample = sums.state(name, SampleState)
        n = 0 if sample is None else len(sample.ids)
        total += _CUBE * width**3 + _SQUARE * n * width**2
        total += logistic_seconds(task, name, sums) if name in logistic else 0.0
    return total


def costly(frames: Sequence[Layer], n_rows: int, n_targets: int, *, has_twin: bool) -> str:
    """What the layers will cost and which option avoids it, in a sentence; empty for less than a minute.

    Args:
        frames: the layers.
        n_rows: rows that go into second moments.
        n_targets: classes or targets; 0 without labels.
        has_twin: whether the untrained twin is studied too.
    """
    widths = widths_of(frames)
    times = 2 if has_twin else 1
    each = {name: times * layer_seconds(width, n_rows, n_targets) for name, width in widths.items()}
    total = sum(each.values())
    if total < LONG:
        return ""
    dearest = sorted(each, key=each.__getitem__, reverse=True)[:3]
    rules = {frame.name: frame.view.rule for frame in frames}
    options = []
    if any(rules[name] == "flatten" and name != "input" for name in dearest):
        options.append("reduce='mean' (--reduce mean) reads flattened maps by their means")
    options.append("layers= (--layer) takes fewer layers")
    if has_twin:
        options.append("twin=False (--no-twin) halves it")
    wide = ", ".join(f"{name} ({widths[name]:,} columns)" for name in dearest)
    return f"Beside the forward passes this takes about {in_words(total)}, most of it for {wide}: {'; '.join(options)}."


def in_words(seconds: float) -> str:
    """A time of over a minute, in minutes or hours."""
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
