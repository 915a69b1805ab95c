"""A study: what every layer of a network does to a data set, in one pass.

In: a model and data. Out: a `Study`. Settings are checked, the work is prepared, the passes are made, and the study is
finished from their sums; each step stands in the file of its name.
"""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

import unbend
from unbend._names import first_few
from unbend.capture import bare
from unbend.capture.quiet import alone, kept_random
from unbend.capture.twin import Untrained
from unbend.errors import ModelError
from unbend.load.dataset import IGNORED
from unbend.numerics.streaming.layer import warm_up
from unbend.numerics.view import Rule
from unbend.study.defaults import fresh_defaults
from unbend.study.draws import further_draws
from unbend.study.examine.values import Examination
from unbend.study.fingerprint import fingerprint
from unbend.study.finish import finish
from unbend.study.given import network_of
from unbend.study.items import Choice
from unbend.study.outputs import part_of_output
from unbend.study.passes import Census, Passes
from unbend.study.prepare import TASKS, Preparation, prepare, source_of
from unbend.study.progress import Progress, remark, shown, ticker
from unbend.study.settings import BUDGET, Settings
from unbend.study.source import HELD_OUT, Part, Source
from unbend.study.untrained import untrained_twin
from unbend.study.values import About, Study, Sums


def study(  # noqa: PLR0913  every setting by name, so that an editor completes it
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    layers: Sequence[str] | None = None,
    reduce: Rule | Mapping[str, Rule] | None = None,
    axis: Mapping[str, int] | None = None,
    measures: Sequence[str] | None = None,
    twin: bool = True,
    untrained: Untrained | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] | str | None = None,
    exact: bool = False,
    rows: int | None = None,
    share: float = HELD_OUT,
    groups: Any = None,
    stratify: bool = False,
    inputs: Choice | Sequence[Choice] | None = None,
    target: Choice | None = None,
    output: Choice | None = None,
    batch_size: int = 512,
    n_classes: int | None = None,
    seed: int = 0,
    proofs: bool = False,
    budget: float | None = BUDGET,
    probes: bool = False,
    ranks: bool = True,
    trials: bool = True,
    name: str = "",
    progress: Progress | None = None,
    recipe: Mapping[str, str] | None = None,
) -> Study:
    """What every layer of a model does to a data set.

    Runs the model in evaluation mode over the training rows, then over the held-out rows, then does the same
    with an untrained twin; every layer and every measure at once, nothing stored but sums and a row sample.
    The model, its hooks, its training flags and the random generators are left as they were.

    Args:
        model: any `nn.Module`; compiled and parallel wrappers are looked through.
        data: a pair (x, y), samples alone, a Dataset, a DataLoader, a LightningDataModule, or what `unbend.load.data`
            gives; (train, test) of two such. `docs/labels.md` tells how labels are read.
        held_out: the same for the held-out part; left out, a fifth of the rows is held out by hash.
        layers: paths or globs; None for a sensible choice.
        reduce: how positions are reduced, for all layers or by glob; None for the mean (last token for recurrent
            ones).
        axis: which axis of a layer's output holds its units, by name or glob, such as {"encoder.*": 1}; None for
            what the model shows.
        measures: names of registered measures; None for all.
        twin: whether the untrained twin is studied as the baseline.
        untrained: the untrained twin, or a function without arguments that builds it, such as the model's own class:
            its own initialisation. None to draw the weights of a copy again.
        loss: a loss (output, y) for the gradients per layer, or its name, such as "cross_entropy", "bce" or "mse";
            None for none.
        exact: take every row into the second moments, however many there are.
        rows: rows kept in the row sample, on which read-outs are scored; None for 4,096.
        share: share of rows held out when the data set has no test part.
        groups: the group of each row, or the part of an item that names it (a patient, a prompt): whole groups are
            held out.
        stratify: hold out the same share of each class.
        inputs: which parts of an item go into the model: names, positions or functions of the batch; None to find
            out.
        target: which part is the label; None to find out.
        output: which part of the model's output is studied: a name, a position or a function of it; None to find out.
        batch_size: rows per forward pass.
        n_classes: number of classes; None to find out.
        seed: of the untrained twin.
        proofs: also decide for every layer, over all training rows, whether the classes are linearly separable.
        budget: seconds each layer's proof may take; None for no limit.
        probes: also fit a logistic probe of every layer to all training rows, judged on the held-out row sample.
        ranks: in a process group, whether its ranks share the rows; each of them must then call `study`.
        trials: where a loss is given, also train copies for some seconds, to see what that would bring.
        name: what the page calls the model.
        progress: called as the study goes on; left out, a bar shows in a terminal and in a notebook, none in a pipe.
        recipe: words that make model and data again, to be kept with the study.

    Raises:
        ModelError: not a module, or one that cannot be hooked; `untrained` gives another network.
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
    how = Settings(
        layers=layers, reduce=reduce, axis=axis, measures=measures, twin=twin, untrained=untrained, loss=loss,
        exact=exact, rows=rows, share=share, groups=groups, stratify=stratify, inputs=inputs, target=target,
        output=output, batch_size=batch_size, n_classes=n_classes, seed=seed, proofs=proofs, budget=budget,
        probes=probes, ranks=ranks, trials=trials,
    )  # fmt: skip
    how.check()
    module = bare(network_of(model))
    with fresh_defaults(), part_of_output(module, output), shown(progress) as told:
        return _study(module, source_of(module, data, held_out, how), how, told, name=name, recipe=dict(recipe or {}))


def _study(
    model: nn.Module, rows: Source, how: Settings, progress: Progress, *, name: str, recipe: dict[str, str]
) -> Study:
    started = time.perf_counter()
    with alone(model), kept_random(model):
        work = prepare(model, rows, how)
        progress("Loading compiled code (some seconds the first time)", 0, None)
        warm_up(["features", *(tap.view.layout for tap in work.plan.taps)])
        remark(progress, work.cost)
        fresh, said = untrained_twin(model, work.rows, work, how)
        work = replace(work, notes=(*work.notes, *said))
        passes = Passes(work.rows, work, how, progress)
        with (
            nullcontext() if fresh is None else part_of_output(fresh, how.output)
        ):  # a copy has no hooks of the model's
            sums, seen = passes.sums(model, fresh)
        drawn = further_draws(model, passes, work, how, sums)
        examination, lacking = _examine(model, passes)
        work = replace(work, frames=drawn.frames, notes=(*work.notes, *drawn.notes, *lacking))
    more = passes.of_all_rows(model, sums) | ({} if examination is None else {"examination": examination})
    done = finish(
        _about(model, name, work, seen, sums), work.frames, sums, measures=work.measures, more=more,
        tick=ticker(progress, "Finishing layers", len(work.frames)),
    )  # fmt: skip
    words = how.words() | recipe
    seconds = round(time.perf_counter() - started, 3)
    return replace(done, about=replace(done.about, recipe=words, seconds=seconds))


def _examine(model: nn.Module, passes: Passes) -> tuple[Examination | None, tuple[str, ...]]:
    """What the examination shows, and why there is none where the network cannot be copied."""
    try:
        return passes.examination(model), ()
    except ModelError as error:
        said = str(error).removeprefix("model: ")
        return None, (said[0].upper() + said[1:],)


def _about(model: nn.Module, name: str, work: Preparation, seen: Mapping[Part, Census], sums: Sums) -> About:
    """What was studied; of a stream only the passes know how many rows it had."""
    rows = work.rows
    n_train, n_held_out = rows.n["train"], rows.n["held_out"]
    is_counted = work.positions is not None
    return About(
        model=name or type(model).__name__,
        data=rows.name,
        source=rows.origin,
        task=TASKS[work.task],
        class_names=work.names if work.n_classes else (),
        label_names=() if work.n_classes else work.names,
        n_train=seen["train"].n if is_counted or n_train is None else n_train,
        n_held_out=seen["held_out"].n if is_counted or n_held_out is None else n_held_out,
        n_parameters=sum(p.numel() for p in model.parameters()),
        split=rows.split,
        notes=(*work.notes, *_ignored_positions(seen), *_without_gradients(work, sums)),
        versions={
            "unbend": unbend.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        fingerprint=fingerprint(model),
    )


def _ignored_positions(seen: Mapping[Part, Census]) -> tuple[str, ...]:
    """How many positions have no label, where labels stand at positions."""
    n, of = (sum(getattr(each, name) for each in seen.values()) for name in ("n_ignored", "n_positions"))
    return (f"{n:,} of {of:,} positions carry {IGNORED} and are left out.",) if n else ()


def _without_gradients(work: Preparation, sums: Sums) -> tuple[str, ...]:
    """Which layers no gradient comes from, where a loss was given."""
    names = [tap.name for tap in work.plan.taps if tap.name not in sums.gradient]
    if not sums.gradient or not names:
        return ()
    few = first_few(names, 8)
    return (f"These layers run without gradients (under torch.no_grad), so none is shown for them: {few}.",)
