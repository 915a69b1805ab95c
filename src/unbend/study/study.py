"""A study: what every layer of a network does to a data set, in one pass."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

import unbend
from unbend.capture import Plan, bare, plan, quiet, row_width, tensor_of, twin
from unbend.capture import call as run
from unbend.errors import DataError, ModelError
from unbend.numerics.readout import readout
from unbend.numerics.sample import SampleState
from unbend.numerics.state import MEASURES, Held, Measure
from unbend.numerics.views import Rule, View
from unbend.study.finish import BASELINE, finished
from unbend.study.fit import fitting
from unbend.study.fold import INPUT, Selection, States, fold, fold_gradients, input_rows
from unbend.study.proofs import BUDGET, Tables, prove, sample_tables, widths_of
from unbend.study.source import HELD_OUT, Minibatch, Source, first_rows, source
from unbend.study.values import About, Layer, Study, Sums

DENSE = 8192
"""Rows the second moments take of a large data set, or sixteen for each unit of the widest layer."""
_PER_UNIT = 16
_LOOK = 32
_GRADIENT_ROWS = 1024


@runtime_checkable
class Progress(Protocol):
    """Told how far a study is."""

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """`done` of `total` rows (layers, for the last phase) of a phase; total is None when it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How a study is made.

    Attributes:
        layers: paths or globs; None for a sensible choice.
        reduce: how positions are reduced, for all layers or by glob; None for the mean (last token for recurrent ones).
        measures: names of registered measures; None for all.
        twin: whether the untrained twin is studied as the baseline.
        loss: a loss (output, y) for the gradients per layer; None for none.
        exact: take every row into the second moments, however many there are.
        rows: rows kept in the row sample, on which read-outs are scored; None for 4,096.
        share: share of rows held out when the data set has no test part.
        batch_size: rows per forward pass.
        n_classes: number of classes; None to find out.
        seed: of the untrained twin.
        proofs: also decide for every layer, over all training rows, whether the classes are linearly separable.
        budget: seconds each layer's proof may take; None for no limit.
    """

    layers: Sequence[str] | None = None
    reduce: Rule | Mapping[str, Rule] | None = None
    measures: Sequence[str] | None = None
    twin: bool = True
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    exact: bool = False
    rows: int | None = None
    share: float = HELD_OUT
    batch_size: int = 512
    n_classes: int | None = None
    seed: int = 0
    proofs: bool = False
    budget: float | None = BUDGET


def study(
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    name: str = "",
    progress: Progress | None = None,
    **settings: Any,
) -> Study:
    """What every layer of a model does to a data set.

    Runs the model in evaluation mode over the training rows, then over the held-out rows, then does the same
    with an untrained twin; every layer and every measure at once, nothing stored but sums and a row sample.
    The model, its hooks, its training flags and the random generators are left as they were.

    Args:
        model: any `nn.Module`; compiled and parallel wrappers are looked through.
        data: a pair (x, y), a Dataset of pairs, a DataLoader, or what `unbend.load.data` gives. Integer labels
            are classes, floating-point ones targets.
        held_out: the same for the held-out part; left out, a fifth of the rows is held out by hash.
        name: what the page calls the model.
        progress: called as the study goes on.
        settings: the fields of `Settings`: layers, reduce, measures, twin, loss, exact, rows, share, batch_size,
            n_classes, seed, proofs, budget.

    Raises:
        ModelError: not a module, or one that cannot be hooked.
        ShapeError: model and data do not fit.
        DataError: labels that are no labels, holes in the data, too few rows.
        LayerError: no such layer.

    Cost:
        Two forward passes over the data (one without the twin), 3-30 % on top for the statistics, and O(d³) per
        layer of width d at the end. Memory: one batch, d² numbers and 4,096 rows per layer.

    Example:
        >>> import torch, unbend
        >>> x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
        >>> found = unbend.study(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)),
        ...                      (x, (x[:, 0] > 0).long()))
        >>> [layer.name for layer in found.layers]
        ['input', '0', '1', '2']
    """
    started = time.perf_counter()
    how = _settings(settings)
    model = bare(model)
    rows = source(data, held_out=held_out, batch_size=how.batch_size, share=how.share)
    work = _prepared(model, rows, how, progress or _no_progress)
    sums = _summed(model, rows, work)
    about = _about(model, name, rows, work, sums)
    done = finished(
        about, work.frames, sums, measures=work.measures, more=_proofs(model, rows, work, sums),
        tick=_ticker(work.progress, "Finishing layers", len(work.frames)),
    )  # fmt: skip
    return replace(done, about=replace(about, seconds=round(time.perf_counter() - started, 3)))


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Everything decided before the first pass."""

    how: Settings
    plan: Plan
    frames: tuple[Layer, ...]
    measures: tuple[Measure, ...]
    n_classes: int
    fit: Callable[[Any], Any]
    selection: Selection
    notes: tuple[str, ...]
    progress: Progress


