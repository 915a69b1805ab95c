"""What a study is: plain values that can be saved, drawn and re-read without the model.

A `Study` holds one `Layer` per tapped layer with its Results by measure name, Results that span layers, and
the findings made from them. The States behind the Results travel along, so that studies can be added.
Results and States are asked for by their class, `layer.result(Scatter)`, and come back typed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from unbend._notebook import in_html
from unbend._one_line import in_one_line, one_line
from unbend._typing import Array
from unbend.errors import DataError, LayerError
from unbend.numerics.centroids import Centroids
from unbend.numerics.direction import Direction, mean_direction, readout_direction, row_means
from unbend.numerics.readout import Readout
from unbend.numerics.second import SecondState
from unbend.numerics.view import View

R = TypeVar("R")
States: TypeAlias = dict[str, dict[str, Any]]
"""Layer → State class name → State."""
Part: TypeAlias = Literal["train", "held_out", "twin_train", "twin_held_out"]
"""A part of the sums of a study: which rows, and whether of the network or of its untrained twin."""

TaskName: TypeAlias = Literal["classification", "yes/no labels", "regression", "no labels"]
"""What the labels of a study are."""
Severity: TypeAlias = Literal["problem", "warning", "note", "good"]
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note", "good")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a differential diagnosis.

    Attributes:
        rule: the rule that made it.
        severity: `problem` costs accuracy or learning now; `warning` may; `note` is worth knowing; `good`.
        layer: the layer it is about, or None for the whole network.
        title: what was found, in one sentence.
        evidence: what was measured.
        why: why it matters.
        advice: what to do, what to check first in front.
        instead: what else would explain it; empty for a symptom.
        explains: rules whose findings it explains, if it leads.
        rests_on: layers whose read-outs it rests on.
    """

    rule: str
    severity: Severity
    layer: str | None
    title: str
    evidence: str
    why: str
    advice: str
    instead: str = ""
    explains: tuple[str, ...] = ()
    rests_on: tuple[str, ...] = ()

    __repr__ = in_one_line
    _repr_html_ = in_html


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One tapped layer and what was measured of it.

    Attributes:
        name: dotted path as in `named_modules()`; `input` for the data; `name#2` for a second call.
        kind: input, affine, norm, activation, attention, recurrent, embedding, block, function or output.
        module: class of the module, or name of the function.
        shape: shape of its output for one sample.
        view: how that is read.
        results: Result by measure name, from the training rows (read-outs scored on held-out rows too).
        twin: the same for the untrained twin of the network, for the measures that need a baseline.
        fed_by: the layer whose output it takes, where that is known.
        is_output: whether its output is the network's.
        is_head: whether it is the last affine layer before the output.
        feeders: the layers whose values reach it through no other shown layer, `input` among them; `"?"` where that
            could not be seen. Empty in studies of before this was recorded.
        alias_of: the layer whose values these are, at most moved.
        draws: held-out read-outs of the same layer in further untrained draws, without their planes; none in a merged
            study.
    """

    name: str
    kind: str
    module: str
    shape: tuple[int, ...]
    view: View
    results: dict[str, Any] = field(default_factory=dict)
    twin: dict[str, Any] = field(default_factory=dict)
    fed_by: str | None = None
    is_output: bool = False
    is_head: bool = False
    feeders: tuple[str, ...] = ()
    alias_of: str | None = None
    draws: tuple[Readout, ...] = ()

    def result(self, kind: type[R]) -> R | None:
        """The Result of that class, such as `layer.result(Scatter)`; None where none was made."""
        return first_of(self.results.values(), kind)

    def baseline(self, kind: type[R]) -> R | None:
        """The same of this layer in the untrained twin."""
        return first_of(self.twin.values(), kind)

    def __repr__(self) -> str:
        return one_line("Layer", {
            "name": self.name, "kind": self.kind, "module": self.module, "shape": self.shape,
            "results": ", ".join(self.results),
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class About:
    """What was studied, and how.

    Attributes:
        model: what the model is called.
        data: what the data set is called.
        source: where the data came from.
        task: classification, yes/no labels, regression, or no labels.
        class_names: names of the classes; none for all but a classification.
        n_train: training rows seen.
        n_held_out: held-out rows seen.
        n_parameters: parameters of the model.
        split: how the rows were split.
        notes: what a reader should know: keys used, layers skipped, folds made.
        versions: of unbend, torch and Python.
        seconds: how long the study took.
        recipe: the words that make the study again, as the command line takes them: model, data, label, weights,
            batch_size, share.
        fingerprint: of the weights and buffers of the network; empty in studies of older versions.
        label_names: names of the yes/no labels of a row, where there are several.
    """

    model: str
    data: str
    source: str
    task: TaskName
    class_names: tuple[str, ...]
    n_train: int
    n_held_out: int
    n_parameters: int
    split: str
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    recipe: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    label_names: tuple[str, ...] = ()

    __repr__ = in_one_line

    @property
    def has_accuracy(self) -> bool:
        """Whether read-outs are scored by their accuracy; else by R²."""
        return self.task in ("classification", "yes/no labels")


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """The States a study was finished from, by layer and State class.

    Attributes:
        train: layer → class name → State, from training rows.
        held_out: the same from held-out rows.
        twin_train: the same for the untrained twin.
        twin_held_out: the same for the untrained twin.
        gradient: layer → sum of squared loss gradients, when a loss was given.
        head_weight: weight of the network's head [k, d], to hold against the class means.
        head_bias: its bias [k].
    """

    train: States
    held_out: States
    twin_train: States = field(default_factory=dict)
    twin_held_out: States = field(default_factory=dict)
    gradient: dict[str, Any] = field(default_factory=dict)
    head_weight: Array | None = None
    head_bias: Array | None = None

    __repr__ = in_one_line

    def part(self, part: Part) -> States:
        """One of the four parts by its name."""
        parts = {
            "train": self.train, "held_out": self.held_out,
            "twin_train": self.twin_train, "twin_held_out": self.twin_held_out,
        }  # fmt: skip
        return parts[part]

    def state(self, layer: str, kind: type[R], part: Part = "train") -> R | None:
        """The State of that class of a layer, such as `sums.state("0", SampleState)`; None where there is none."""
        return state_of(self.part(part).get(layer, {}), kind)


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What every layer of a network does to a data set.

    Attributes:
        about: what was studied.
        layers: the input first, then every tapped layer in the order it ran.
        across: Results that span layers: `similarity`, `depth`, `head`, `collapse`, `gradients`.
        findings: the diagnosis, worst first.
        sums: the States, for adding studies.
    """

    about: About
    layers: tuple[Layer, ...]
    across: dict[str, Any]
    findings: tuple[Finding, ...]
    sums: Sums

    _repr_html_ = in_html

    def result(self, kind: type[R]) -> R | None:
        """The Result of that class that spans layers, such as `study.result(Depth)`; None where none was made."""
        return first_of(self.across.values(), kind)

    def direction(self, layer: str, label: int | str, *, kind: Literal["mean", "readout"] = "mean") -> Direction:
        """The direction of a class in a layer, which can be projected on, compared, saved, and added to activations.

        Args:
            layer: which layer.
            label: the class, by number or by name.
            kind: from the mean of all other rows to that of the class, or along the weight of the linear read-out.

        Raises:
            LayerError: no such layer.
            DataError: no such class, or nothing was measured there that a direction could be made of.
        """
        names = self.about.class_names
        at = names.index(label) if isinstance(label, str) and label in names else label
        if isinstance(at, str):
            raise DataError(f"label: no class {label!r}. The classes are {', '.join(names[:20])}.")
        means, found = self._class_means(layer), self[layer].result(Readout)
        if means is None or (kind == "readout" and found is None):
            raise DataError(f"direction: the study did not measure the {'classes' if means is None else 'read-out'} of "
                            f"{layer!r}. Leave measures out.")  # fmt: skip
        name = names[at] if 0 <= at < len(names) else str(at)
        if kind == "readout" and found is not None:
            return readout_direction(found, means, at, layer=layer, name=name)
        return mean_direction(means, at, layer=layer, name=name)

    def _class_means(self, layer: str) -> Centroids | None:
        """The class means of a layer's rows, as they were reduced; None where they were not measured."""
        means = self[layer].result(Centroids)
        second = state_of(self.sums.train.get(layer, {}), SecondState)
        return means if means is None or second is None or not self[layer].view.is_picked else row_means(second)

    def __repr__(self) -> str:
        about = self.about
        return one_line("Study", {
            "model": about.model, "data": about.data, "task": about.task, "n_train": about.n_train,
            "n_held_out": about.n_held_out, "layers": self.layers, "findings": self.findings,
            "across": ", ".join(self.across),
        })  # fmt: skip

    def __getitem__(self, name: str) -> Layer:
        """The layer of that name.

        Raises:
            LayerError: there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self.layers)
        raise LayerError(f"study: no layer named {name!r}. It has: {names}.")


def first_of(values: Iterable[Any], kind: type[R]) -> R | None:
    """The first value of that class; None where there is none."""
    return next((value for value in values if isinstance(value, kind)), None)


def state_of(states: Mapping[str, Any], kind: type[R]) -> R | None:
    """The State of that class among those of one layer; None where there is none."""
    state = states.get(kind.__name__)
    return state if isinstance(state, kind) else None


def wanted_state(states: Mapping[str, Any], kind: type[R]) -> R:
    """The State of that class among those of one layer, where it is one of the kinds that were added up."""
    state: R = states[kind.__name__]
    return state
