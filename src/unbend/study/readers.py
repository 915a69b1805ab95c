"""Which read-out each layer gets: a logistic regression where there is time for it, else the closed form.

In: layers with closed-form read-outs, and the sums. Out: the same with logistic read-outs, of the network and of its
untrained twin alike. What is affordable follows from counts of rows, units and classes; nothing is timed, so that a
study is the same on every machine.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from unbend.numerics.logistic_readout import logistic_readout, seconds
from unbend.numerics.readout import Readout
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.study.values import Layer, Part, Sums, TaskName

LAYER = 2.0
"""Seconds of one core up to which a layer is read by a logistic regression."""
NETWORK = 30.0
"""And of all layers together, with their untrained draws. A residual network of sixty layers would otherwise take
minutes for its curve; the layers that findings rest on are asked beyond it."""
ASKED = 20.0
"""Seconds up to which a layer is asked because a finding rests on it."""
ALL_ASKED = 60.0
"""And all such layers together."""
TWIN: tuple[Part, Part] = ("twin_train", "twin_held_out")
"""The parts of the sums that are of an untrained draw: to fit, and to score."""
DRAWS = 5
"""Untrained draws that are read beside a network, where one of them is cheap. Of three, their variance is known so
badly that an interval is twice as wide."""


def affordable(task: TaskName, layers: Sequence[Layer], sums: Sums) -> frozenset[str]:
    """Layers that are read by a logistic regression: first the input and what the head reads, then the cheapest.

    Args:
        task: what the labels are.
        layers: in order; their Results are not looked at.
        sums: the States.
    """
    times = 1 + DRAWS if sums.twin_train else 1
    costs = {layer.name: logistic_seconds(task, layer.name, sums) for layer in layers}
    ends = {layer.name for layer in layers if layer.kind == "input" or layer.is_output}
    ends |= {layer.fed_by for layer in layers if layer.is_head and layer.fed_by is not None}
    order = sorted(costs, key=lambda name: (name not in ends, costs[name]))
    return frozenset(_within((name for name in order if costs[name] <= LAYER), costs, NETWORK / times))


def asked(task: TaskName, names: Iterable[str], sums: Sums) -> frozenset[str]:
    """Those among some layers that there is time to ask because a finding rests on them.

    Args:
        task: what the labels are.
        names: layers, the most important first.
        sums: the States.
    """
    costs = {name: logistic_seconds(task, name, sums) for name in names}
    return frozenset(_within((name for name in costs if costs[name] <= ASKED), costs, ALL_ASKED))


def with_logistic(layers: Sequence[Layer], sums: Sums, names: Collection[str]) -> list[Layer]:
    """The layers, those of some names read by a logistic regression, in the network and in its untrained twin."""
    return [_read(layer, sums) if layer.name in names else layer for layer in layers]


def is_closed(layer: Layer) -> bool:
    """Whether a layer's classes are read in closed form."""
    found = layer.result(Readout)
    return found is not None and found.reader == "discriminant"


def logistic_of(found: Readout, sums: Sums, layer: str, parts: tuple[Part, Part]) -> Readout:
    """The logistic read-out of a layer; the closed form where none can be fitted.

    Args:
        found: the closed form.
        sums: the States.
        layer: which layer.
        parts: of its rows to fit, and of those to score.
    """
    train, held_out = (sums.state(layer, SampleState, part) for part in parts)
    second = sums.state(layer, SecondState, parts[0])
    if found.reader != "discriminant" or train is None or second is None:
        return found
    return logistic_readout(found, second, train, held_out or SampleState.empty(0, 0))


def _read(layer: Layer, sums: Sums) -> Layer:
    own, twin = layer.result(Readout), layer.baseline(Readout)
    read = None if own is None else logistic_of(own, sums, layer.name, ("train", "held_out"))
    fresh = None if twin is None else logistic_of(twin, sums, layer.name, TWIN)
    return replace(layer, results=_put(layer.results, own, read), twin=_put(layer.twin, twin, fresh))


def _put(results: dict[str, object], old: Readout | None, new: Readout | None) -> dict[str, object]:
    return {name: new if result is old and old is not None else result for name, result in results.items()}


def logistic_seconds(task: TaskName, layer: str, sums: Sums) -> float:
    """What the logistic regression of a layer takes, about; infinite where there is none.

    Args:
        task: what the labels are.
        layer: which layer.
        sums: the States.
    """
    sample = sums.state(layer, SampleState)
    if task not in ("classification", "yes/no labels") or sample is None or not sample.rows:
        return float("inf")
    (n, d), t = sample.table()[0].shape, sample.targets[0].shape[1]
    return seconds(n, d, t) if task == "classification" else t * seconds(n, d, 2)


def _within(names: Iterable[str], costs: dict[str, float], budget: float) -> Iterable[str]:
    """Names in order, until their costs have used a budget up."""
    for name in names:
        budget -= costs[name]
        if budget < 0:
            return
        yield name