def _no_progress(phase: str, done: int, total: int | None) -> None:
    """Say nothing."""


def _ticker(progress: Progress, phase: str, total: int | None) -> Callable[[int], None]:
    done = 0
    progress(phase, 0, total)

    def tick(n: int) -> None:
        nonlocal done
        done += n
        progress(phase, done, total)

    return tick


def _settings(given: Mapping[str, Any]) -> Settings:
    unknown = sorted(given.keys() - Settings.__dataclass_fields__.keys())
    if unknown:
        raise TypeError(
            f"study: unexpected setting {unknown[0]!r}. There are: {', '.join(Settings.__dataclass_fields__)}."
        )
    return Settings(**given)


def _prepared(model: nn.Module, rows: Source, how: Settings, progress: Progress) -> _Work:
    first = next(iter(rows.batches("train")), None)
    if first is None or not len(first.ids):
        raise DataError("data: the training part is empty. Pass at least a few rows.")
    fit, reshaped = fitting(model, first.inputs)
    look, n = first_rows(fit(first.inputs), len(first.ids), _LOOK)
    places = plan(model, look, n, layers=how.layers, reduce=how.reduce)
    n_classes = how.n_classes if how.n_classes is not None else _classes(model, rows, look, first)
    measures = _measures(how)
    widest = max((row_width(tap) if not tap.view.fold else tap.view.fold for tap in places.taps), default=1)
    selection = _selection(rows.n["train"], widest, how)
    notes = [*places.notes, *([reshaped] if reshaped else [])]
    if selection.rate < 1:
        notes.append(
            f"Second moments and histograms are taken of {selection.rate:.1%} of the training rows, chosen by hash; "
            "exact=True (--exact) takes all."
        )
    frames = tuple(
        Layer(tap.name, tap.kind, tap.module, tap.shape, tap.view, {}, {}, tap.fed_by,
              tap.name == places.output, tap.name == places.head)
        for tap in places.taps
    )  # fmt: skip
    flat = input_rows(look, n)
    if flat is None:
        notes.append("The input is not one numeric tensor, so it is no baseline; compare with the first layer.")
    else:
        shape = tuple(look.shape[1:])
        frames = (
            Layer(
                INPUT,
                "input",
                "data",
                shape,
                View("features", "flatten" if len(shape) > 1 else "none", flat.shape[1]),
            ),
            *frames,
        )
    return _Work(how, places, frames, measures, n_classes, fit, selection, tuple(notes), progress)


def _classes(model: nn.Module, rows: Source, look: Any, first: Minibatch) -> int:
    """Number of classes: from the labels if they are at hand, else from the width of the output."""
    if rows.n_classes is not None:
        return rows.n_classes
    if first.y.is_floating_point():
        return 0
    with quiet(model):
        found = tensor_of(run(model, look))
    width = found.tensor.shape[-1] if found is not None and found.tensor.ndim == 2 else 1
    return max(width, 2, int(first.y.max()) + 1)


def _measures(how: Settings) -> tuple[Measure, ...]:
    if how.measures is None:
        return tuple(MEASURES.values())
    unknown = sorted(set(how.measures) - MEASURES.keys())
    if unknown:
        raise DataError(f"measures: no measure named {unknown[0]!r}. There are: {', '.join(MEASURES)}.")
    return tuple(MEASURES[name] for name in how.measures)


def _selection(n: int | None, widest: int, how: Settings) -> Selection:
    size = how.rows if how.rows is not None else Selection().size
    budget = max(DENSE, _PER_UNIT * widest, size)
    if how.exact or n is None or n <= budget:
        return Selection(1.0, size)
    return Selection(2.0 ** -int(np.ceil(np.log2(n / budget))), size)


def _kinds(measures: Sequence[Measure], *, held_out: bool) -> tuple[type[Any], ...]:
    """The States needed, each once, in order; for held-out rows those marked so and the row sample."""
    needs = [need for m in measures for need in m.needs]
    if held_out:
        return tuple(dict.fromkeys(need.state for need in needs if isinstance(need, Held)))
    return tuple(dict.fromkeys(need for need in needs if not isinstance(need, Held)))


