"""From States to a Study: every Result, the figures over depth, and the findings. Pure: no model, no data.

A merged study is finished from the added States by the same function, so its numbers are those of one run.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

from unbend.numerics.activity import Activity, ask
from unbend.numerics.readout import readout
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.state import MEASURES, HeldOut, Measure
from unbend.numerics.yes_no import label_readouts
from unbend.study.findings import findings
from unbend.study.network import spanning
from unbend.study.readers import affordable, answerable, is_closed, with_logistic
from unbend.study.values import About, Layer, Study, Sums, TaskName, state_of

BASELINE = ("readout", "scatter")
"""Measures that are also made of the untrained twin."""
_OF_LABELS = ("readout", "scatter", "centroids")
"""Measures that say nothing without labels."""
_SMALL = 768


def finish(
    about: About,
    frames: Sequence[Layer],
    sums: Sums,
    *,
    measures: Sequence[Measure] | None = None,
    more: Mapping[str, Any] | None = None,
    tick: Callable[[int], None] = lambda _n: None,
) -> Study:
    """A study from its States.

    Args:
        about: what was studied.
        frames: the layers in order, without their Results.
        sums: the States.
        measures: what to make of them; left out, every registered measure whose States are there.
        more: Results that span layers and are not made from States, such as a `ladder` of proofs.
        tick: called after each layer.

    Cost:
        O(d³) per layer of width d, once.
    """
    wanted = fitting(MEASURES.values() if measures is None else measures, about.task)
    layers = []
    for frame in frames:
        train = sums.train.get(frame.name, {})
        with _threads(train):
            held_out = sums.held_out.get(frame.name, {})
            results = _with_held_out_units(results_of(wanted, train, held_out), held_out)
            base = [without_controls(m) for m in wanted if m.name in BASELINE]
            twin = results_of(base, sums.twin_train.get(frame.name, {}), sums.twin_held_out.get(frame.name, {}))
        layers.append(replace(frame, results=results, twin=twin))
        tick(1)
    with one_thread():
        layers = with_logistic(layers, sums, affordable(about.task, layers, sums))
    return _diagnose(about, layers, sums, dict(more or {}))


def _diagnose(about: About, layers: Sequence[Layer], sums: Sums, more: dict[str, Any]) -> Study:
    """The study with its findings; the layers that these rest on are read by a logistic regression first."""
    tried: list[str] = []
    while True:
        across = spanning(layers, sums) | more
        found = findings(about, layers, across)
        closed = {layer.name for layer in layers if is_closed(layer)}.difference(tried)
        wanted = dict.fromkeys(name for finding in found for name in finding.rests_on if name in closed)
        now = answerable(about.task, [*tried, *wanted], sums).difference(tried)
        if not now:
            found = findings(about, layers, across, unasked=frozenset(wanted)) if wanted else found
            return Study(about=about, layers=tuple(layers), across=across, findings=found, sums=sums)
        with one_thread():
            layers = with_logistic(layers, sums, now)
        tried += now


def extend(study: Study, name: str, found: Any) -> Study:
    """A study with one more Result that spans layers, its findings told anew.

    Args:
        study: it stays as it is.
        name: what the Result is called, a name in `across.ACROSS`.
        found: the Result.
    """
    across = study.across | {name: found}
    return replace(study, across=across, findings=findings(study.about, study.layers, across))


def fitting(measures: Iterable[Measure], task: TaskName) -> tuple[Measure, ...]:
    """The measures that say something about such labels, in order; several yes/no labels have a read-out each.

    Args:
        measures: those to choose from.
        task: what the labels are, as `About.task` has it.
    """
    if task == "no labels":
        return tuple(m for m in measures if m.name not in _OF_LABELS)
    if task == "yes/no labels":
        return tuple(replace(m, finish=label_readouts) if m.name == readout.__name__ else m for m in measures)
    return tuple(measures)


def without_controls(measure: Measure) -> Measure:
    """A measure of an untrained draw: its read-out has no controls, which nothing is compared with.

    Args:
        measure: as it is made of the network.
    """
    if measure.name != readout.__name__:
        return measure
    return replace(measure, finish=partial(measure.finish, controls=False))


def _threads(states: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """One thread for small matrices: on a busy machine a second one costs more than it brings."""
    second = state_of(states, SecondState)
    if second is None or len(second.mean) > _SMALL:
        return nullcontext()
    return one_thread()


class one_thread:  # noqa: N801  a context, as those of torch are called
    """One thread in torch and in numpy's linear algebra, as long as the block runs."""

    def __enter__(self) -> None:
        self._torch = torch.get_num_threads()
        self._pools = _pools(len({"scipy.linalg", "sklearn"} & sys.modules.keys())).limit(limits=1)
        torch.set_num_threads(1)

    def __exit__(self, *_error: object) -> None:
        torch.set_num_threads(self._torch)
        self._pools.restore_original_limits()


@cache
def _pools(_n: int) -> ThreadpoolController:
    """The libraries that have threads: to look for them takes five milliseconds; each of `_n` packages brings one."""
    return ThreadpoolController()


def results_of(wanted: Sequence[Measure], train: Mapping[str, Any], held_out: Mapping[str, Any]) -> dict[str, Any]:
    """What measures make of the States of one layer; those whose States are not all there are left out.

    Args:
        wanted: the measures.
        train: the States of the rows to fit.
        held_out: those of the rows to score.
    """
    results = {}
    for measure in wanted:
        states = [_state_for(need, train, held_out) for need in measure.needs]
        if all(state is not None for state in states):
            results[measure.name] = measure.finish(*states)
    return {name: result for name, result in results.items() if result is not None}


def _with_held_out_units(results: dict[str, Any], held_out: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the silent units asked again on held-out rows, where both are there."""
    sample = state_of(held_out, SampleState)
    if sample is None:
        return results
    return {name: ask(found, sample) if isinstance(found, Activity) else found for name, found in results.items()}


def _state_for(need: type[Any] | HeldOut, train: Mapping[str, Any], held_out: Mapping[str, Any]) -> Any:
    """The State a measure needs; where no row was held out, the State of no rows."""
    if not isinstance(need, HeldOut):
        return train.get(need.__name__)
    kind = need.state
    found = held_out.get(kind.__name__)
    return kind.empty(0, 0) if found is None and train.get(kind.__name__) is not None else found
