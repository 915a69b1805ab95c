"""The rule about a loss that is made as bad as can be, because its sign was turned.

In: a `RunHistory`. Out: where that began. Losses may be negative in health: densities, rewards and similarities are.
But these slow down as they near their best, name classes no worse than chance where they name any, and do not need
ever larger weights; what has no best does all of that the other way.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unbend._shares import percent
from unbend._typing import Array
from unbend.study.history.evidence import Occurrence, between, logged_values, puts_out_shares, since, with_weights
from unbend.study.history.values import RunHistory
from unbend.study.values import Finding

_EARLY = 3
_ENOUGH = 8
"""Snapshots for which the loss has been negative."""
_FEW = 0.6
"""Share of what guessing evenly would name that a network names which learns the opposite."""
_RECENT = 5
_FALLEN, _WIDER = 1.5, 2.0
"""Times their early size that loss and outputs reach while classes are named worse than by chance."""
_LOST, _SUNK = 0.3, 5.0
"""Share of samples that were named rightly once and are no more, and times its early size that the loss reaches."""
_FLOOR, _BELOW, _NO_BETTER = 4.0, 2.0, 0.05
"""Times its early size that a negative loss reaches behind a sigmoid or softmax, the size it has then at least, and how
much more than the most frequent class a network names that has learnt nothing right."""
_DEEP, _WIDE, _STEEP, _HEAVY, _FASTER = 300.0, 100.0, 30.0, 1.3, 2.0
"""Times their early size that loss, outputs, gradient and the weights of every layer reach where nothing is known of
classes, and times by which the loss fell faster in the second half: far beyond what healthy runs of the tests do."""


@dataclass(frozen=True, slots=True, eq=False)
class _Fall:
    """A loss from where it became negative for good, as ratios to its early size.

    Attributes:
        start: the first of these among the snapshots that know a loss.
        known: the snapshots that know one.
        loss: its size.
        pace: how fast it fell in the second half, over the first.
        gradient: norm of the whole gradient, mean over the last few.
        output: scale of the network's output.
        weight: norm of the weights of the layer that grew least.
        named: share of samples named rightly, over that of guessing evenly, mean over the last few; NaN if not known.
        lost: by how much the share of samples named rightly lies below its best.
    """

    start: int
    known: Array
    loss: Array
    pace: Array
    gradient: Array
    output: Array
    weight: Array
    named: Array
    lost: Array


def negated_loss(history: RunHistory) -> Iterator[Occurrence]:
    """A loss that falls towards minus infinity: gradient ascent behind a turned sign."""
    fall = _fall(history)
    if fall is None:
        return
    with np.errstate(invalid="ignore"):
        grows = (fall.output >= _WIDER) & (fall.gradient >= 1) & (fall.pace >= 1)
        opposite = (fall.named < _FEW) & (fall.loss >= _FALLEN) & grows
        opposite |= (
            (fall.lost >= _LOST) & (fall.loss >= _SUNK) & grows & (fall.pace >= _FASTER) & (fall.gradient >= _WIDER)
        )
        is_far = (fall.loss >= _DEEP) & (fall.output >= _WIDE) & (fall.gradient >= _STEEP)
        endless = is_far & (fall.weight >= _HEAVY) & (fall.pace >= _FASTER)
    late = np.arange(len(fall.loss)) >= fall.start + _ENOUGH - 1
    at = since((opposite | endless) & late, 2)
    at = since(endless & late) if at is None else at
    if at is None:
        yield from _to_the_floor(history, fall)
        return
    place, seen = (int(fall.known[i]) for i in (fall.start, at))
    loss = history.value("loss")
    told = (
        f" Of the samples {percent(float(history.value('accuracy')[seen]))} were named rightly by then."
        if opposite[at]
        else ""
    )
    began = f"below 0 {between(history, place)}" if place else "from the start"
    yield Occurrence(int(history.steps[place]), Finding(
        "negated_loss", "problem", None,
        f"The network learns the opposite: its loss falls without end, {began}.",
        f"The loss fell to {loss[seen]:.3g} by step {history.steps[seen]:,} and did not slow down, while the outputs "
        f"grew {fall.output[at]:,.0f} times as large.{told}",
        "A loss that has no least value is followed until numbers overflow.",
        "Look for a minus sign before the loss, a negative weight of one of its terms, or `maximize=True`.",
        "A reward that has no greatest value, or a density that may become infinitely narrow, looks the same.",
    ))  # fmt: skip


def _to_the_floor(history: RunHistory, fall: _Fall) -> Iterator[Occurrence]:
    """The same of a probability whose logarithm is clamped: the loss ends at a floor far below 0.

    Shares and overlaps with a sign lie above -1. A logarithm does not, and with labels that the network does not name
    any better than by frequency it was turned.
    """
    if fall.start or not puts_out_shares(history):
        return
    more = (history.value("accuracy") - history.value("majority"))[fall.known]
    loss = history.value("loss")[fall.known]
    known = np.isfinite(more)
    ways = [more[: i + 1][known[: i + 1]][-_ENOUGH:] for i in range(len(more))]
    is_lost = np.array([len(way) == _ENOUGH and way.mean() < _NO_BETTER for way in ways])
    at = since((fall.loss >= _FLOOR) & (loss < -_BELOW) & is_lost, 3)
    if at is not None:
        seen, now = int(fall.known[at]), float(history.value("accuracy")[fall.known][-_ENOUGH:].mean())
        yield Occurrence(int(history.steps[fall.known[0]]), Finding(
            "negated_loss", "problem", None,
            "The network learns the opposite: its loss is negative from the start and falls far below -1.",
            f"The loss fell to {loss[at]:.3g} by step {history.steps[seen]:,}, and {percent(now)} of the samples are "
            "named rightly, which is no better than always naming the most frequent class.",
            "A cross-entropy is never negative; with its sign turned, the most wrong answers are the best.",
            "Look for a minus sign before the loss that is one too many, or one that is missing.",
            "A loss of another kind that is meant to be far below 0, with labels that it does not use.",
        ))  # fmt: skip


def _fall(history: RunHistory) -> _Fall | None:
    """How the loss fell since it is negative; None where it is not, or not for long."""
    known, loss = logged_values(history, "loss")
    above = np.flatnonzero(loss >= 0)
    start = int(above[-1]) + 1 if len(above) else 0
    if len(loss) - start < _ENOUGH:
        return None
    outputs, layers = [layer for layer in history.about.layers if layer.is_output], with_weights(history)
    if not outputs or not layers:
        return None
    early = slice(0, start + _EARLY)
    output = history.layer(outputs[0].name, "rms")[known]
    weights = np.stack([history.layer(layer.name, "weight")[known] for layer in layers])
    width = outputs[0].shape[0] if len(outputs[0].shape) == 1 else 1
    gradient, named = (_recent(history.value(w)[known], n) for w, n in (("gradient", _EARLY), ("accuracy", _RECENT)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _Fall(
            start, known,
            loss=np.abs(loss) / np.abs(loss[early]).max(),
            pace=_pace(history.steps[known], _recent(loss, _EARLY), start),
            gradient=gradient / np.nanmax(gradient[early]),
            output=output / np.nanmax(output[early]),
            weight=(weights / weights[:, :1]).min(0),
            named=named * max(width, 2), lost=np.fmax.accumulate(named) - named,
        )  # fmt: skip


def _pace(steps: Array, loss: Array, start: int) -> Array:
    """How fast the loss fell in the second half of the way from `start` to each place, over the first half [r]."""
    out = np.full(len(loss), np.nan)
    for i in range(start + _ENOUGH - 1, len(loss)):
        middle = int(np.clip(np.searchsorted(steps, (steps[start] + steps[i]) / 2), start + 1, i - 1))
        then = (loss[start] - loss[middle]) / (steps[middle] - steps[start])
        now = (loss[middle] - loss[i]) / (steps[i] - steps[middle])
        out[i] = np.inf if then <= 0 < now else now / then if then > 0 else 0.0
    return out


def _recent(values: Array, n: int) -> Array:
    """Means of each value and those before it, at most `n` [r]."""
    return np.array([values[max(i - n + 1, 0) : i + 1].mean() for i in range(len(values))])
