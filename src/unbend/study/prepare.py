"""Everything that is decided before the first pass over the data.

In: a model, a data set in two parts, settings. Out: a `Preparation`: where to look, how inputs are made to fit, what is
measured, which rows go where. It looks at a few rows only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

from torch import Tensor, nn

from unbend.capture import Plan, call, plan, quiet, tensor_of
from unbend.errors import DataError
from unbend.load.labels import Task
from unbend.numerics.state import MEASURES, Measure
from unbend.numerics.streaming.choose import Selection
from unbend.numerics.views import View
from unbend.study.fit import fit_inputs
from unbend.study.fold import INPUT, input_rows
from unbend.study.labels import Labels, labels
from unbend.study.loss import written_for
from unbend.study.reader import Minibatch
from unbend.study.settings import Settings
from unbend.study.source import Source
from unbend.study.tables import widths_of
from unbend.study.values import Layer

DENSE = 4096
"""Rows the second moments take of a large data set, or eight for each unit of the widest layer. On Fashion-MNIST with
layers of 512 units, twice as many move held-out read-outs by less than half a point, and cost twice as much."""
_PER_UNIT = 8
_LOOK = 32


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """What a study does, decided.

    Attributes:
        plan: where to look.
        frames: the layers in order, without their Results.
        measures: what is made of the sums.
        rows: the data, with coded labels.
        task: what the labels are; None where there are none.
        n_classes: number of classes, 0 for all but classes.
        class_names: their names.
        fit: makes the inputs of a batch fit the model.
        selection: which rows go where.
        notes: what a reader of the study should know.
    """

    plan: Plan
    frames: tuple[Layer, ...]
    measures: tuple[Measure, ...]
    rows: Source
    task: Task | None
    n_classes: int
    class_names: tuple[str, ...]
    fit: Callable[[Any], Any]
    selection: Selection
    notes: tuple[str, ...]


def prepare(model: nn.Module, rows: Source, how: Settings) -> Preparation:
    """What a study of this model on these rows does.

    Raises:
        DataError: too few rows, labels that are none, no such measure.
        LayerError: no such layer.

    Cost:
        A few forward passes on 32 rows.
    """
    first = _first(rows)
    fit, reshaped = fit_inputs(model, first.inputs)
    look, n = fit(first.inputs), len(first.ids)
    places = plan(model, look, n, layers=how.layers, reduce=how.reduce, axis=how.axis)
    found = labels(
        rows, first, _width(model, places.protect(look)), n_classes=how.n_classes, wish=written_for(how.loss),
        has_loss=how.loss is not None,
    )  # fmt: skip
    _check_task(how, found)
    widest = max(widths_of(places.taps).values(), default=1)
    chosen = selection(rows.n["train"], widest, exact=how.exact, size=how.rows)
    flat = input_rows(look, n)
    return Preparation(
        plan=places,
        frames=_frames(places, look, flat),
        measures=_measures(how, found),
        rows=rows.coded(found.code),
        task=found.task,
        n_classes=found.n_classes,
        class_names=found.class_names,
        fit=fit,
        selection=chosen,
        notes=(
            *rows.notes,
            *rows.items.notes,
            *found.notes,
            *places.notes,
            *_notes(reshaped, chosen.rate, has_input=flat is not None),
        ),
    )


def selection(n: int | None, widest: int, *, exact: bool = False, size: int | None = None) -> Selection:
    """Which of `n` rows go into second moments and the row sample.

    Args:
        n: training rows; None where that is not known.
        widest: units of the widest layer.
        exact: take every row into the second moments.
        size: rows of the row sample; None for its own size.
    """
    kept = Selection().size if size is None else size
    budget = max(DENSE, _PER_UNIT * widest, kept)
    if exact or n is None or n <= budget:
        return Selection(1.0, kept, n)
    return Selection(2.0 ** -ceil(log2(n / budget)), kept, n)


def _first(rows: Source) -> Minibatch:
    """A few training rows."""
    first = next(rows.batches("train", most=_LOOK), None)
    if first is None:
        raise DataError("data: there are no training rows. Pass at least two rows, better a hundred.")
    if rows.n["train"] == 1:
        raise DataError("data: 1 training row is left, too few to measure anything. Pass a hundred rows or more.")
    return first


def _frames(places: Plan, look: Any, flat: Tensor | None) -> tuple[Layer, ...]:
    """The layers without their Results, the input first where it is numeric."""
    frames = tuple(
        Layer(tap.name, tap.kind, tap.module, tap.shape, tap.view, fed_by=tap.fed_by,
              is_output=tap.name == places.output, is_head=tap.name == places.head,
              feeders=tap.feeders, alias_of=tap.alias_of)
        for tap in places.taps
    )  # fmt: skip
    if flat is None:
        return frames
    shape = tuple(look.shape[1:])
    view = View("features", "flatten" if len(shape) > 1 else "none", flat.shape[1])
    return (Layer(INPUT, "input", "data", shape, view), *frames)


def _width(model: nn.Module, look: Any) -> int:
    """Numbers the model puts out for a sample; 0 where that is no vector."""
    with quiet(model):
        found = tensor_of(call(model, look))
    if found is None or found.tensor.ndim > 2:
        return 0
    return found.tensor.shape[1] if found.tensor.ndim == 2 else 1


def _check_task(how: Settings, found: Labels) -> None:
    """Refuse before the work what needs classes, or labels, where there are none."""
    asked = [name for name, is_asked in (("proofs", how.proofs), ("probes", how.probes)) if is_asked]
    if asked and found.task != "classes":
        what = {"targets": "the targets are numbers", "yes/no": "each row has several yes/no labels"}
        why = what.get(found.task or "", "there are no labels")
        raise DataError(f"{asked[0]}: {why}, and only classes can be told apart by planes. Leave {asked[0]} out.")
    if how.loss is not None and found.task is None:
        raise DataError("loss: there are no labels, so there is no loss. Leave it out, or say which part is the label.")


_OF_LABELS = ("readout", "scatter", "centroids")
"""Measures that say nothing without labels."""


def _measures(how: Settings, found: Labels) -> tuple[Measure, ...]:
    if how.measures is None:
        return tuple(m for m in MEASURES.values() if found.task is not None or m.name not in _OF_LABELS)
    unknown = sorted(set(how.measures) - MEASURES.keys())
    if unknown:
        raise DataError(f"measures: no measure named {unknown[0]!r}. There are: {', '.join(MEASURES)}.")
    return tuple(MEASURES[name] for name in how.measures)


def _notes(reshaped: str, rate: float, *, has_input: bool) -> list[str]:
    notes = [reshaped] if reshaped else []
    if rate < 1:
        notes.append(
            f"Second moments and histograms are taken of {rate:.1%} of the training rows, chosen by hash; "
            "exact=True (--exact) takes all."
        )
    if not has_input:
        notes.append("The input is not one numeric tensor, so it is no baseline; compare with the first layer.")
    return notes
