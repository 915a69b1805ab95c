"""What is measured of the network as a whole: the Results that span layers, in the order in which they are shown.

In: layers with their Results, and the sums. Out: Results, registered by name. Proofs and probes need all rows of every
layer and are made where those are collected; they are registered here too, so that files and pages know them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unbend._typing import Array
from unbend.numerics.collapse import Collapse, collapse
from unbend.numerics.gradient import Gradients, gradients
from unbend.numerics.probe import Probes
from unbend.numerics.readout import Readout
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.similarity import Similarity, similarity
from unbend.study.across import ACROSS, Across, across
from unbend.study.depth import Depth, depth
from unbend.study.examine.values import Examination
from unbend.study.head import Head, head
from unbend.study.ladder import Ladder
from unbend.study.values import Layer, Sums, state_of
from unbend.study.worth import Worth

_LEAST_ROWS = 50
"""Held-out rows from which layers are compared on them, and not on training rows."""


def spanning(layers: Sequence[Layer], sums: Sums) -> dict[str, Any]:
    """Every registered Result that spans layers and can be made of these."""
    made = {name: entry.finish(layers, sums) for name, entry in ACROSS.items() if entry.finish is not None}
    return {name: result for name, result in made.items() if result is not None}


@across("depth", Depth)
def _depth(layers: Sequence[Layer], sums: Sums) -> Depth | None:
    """The curves over depth, where anything was read out."""
    del sums
    return depth(layers) if any(layer.result(Readout) is not None for layer in layers) else None


@across("similarity", Similarity)
def _similarity(layers: Sequence[Layer], sums: Sums) -> Similarity | None:
    """How alike the layers are, where there are two of them."""
    rows = _common_rows(layers, sums)
    return similarity(rows) if len(rows) > 1 else None


across("head", Head, title="The head")(head)


@across("collapse", Collapse, title="Neural collapse")
def _collapse(layers: Sequence[Layer], sums: Sums) -> Collapse | None:
    """How near the last hidden layer and the head are to a simplex, where the head is linear."""
    last = next((layer for layer in reversed(layers) if layer.is_head), None)
    if last is None or sums.head_weight is None or sums.head_bias is None or last.fed_by is None:
        return None
    second, sample = sums.state(last.fed_by, SecondState), sums.state(last.fed_by, SampleState)
    return None if second is None or sample is None else collapse(second, sample, sums.head_weight, sums.head_bias)


@across("gradients", Gradients)
def _gradients(layers: Sequence[Layer], sums: Sums) -> Gradients | None:
    """How far learning reaches, where a loss was given."""
    del layers
    return gradients(sums.gradient) if sums.gradient else None


ACROSS["examination"] = Across("examination", Examination, "Examination")
ACROSS["worth"] = Across("worth", Worth, "What layers are worth")
ACROSS["ladder"] = Across("ladder", Ladder, "Proofs")
ACROSS["probes"] = Across("probes", Probes, "Probes")


def _common_rows(layers: Sequence[Layer], sums: Sums) -> dict[str, Array]:
    """The same rows of every layer that saw them: held out if there are enough, else from training."""
    tables = _tables(layers, sums.held_out)
    if _longest(tables) < _LEAST_ROWS:
        tables = _tables(layers, sums.train)
    n = _longest(tables)
    return {name: table for name, table in tables.items() if len(table) == n and bool(np.isfinite(table).all())}


def _tables(layers: Sequence[Layer], part: Mapping[str, Mapping[str, Any]]) -> dict[str, Array]:
    samples = {layer.name: state_of(part.get(layer.name, {}), SampleState) for layer in layers}
    return {name: sample.table()[0] for name, sample in samples.items() if sample is not None}


def _longest(tables: Mapping[str, Array]) -> int:
    return max((len(table) for table in tables.values()), default=0)
