"""Rules about the loss and about validation in the course of a run."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from unbend._shares import percent
from unbend._typing import Array
from unbend.study.history.evidence import (
    Occurrence,
    bends,
    between,
    logged_values,
    puts_out_shares,
    rate_rose,
    since,
    with_weights,
)
from unbend.study.history.values import RunHistory
from unbend.study.values import Finding

_EARLY = 3
_ENOUGH = 10
"""Snapshots after which a loss is judged by how far it has come."""
_LONG = 200
"""Steps after which it is, too: many networks stand still for a while before they learn."""
_FALLEN, _SLOW = 0.02, 0.1
"""Share of the first loss by which it has fallen at least."""
_FLAT = 0.15
"""Share of the first loss within which a loss that does not move stays; one that drifts is of a network that does."""
_READ = 0.3
"""By how much a network that has learnt something names more samples than the most frequent class would."""
_STILL, _GUESSED = 0.05, 0.02
"""How far a loss moves that stands still, and how much more than the most frequent class a guess names."""
_SMOOTH = 5
_WARM = 0.9
_PACE = 1.2
_DIVERGED = 2.0
_PULLED, _FAR = 50.0, 10.0
"""Times the usual gradient, and times its height, of a loss that is no duel's."""
_LEAPT = 0.5
"""Share of its weights by which a step has thrown a layer about."""
_SMALL = 0.03
"""Share of its weights by which steps that are not too large move a layer."""
_HARDLY = 0.005
_SWING = 0.2
_WIDE = 0.05
"""Share of its weights that a step moves some layer: less is the noise of small batches, no leaping about."""
_RISEN = 0.1
_PATIENCE = 8
_CLOSE, _SURE, _CERTAIN = 0.1, 0.7, 0.85
"""How near a loss comes to what softmax applied twice costs, the accuracy from which that is no accident, and the share
of its greatest scale that a probability has which is certain: a network that is not yet has such a loss as well."""


def diverging(history: RunHistory) -> Iterator[Occurrence]:
    """A loss that ends far above where it was.

    One that may be negative has risen beyond its start by as much as it had fallen. The losses of a duel rise and fall
    too, but slowly: what diverges is thrown about, pulled ever harder, or soon a multiple of what it was.
    """
    known, loss = logged_values(history, "loss")
    if len(loss) < _EARLY:
        return
    best = np.minimum.accumulate(loss)
    start = float(loss[:_EARLY].max())
    height = max(start, 1e-12)
    is_above = np.where(best > 0, (loss > _DIVERGED * best) & (loss > 1.3 * height), loss > start + (start - best))
    at = since(is_above & (np.arange(len(loss)) > 1), 2)
    if at is None:
        return
    pull, moved = history.value("gradient")[known], _moves(history)[known]
    usual = np.nanmedian(pull[: at + 1]) if np.isfinite(pull[: at + 1]).any() else np.nan
    is_thrown = (pull > _PULLED * usual) | (moved > _WIDE) | (loss > _FAR * max(height, abs(best[at])))
    if np.isfinite(pull).any() and not (is_thrown & is_above)[at:].any():
        return
    place = int(known[at])
    far = float(np.nanmedian(moved[: at + 1])) if np.isfinite(moved[: at + 1]).any() else np.inf
    is_uphill = far < _SMALL and not rate_rose(history, place)
    yield Occurrence(int(history.steps[place]), Finding(
        "diverging", "problem", None,
        f"The loss diverges, {between(history, place)}{rate_rose(history, place)}.",
        f"It was {best[at]:.3g} at its best and is {loss[at]:.3g}."
        + (f" Until then a step moved layers by up to {percent(far)} of their weights." if is_uphill else ""),
        "Small steps that lead uphill, one after another." if is_uphill else
        "Steps that are too large throw the weights about.",
        "Look for `maximize=True`, or a minus sign where it does not belong; if there is none, lower the learning rate."
        if is_uphill else "Go back to a checkpoint before that step and lower the learning rate.",
        "Data of another kind from that step on.",
    ))  # fmt: skip


def _moves(history: RunHistory) -> Array:
    """How far each step moved the layer that it moved most, in its weights' norm [r]; NaN where that is not known."""
    moves = [history.layer(layer.name, "update") for layer in with_weights(history)]
    return np.fmax.reduce(np.stack(moves), 0) if moves else np.full(len(history.snapshots), np.nan)


