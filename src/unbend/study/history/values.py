"""What a training run left behind: snapshots of its layers, events between them, as plain values.

A `RunHistory` is a sequence of small studies, each of one step, told in numbers: what a layer does, how far apart it
puts the classes, how its weights move. It can be saved, drawn and judged without the model. Histories of one run that
was interrupted and taken up again are added with `+`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unbend._one_line import in_one_line, one_line
from unbend._typing import Array
from unbend.errors import LayerError

FIELDS: dict[str, str] = {
    "rms": "scale of the activations: root mean square over samples, positions and units",
    "silent": "share of units that put out 0 and nothing else",
    "dormant": "share of units with at most 2.5 % of the layer's mean magnitude, silent ones counted",
    "saturated": "share of units of which 95 % of the values lie where the activation is flat",
    "zeros": "share of values that are exactly 0",
    "spread": "standard deviation of the units, root mean square over the units",
    "rank": "effective rank of the rows looked at",
    "fisher": "debiased Fisher value tr(W⁻¹B), of at most 64 signed sums of the units",
    "separation": "tr(S_W S_B⁺) of the same; smaller is further apart",
    "readout": "held-out accuracy of a linear read-out of the same",
    "gradient": "norm of the gradient of the layer's parameters, unscaled and before clipping",
    "weight": "norm of the layer's parameters",
    "update": "norm of what the step changed, over the norm of the parameters",
}
"""What a snapshot knows of a layer, by name; NaN where it does not."""
VALUES: dict[str, str] = {
    "loss": "mean of the losses logged since the last snapshot",
    "loss_spread": "their standard deviation",
    "learning_rate": "of the optimiser's first group of parameters",
    "gradient": "norm of the whole gradient, unscaled and before clipping",
    "clipped": "norm of the gradient as the optimiser took it, over that",
    "accuracy": "of the network's own output, on the samples looked at",
    "recall": "least recall of a class, over the last snapshots",
    "weakest": "the class of that recall, counted from 0",
    "majority": "share of the most frequent class among the labels seen so far",
    "balance": "share of the rarest class over that of the most frequent, among the labels seen so far",
    "micro_batches": "forward passes that made up the step",
    "cost": "share of the run's time that watching took, so far",
}
"""What a snapshot knows of the whole network; all else is what the loop logged."""

_FIRST, _LAST = 12, 100


@dataclass(frozen=True, slots=True)
class WatchedLayer:
    """One layer of a run.

    Attributes:
        name: dotted path, as in a study.
        kind: as in a study; `weights` for a module that is watched for its parameters only.
        module: class of the module, or name of the function.
        shape: of its output for one sample.
        is_output: whether its output is the network's.
        fed_by: the affine layer whose values an activation takes, where that is known.
    """

    name: str
    kind: str
    module: str
    shape: tuple[int, ...] = ()
    is_output: bool = False
    fed_by: str | None = None


@dataclass(frozen=True, slots=True)
class AboutRun:
    """What was watched, and how.

    Attributes:
        model: what the model is called.
        layers: in the order in which they run.
        n_parameters: that are trained.
        ranks: processes that trained together.
        notes: what a reader should know.
        versions: of unbend, torch and Python.
        started: seconds since 1970 at the start.
    """

    model: str = ""
    layers: tuple[WatchedLayer, ...] = ()
    n_parameters: int = 0
    ranks: int = 1
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    started: float = 0.0

    __repr__ = in_one_line

    def has_layers_of(self, other: "AboutRun") -> bool:
        """Whether the same layers were watched, so that one run may be the other taken up again."""
        mine, theirs = ([(layer.name, layer.shape) for layer in one.layers] for one in (self, other))
        return mine == theirs


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One step of a run, measured.

    Attributes:
        step: how often the optimiser had stepped, this step included.
        seconds: since the start.
        values: of the whole network, as in `VALUES`, and whatever the loop logged.
        layers: layer → field → number, as in `FIELDS`; what is not known is left out.
    """

    step: int
    seconds: float
    values: dict[str, float]
    layers: dict[str, dict[str, float]]

    def __repr__(self) -> str:
        return one_line("Snapshot", {"step": self.step, **self.values})


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that happened in a run.

    Attributes:
        step: after which step.
        seconds: since the start.
        what: its name, such as `checkpoint` or `non-finite`.
        text: more of it, such as a path or a layer.
    """

    step: int
    seconds: float
    what: str
    text: str = ""

    __repr__ = in_one_line


@dataclass(frozen=True, slots=True, eq=False)
class RunHistory:
    """A training run.

    Attributes:
        about: what was watched.
        snapshots: by rising step.
        events: in the order in which they happened.
    """

    about: AboutRun
    snapshots: tuple[Snapshot, ...] = ()
    events: tuple[RunEvent, ...] = ()

    @property
    def steps(self) -> Array:
        """The steps of the snapshots [r]."""
        return np.array([snapshot.step for snapshot in self.snapshots], np.int64)

    def layer(self, name: str, what: str) -> Array:
        """One number of a layer over the snapshots [r]; NaN where it is not known.

        Raises:
            LayerError: there is no such layer.
        """
        if all(layer.name != name for layer in self.about.layers):
            names = ", ".join(layer.name for layer in self.about.layers)
            raise LayerError(f"history: no layer named {name!r}. It has: {names}.")
        return np.array([s.layers.get(name, {}).get(what, np.nan) for s in self.snapshots], np.float64)

    def value(self, what: str) -> Array:
        """One number of the whole network over the snapshots [r]; NaN where it is not known."""
        return np.array([s.values.get(what, np.nan) for s in self.snapshots], np.float64)

    def recent(self) -> "RunHistory":
        """The same with the first few snapshots and the last hundred: what a run is judged by while it goes on."""
        if len(self.snapshots) <= _FIRST + _LAST:
            return self
        return replace(self, snapshots=(*self.snapshots[:_FIRST], *self.snapshots[-_LAST:]))

    def logged_names(self) -> tuple[str, ...]:
        """Names of the network's numbers that any snapshot knows."""
        return tuple(dict.fromkeys(name for s in self.snapshots for name in s.values))

    def __add__(self, other: "RunHistory") -> "RunHistory":
        """The run taken up again: where the two overlap, the later one counts.

        Raises:
            LayerError: they are not of one model.
        """
        if not self.about.has_layers_of(other.about):
            raise LayerError("history: expected two parts of one run, got different layers. Add parts of one run only.")
        if not other.snapshots and not other.events:
            return self
        first = min([s.step for s in other.snapshots] + [e.step for e in other.events])
        return replace(
            self,
            snapshots=(*(s for s in self.snapshots if s.step < first), *other.snapshots),
            events=(*(e for e in self.events if e.step < first), *other.events),
        )

    def __repr__(self) -> str:
        last = self.snapshots[-1].step if self.snapshots else 0
        return one_line("RunHistory", {
            "model": self.about.model, "steps": last, "snapshots": self.snapshots, "layers": self.about.layers,
            "events": self.events,
        })  # fmt: skip


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers by name, those that are not known left out."""
    return {name: float(value) for name, value in values.items() if value is not None and not math.isnan(value)}
