"""What rules about a run share: an occurrence, and the questions rules ask of curves.

In: a `RunHistory`. Out: places in it. A rule names the first snapshot from which something holds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from unbend._typing import Array
from unbend.study.history.values import RunHistory, WatchedLayer
from unbend.study.values import Finding


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A finding, and when in a run it was first so.

    Attributes:
        step: of the first snapshot at which it was so.
        finding: what was found.
    """

    step: int
    finding: Finding


RunRule: TypeAlias = Callable[[RunHistory], Iterator[Occurrence]]
"""Finds one thing in a run, in as many layers as it is so."""


def first_loss(history: RunHistory) -> float:
    """The first loss that was logged and is finite; -inf for none."""
    loss = history.value("loss")
    return float(loss[np.isfinite(loss)][:1].max(initial=-np.inf))


def since(holds: Array, n: int = 1) -> int | None:
    """The first place from which something holds `n` times in a row; None for none.

    Example:
        >>> since(np.array([True, False, True, True]), 2)
        2
    """
    run = 0
    for i, value in enumerate(holds):
        run = run + 1 if value else 0
        if run == n:
            return i - n + 1
    return None


def bends(history: RunHistory) -> list[WatchedLayer]:
    """The activations of a run, in order."""
    return [layer for layer in history.about.layers if layer.kind in ("activation", "function")]


def with_weights(history: RunHistory) -> list[WatchedLayer]:
    """The layers with weights that were trained, in order; norms left out."""
    return [
        layer
        for layer in history.about.layers
        if "Norm" not in layer.module and np.isfinite(history.layer(layer.name, "weight")).any()
    ]


def name_of(name: str) -> str:
    """A layer in a sentence; parameters of the model's own have no name."""
    return f"layer {name}" if name else "the model's own parameters"


def between(history: RunHistory, at: int) -> str:
    """When something came about, in words."""
    steps = history.steps
    return f"between steps {steps[at - 1]:,} and {steps[at]:,}" if at > 0 else f"by step {steps[at]:,}"


def rate_rose(history: RunHistory, at: int) -> str:
    """That the learning rate rose shortly before, in words; empty if it did not."""
    rate = history.value("learning_rate")
    for i in range(at, max(at - 3, 0), -1):
        if rate[i] > 1.5 * rate[i - 1] > 0:
            return f", just after the learning rate rose from {rate[i - 1]:.2g} to {rate[i]:.2g}"
    return ""


def logged_values(history: RunHistory, what: str) -> tuple[Array, Array]:
    """The snapshots that know a number, and the number there."""
    values = history.value(what)
    known = np.flatnonzero(np.isfinite(values))
    return known, values[known]