def loss_not_falling(history: RunHistory) -> Iterator[Occurrence]:
    """A loss that has not moved (SageMaker's `loss_not_decreasing`) or hardly (AUTOTRAINER's slow convergence)."""
    known, loss = logged_values(history, "loss")
    n = _warmed_up(history.value("learning_rate")[known]) + 2 * _ENOUGH
    if len(loss) < n or history.steps[known[-1]] < _LONG or not np.isfinite(loss).all() or loss[0] <= 0:
        return
    first, last = float(loss[:_EARLY].mean()), float(loss[-_EARLY:].mean())
    fallen = (first - last) / first
    place = int(known[max(n - 1, int(np.searchsorted(history.steps[known], _LONG)))])
    if fallen >= _SLOW and len(loss) >= 2 * n - _ENOUGH and _stands_at_chance(history, loss):
        yield _not_falling(history, place, f"stands still at {last:.3g} after", first, last)
        return
    if not -0.3 < fallen < _SLOW or _has_learnt(history) or _may_be_a_duel(history):
        return
    is_slow = fallen >= _FALLEN and _is_falling(loss)
    smooth = np.convolve(loss, np.full(_SMOOTH, 1 / _SMOOTH), "valid")
    if (fallen >= _FALLEN and not is_slow) or np.ptp(smooth) > _FLAT * first or (is_slow and _gains_pace(loss)):
        return
    if not is_slow:
        hardly = fallen > _HARDLY and _is_falling(loss)
        yield _not_falling(history, place, "hardly falls in" if hardly else "does not fall in", first, last)
        return
    yield Occurrence(int(history.steps[place]), Finding(
        "slow_convergence", "warning", None,
        f"The loss has fallen by {percent(fallen)} only in {history.steps[known[-1]]:,} steps.",
        f"It was {first:.3g} and is {last:.3g}.",
        "At this pace training takes very long.",
        "Raise the learning rate tenfold and look again; check that labels belong to their samples.",
        "Labels that are mostly noise: then no network does better.",
    ))  # fmt: skip


def _not_falling(history: RunHistory, place: int, way: str, first: float, last: float) -> Occurrence:
    moved = _moves(history)
    dead = [layer.name for layer in bends(history) if history.layer(layer.name, "silent")[-1] == 1]
    if dead or (np.isfinite(moved).any() and np.nanmax(moved[:_ENOUGH]) > _LEAPT):
        why = f"Nothing passes layer {dead[0]} any more." if dead else "Its first steps threw the weights about."
        advice = "Start again with a learning rate of a tenth; check that labels belong to their samples."
    else:
        why = "The network learns next to nothing."
        advice = "Raise the learning rate tenfold and look again; check that labels belong to their samples."
    return Occurrence(int(history.steps[place]), Finding(
        "loss_not_falling", "problem", None,
        f"The loss {way} {history.steps[-1]:,} steps.",
        f"It was {first:.3g} and is {last:.3g}.",
        why,
        advice,
        "Labels that are mostly noise: then no network does better.",
    ))  # fmt: skip


def _may_be_a_duel(history: RunHistory) -> bool:
    """Whether a step takes in several passes and no classes are known: two networks in a duel stand still at best."""
    passes, accuracy = history.value("micro_batches"), history.value("accuracy")
    return bool(np.nanmedian(passes) > 1 and not np.isfinite(accuracy).any()) if np.isfinite(passes).any() else False


