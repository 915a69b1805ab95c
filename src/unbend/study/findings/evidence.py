"""What rules look at, and how two read-outs are told apart beyond noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np

from unbend._typing import Array
from unbend.numerics.interval import paired_difference
from unbend.numerics.probe import Probes
from unbend.numerics.readout import Readout, alike
from unbend.study.depth import WHOLE
from unbend.study.examine.values import Examination, is_unscaled
from unbend.study.paths import Paths, paths
from unbend.study.values import About, Finding, Layer, R, Severity, first_of

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
        return "accuracy" if self.about.has_accuracy else "R²"

    def layers_with(self, kind: type[R]) -> Iterator[tuple[Layer, R]]:
        """Layers that have a Result of that class, with it."""
        found = ((layer, layer.result(kind)) for layer in self.layers)
        return ((layer, result) for layer, result in found if result is not None)

    def result(self, kind: type[R]) -> R | None:
        """The Result of that class that spans layers."""
        return first_of(self.across.values(), kind)

    def read(self) -> list[Layer]:
        """Layers whose read-out was scored on held-out rows."""
        return [layer for layer, r in self.layers_with(Readout) if np.isfinite(r.held_out)]

    def steps(self) -> Iterator[tuple[Layer, Layer]]:
        """Layers with the one that feeds them, where everything passes both and both are read with nothing left out.

        A map that is reduced to its mean is not compared with one that is flattened, and no layer across a branch.
        """
        hidden, graph = self.hidden_layers(), self.paths()
        known = {layer.name: layer for layer in [*self.start(), *hidden]}
        for layer in hidden:
            before = known.get(graph.before(layer.name) or "")
            if before is not None and is_whole(before) and is_whole(layer):
                yield before, layer

    def probe_scores(self, better: Layer, worse: Layer) -> tuple[float, float] | None:
        """What logistic probes read of two layers on the same held-out rows; None where they were not asked for."""
        found = self.result(Probes)
        if found is None or not {better.name, worse.name} <= found.layers.keys():
            return None
        return found.layers[better.name].accuracy, found.layers[worse.name].accuracy

    def reads_better(self, better: Layer, worse: Layer) -> bool:
        """Whether one layer reads better than another beyond noise, on the same rows.

        Both are read by the same reader. Probes of all rows outrank it: what only the one of them tells is not told.
        """
        found = self.result(Probes)
        if not is_better(*both(better, worse)):
            return False
        if found is None or not {better.name, worse.name} <= found.layers.keys():
            return True
        a, b = found.layers[better.name].right, found.layers[worse.name].right
        return paired_difference(a, b, SURE).low > 0 if len(a) == len(b) else True

    def start(self) -> list[Layer]:
        """The input, where it was read out."""
        return [layer for layer in self.read() if layer.kind == "input"]

    def paths(self) -> Paths:
        """What feeds what."""
        return paths(self.layers)

    def inner(self) -> list[Layer]:
        """Layers with values of their own that are neither the input nor the output."""
        own = self.paths().own
        outputs = {own[layer.name] for layer in self.layers if layer.is_output}
        return [
            layer
            for layer in self.layers
            if layer.kind != "input" and own[layer.name] == layer.name and layer.name not in outputs
        ]

    @property
    def examination(self) -> Examination | None:
        """What was asked of the network itself, where it was at hand."""
        return self.result(Examination)

    @property
    def is_ill(self) -> bool:
        """Whether the network falls short, held out, of what simple references reach, by more than noise."""
        return self.examination is not None and self.examination.scores.is_ill

    @property
    def is_judged(self) -> bool:
        """Whether it is known how well the network does against what can be reached."""
        x = self.examination
        return x is not None and (bool(np.isfinite(x.scores.reachable)) or x.scores.held_out > 1 - x.scores.margin)

    @property
    def reachable(self) -> float:
        """The best held-out score that is known to be attainable; 1 where none is known."""
        found = float("nan") if self.examination is None else self.examination.scores.reachable
        return found if np.isfinite(found) else 1.0

    @property
    def margin(self) -> float:
        """A shortfall that is more than noise."""
        return 0.05 if self.examination is None else self.examination.scores.margin

    @property
    def confusion(self) -> Array | None:
        """Held-out rows of class i that the network calls j, where its output is one score per class."""
        return None if self.examination is None else self.examination.rows.confusion

    @property
    def is_unscaled(self) -> bool:
        """Whether the inputs are large, or of widely different scale."""
        return self.examination is not None and is_unscaled(self.examination.rows)

    @property
    def own_score(self) -> str:
        """The network's own score beside the best simple reference, in a sentence."""
        if self.examination is None:
            return ""
        s = self.examination.scores
        best = f", simple references on the raw input {s.reachable:.3f}" if np.isfinite(s.reachable) else ""
        return f"The network's own {self.score} is {s.train:.3f} in training and {s.held_out:.3f} held out{best}."

    def symptom(self, *, is_strong: bool) -> Severity:
        """How loud a symptom is told: a network that does as well as can be is left in peace.

        Args:
            is_strong: worth a warning where it is not known how well the network does, a problem where it does badly.
        """
        x = self.examination
        if not is_strong or (x is not None and x.rows.targets_are_inputs):  # an autoencoder is narrow on purpose
            return "note"
        return "problem" if self.is_ill else "note" if self.is_judged else "warning"

    def hidden_layers(self) -> list[Layer]:
        """Those among them whose values are their own, and neither the input nor the output."""
        inner = self.inner()
        return [layer for layer in self.read() if layer in inner]


