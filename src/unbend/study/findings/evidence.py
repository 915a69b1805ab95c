"""What rules look at, and how two read-outs are told apart beyond noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from unbend.numerics.interval import paired
from unbend.numerics.readout import Readout
from unbend.study.values import About, Finding, Layer, R, first_of

SURE = 0.99
"""Level of the intervals rules decide by: a study asks the same of many layers, so .95 would cry wolf."""
CLEAR_R2 = 0.05
"""Change of a held-out R², which has no interval, from which it is worth a word."""
UNITS = ("activation", "function")
"""Kinds of layers whose units can be silent, dormant or saturated."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All a rule may look at.

    Attributes:
        about: what was studied.
        layers: with their Results, in order.
        across: Results that span layers.
    """

    about: About
    layers: Sequence[Layer]
    across: Mapping[str, Any]

    @property
    def score(self) -> str:
        """What a read-out is scored by."""
        return "accuracy" if self.about.task == "classification" else "R²"

    def measured(self, kind: type[R]) -> Iterator[tuple[Layer, R]]:
        """Layers that have a Result of that class, with it."""
        found = ((layer, layer.result(kind)) for layer in self.layers)
        return ((layer, result) for layer, result in found if result is not None)

    def result(self, kind: type[R]) -> R | None:
        """The Result of that class that spans layers."""
        return first_of(self.across.values(), kind)

    def read(self) -> list[Layer]:
        """Layers whose read-out was scored on held-out rows."""
        return [layer for layer, r in self.measured(Readout) if np.isfinite(r.held_out)]

    def steps(self) -> Iterator[tuple[Layer, Layer]]:
        """Neighbours among them."""
        return pairwise(self.read())

    def hidden(self) -> list[Layer]:
        """Those among them that are neither the input nor the output."""
        return [layer for layer in self.read() if layer.kind != "input" and not layer.is_output]


Rule: TypeAlias = Callable[[Evidence], Iterator[Finding]]


def readout(layer: Layer) -> Readout:
    """The read-out of a layer that has one."""
    found = layer.result(Readout)
    if found is None:
        raise LookupError(f"{layer.name}: expected a layer with a read-out. Ask `Evidence.read` for those.")
    return found


def called(layer: Layer) -> str:
    """A layer as a sentence names it."""
    return "the input" if layer.kind == "input" else f"layer {layer.name}"


def is_better(a: Readout, b: Readout) -> bool:
    """Whether the first reads held-out rows better than the second, beyond noise: both were scored on the same rows."""
    if a.correct is None or b.correct is None:
        return a.held_out - b.held_out > CLEAR_R2
    if len(a.correct) != len(b.correct):
        return a.held_out_interval[0] > b.held_out_interval[1]
    return paired(a.correct, b.correct, SURE).low > 0


def is_alike(a: Readout, b: Readout) -> bool:
    """Whether neither of two read-outs is better beyond noise, and they are close."""
    return abs(a.held_out - b.held_out) < 0.01 and not is_better(a, b) and not is_better(b, a)


def interval(r: Readout) -> str:
    """The interval of a held-out accuracy in words."""
    low, high = r.held_out_interval
    rows = f"{r.n_held_out:,} held-out rows"
    return f"95 % interval {low:.3f} to {high:.3f}, {rows}" if np.isfinite(low) else rows