def _stands_at_chance(history: RunHistory, loss: Array) -> bool:
    """Whether the loss came down to where guessing by frequency stands, and stays there."""
    late = loss[len(loss) // 3 :]
    more = (history.value("accuracy") - history.value("majority"))[-2 * _ENOUGH :]
    more = more[np.isfinite(more)]
    smooth = np.convolve(late, np.full(_SMOOTH, 1 / _SMOOTH), "valid")
    is_flat = np.ptp(smooth) < _STILL * abs(smooth.mean()) and not _is_falling(late)
    if not is_flat or len(more) < _ENOUGH:
        return False
    unsure = 2 * more.std() / len(more) ** 0.5  # of few samples an accuracy tells little
    return bool(more.mean() < _GUESSED and more.mean() + unsure < _STILL)


def _warmed_up(rate: Array) -> int:
    """The first snapshot at which the learning rate has all but reached its greatest value."""
    known = np.isfinite(rate)
    return int(np.argmax(known & (rate >= _WARM * rate[known].max()))) if known.any() else 0


def _has_learnt(history: RunHistory) -> bool:
    """Whether the network names far more samples than the most frequent class has: its loss may have no way to fall."""
    more = (history.value("accuracy") - history.value("majority"))[-_EARLY:]
    more = more[np.isfinite(more)]
    return bool(len(more) and more.mean() > _READ)


def _gains_pace(loss: Array) -> bool:
    """Whether the loss falls faster than before: it leaves a plateau."""
    a, b, c = (float(part.mean()) for part in np.array_split(loss, 3))
    return b - c > _PACE * max(a - b, 0.0)


def _is_falling(loss: Array) -> bool:
    """Whether the second half lies below the first, beyond noise."""
    half = len(loss) // 2
    a, b = loss[:half], loss[half:]
    return bool(a.mean() - b.mean() > 2 * np.sqrt(a.var() / len(a) + b.var() / len(b)))


def softmax_twice(history: RunHistory) -> Iterator[Occurrence]:
    """A loss that makes a softmax of what is one already: it stays above a floor however sure the network is.

    Of k classes the floor is log(e + k - 1) - 1, and a sample that is surely named wrongly costs one more: a loss that
    is just so, with an accuracy that is high, is nothing else.
    """
    outputs = [layer for layer in history.about.layers if layer.is_output]
    k = outputs[0].shape[0] if outputs and len(outputs[0].shape) == 1 else 0
    loss, accuracy = history.value("loss"), history.value("accuracy")
    if k < 2 or len(loss) < 2 * _ENOUGH or not puts_out_shares(history):
        return
    floor = np.log(np.e + k - 1) - 1
    cost = floor + 1 - accuracy
    late = slice(-_ENOUGH, None)
    surety = history.layer(outputs[0].name, "rms")[late].mean() * k**0.5  # 1 where one class has it all
    is_there = (
        surety > _CERTAIN and abs(loss[late].mean() - cost[late].mean()) < _CLOSE and accuracy[late].mean() > _SURE
    )
    if is_there and (loss[np.isfinite(loss)] >= floor - _CLOSE / 10).all():
        yield Occurrence(int(history.steps[0]), Finding(
            "softmax_twice", "problem", None,
            f"The loss cannot fall below {floor:.3g}: softmax is applied twice.",
            f"The outputs are probabilities, {percent(accuracy[late].mean())} of the samples are named rightly, and "
            f"the loss is still {loss[late].mean():.3g}.",
            "`CrossEntropyLoss` makes a softmax itself; of probabilities it makes almost even ones, and "
            "small gradients.",
            "Leave out the softmax at the end of the network, or take `NLLLoss` of its logarithm.",
            "Labels smoothed so strongly that the loss ends at just this height.",
        ))  # fmt: skip


def oscillating_loss(history: RunHistory) -> Iterator[Occurrence]:
    """A loss that swings and does not get better (AUTOTRAINER's oscillating loss)."""
    known, loss = logged_values(history, "loss")
    moved = np.nan_to_num(_moves(history)[known])
    within = np.nan_to_num(history.value("loss_spread")[known])
    if len(loss) < 2 * _ENOUGH:
        return
    part, spread, movement = (sliding_window_view(values, _ENOUGH)[_ENOUGH:] for values in (loss, within, moved))
    height = np.median(part, 1)
    swing = np.maximum(np.median(spread, 1), part.std(1))
    before = np.median(sliding_window_view(loss, _ENOUGH)[: len(part)], 1)
    is_stuck = (height > 0.9 * before) & (height > 0.3 * loss[:_EARLY].mean())
    halves = part.reshape(len(part), 2, -1)
    steady = np.maximum(np.median(spread, 1), halves.std(2).min(1))
    is_jump = (height > 2 * np.median(halves[:, 0], 1)) | (steady <= _SWING / 2 * height)
    step = np.median(movement, 1)
    at = since(is_stuck & ~is_jump & (swing > _SWING * height) & (step > _WIDE))
    if at is None:
        return
    place = int(known[_ENOUGH + at + int(np.argmax(part[at] > height[at] / 2))])
    yield Occurrence(int(history.steps[place]), Finding(
        "oscillating_loss", "warning", None,
        f"The loss oscillates from step {history.steps[place]:,} on and does not get better"
        f"{rate_rose(history, place)}.",
        f"It swings by {percent(swing[at] / height[at])} around {height[at]:.3g}, and a step changes some layer by "
        f"{percent(step[at])} of its weights.",
        "Steps leap over the valley they should go down into.",
        "Lower the learning rate, or enlarge the batch.",
        "Batches of very different difficulty, in turn.",
    ))  # fmt: skip


def over_fit_onset(history: RunHistory) -> Iterator[Occurrence]:
    """Validation that gets worse while training gets better (SageMaker's `overfit` and `overtraining`)."""
    known, loss = logged_values(history, "validation_loss")
    if len(loss) < _EARLY + 2:
        return
    best = int(loss.argmin())
    place, after = int(known[best]), len(loss) - 1 - best
    step = int(history.steps[place])
    training = history.value("loss")[known]
    height = max((1 + _RISEN) * loss[best], loss[best] + _RISEN * loss[0])
    is_worse = after >= _EARLY and (loss[-_EARLY:] > height).all()
    if is_worse and training[-1] < training[best]:
        yield Occurrence(step, Finding(
            "over_fit_onset", "warning", None,
            f"The network over-fits from step {step:,} on.",
            f"Validation loss {loss[best]:.3g} then, {loss[-1]:.3g} now; training loss {training[best]:.3g} and "
            f"{training[-1]:.3g}.",
            "It learns what is particular to its training rows.",
            "Take the weights of that step; use more data, weight decay or dropout.",
            "Scores that grow more certain raise the loss while the accuracy still rises.",
        ))  # fmt: skip
    elif after >= _PATIENCE and loss[-1] > loss[best]:
        yield Occurrence(step, Finding(
            "over_training", "note", None,
            f"Validation has not got better since step {step:,}.",
            f"Validation loss {loss[best]:.3g} then, {loss[-1]:.3g} now, in {after} looks.",
            "More steps cost time and bring nothing.",
            "Stop, or lower the learning rate.",
        ))  # fmt: skip
