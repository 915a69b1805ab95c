"""From States to a Study: every Result, the figures over depth, and the findings. Pure: no model, no data.

A merged study is finished from the added States by the same function, so its numbers are those of one run.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from unbend._typing import Array
from unbend.numerics.collapse import collapse
from unbend.numerics.gradient import gradients
from unbend.numerics.interval import paired
from unbend.numerics.readout import Readout
from unbend.numerics.second import SecondState
from unbend.numerics.similarity import similarity
from unbend.numerics.state import MEASURES, Held, Measure
from unbend.study.depth import Depth, Head, line
from unbend.study.findings import findings
from unbend.study.own import own_correct, own_r2
from unbend.study.values import About, Layer, Study, Sums

BASELINE = ("readout", "scatter")
"""Measures that are also made of the untrained twin."""
_SMALL = 768
_LEAST_ROWS = 50
"""Held-out rows from which layers are compared on them, and not on training rows."""


def finished(
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
    wanted = tuple(MEASURES.values()) if measures is None else tuple(measures)
    layers = []
    for frame in frames:
        train = sums.train.get(frame.name, {})
        with _threads(train):
            results = _results(wanted, train, sums.held_out.get(frame.name, {}))
            base = [m for m in wanted if m.name in BASELINE]
            twin = _results(base, sums.twin_train.get(frame.name, {}), sums.twin_held_out.get(frame.name, {}))
        layers.append(replace(frame, results=results, twin=twin))
        tick(1)
    across = _across(layers, sums) | dict(more or {})
    return Study(about, tuple(layers), across, findings(about, layers, across), sums)


def _threads(states: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """One thread for small matrices: on a busy machine a second one costs more than it brings."""
    second = states.get(SecondState.__name__)
    if second is None or len(second.mean) > _SMALL:
        return nullcontext()
    return _OneThread()


class _OneThread:
    """One thread in torch and in numpy's linear algebra, as long as the block runs."""

    def __enter__(self) -> None:
        self._torch = torch.get_num_threads()
        self._pools = threadpool_limits(limits=1)
        torch.set_num_threads(1)

    def __exit__(self, *_error: object) -> None:
        torch.set_num_threads(self._torch)
        self._pools.restore_original_limits()


def _results(wanted: Sequence[Measure], train: Mapping[str, Any], held_out: Mapping[str, Any]) -> dict[str, Any]:
    results = {}
    for measure in wanted:
        states = []
        for need in measure.needs:
            kind, part = (need.state, held_out) if isinstance(need, Held) else (need, train)
            state = part.get(kind.__name__)
            if state is None and isinstance(need, Held) and train.get(kind.__name__) is not None:
                state = kind.empty(0, 0)
            states.append(state)
        if all(state is not None for state in states):
            result = measure.finish(*states)
            if result is not None:
                results[measure.name] = result
    return results


def _across(layers: Sequence[Layer], sums: Sums) -> dict[str, Any]:
    across: dict[str, Any] = {}
    if any("readout" in layer.results for layer in layers):
        across["depth"] = _depth(layers)
    rows = _common_rows(layers, sums)
    if len(rows) > 1:
        across["similarity"] = similarity(rows)
    head = _head(layers, sums)
    if head is not None:
        across["head"] = head
    fell = _collapse(layers, sums)
    if fell is not None:
        across["collapse"] = fell
    if sums.gradient:
        across["gradients"] = gradients(sums.gradient)
    return across


def _common_rows(layers: Sequence[Layer], sums: Sums) -> dict[str, Tensor]:
    """The same rows of every layer that saw them: held out if there are enough, else from training."""
    tables = {}
    for part in (sums.held_out, sums.train):
        tables = {
            layer.name: part[layer.name]["SampleState"].table()[0]
            for layer in layers
            if "SampleState" in part.get(layer.name, {})
        }
        if max((len(table) for table in tables.values()), default=0) >= _LEAST_ROWS:
            break
    n = max((len(table) for table in tables.values()), default=0)
    return {name: table for name, table in tables.items() if len(table) == n and bool(torch.isfinite(table).all())}


def _depth(layers: Sequence[Layer]) -> Depth:
    def column(pick: Callable[[Layer], float]) -> Array:
        return np.array([pick(layer) for layer in layers], dtype=np.float64)

    def of(name: str, attribute: str, where: str = "results") -> Callable[[Layer], float]:
        def pick(layer: Layer) -> float:
            return getattr(getattr(layer, where).get(name), attribute, np.nan)

        return pick

    interval = [getattr(layer.results.get("readout"), "held_out_interval", (np.nan, np.nan)) for layer in layers]
    separation = column(of("scatter", "separation"))
    bends = [i for i, layer in enumerate(layers) if layer.kind in {"activation", "function"}]
    slope, correlation = line(np.arange(len(bends), dtype=float), separation[bends])
    return Depth(
        layers=tuple(layer.name for layer in layers),
        kinds=tuple(layer.kind for layer in layers),
        train=column(of("readout", "train")),
        held_out=column(of("readout", "held_out")),
        low=np.array([low for low, _ in interval], dtype=np.float64),
        high=np.array([high for _, high in interval], dtype=np.float64),
        twin=column(of("readout", "held_out", "twin")),
        control=column(of("readout", "control_train")),
        fisher=column(of("scatter", "fisher")),
        separation=separation,
        trace_ratio=column(of("scatter", "trace_ratio")),
        effective_rank=column(of("spectrum", "effective_rank")),
        line_slope=slope,
        line_correlation=correlation,
        line_layers=tuple(layers[i].name for i in bends),
    )


def _head(layers: Sequence[Layer], sums: Sums) -> Head | None:
    """The network's own output against the read-out of the layer that feeds its head."""
    output = next((layer for layer in layers if layer.is_output), None)
    fed = next((layer for layer in reversed(layers) if layer.is_head and layer.fed_by), None)
    feeding = next((layer for layer in layers if fed is not None and layer.name == fed.fed_by), None)
    if output is None or feeding is None or "readout" not in feeding.results:
        return None
    readout: Readout = feeding.results["readout"]
    sample = sums.held_out.get(output.name, {}).get("SampleState")
    train = sums.train.get(output.name, {}).get("SampleState")
    if sample is None or train is None or not len(sample.ids):
        return None
    if readout.correct is None:
        explained, explained_train = own_r2(sample), own_r2(train)
        return None if explained is None else Head(
            readout.n_held_out, feeding.name, explained, np.nan if explained_train is None else explained_train,
            readout.held_out, readout.held_out - explained, np.nan, np.nan,
        )  # fmt: skip
    right = own_correct(output, sample, train)
    if right is None or len(right[0]) != len(readout.correct):
        return None
    own, own_train = right
    gap = paired(readout.correct, own)
    return Head(len(own), feeding.name, float(own.mean()), float(own_train.mean()), readout.held_out,
                gap.difference, gap.low, gap.high)  # fmt: skip


def _collapse(layers: Sequence[Layer], sums: Sums) -> Any:
    head = next((layer for layer in reversed(layers) if layer.is_head), None)
    if head is None or sums.head_weight is None or sums.head_bias is None or head.fed_by is None:
        return None
    states = sums.train.get(head.fed_by, {})
    if not {"SecondState", "SampleState"} <= states.keys():
        return None
    return collapse(states["SecondState"], states["SampleState"], sums.head_weight, sums.head_bias)