Rule: TypeAlias = Callable[[Evidence], Iterator[Finding]]


def is_whole(layer: Layer) -> bool:
    """Whether a layer's rows are all that it puts out: not reduced over positions, not sketched, not of others."""
    return layer.view.rule in WHOLE and not layer.view.sketch and not layer.view.is_near


def readout(layer: Layer) -> Readout:
    """The read-out of a layer that has one."""
    found = layer.result(Readout)
    if found is None:
        raise LookupError(f"{layer.name}: expected a layer with a read-out. Ask `Evidence.read` for those.")
    return found


def both(first: Layer, second: Layer) -> tuple[Readout, Readout]:
    """The read-outs of two layers, by the same reader."""
    return alike(readout(first), readout(second))


def name_of(layer: Layer) -> str:
    """A layer as a sentence names it."""
    return "the input" if layer.kind == "input" else f"layer {layer.name}"


def is_better(a: Readout, b: Readout) -> bool:
    """Whether the first reads held-out rows better than the second, beyond noise: both were scored on the same rows."""
    if a.labels and b.labels and a.unexplained is not None and b.unexplained is not None:
        return _is_less_wrong(a.unexplained, b.unexplained)
    if a.correct is None or b.correct is None:
        return a.held_out - b.held_out > CLEAR_R2
    if len(a.correct) != len(b.correct):
        return a.held_out_interval[0] > b.held_out_interval[1]
    return paired_difference(a.correct, b.correct, SURE).low > 0


def _is_less_wrong(a: Array, b: Array) -> bool:
    """Whether the first of two shares of wrong labels per row is less on average, beyond noise."""
    if len(a) != len(b) or len(a) < 2:
        return False
    gain = b - a
    return float(gain.mean()) > NormalDist().inv_cdf((1 + SURE) / 2) * float(gain.std(ddof=1)) / len(a) ** 0.5


def is_alike(a: Readout, b: Readout) -> bool:
    """Whether neither of two read-outs is better beyond noise, and they are close."""
    return abs(a.held_out - b.held_out) < 0.01 and not is_better(a, b) and not is_better(b, a)


def interval(r: Readout) -> str:
    """The interval of a held-out accuracy in words."""
    low, high = r.held_out_interval
    rows = f"{r.n_held_out:,} held-out rows"
    return f"95 % interval {low:.3f} to {high:.3f}, {rows}" if np.isfinite(low) else rows