def _summed(model: nn.Module, rows: Source, work: _Work) -> Sums:
    train = _pass(model, rows, work, "train", "Training rows", work.measures)
    held = _pass(model, rows, work, "held_out", "Held-out rows", work.measures)
    weight, bias = _head_of(model, work)
    sums = Sums(train, held, head_weight=weight, head_bias=bias)
    base = tuple(m for m in work.measures if m.name in BASELINE)
    if work.how.twin and readout.__name__ in {m.name for m in base} and any(True for _ in model.parameters()):
        fresh = _twin(model, work)
        if fresh is not None:
            sums = replace(
                sums,
                twin_train=_pass(fresh, rows, work, "train", "Untrained twin", base),
                twin_held_out=_pass(fresh, rows, work, "held_out", "Untrained twin, held out", base),
            )
    if work.how.loss is not None:
        with quiet(model, grad=True):
            tick = _ticker(work.progress, "Gradients", min(rows.n["train"] or _GRADIENT_ROWS, _GRADIENT_ROWS))
            batches = _first_batches(rows.batches("train"), _GRADIENT_ROWS)
            sums = replace(
                sums,
                gradient=fold_gradients(model, work.plan, batches, work.how.loss, fit=work.fit, tick=tick),
            )
    return sums


def _proofs(model: nn.Module, rows: Source, work: _Work, sums: Sums) -> dict[str, Any]:
    """The ladder of proofs, if it is asked for."""
    if not work.how.proofs:
        return {}
    tables = tables_of(model, rows, work)
    last = next((frame for frame in work.frames if frame.is_head and frame.fed_by), None)
    head = None
    if last is not None and last.fed_by is not None and sums.head_weight is not None and sums.head_bias is not None:
        head = (last.fed_by, sums.head_weight, sums.head_bias)
    return {
        "ladder": prove(
            tables, held_out=sample_tables(sums.held_out), head=head, budget=work.how.budget,
            tick=_ticker(work.progress, "Proving separability", len(work.frames)),
        )
    }  # fmt: skip


def tables_of(model: nn.Module, rows: Source, work: _Work) -> Tables:
    """How to collect all rows of every layer."""
    return Tables(model, work.plan, rows, work.fit, work.n_classes, widths_of(work.frames))


def _pass(model: nn.Module, rows: Source, work: _Work, part: Any, phase: str, measures: Sequence[Measure]) -> States:
    kinds = _kinds(measures, held_out=part == "held_out")
    if part == "held_out" and SampleState in _kinds(measures, held_out=False) and SampleState not in kinds:
        kinds = (*kinds, SampleState)
    if not kinds:
        return {}
    with quiet(model):
        return fold(
            model, work.plan, rows.batches(part), kinds, n_classes=work.n_classes, fit=work.fit,
            selection=work.selection, tick=_ticker(work.progress, phase, rows.n[part]),
        )  # fmt: skip


def _twin(model: nn.Module, work: _Work) -> nn.Module | None:
    try:
        return twin(model, seed=work.how.seed)
    except ModelError:
        return None


def _head_of(model: nn.Module, work: _Work) -> tuple[Any, Any]:
    """The head's weight and bias as arrays, if it is a linear layer."""
    module = dict(model.named_modules()).get(work.plan.head or "", None)
    if not isinstance(module, nn.Linear):
        return None, None
    bias = module.bias if module.bias is not None else torch.zeros(module.out_features)
    return tuple(v.detach().double().cpu().numpy() for v in (module.weight, bias))


def _first_batches(batches: Iterator[Minibatch], most: int) -> Iterator[Minibatch]:
    seen = 0
    for minibatch in batches:
        if seen >= most:
            return
        yield minibatch
        seen += len(minibatch.ids)


def _about(model: nn.Module, name: str, rows: Source, work: _Work, sums: Sums) -> About:
    def n(states: States) -> int:
        counts = [getattr(state, "n", 0) for layer in states.values() for state in layer.values()]
        sizes = [len(layer["SampleState"].ids) for layer in states.values() if "SampleState" in layer]
        return max([int(np.max(c)) if np.ndim(c) == 0 else int(np.sum(c)) for c in counts] + sizes, default=0)

    classes = work.n_classes
    names = rows.class_names or tuple(str(i) for i in range(classes))
    return About(
        model=name or type(model).__name__,
        data=rows.name,
        source=rows.origin,
        task="classification" if classes else "regression",
        class_names=names if classes else (),
        n_train=rows.n["train"] if rows.n["train"] is not None else n(sums.train),
        n_held_out=rows.n["held_out"] if rows.n["held_out"] is not None else n(sums.held_out),
        n_parameters=sum(p.numel() for p in model.parameters()),
        split=rows.split,
        notes=work.notes,
        versions={
            "unbend": unbend.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    )
