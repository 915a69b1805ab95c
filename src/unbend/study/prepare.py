"""Everything that is decided before the first pass over the data.

In: a model, a data set in two parts, settings. Out: a `Preparation`: where to look, how inputs are made to fit, what is
measured, which rows go where. It looks at a few rows only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

from torch import Tensor, nn

from unbend._names import INPUT
from unbend._shares import percent
from unbend.capture import Plan, call, plan, quiet, tensor_of
from unbend.errors import DataError
from unbend.load.labels import Task
from unbend.numerics.state import MEASURES, Measure
from unbend.numerics.streaming.choose import Selection
from unbend.numerics.view import WIDEST, View
from unbend.study.cost import costly
from unbend.study.finish import fitting
from unbend.study.fit import fit_inputs
from unbend.study.fold import input_rows
from unbend.study.items import Items, arguments
from unbend.study.labels import Labels, labels
from unbend.study.loss import written_for
from unbend.study.position_labels import OutputForm
from unbend.study.positions import DrawnPositions, Positions
from unbend.study.reader import Minibatch
from unbend.study.settings import Settings
from unbend.study.source import Holding, Source, source
from unbend.study.tables import widths_of
from unbend.study.values import Layer, TaskName

DENSE = 4096
"""Rows the second moments take of a large data set, or eight for each unit of the widest layer. On Fashion-MNIST with
layers of 512 units, twice as many move held-out read-outs by less than half a point, and cost twice as much."""
_PER_UNIT = 8
SUBSAMPLED = "Second moments and histograms are taken of"
"""How the note on their rows begins."""
TASKS: dict[Task | None, TaskName] = {
    "classes": "classification", "yes/no": "yes/no labels", "targets": "regression", None: "no labels",
}  # fmt: skip
"""What a study calls its labels, by what they are read as."""
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
        names: of the classes, or of several yes/no labels.
        fit: makes the inputs of a batch fit the model.
        selection: which rows go where.
        positions: how rows are drawn of labels per position; None for one label per row.
        notes: what a reader of the study should know.
        cost: what it will cost beside the forward passes, in a sentence; empty for less than a minute.
    """

    plan: Plan
    frames: tuple[Layer, ...]
    measures: tuple[Measure, ...]
    rows: Source
    task: Task | None
    n_classes: int
    names: tuple[str, ...]
    fit: Callable[[Any], Any]
    selection: Selection
    positions: Positions | None
    notes: tuple[str, ...]
    cost: str


def source_of(model: nn.Module, data: Any, held_out: Any, how: Settings) -> Source:
    """The data in two parts, read as the model takes them."""
    beside = how.groups if isinstance(how.groups, str | int) else None
    items = Items(arguments(model), inputs=how.inputs, target=how.target, beside=beside)
    holding = Holding(how.share, how.groups, how.stratify)
    return source(data, held_out=held_out, batch_size=how.batch_size, holding=holding, items=items)


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
    out = _output_form(model, places, look)
    found = labels(rows, first, out, n_classes=how.n_classes, wish=written_for(how.loss), has_loss=how.loss is not None)
    _check_task(how, found)
    at = None if found.positions is None else found.positions.draw(found.code(first.y), first.ids)
    flat = input_rows(look, n, at)
    frames = _frames(places, look, flat, at)
    n_rows = _n_rows(rows.n["train"], n, at)
    widest = max(widths_of(frames).values(), default=1)
    chosen = selection(n_rows, widest, exact=how.exact, size=how.rows)
    cost = costly(frames, _dense(n_rows, chosen), found.n_classes, has_twin=how.twin)
    return Preparation(
        plan=places,
        frames=frames,
        measures=_measures(how, found),
        rows=rows.encode(found.code),
        task=found.task,
        n_classes=found.n_classes,
        names=found.names,
        fit=fit,
        selection=chosen,
        positions=found.positions,
        notes=(
            *rows.notes,
            *rows.items.notes,
            *found.notes,
            *places.notes,
            *_notes(reshaped, chosen.rate, has_input=flat is not None),
            *([cost] if cost else []),
        ),
        cost=cost,
    )


def _dense(n: int | None, chosen: Selection) -> int:
    """Rows that go into second moments; of a stream, as many as a long one gives."""
    return round(chosen.rate * n) if n is not None else 4 * DENSE


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


def _n_rows(n_items: int | None, n: int, at: DrawnPositions | None) -> int | None:
    """Training rows, as far as they are known: of labels per position, as many an item as the first `n` have."""
    return n_items if at is None or n_items is None else round(n_items * len(at.ids) / n)


def _frames(places: Plan, look: Any, flat: Tensor | None, at: DrawnPositions | None) -> tuple[Layer, ...]:
    """The layers without their Results, the input first where it is numeric."""
    frames = tuple(
        Layer(tap.name, tap.kind, tap.module, tap.shape,
              tap.view if at is None else at.view(tap), fed_by=tap.fed_by,
              is_output=tap.name == places.output, is_head=tap.name == places.head,
              feeders=tap.feeders, alias_of=tap.alias_of)
        for tap in places.taps
    )  # fmt: skip
    if flat is None:
        return frames
    shape = tuple(look.shape[1:])
    is_flat = at is None and len(shape) > 1
    sketch = WIDEST // 2 if at is not None and flat.shape[1] > WIDEST else 0
    view = View("features", "flatten" if is_flat else "none", flat.shape[1], sketch)
    return (Layer(INPUT, "input", "data", shape, view), *frames)


def _output_form(model: nn.Module, places: Plan, look: Any) -> OutputForm:
    """The form of the model's output for a sample."""
    with quiet(model):
        found = tensor_of(call(model, places.protect(look)))
    if found is None:
        return OutputForm()
    return OutputForm.of(found.tensor, places.end, is_assumed=places.is_end_assumed)


def _check_task(how: Settings, found: Labels) -> None:
    """Refuse before the work what needs classes, or labels, where there are none."""
    asked = [name for name, is_asked in (("proofs", how.proofs), ("probes", how.probes)) if is_asked]
    if asked and found.task != "classes":
        what = {"targets": "the targets are numbers", "yes/no": "each row has several yes/no labels"}
        none = f"{found.n_unread:,} classes are too many" if found.n_unread else "there are no labels"
        why = what.get(found.task or "", none)
        raise DataError(f"{asked[0]}: {why}, and only classes can be told apart by planes. Leave {asked[0]} out.")
    if how.proofs and found.positions is not None:
        raise DataError("proofs: rows are positions of items, of which some are drawn. Leave proofs out.")
    if how.loss is not None and found.task is None and not found.n_unread:
        raise DataError("loss: there are no labels, so there is no loss. Leave it out, or say which part is the label.")


def _measures(how: Settings, found: Labels) -> tuple[Measure, ...]:
    names = MEASURES if how.measures is None else how.measures
    unknown = sorted(set(names) - MEASURES.keys())
    if unknown:
        raise DataError(f"measures: no measure named {unknown[0]!r}. There are: {', '.join(MEASURES)}.")
    return fitting((MEASURES[name] for name in names), TASKS[found.task])


def subsample_note(rate: float) -> str:
    """A note on the share of the training rows that goes into second moments."""
    return f"{SUBSAMPLED} {percent(rate)} of the training rows, chosen by hash; exact=True (--exact) takes all."


def _notes(reshaped: str, rate: float, *, has_input: bool) -> list[str]:
    notes = [reshaped] if reshaped else []
    if rate < 1:
        notes.append(subsample_note(rate))
    if not has_input:
        notes.append("The input is not one numeric tensor, so it is no baseline; compare with the first layer.")
    return notes
