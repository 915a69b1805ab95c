"""Rules about training as a whole: diverged, stopped early, fitted too closely, stuck."""

import math
from collections.abc import Iterator

from unbend.study.findings.evidence import Evidence
from unbend.study.values import Finding

_GAIN, _GAIN_R2 = 0.04, 0.07
"""Rise of the training score by a short trial from which the network is said to be under-fitted."""
_MUCH = 0.1
"""Rise of the held-out score from which that is a fault even of a network that does no worse than references."""
_ENOUGH = 48
"""Weights of a layer from which it can be told whether they look like a fresh draw."""
_GAP = 0.1
_WIDE_GAP = 0.2
_FAR = -1.0
"""R² on training rows below which a regression has diverged: the mean alone has 0."""


def diverged(e: Evidence) -> Iterator[Finding]:
    """Weights that are not finite, or a regression far worse than the mean."""
    x = e.examination
    if x is None:
        return
    bad = next((w.layer for w in x.weights if not w.is_finite), None)
    if bad is not None:
        yield Finding(
            "diverged", "problem", bad,
            "Training diverged: weights are NaN or infinite.", f"Weights of layer {bad} are NaN or infinite.",
            "Nothing is left of what was learned.",
            "Lower the learning rate and train anew; clip gradients if it happens again.",
        )  # fmt: skip
    elif (
        x.is_finite
        and not e.about.class_names
        and x.scores.train < _FAR
        and not e.is_unscaled
        and not x.output.outside > 0.02
    ):
        yield Finding(
            "diverged", "problem", None,
            "Training diverged: the outputs are further from the targets than their mean is.",
            f"R² {x.scores.train:.2g} on training rows, where the mean alone has 0.",
            "Steps that are too large throw the weights about.",
            "Lower the learning rate and train anew.",
        )  # fmt: skip


def untrained(e: Evidence) -> Iterator[Finding]:
    """Every layer still looks like a fresh draw, and the network falls short."""
    x = e.examination
    known = [] if x is None else [w for w in x.weights if w.n >= _ENOUGH]
    if not e.is_ill or not known or not all(w.looks_drawn for w in known):
        return
    tops = ", ".join(f"{w.top:.3f}" for w in known[:6])
    yield Finding(
        "untrained", "problem", None,
        "The network looks untrained: all its weights still look like a fresh draw.",
        f"Largest weights over the bound of PyTorch's draw, layer by layer: {tops}. {e.own_score}",
        "Random layers keep some of what the input holds and add nothing.",
        "Train longer, after checking that these are the trained weights; then try a higher learning rate.",
    )  # fmt: skip


def under_fitted(e: Evidence) -> Iterator[Finding]:
    """A little more training makes the network clearly better, on held-out rows too."""
    x = e.examination
    going_on = None if x is None else x.trial("on")
    if x is None or going_on is None:
        return
    small = _GAIN if e.about.class_names else _GAIN_R2
    gain, unseen = going_on.train - x.scores.train, going_on.held_out - x.scores.held_out
    if gain > small and unseen > max(small, x.scores.margin):
        does_well = e.is_judged and not e.is_ill and unseen <= _MUCH
        yield Finding(
            "under_fitted", "note" if does_well else "problem" if gain > 0.15 else "warning", None,
            "The network is under-fitted: training has not converged.",
            f"{going_on.n_steps} more steps of Adam on a copy raise the training {e.score} from {x.scores.train:.3f} "
            f"to {going_on.train:.3f}, held out from {x.scores.held_out:.3f} to {going_on.held_out:.3f}.",
            "Too few epochs, too low a learning rate, a weak optimiser and one huge batch all end here; the network "
            "alone does not show which.",
            "Train longer; then try a higher learning rate, then Adam, then smaller batches.",
        )  # fmt: skip


def over_fitted(e: Evidence) -> Iterator[Finding]:
    """The network is much better on its training rows than on rows it has not seen."""
    x = e.examination
    gap = 0.0 if x is None else x.scores.train - x.scores.held_out
    if x is None or not x.is_declared or not gap > _GAP or not (e.is_ill or gap > _WIDE_GAP):
        return
    known = f"; simple references reach {x.scores.reachable:.3f}" if math.isfinite(x.scores.reachable) else ""
    yield Finding(
        "over_fitted", "problem" if e.is_ill else "warning", None,
        f"The network over-fits: {x.scores.train:.3f} on training rows, {x.scores.held_out:.3f} held out.",
        f"{e.score.capitalize()} over {x.n_train:,} training and {x.n_held_out:,} held-out rows{known}.",
        "It has learned what is particular to its training rows.",
        "Use more data, weight decay or dropout, or stop earlier.",
    )  # fmt: skip


def stuck(e: Evidence) -> Iterator[Finding]:
    """A fresh copy gets further than this network, in a short training."""
    x = e.examination
    fresh, going_on = (None, None) if x is None else (x.trial("fresh"), x.trial("on"))
    if x is None or fresh is None or going_on is None or not fresh.held_out - x.scores.held_out > x.scores.margin:
        return
    yield Finding(
        "stuck", "note", None,
        "A fresh copy, trained briefly, does better than this network.",
        f"{e.own_score} Going on reaches {going_on.held_out:.3f}, a fresh copy {fresh.held_out:.3f}.",
        "The weights are in a place from which training does not get away quickly.",
        "Train anew from other initial weights.",
    )  # fmt: skip
