"""A study: what every layer of a network does to a data set, in one pass."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

import unbend
from unbend._typing import Array
from unbend.capture import Plan, bare, plan, quiet, twin
from unbend.capture.quiet import kept_random
from unbend.errors import DataError, ModelError
from unbend.numerics.readout import readout
from unbend.numerics.sample import SampleState
from unbend.numerics.state import MEASURES, Held, Measure
from unbend.numerics.views import Rule, View
from unbend.study.finish import BASELINE, finished
from unbend.study.fit import fitting
from unbend.study.fold import INPUT, States, fold, fold_gradients, input_rows
from unbend.study.labels import count_classes
from unbend.study.probes import Probing
from unbend.study.proofs import BUDGET, Proving
from unbend.study.ranks import Share, gathered, share, total
from unbend.study.reader import Minibatch
from unbend.study.source import HELD_OUT, Source, source
from unbend.study.sums import Selection, warm_up
from unbend.study.tables import Maker, Tables, collected, sample_tables, widths_of
from unbend.study.values import About, Layer, Study, Sums

DENSE = 4096
"""Rows the second moments take of a large data set, or eight for each unit of the widest layer. On Fashion-MNIST with
layers of 512 units, twice as many move held-out read-outs by less than half a point, and cost twice as much."""
_PER_UNIT = 8
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
        probes: also fit a logistic probe of every layer to all training rows, judged on the held-out row sample.
        ranks: in a process group, whether its ranks share the rows; each of them must then call `study`.
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
    probes: bool = False
    ranks: bool = True


def study(
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    name: str = "",
    progress: Progress | None = None,
    recipe: Mapping[str, str] | None = None,
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
        recipe: words that make model and data again, to be kept with the study.
        settings: the fields of `Settings`: layers, reduce, measures, twin, loss, exact, rows, share, batch_size,
            n_classes, seed, proofs, budget, probes, ranks.

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
    progress = progress or _no_progress
    progress("Loading compiled code (half a minute the first time)", 0, None)
    warm_up()
    with kept_random(model):
        work = _prepared(model, rows, how, progress)
        sums = _summed(model, rows, work)
    about = _about(model, name, rows, work)
    about = replace(about, recipe=about.recipe | dict(recipe or {}))
    more = _of_all_rows(model, rows, work, sums)
    done = finished(
        about, work.frames, sums, measures=work.measures, more=more,
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
    share: Share
    seen: dict[str, int] = field(default_factory=dict)


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
    how = Settings(**given)
    for name, is_right, wanted in (
        ("batch_size", how.batch_size >= 1, "at least 1"),
        ("rows", how.rows is None or how.rows >= 2, "at least 2, or None"),
        ("share", 0 <= how.share < 1, "a share from 0 up to, but not including, 1"),
        ("n_classes", how.n_classes is None or how.n_classes >= 0, "None, 0 for a regression, or at least 2"),
    ):
        if not is_right:
            raise DataError(f"{name}: expected {wanted}, got {getattr(how, name)}.")
    return how


def _prepared(model: nn.Module, rows: Source, how: Settings, progress: Progress) -> _Work:
    first = next(rows.batches("train", most=_LOOK), None)
    if first is None:
        raise DataError("data: there are no training rows. Pass at least two rows, better a hundred.")
    if rows.n["train"] == 1:
        raise DataError("data: 1 training row is left, too few to measure anything. Pass a hundred rows or more.")
    fit, reshaped = fitting(model, first.inputs)
    look, n = fit(first.inputs), len(first.ids)
    places = plan(model, look, n, layers=how.layers, reduce=how.reduce)
    n_classes = how.n_classes if how.n_classes is not None else count_classes(model, rows, look, first)
    measures = _measures(how)
    widest = max(widths_of(places.taps).values(), default=1)
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
    return _Work(how, places, frames, measures, n_classes, fit, selection, tuple(notes), progress,
                 share() if how.ranks else Share())  # fmt: skip


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
        return Selection(1.0, size, n)
    return Selection(2.0 ** -int(np.ceil(np.log2(n / budget))), size, n)


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
            n = min(rows.n["train"] or _GRADIENT_ROWS, _GRADIENT_ROWS)
            tick = _ticker(work.progress, "Gradients", -(-n // work.share.n))
            batches, loss = rows.batches("train", most=_GRADIENT_ROWS, share=work.share), work.how.loss
            gradient = total(
                lambda: fold_gradients(model, work.plan, batches, loss, fit=work.fit, tick=tick), work.share
            )
            sums = replace(sums, gradient=gradient)
    return sums


def _of_all_rows(model: nn.Module, rows: Source, work: _Work, sums: Sums) -> dict[str, Any]:
    """The Results that need all rows of every layer, of those that are asked for; the rows are collected once."""
    if not (work.how.proofs or work.how.probes):
        return {}
    held_out = sample_tables(sums.held_out)
    makers: dict[str, Maker] = {}
    if work.how.proofs:
        makers["ladder"] = Proving(held_out, _head_of_proofs(work, sums), work.how.budget)
    if work.how.probes:
        makers["probes"] = Probing(held_out)
    phases = {"ladder": "Proving separability", "probes": "Fitting probes"}
    ticks = {name: _ticker(work.progress, phases[name], len(work.frames)) for name in makers}
    tables = Tables(model, work.plan, rows, work.fit, work.n_classes, widths_of(work.frames))
    return collected(tables, makers, tick=lambda name: ticks[name](1))


def _head_of_proofs(work: _Work, sums: Sums) -> tuple[str, Array, Array] | None:
    """The layer that feeds the network's head, with the head's weight and bias."""
    last = next((frame for frame in work.frames if frame.is_head and frame.fed_by), None)
    if last is None or last.fed_by is None or sums.head_weight is None or sums.head_bias is None:
        return None
    return last.fed_by, sums.head_weight, sums.head_bias


def _pass(model: nn.Module, rows: Source, work: _Work, part: Any, phase: str, measures: Sequence[Measure]) -> States:
    """The sums over one part of the data, of all ranks."""
    kinds = _kinds(measures, held_out=part == "held_out")
    if part == "held_out" and SampleState in _kinds(measures, held_out=False) and SampleState not in kinds:
        kinds = (*kinds, SampleState)
    if not kinds:
        return {}
    n = rows.n[part]
    tick = _ticker(work.progress, phase, None if n is None else -(-n // work.share.n))
    labels: set[tuple[float, ...]] = set()
    seen: list[int] = []

    def mine() -> States:
        with quiet(model):
            return fold(
                model, work.plan, _noting(rows.batches(part, share=work.share), labels, seen), kinds,
                n_classes=work.n_classes, fit=work.fit, selection=replace(work.selection, n=n), tick=tick,
            )  # fmt: skip

    found = total(mine, work.share)
    work.seen[part] = sum(gathered(lambda: sum(seen), work.share))
    if part == "train" and len(set().union(*gathered(lambda: labels, work.share))) < 2:
        raise DataError(
            "y: all training rows have the same label, so there is nothing to tell apart. Pass rows of two classes."
        )
    return found


def _noting(batches: Iterator[Minibatch], labels: set[tuple[float, ...]], seen: list[int]) -> Iterator[Minibatch]:
    """The batches as they are; the first two labels that differ are noted, and how many rows there were."""
    for minibatch in batches:
        seen.append(len(minibatch.ids))
        if len(labels) < 2:
            found = torch.unique(minibatch.y.reshape(len(minibatch.y), -1), dim=0)[:2]
            labels.update(tuple(row) for row in found.tolist())
        yield minibatch


def _twin(model: nn.Module, work: _Work) -> nn.Module | None:
    try:
        return twin(model, seed=work.how.seed)
    except ModelError:
        return None


def _head_of(model: nn.Module, work: _Work) -> tuple[Any, Any]:
    """The head's weight and bias as arrays, if it is a linear layer."""
    path = next((tap.path for tap in work.plan.taps if tap.name == work.plan.head), None)
    module = None if path is None else model.get_submodule(path)
    if not isinstance(module, nn.Linear):
        return None, None
    bias = module.bias if module.bias is not None else torch.zeros(module.out_features)
    return module.weight.detach().double().cpu().numpy(), bias.detach().double().cpu().numpy()


def _about(model: nn.Module, name: str, rows: Source, work: _Work) -> About:
    def n(part: Any) -> int:
        known = rows.n[part]
        return work.seen.get(part, 0) if known is None else known

    classes = work.n_classes
    names = (*rows.class_names, *(str(i) for i in range(len(rows.class_names), classes)))
    return About(
        model=name or type(model).__name__,
        data=rows.name,
        source=rows.origin,
        task="classification" if classes else "regression",
        class_names=names if classes else (),
        n_train=n("train"),
        n_held_out=n("held_out"),
        n_parameters=sum(p.numel() for p in model.parameters()),
        split=rows.split,
        notes=work.notes,
        recipe={"batch_size": str(work.how.batch_size), "share": str(work.how.share)},
        versions={
            "unbend": unbend.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    )
