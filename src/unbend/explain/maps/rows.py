"""The rows that maps show: the row sample of a study, the same rows in every layer.

In: a `Study`, or a model on data. Out: `LayerRows`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unbend._names import layer_label
from unbend._typing import Array, Bool, Float, Int64
from unbend.errors import DataError, LayerError
from unbend.explain.groups import groups_of, label_at
from unbend.explain.setup import Setup
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.streaming.choose import Selection
from unbend.study.examine.subject import COLUMNS
from unbend.study.progress import Progress, ticker
from unbend.study.values import States, Study, state_of

_FEWEST = 16
_LARGE = 1e30


@dataclass(frozen=True, slots=True, eq=False)
class LayerRows:
    """Some rows, as every layer has them.

    Attributes:
        layers: names, in the order in which they run.
        labels: what they are called.
        tables: what each puts out, row by row.
        ids: row numbers in the data set [n].
        y: class of each row [n]; for a regression which fifth of the targets it is in.
        held_out: whether it was held out [n].
        class_names: of the classes, or of no and yes to one label of several; none for a regression.
        label_names: of several yes/no labels; else none.
        marks: which of these each row has [n, t].
        by: the label that rows are told apart by; empty without several.
        has_classes: rows have one class each.
        second: second moments of the training rows by layer, where they are known.
        n_left_out: rows left out because a layer has a value that is not finite.
    """

    layers: tuple[str, ...]
    labels: tuple[str, ...]
    tables: tuple[Float[Array, "n _d"], ...]
    ids: Int64[Array, "n"]
    y: Int64[Array, "n"]
    held_out: Bool[Array, "n"]
    class_names: tuple[str, ...]
    label_names: tuple[str, ...]
    marks: Bool[Array, "n t"]
    by: str
    has_classes: bool
    second: dict[str, SecondState]
    n_left_out: int


def rows_of_study(study: Study, n: int, layers: Sequence[str] | None, by: str | None) -> LayerRows:
    """The row sample that a study kept.

    Raises:
        DataError: it kept none.
        LayerError: no such layer.
    """
    known = [layer.name for layer in study.layers if layer.alias_of is None]
    missing = [name for name in layers or () if name not in known]
    if missing:
        raise LayerError(f"layers: no layer named {missing[0]!r} in the study. It has: {', '.join(known)}.")
    names = {layer.name: layer_label(layer.name, layer.module) for layer in study.layers
             if layer.name in (layers or known)}  # fmt: skip
    about = study.about
    return _rows(names, study.sums.train, study.sums.held_out, n, (about.class_names, about.label_names), by)


def rows_of_model(made: Setup, n: int, by: str | None, progress: Progress) -> LayerRows:
    """The row sample of a model on data, and what the discriminant plane is fitted to.

    Cost:
        A pass over all rows.
    """
    taps = [tap for tap in made.work.plan.taps if tap.alias_of is None]
    source = made.work.rows
    sums: dict[str, States] = {}
    for part, words, kinds in (
        ("train", "Training rows", (SecondState, SampleState)), ("held_out", "Held-out rows", (SampleState,)),
    ):  # fmt: skip
        total = source.n[part]
        sums[part] = made.states(
            taps, source.batches(part), kinds, selection=_selection(n, total), tick=ticker(progress, words, total),
            with_input=True,
        )  # fmt: skip
    modules = {tap.name: tap.module for tap in taps}
    names = {name: layer_label(name, modules.get(name, "")) for name in sums["train"]}
    return _rows(names, sums["train"], sums["held_out"], n, (made.class_names, made.label_names), by)


def _selection(n: int, total: int | None) -> Selection:
    """As many rows into the second moments as suffice for planes."""
    return Selection(1.0 if not total or total <= COLUMNS else COLUMNS / total, n, total)


def _rows(
    labels: Mapping[str, str], train: States, held_out: States, n: int, names_of: tuple[tuple[str, ...], ...],
    by: str | None,
) -> LayerRows:  # fmt: skip
    """The rows, told apart by their classes, by one of their yes/no labels, or by fifths of their numbers."""
    samples = {name: found for name in labels if (found := _sample(train, name)) is not None}
    others = {name: found for name in labels if (found := _sample(held_out, name)) is not None}
    names = list(samples)
    if not names:
        raise DataError("maps: the study kept no row sample. Make it without leaving measures out.")
    first = samples[names[0]]
    n_second = len(others[names[0]].ids) if others.keys() == samples.keys() else 0
    half = min(n // 2, n_second)
    half = max(half, min(n_second, n - len(first.ids)))
    parts = [_part(samples, names, n - half), *([_part(others, names, half)] if half else [])]
    ids, targets = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    tables = [np.concatenate([part[2][i] for part in parts]) for i in range(len(names))]
    held = np.repeat([False, True][: len(parts)], [len(part[0]) for part in parts])
    good = np.all([np.isfinite(table).all(1) & (np.abs(table) < _LARGE).all(1) for table in tables], axis=0)
    if good.sum() < _FEWEST:
        raise DataError(f"maps: expected at least {_FEWEST} rows with finite values in every layer, got {good.sum()}.")
    class_names, label_names = names_of
    chosen = label_at(by, label_names)
    y, groups = groups_of(targets, class_names, label_names, by=chosen)
    marks = targets[good] > 0.5 if label_names else np.zeros((int(good.sum()), 0), bool)
    return LayerRows(
        tuple(names), tuple(labels[name] for name in names), tuple(table[good] for table in tables), ids[good],
        y[good], held[good], groups if class_names or label_names else (), label_names, marks,
        label_names[chosen] if label_names else "", bool(class_names),
        {name: second for name in names if (second := state_of(train[name], SecondState)) is not None},
        int((~good).sum()),
    )  # fmt: skip


def _sample(states: States, name: str) -> SampleState | None:
    found = state_of(states.get(name, {}), SampleState)
    return None if found is None or not len(found.ids) else found.settle()


def _part(samples: Mapping[str, SampleState], names: Sequence[str], n: int) -> tuple[Array, Array, list[Array]]:
    """Row numbers, targets, and the table of each layer."""
    first = samples[names[0]]
    tables = [samples[name].table()[0][:n] for name in names]
    return first.ids[:n], first.table()[1][:n], tables
