"""The findings of a training run: plain rules, each one function from a history to what happened in it, and when.

In: a `RunHistory`. Out: `Occurrence`s by rising step. Among them are the neural-network rules of SageMaker Debugger and
the five symptoms of AUTOTRAINER (Zhang et al. 2021).
"""

from dataclasses import replace

import numpy as np

from unbend.study.history.ascent import negated_loss
from unbend.study.history.classes import class_imbalance, separability_stops, unread_class
from unbend.study.history.evidence import Occurrence, RunRule
from unbend.study.history.losses import (
    diverging,
    loss_not_falling,
    oscillating_loss,
    over_fit_onset,
    softmax_twice,
)
from unbend.study.history.units import (
    all_zero,
    born_silent,
    collapse,
    dying_units,
    poor_start,
    saturating_units,
    scale_out_of_range,
)
from unbend.study.history.values import RunHistory
from unbend.study.history.weights import (
    exploding_gradient,
    not_finite,
    settled,
    unchanged_weights,
    update_ratio,
    vanishing_gradient,
)
from unbend.study.values import SEVERITIES

RUN_RULES: tuple[RunRule, ...] = (
    not_finite, all_zero, dying_units, born_silent, saturating_units, scale_out_of_range, poor_start, collapse,
    vanishing_gradient, exploding_gradient, update_ratio, unchanged_weights, diverging, negated_loss, loss_not_falling,
    softmax_twice, oscillating_loss, over_fit_onset, class_imbalance, unread_class, separability_stops, settled,
)  # fmt: skip
"""Every rule, in the order in which what they find is told within one step."""

_OF_UNITS = (all_zero, dying_units, born_silent, saturating_units, scale_out_of_range, poor_start, collapse)
"""Rules about what units do: of units that are not finite nothing is known."""


def judge(history: RunHistory) -> tuple[Occurrence, ...]:
    """What happened in a run, by rising step, the worse first within one."""
    if not history.snapshots:
        return ()
    sound = _before_not_finite(history)
    found = [one for rule in RUN_RULES for one in rule(sound if rule in _OF_UNITS else history)]
    return tuple(sorted(found, key=lambda one: (one.step, SEVERITIES.index(one.finding.severity))))


def _before_not_finite(history: RunHistory) -> RunHistory:
    """The run up to the first value that is not finite, if it never recovered: numbers from then on say nothing."""
    first = next((event.step for event in history.events if event.what == "non-finite"), None)
    ends = [history.value(what)[-1:] for what in ("loss", "gradient")]
    if first is None or np.isfinite(np.concatenate(ends)).all():
        return history
    return replace(history, snapshots=tuple(one for one in history.snapshots if one.step < first))
