"""How many units each layer needs: units at their mean, the least important first, beside a random order.

In: a model on data, what is known of its layers. Out: a `UnitsNeeded` for every layer.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Bool, Float64, Int64
from unbend.capture import Caught, Tap, quiet, tapped
from unbend.explain.scores import row_losses
from unbend.explain.setup import Setup
from unbend.explain.surgery.fit import LayerFit
from unbend.explain.surgery.operations import ablate, resample
from unbend.explain.surgery.replay import Replay
from unbend.numerics.interval import PairedDifference, paired_difference
from unbend.numerics.result import result
from unbend.study.progress import Progress, ticker

_ROWS = 512
"""Training rows by which units are ordered."""
_ALONE = 8
"""Units of a layer, the most important ones, that are each put at the mean alone."""
LOST = 0.02
"""Of held-out accuracy: units are needed while the loss can be told from chance and is over this."""


@result
class UnitsNeeded:
    """Held-out accuracy of the network with only some units of a layer, the others at their mean or resampled.

    Attributes:
        layer: which.
        n_units: how many it has.
        kept: how many units are kept, falling.
        by_importance: accuracy when the most important are kept.
        at_random: accuracy when as many random ones are kept.
        importance: of every unit: mean size of the first-order change of the loss when it is put at its mean.
        needed: the least number that was tried with no more than two points of accuracy lost.
        is_resampled: whether the others put out what they do for another row, and not their mean.
        alone: the most important units [m].
        costs: held-out accuracy of the network as it is minus that without each of these units, all others as they are.
    """

    layer: str
    n_units: int
    kept: Int64[Array, "s"]
    by_importance: Float64[Array, "s"]
    at_random: Float64[Array, "s"]
    importance: Float64[Array, "d"]
    needed: int
    is_resampled: bool
    alone: Int64[Array, "m"]
    costs: tuple[PairedDifference, ...]


def units_needed(
    made: Setup,
    taps: Sequence[Tap],
    known: Mapping[str, LayerFit],
    size: int,
    seed: int,
    progress: Progress,
    *,
    resampled: bool = False,
) -> tuple[UnitsNeeded, ...]:
    """The curve of each layer.

    Args:
        made: the model on data.
        taps: its layers.
        known: what is known of them.
        size: rows per forward pass.
        seed: of the random order, and of the rows that others are taken from.
        progress: called as it goes on.
        resampled: whether units that are not kept put out what they do for another row, and not their mean.

    Cost:
        A backward pass over 512 rows; then for each layer twice log2(units) + 8 times the layers behind it.

    Source:
        Molchanov et al. 2017, pruning by a first-order Taylor expansion of the loss.
    """
    scores = _importance(made, taps, known)
    found = [tap for tap in taps if tap.name in scores and not tap.order]
    rng = np.random.default_rng(seed)
    rows, given, subject = made.subject.held_out, made.work.plan.protect, made.subject
    orders = {tap.name: (np.argsort(-scores[tap.name], kind="stable"), rng.permutation(len(scores[tap.name])))
              for tap in found}  # fmt: skip
    kept = {tap.name: _steps(len(scores[tap.name])) for tap in found}
    ablated = {tap.name: _ablate(orders[tap.name], kept[tap.name]) for tap in found}
    outs: dict[tuple[str, int, int], list[Tensor]] = {}
    plain: list[Tensor] = []
    with quiet(made.model):
        replay = Replay(made.model, rows.rows(0, 2)[0], [tap.place for tap in found])
        n_passes = 1 + sum(len(ablated[tap.name]) * replay.share(tap.place) for tap in found)
        tick = ticker(progress, f"Units needed, {n_passes:.0f} forward passes", rows.n)
        for start in range(0, rows.n, size):
            inputs, labels = rows.rows(start, start + size)
            plain.append(replay.record(given(inputs)).cpu())
            for tap in found:
                for key, dropped in ablated[tap.name].items():
                    mean = known[tap.name].mean
                    change = resample(tap, dropped, seed) if resampled else ablate(tap, mean, dropped)
                    out = replay.change(given(inputs), {tap.place: change}).cpu()
                    outs.setdefault((tap.name, *key), []).append(out)
            tick(len(labels.y))
    right = {key: (subject.guess(torch.cat(parts)) == rows.y).numpy() for key, parts in outs.items()}
    before = (subject.guess(torch.cat(plain)) == rows.y).numpy()
    return tuple(
        _curve(tap.name, kept[tap.name], scores[tap.name], right, before, is_resampled=resampled) for tap in found
    )


def _ablate(
    orders: tuple[Int64[Array, "d"], Int64[Array, "d"]], kept: Int64[Array, "s"]
) -> dict[tuple[int, int], Bool[Array, "d"]]:
    """Which units are not kept: all but the first of each order, by how many; then the first ones alone, by unit."""
    found: dict[tuple[int, int], Bool[Array, "d"]] = {}
    for which, order in enumerate(orders):
        for n in kept:
            found[which, int(n)] = ~np.isin(np.arange(len(order)), order[:n])
    for unit in orders[0][:_ALONE]:
        found[2, int(unit)] = np.arange(len(orders[0])) == unit
    return found


def _steps(n: int) -> Int64[Array, "s"]:
    """All units, seven and six eighths of them, then half as many each time, none in the end."""
    kept = [n, n - n // 8, n - n // 4, n // 2]
    while kept[-1] > 0:
        kept.append(kept[-1] // 2)
    return np.array(sorted(set(kept), reverse=True))


def _curve(
    layer: str, kept: Array, importance: Array, right: Mapping[tuple[str, int, int], Array], before: Array, *,
    is_resampled: bool,
) -> UnitsNeeded:  # fmt: skip
    curves = [np.array([right[layer, which, int(n)].mean() for n in kept]) for which in (0, 1)]
    alone = np.argsort(-importance, kind="stable")[:_ALONE]
    needed = len(importance)
    for n in kept:
        gap = paired_difference(before, right[layer, 0, int(n)])
        if gap.difference > LOST and gap.low > 0:
            break
        needed = int(n)
    return UnitsNeeded(
        layer=layer, n_units=len(importance), kept=kept, by_importance=curves[0], at_random=curves[1],
        importance=importance, needed=needed, is_resampled=is_resampled, alone=alone,
        costs=tuple(paired_difference(before, right[layer, 2, int(unit)]) for unit in alone),
    )  # fmt: skip


def _importance(made: Setup, taps: Sequence[Tap], known: Mapping[str, LayerFit]) -> dict[str, Float64[Array, "d"]]:
    """Mean over rows of |(h - mean) · ∂loss/∂h|, summed over positions, for every unit a gradient reaches."""
    caught: dict[str, Tensor] = {}

    def keep(tap: Tap, one: Caught) -> None:
        if one.values.requires_grad:
            caught[tap.name] = one.values

    inputs, labels = made.subject.train.rows(0, _ROWS)
    with quiet(made.model, grad=True), tapped(made.model, [tap for tap in taps if not tap.order], keep):
        out = made.subject.run(made.model, inputs)
        loss = row_losses(out.float(), labels.y).sum()
        found = torch.autograd.grad(loss, list(caught.values()), allow_unused=True) if caught else ()
    slopes = dict(zip(caught, found, strict=True))  # the parameters keep the gradients they have
    scores = {}
    for tap in taps:
        slope = slopes.get(tap.name)
        if slope is None:
            continue
        values = caught[tap.name].detach()
        if tap.view.layout == "maps":
            values, slope = values.movedim(1, -1), slope.movedim(1, -1)
        change = (values - torch.from_numpy(known[tap.name].mean).to(values)) * slope
        per_row = change.flatten(1, -2).sum(1) if change.ndim > 2 else change
        scores[tap.name] = per_row.abs().double().mean(0).cpu().numpy()
    return scores
