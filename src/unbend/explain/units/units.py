"""What every unit of a network answers to, in one pass: classes, examples, columns of the input, copies.

In: a model and data. Out: `UnitCards`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from torch import nn

from unbend._names import INPUT
from unbend._one_line import one_line
from unbend._typing import Array, Int64
from unbend.capture import Tap
from unbend.explain.setup import Setup, setup
from unbend.explain.units.examples import Examples, examples, speaker
from unbend.explain.units.reasons import Reason, TokenRows, reasons
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.numerics.streaming.choose import Selection
from unbend.numerics.units import Units, UnitState, tuning
from unbend.numerics.units import units as finish
from unbend.numerics.view import View
from unbend.study.progress import Progress, silent, ticker, with_bars
from unbend.study.settings import ReadAs
from unbend.study.values import States, wanted_state

SAMPLE = 2048
"""Rows from which correlations are taken."""
_LARGEST = 4_000_000
"""Correlations of units with columns that are kept for pictures at most."""


@result
class UnitCards:
    """What the units of some layers answer to.

    Attributes:
        layers: by name.
        kinds: what each layer is.
        places: shape of a layer's positions, such as that of a map; () where there are none.
        reasons: by layer: for every unit what is most remarkable about it, if anything is.
        order: by layer: the units, the most remarkable first.
        tuning: by layer: correlation of every unit with every column of the input, where that is not too much.
        examples: the rows that are named anywhere.
        class_names: of the classes.
        words: from the number of a token to its word; None for numbers.
        states: the sums, by layer; those of shards can be added.
    """

    layers: dict[str, Units]
    kinds: dict[str, str]
    places: dict[str, tuple[int, ...]]
    reasons: dict[str, tuple[Reason | None, ...]]
    order: dict[str, Int64[Array, "d"]]
    tuning: dict[str, Array]
    examples: Examples
    class_names: tuple[str, ...]
    words: Callable[[int], str] | None
    states: dict[str, UnitState]

    def __repr__(self) -> str:
        return one_line("UnitCards", self.layers)


@with_bars
def units(
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    layers: Sequence[str] | None = None,
    words: Sequence[str] | Callable[[int], str] | None = None,
    batch_size: int = 512,
    progress: Progress = silent,
    **read_as: Unpack[ReadAs],
) -> UnitCards:
    """What every unit answers to: classes, its strongest and weakest rows, columns of the input, copies of it.

    The answer of a unit to a row is its value; of a channel, or where there are tokens, its greatest value over
    positions, with the place of it. Everything is summed in one pass over the training rows; the examples are then
    fetched by their numbers.

    Args:
        model: any module; it stays as it is.
        data: samples with classes, as `unbend.study` takes them.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        layers: paths or globs; None for a sensible choice.
        words: the vocabulary, where the input is token numbers: a list, or a function of the number.
        batch_size: rows per forward pass.
        progress: called as it goes on; left out, bars show by themselves.
        read_as: `reduce`, `axis`, `inputs`, `target`, `output`, `groups` and `n_classes`, as `unbend.study` takes them.

    Raises:
        DataError: the labels are no classes.
        LayerError: no such layer.

    Cost:
        One forward pass, two reads of every tensor, and O(d²) per layer for copies among d units.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=200, seed=0)
        >>> found = unbend.units(unbend.zoo.mlp([2, 8, 2], seed=0), (data.x_train, data.y_train))
        >>> found.layers["1"].strongest.ids.shape
        (8, 8)
    """
    with setup(
        model, data, held_out=held_out, layers=layers, rows=64, batch_size=batch_size, needs_classes=False, **read_as
    ) as made:
        return _cards(made, None if words is None else speaker(words), progress)


def _cards(made: Setup, speak: Callable[[int], str] | None, progress: Progress) -> UnitCards:
    """What the units of a model on data answer to."""
    taps = tuple(tap for tap in made.work.plan.taps if tap.alias_of is None and tap.view.width)
    states = _states(made, taps, progress)
    inputs = _columns(made, states.get(INPUT))
    found, tuned = {}, {}
    for tap in taps:
        rows = _rows(states[tap.name])
        found[tap.name] = finish(wanted_state(states[tap.name], UnitState), rows, inputs)
        if rows is not None and inputs is not None and rows.shape[1] * inputs.shape[1] <= _LARGEST:
            tuned[tap.name] = tuning(rows, inputs)
    progress("Fetching examples", 0, None)
    named = [part for one in found.values() for part in (one.strongest.ids, one.weakest.ids)]
    shown = examples(made.work, np.concatenate([part.ravel() for part in named]))
    names = made.class_names
    tokens = _tokens(made, shown, wanted_state(states[taps[0].name], SampleState))
    ranked = {}
    for name, one in found.items():
        rows = None if tokens is None else _rows(states[name])
        texts = None if tokens is None or rows is None else TokenRows(tokens, rows, speak)
        ranked[name] = reasons(one, shown, names, texts)
    return UnitCards(
        layers=found, kinds={tap.name: tap.kind for tap in taps}, places={tap.name: _places(tap) for tap in taps},
        reasons={name: one for name, (one, _) in ranked.items()},
        order={name: order for name, (_, order) in ranked.items()}, tuning=tuned, examples=shown,
        class_names=names, words=speak, states={tap.name: wanted_state(states[tap.name], UnitState) for tap in taps},
    )  # fmt: skip


def _tokens(made: Setup, shown: Examples, sample: SampleState) -> Array | None:
    """The tokens of the row sample, whose rows are the same in every layer; None where the inputs are no texts."""
    if shown.form != "tokens":
        return None
    ids = sample.settle().ids
    texts = examples(made.work, ids)
    return texts.x[texts.at(ids)]


def _states(made: Setup, taps: Sequence[Tap], progress: Progress) -> States:
    """The sums of all layers, and the answers to the rows of the row sample."""
    rows = made.work.rows
    answering = [replace(tap, view=_answering(tap)) for tap in taps]
    return made.states(
        answering, rows.batches("train"), (UnitState, SampleState), selection=Selection(1.0, SAMPLE, rows.n["train"]),
        tick=ticker(progress, "Training rows", rows.n["train"]), with_input=True,
    )  # fmt: skip


def _answering(tap: Tap) -> View:
    """The view under which a row of the sample is what the units answer: their greatest value over positions."""
    rule = "none" if tap.view.layout == "features" else "max"
    return replace(tap.view, rule=rule, sketch=0)


def _rows(states: Mapping[str, Any] | None) -> Array | None:
    """The rows of the row sample; None where there are none, as for inputs that are no numbers."""
    if states is None:
        return None
    rows = wanted_state(states, SampleState).table()[0]
    return rows.astype(np.float64) if len(rows) else None


def _columns(made: Setup, states: dict[str, Any] | None) -> Array | None:
    """The inputs of the row sample, column by column; None where a wide input was kept as a sketch of its columns."""
    rows, x = _rows(states), made.subject.train.inputs
    return rows if rows is not None and rows.shape[1] == x[0].numel() else None


def _places(tap: Tap) -> tuple[int, ...]:
    """The shape of a layer's positions."""
    if tap.view.layout == "features":
        return ()
    return tuple(tap.shape[1:]) if tap.view.layout == "maps" else tuple(tap.shape[:-1])
