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

_MOSTLY = 0.8
"""Share of the snapshots from some place on in which something holds that has not passed."""
_SHAKEN = 0.2
"""Share of its height by which a loss rises that something has shaken."""
_ROUNDING = 1e-3
_NAMES = 0.3
"""By how much a network that does well names more samples than the most frequent class would."""


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


def lasting(holds: Array, n: int) -> int | None:
    """The first place from which something holds `n` times in a row and, by and large, to the end; None for none.

    Example:
        >>> passed, stayed = np.array([1, 1, 1, 0, 0, 0], bool), np.array([0, 1, 1, 0, 1, 1], bool)
        >>> lasting(passed, 2), lasting(stayed, 2)
        (None, 1)
    """
    at = since(holds, n)
    while at is not None:
        if holds[at:].mean() >= _MOSTLY and holds[-n:].mean() >= _MOSTLY / 2:
            return at
        on = at + int(np.argmin(holds[at:]))  # the next place where it does not hold
        if holds[on]:
            return at
        later = since(holds[on:], n)
        at = None if later is None else on + later
    return None


def gets_on(history: RunHistory, at: int, *, by: float = 0.02) -> bool:
    """Whether a run got better from a place on as if nothing had happened there: by its loss, else by its accuracy.

    Args:
        history: the run.
        at: the place among the snapshots.
        by: share of its height by which the loss has fallen since, at least; below 0, has risen at most.
    """
    for worse in (history.value("loss"), -history.value("accuracy")):
        before, near, late = (
            part[np.isfinite(part)] for part in (worse[max(at - 3, 0) : max(at, 1)], worse[at : at + 3], worse[-5:])
        )
        if len(before) and len(near) and len(late):
            height, size = np.median(before), abs(np.median(before))
            return bool(near.mean() <= height + _SHAKEN * size and late.mean() < height - by * size)
    return False


def does_well(history: RunHistory) -> bool:
    """Whether the loss has come down by half by now, or classes are named far more often than by frequency."""
    loss, accuracy = history.value("loss"), history.value("accuracy") - history.value("majority")
    loss, accuracy = loss[np.isfinite(loss)], accuracy[np.isfinite(accuracy)]
    has_fallen = len(loss) > 1 and loss[0] > 0 and loss[-5:].mean() < loss[0] / 2
    return bool(has_fallen or (len(accuracy) and accuracy[-5:].mean() > _NAMES))


def puts_out_shares(history: RunHistory) -> bool:
    """Whether the output is one probability, or k that add up to 1, as far as its scale tells.

    The squares of k shares add up to 1 at most, and to 1 / k at least; those of scores do so at the start only.
    """
    for layer in history.about.layers:
        if layer.is_output and len(layer.shape) == 1:
            k = layer.shape[0]
            size = history.layer(layer.name, "rms") * k**0.5
            least = k**-0.5 if k > 1 else 0.0
            return bool(((size <= 1 + _ROUNDING) & (size >= least - _ROUNDING)).all())
    return False


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
