"""What each layer is worth: held-out accuracy and loss with one layer changed, everything else as it is.

In: a model and data. Out: a `Surgery`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from unbend._names import first_few
from unbend._typing import Array, Bool, Float64
from unbend.capture import Tap, quiet
from unbend.errors import DataError, LayerError
from unbend.explain.defaults import OPERATIONS, SURGERY_ROWS, Operation
from unbend.explain.scores import row_losses
from unbend.explain.setup import Setup, setup
from unbend.explain.surgery.batches import spread_batches
from unbend.explain.surgery.cost import surgery_cost
from unbend.explain.surgery.fit import LayerFit, fit_layers
from unbend.explain.surgery.leak import Leak, leaks
from unbend.explain.surgery.needed import UnitsNeeded, units_needed
from unbend.explain.surgery.operations import change_of
from unbend.explain.surgery.replay import Change, Replay
from unbend.explain.surgery.runs import LayerRun, chains, longest, parts, try_runs
from unbend.numerics.interval import PairedDifference, paired_difference
from unbend.numerics.result import result
from unbend.study.finish import extend
from unbend.study.progress import Progress, silent, ticker, with_bars
from unbend.study.settings import ReadAs
from unbend.study.values import Study
from unbend.study.worth import LayerCost, Way, Worth


@result
class Cut:
    """One layer changed.

    Attributes:
        layer: which.
        operation: what was done to it.
        accuracy: held-out accuracy then.
        loss: mean held-out cross-entropy then, in nats.
        cost: accuracy of the network as it is minus that, on the same rows.
        loss_rise: by how much the mean loss rises.
        loss_rise_low: lower end of its 95 % interval.
        loss_rise_high: upper end.
        same: share of the rows of which the network still says what it said before.
    """

    layer: str
    operation: Operation
    accuracy: float
    loss: float
    cost: PairedDifference
    loss_rise: float
    loss_rise_low: float
    loss_rise_high: float
    same: float


@result
class Erasure:
    """What erasing the classes from a layer took away, and what is left.

    Attributes:
        layer: which.
        reading: the rule by which positions are reduced, such as "mean"; "none" where there are none.
        rank: directions that were taken away.
        gap: greatest distance of a class mean from the mean before, in standard deviations of a unit.
        gap_left: the same afterwards. 0 up to rounding is the proof that no affine read-out beats a constant on the
            rows it was fitted on.
        moved: share of the layer's variance that was taken away.
        base_rate: share of the most frequent class among the held-out rows.
        leak: what a logistic probe fitted to erased held-out rows makes of other held-out rows; None where there are
            too few.
    """

    layer: str
    reading: str
    rank: int
    gap: float
    gap_left: float
    moved: float
    base_rate: float
    leak: Leak | None


@result
class Surgery:
    """What each layer is worth.

    Attributes:
        n: held-out rows.
        accuracy: of the network as it is.
        loss: its mean cross-entropy.
        base_rate: share of the most frequent class.
        layers: the layers that were changed, in the order in which they run.
        kinds: what each of them is.
        cuts: one for each layer and operation that could be done.
        erasures: one for each layer that was erased.
        runs: runs of layers for which one matrix was tried.
        units: how many units each layer needs; empty where that was not asked.
        affine_r2: how much of a layer its best affine map gives, by name.
        impossible: for each layer and operation that could not be done, why.
        n_passes: how many forward passes the operations take together, in shares of the network's calls.
        seconds: that they were expected to take, by the first batch.
        class_names: of the classes.
    """

    n: int
    accuracy: float
    loss: float
    base_rate: float
    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    cuts: tuple[Cut, ...]
    erasures: tuple[Erasure, ...]
    runs: tuple[LayerRun, ...]
    units: tuple[UnitsNeeded, ...]
    affine_r2: dict[str, float]
    impossible: dict[str, str]
    n_passes: float
    seconds: float
    class_names: tuple[str, ...]

    @property
    def worth(self) -> Worth:
        """What the layers are worth, as a study holds it."""
        ways: dict[Operation, Way] = {"skip": "skip", "mean": "mean", "affine": "matrix"}
        single = [
            LayerCost(layers=(cut.layer,), way=ways[cut.operation], cost=cut.cost)
            for cut in self.cuts if cut.operation in ways
        ]  # fmt: skip
        runs = [LayerCost(layers=run.layers, way="matrix", cost=run.cost) for run in longest(self.runs)]
        return Worth(
            n=self.n, accuracy=self.accuracy, base_rate=self.base_rate, n_passes=self.n_passes, costs=(*single, *runs)
        )

    def into(self, study: Study) -> Study:
        """A study of the same network on the same data, whose findings also say what can be left out.

        Raises:
            LayerError: the study has none of these layers.
        """
        if not {layer.name for layer in study.layers} & set(self.layers):
            raise LayerError(
                f"study: it has none of the layers {first_few(self.layers)}. Pass one of the same network."
            )
        return extend(study, "worth", self.worth)

    def cut(self, layer: str, operation: Operation) -> Cut | None:
        """One of them; None where it could not be done."""
        return next((cut for cut in self.cuts if (cut.layer, cut.operation) == (layer, operation)), None)


@with_bars
def surgery(  # noqa: PLR0913  every setting by name, so that an editor completes it
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    layers: Sequence[str] | None = None,
    operations: Sequence[str] = OPERATIONS,
    units: bool | str = False,
    rows: int = SURGERY_ROWS,
    budget: float | None = None,
    batch_size: int = 256,
    seed: int = 0,
    progress: Progress = silent,
    **read_as: Unpack[ReadAs],
) -> Surgery:
    """Change one layer at a time and see what the network makes of held-out rows then.

    A linear read-out of a layer tells what can be read there; surgery tells what the network uses. Each layer is
    skipped, replaced by its best affine map and by its mean, and freed of everything that a linear read-out could use
    of the classes (`unbend.numerics.erasure`), beside a control of as many random directions. What a layer loses is
    judged on the same rows, so the intervals are paired.

    Args:
        model: any module that puts out one row of scores for each sample; it stays as it is.
        data: samples with classes, as `unbend.study` takes them.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        layers: paths or globs; None for a sensible choice.
        operations: what is done to each layer; with "affine", runs of layers are replaced by one matrix too.
        units: also find out how many units each layer needs: "mean" (True) puts the others at their mean, "resample"
            gives them what they put out for another row of the batch.
        rows: held-out rows at most.
        budget: seconds of processor time that the operations may take, and runs of layers as much again; fewer rows,
            spread over all of them, are judged then. None for no limit.
        batch_size: rows per forward pass.
        seed: of the control's directions.
        progress: called as it goes on, first with how many forward passes and seconds it will take; left out, bars show
            by themselves.
        read_as: `reduce`, `axis`, `inputs`, `target`, `output`, `groups` and `n_classes`, as `unbend.study` takes them.

    Raises:
        DataError: the labels are no classes, there are no held-out rows, or no such operation.
        ModelError: the model puts out no score for each class.
        LayerError: no such layer.

    Cost:
        A pass over the training rows; then for each layer and operation the layers behind it, over the held-out rows:
        about half a forward pass each. With `units` twice as many again for each halving of a layer.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=300, seed=0)
        >>> net = unbend.zoo.mlp([2, 16, 16, 2], seed=0)
        >>> found = unbend.surgery(net, (data.x_train, data.y_train), operations=["mean"])
        >>> [cut.layer for cut in found.cuts]
        ['0', '1', '2', '3']
    """
    unknown = [name for name in operations if name not in OPERATIONS]
    if unknown:
        raise DataError(f"operations: no operation named {unknown[0]!r}. There are: {', '.join(OPERATIONS)}.")
    with setup(model, data, held_out=held_out, layers=layers, rows=rows, batch_size=batch_size, **read_as) as made:
        if not made.subject.held_out.n:
            raise DataError("held_out: there are no held-out rows to judge layers on. Pass some, or more rows.")
        made.check_scores()
        taps = _taps(made)
        chosen = [name for name in OPERATIONS if name in operations]
        cost = surgery_cost(made, taps, chosen, batch_size, budget)
        progress(cost.sentence, 0, None)
        known = fit_layers(made, taps, progress, seed=seed)
        changes, impossible = _changes(taps, known, chosen)
        judged = _judge(made, taps, changes, batch_size, budget, progress)
        y = judged.y
        cuts = tuple(_cut(made, key, out, judged.out, y) for key, out in judged.outs.items())
        erased = [tap for tap in taps if (tap.name, "erase") in changes]
        runs = _runs(made, taps, cuts, batch_size, budget, progress) if "affine" in operations else ()
        needed = _units(made, taps, known, batch_size, seed, progress, how=units) if units else ()
        found = leaks(made, erased, known, progress) if erased else {}
    base = float(torch.bincount(y).max()) / len(y)
    return Surgery(
        n=len(y), accuracy=made.subject.score(judged.out, y), loss=float(row_losses(judged.out, y).mean()),
        base_rate=base, layers=tuple(tap.name for tap in taps), kinds=tuple(tap.kind for tap in taps), cuts=cuts,
        erasures=tuple(_erasure(tap, known[tap.name], found.get(tap.name), base) for tap in erased),
        runs=runs, units=needed,
        affine_r2={name: fit.affine.r2 for name, fit in known.items() if fit.affine is not None},
        impossible=impossible, n_passes=judged.n_passes,
        seconds=cost.seconds, class_names=made.class_names,
    )  # fmt: skip


def _units(
    made: Setup,
    taps: Sequence[Tap],
    known: dict[str, LayerFit],
    size: int,
    seed: int,
    progress: Progress,
    *,
    how: bool | str,
) -> tuple[UnitsNeeded, ...]:
    if how not in (True, "mean", "resample"):
        raise DataError(f"units: expected True, 'mean' or 'resample', got {how!r}.")
    return units_needed(made, taps, known, size, seed, progress, resampled=how == "resample")


def _runs(
    made: Setup, taps: Sequence[Tap], cuts: Sequence[Cut], size: int, budget: float | None, progress: Progress
) -> tuple[LayerRun, ...]:
    """Runs of layers that an affine map replaces one by one at little cost, tried with one matrix in their place."""
    costs = {cut.layer: cut.cost.difference for cut in cuts if cut.operation == "affine"}
    candidates = [part for run in chains(taps, costs, made.work.plan.taps) for part in parts(run)]
    return try_runs(made, candidates, size, budget, progress) if candidates else ()


def _taps(made: Setup) -> list[Tap]:
    """The layers that can be changed: not the output itself, and no layer that only hands another's values on.

    A block whose last layer is looked at too puts out the same values, but to skip it is something else.
    """
    plan = made.work.plan
    own = [tap for tap in plan.taps if tap.kind != "output" and tap.name not in {plan.output, plan.head}]
    found = [tap for tap in own if tap.alias_of is None or tap.kind == "block"]
    if not found:
        raise DataError("layers: none of these layers stands before the output. Name others.")
    return found


def _changes(
    taps: Sequence[Tap], known: dict[str, LayerFit], operations: Sequence[Operation]
) -> tuple[dict[tuple[str, Operation], Change], dict[str, str]]:
    """What is done to each layer, and what cannot be done."""
    changes: dict[tuple[str, Operation], Change] = {}
    impossible: dict[str, str] = {}
    for tap in taps:
        for operation in operations:
            found = change_of(operation, tap, known[tap.name])
            if isinstance(found, str):
                impossible[f"{tap.name}: {operation}"] = found
            else:
                changes[tap.name, operation] = found
    return changes, impossible


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """The outputs for the held-out rows that there was time for, as the network is and with each change."""

    y: Tensor
    out: Tensor
    outs: dict[tuple[str, Operation], Tensor]
    n_passes: float


def _judge(
    made: Setup, taps: Sequence[Tap], changes: dict[tuple[str, Operation], Change], size: int, budget: float | None,
    progress: Progress,
) -> _Judged:  # fmt: skip
    subject, by_name = made.subject, {tap.name: tap for tap in taps}
    rows = subject.held_out
    outs: dict[tuple[str, Operation], list[Tensor]] = {key: [] for key in changes}
    plain: list[Tensor] = []
    seen: list[Tensor] = []
    with quiet(made.model):
        replay = Replay(made.model, rows.rows(0, 2)[0], [by_name[name].place for name, _ in changes])
        n_passes = 1 + sum(replay.share(by_name[name].place) for name, _ in changes)
        tick = ticker(progress, f"{len(changes)} operations, {n_passes:.1f} forward passes", rows.n)
        for index in spread_batches(rows.n, size, budget):
            inputs, labels = rows.of(index)
            seen.append(labels.y)
            given = made.work.plan.protect
            plain.append(replay.record(given(inputs)).cpu())
            for (name, operation), change in changes.items():
                outs[name, operation].append(replay.change(given(inputs), {by_name[name].place: change}).cpu())
            tick(len(labels.y))
    return _Judged(torch.cat(seen), torch.cat(plain), {key: torch.cat(parts) for key, parts in outs.items()}, n_passes)


def _cut(made: Setup, key: tuple[str, Operation], out: Tensor, plain: Tensor, y: Tensor) -> Cut:
    subject = made.subject
    before, after = (_right(subject.guess(o), y) for o in (plain, out))
    rise = (row_losses(out, y) - row_losses(plain, y)).double().numpy()
    low, high = _mean_interval(rise)
    return Cut(
        layer=key[0], operation=key[1], accuracy=float(after.mean()), loss=float(row_losses(out, y).mean()),
        cost=paired_difference(before, after), loss_rise=float(rise.mean()), loss_rise_low=low, loss_rise_high=high,
        same=float((subject.guess(out) == subject.guess(plain)).double().mean()),
    )  # fmt: skip


def _right(guess: Tensor, y: Tensor) -> Bool[Array, "n"]:
    return (guess == y).numpy()


def _mean_interval(values: Float64[Array, "n"]) -> tuple[float, float]:
    """The 95 % interval of a mean, by the central limit."""
    half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else np.inf
    return float(values.mean()) - half, float(values.mean()) + half


def _erasure(tap: Tap, known: LayerFit, leak: Leak | None, base: float) -> Erasure:
    eraser = known.eraser
    assert eraser is not None  # noqa: S101  asked by the caller
    return Erasure(
        layer=tap.name, reading=tap.view.rule, rank=eraser.rank, gap=eraser.gap, gap_left=eraser.gap_left,
        moved=eraser.moved, base_rate=base, leak=leak,
    )  # fmt: skip
