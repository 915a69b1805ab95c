"""Runs of layers that one matrix replaces: from the input of the first to the output of the last.

In: a model on data, what single layers cost. Out: a `LayerRun` for every run that was tried.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from unbend.capture import Tap, quiet
from unbend.errors import ModelError
from unbend.explain.setup import Setup
from unbend.explain.surgery.batches import spread_batches
from unbend.explain.surgery.fit import AffineMap, fit_runs
from unbend.explain.surgery.operations import affine_change, hand_on
from unbend.explain.surgery.replay import Change, Replay
from unbend.numerics.interval import PairedDifference, paired_difference
from unbend.numerics.result import result
from unbend.study.progress import Progress, ticker

CHEAP = 0.02
"""A layer whose best affine map costs no more than this of held-out accuracy may be part of a run,"""
_WHOLE = 4
"""and of runs up to this long every part is tried; of longer ones the whole, and both halves."""

_SAME = 1e-3
"""How far two outputs may differ by rounding alone, relative to the greatest: of networks in half numbers too."""


@result
class LayerRun:
    """Layers in a row with one affine map in their place.

    Attributes:
        layers: in the order in which they run.
        r2: share of the last one's variance that the map gives, on the training rows.
        accuracy: held-out accuracy then.
        cost: accuracy of the network as it is minus that, on the same rows.
    """

    layers: tuple[str, ...]
    r2: float
    accuracy: float
    cost: PairedDifference


def chains(
    taps: Sequence[Tap], costs: Mapping[str, float], every: Sequence[Tap] | None = None
) -> list[tuple[Tap, ...]]:
    """Runs of modules that feed only one another, each of which an affine map replaces at little cost.

    Args:
        taps: the layers that are changed, in order.
        costs: held-out accuracy that the affine map of each costs.
        every: all layers that may read one of them, the output among them; None for those that are changed.
    """
    readers: dict[str, set[str]] = {}
    for tap in taps if every is None else every:
        for name in tap.feeders:
            readers.setdefault(name, set()).add(tap.name)
    found: list[tuple[Tap, ...]] = []
    run: tuple[Tap, ...] = ()
    for tap in taps:
        is_cheap = not tap.function and costs.get(tap.name, 1.0) <= CHEAP
        follows = bool(run) and tap.feeders == (run[-1].name,) and readers[run[-1].name] == {tap.name}
        if not (is_cheap and follows):
            found += [run] if len(run) > 1 else []
            run = ()
        run = (*run, tap) if is_cheap else ()
    return found + ([run] if len(run) > 1 else [])


def parts(run: tuple[Tap, ...]) -> list[tuple[Tap, ...]]:
    """The parts of a run that are tried, itself first."""
    n = len(run)
    if n > _WHOLE:
        return [run, run[: n // 2 + n % 2], run[n // 2 :]]
    return [run[i : i + size] for size in range(n, 1, -1) for i in range(n - size + 1)]


def try_runs(
    made: Setup, runs: Sequence[tuple[Tap, ...]], size: int, budget: float | None, progress: Progress
) -> tuple[LayerRun, ...]:
    """What each run costs when one matrix stands in its place, on the rows that there is time for.

    Cost:
        A pass over the training rows, and for each run the layers behind it over the held-out rows.
    """
    maps = fit_runs(made, runs, progress)
    pairs = [(run, found) for run, found in zip(runs, maps, strict=True) if found is not None]
    if not pairs:
        return ()
    outs, plain, y = _outputs(made, pairs, size, budget, progress)
    subject = made.subject
    before = (subject.guess(plain) == y).numpy()
    tried = []
    for (run, found), out in zip(pairs, outs, strict=True):
        if out is not None:
            after = (subject.guess(out) == y).numpy()
            names = tuple(tap.name for tap in run)
            tried.append(
                LayerRun(layers=names, r2=found.r2, accuracy=float(after.mean()), cost=paired_difference(before, after))
            )
    return tuple(tried)


def _outputs(
    made: Setup, pairs: Sequence[tuple[tuple[Tap, ...], AffineMap]], size: int, budget: float | None, progress: Progress
) -> tuple[list[Tensor | None], Tensor, Tensor]:
    """Outputs with each run replaced, None where forward does not go through with it; as it is; and the labels."""
    rows, given = made.subject.held_out, made.work.plan.protect
    outs: list[list[Tensor] | None] = [[] for _ in pairs]
    plain: list[Tensor] = []
    seen: list[Tensor] = []
    with quiet(made.model):
        replay = Replay(made.model, rows.rows(0, 2)[0], [tap.place for run, _ in pairs for tap in run])
        tick = ticker(progress, f"{len(pairs)} runs of layers", rows.n)
        for index in spread_batches(rows.n, size, budget):
            inputs, labels = rows.of(index)
            seen.append(labels.y)
            plain.append(replay.record(given(inputs)).cpu())
            for i, (run, found) in enumerate(pairs):
                kept = outs[i]
                if kept is not None:
                    out = _replace(replay, given(inputs), run, found)
                    outs[i] = None if out is None else [*kept, out]
            tick(len(labels.y))
    return [None if part is None else torch.cat(part) for part in outs], torch.cat(plain), torch.cat(seen)


def _replace(replay: Replay, inputs: object, run: tuple[Tap, ...], found: AffineMap) -> Tensor | None:
    """The output with the map in place of the first layer, and the others handing its values on.

    None where something else reads a layer of the run: with the same values behind the last layer alone, the output is
    another one then.
    """
    last: list[Tensor] = []

    def keep(out: Tensor, given: Tensor | None) -> Tensor:
        last.append(hand_on(out, given))
        return last[-1]

    changes: dict[tuple[str, str, int], Change] = {tap.place: hand_on for tap in run}
    changes[run[0].place], changes[run[-1].place] = affine_change(run[-1], found), keep
    try:
        whole = replay.change(inputs, changes)
        alone = replay.change(inputs, {run[-1].place: lambda _out, _given: last[0]})
    except (ModelError, RuntimeError):
        return None
    return whole.cpu() if torch.allclose(whole, alone, _SAME, _SAME * float(alone.abs().max())) else None


def longest(runs: Sequence[LayerRun]) -> tuple[LayerRun, ...]:
    """The longest runs without a loss that can be told from chance or is over a point, none inside another."""
    good = [run for run in runs if run.cost.difference <= CHEAP / 2 or run.cost.low <= 0]
    kept: list[LayerRun] = []
    for run in sorted(good, key=lambda one: (-len(one.layers), one.cost.difference)):
        if not any(set(run.layers) & set(other.layers) for other in kept):
            kept.append(run)
    return tuple(kept)
