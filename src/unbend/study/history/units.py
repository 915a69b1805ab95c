"""Rules about what units do in the course of a run."""

from collections.abc import Iterator

import numpy as np

from unbend._shares import percent
from unbend._typing import Array
from unbend.study.history.evidence import (
    Occurrence,
    bends,
    between,
    does_well,
    first_loss,
    gets_on,
    lasting,
    rate_rose,
    since,
)
from unbend.study.history.values import RunHistory
from unbend.study.values import Finding

_LOST = 0.3
"""Share of a layer's units that fell silent, from which it is said."""
_REMAIN = 5
"""Snapshots for which units stay silent, or rows in one direction, before it is said: many networks pass through that
in their first steps and leave it again."""
_BORN, _CHANCE = 0.6, 2.0
"""Share of units that are silent from the start: half is what a symmetric draw gives on inputs of one direction, and of
few units so many standard deviations more."""
_SATURATED = 0.5
_FLAT_SCALE = 1e-6
_HUGE_SCALE = 1e5
_COLLAPSED = 1.2
_WAS_WIDE = 4.0
_ALIKE, _STAY = 1e-4, 3
"""By how much the rank of units that are alike exceeds one direction, which is rounding, and the snapshots for which
they stay so. Units of an input of one number use one direction too, but bend (3e-4 and more), or some are silent."""
_MUCH = 0.1
"""Share of its height by which a loss has fallen since rows use one direction, where that is no collapse."""
_FITTED = 0.01
"""Share of the first loss below which it is all but 0."""
_TOLD = 0.15
"""By how much a network that tells classes apart names more samples than the most frequent class would."""


def all_zero(history: RunHistory) -> Iterator[Occurrence]:
    """A layer that puts out nothing but zeros (SageMaker's `all_zero`)."""
    for layer in bends(history):
        at = since(history.layer(layer.name, "silent") == 1)
        if at is not None:
            yield Occurrence(int(history.steps[at]), Finding(
                "all_zero", "problem", layer.name,
                f"Layer {layer.name} puts out nothing but zeros, {between(history, at)}"
                f"{rate_rose(history, at)}.",
                f"All of its units are silent on the samples of step {history.steps[at]:,}.",
                "Nothing behind it sees the input any more, and nothing before it is trained.",
                "Go back to a checkpoint before that step and lower the learning rate.",
                "An input of zeros, or a mask that hides everything, looks the same.",
            ))  # fmt: skip


def dying_units(history: RunHistory) -> Iterator[Occurrence]:
    """Units that fell silent (SageMaker's `dead_relu`, AUTOTRAINER's dying ReLU)."""
    for layer in bends(history):
        silent = history.layer(layer.name, "silent")
        if not np.isfinite(silent).any():
            continue
        least = np.fmin.accumulate(silent)
        lost = silent - least
        sudden = np.array([silent[i] - np.fmin.reduce(silent[max(i - 3, 0) : i + 1]) for i in range(len(silent))])
        at = since((lost >= _LOST) & (sudden >= _LOST / 2), 2)
        at = since(lost >= _LOST, _REMAIN) if at is None else at
        if at is None or silent[at] == 1 or lasting(lost[at:] >= _LOST, _REMAIN) != 0:
            continue
        is_harmless = gets_on(history, at, by=0.02 if sudden[at] >= _LOST / 2 else -0.02) and not rate_rose(history, at)
        found = _died(
            layer.name, (least[at], silent[at]), between(history, at) + rate_rose(history, at), is_harmless=is_harmless
        )
        yield Occurrence(int(history.steps[at]), found)


def _died(layer: str, silent: tuple[float, float], when: str, *, is_harmless: bool) -> Finding:
    """Units that fell silent and stay so: harmless where the network learns on as if nothing had happened."""
    before, now = silent
    title = f"Layer {layer} lost {percent(now - before)} of its units {when}."
    evidence = f"Silent on all samples looked at: {percent(before)} of the units before, {percent(now)} then."
    means = "A unit that is silent on every sample gets no gradient and does not come back by itself."
    if is_harmless:
        return Finding(
            "dying_units", "note", layer, title, f"{evidence} The loss took no harm.", means,
            "Nothing while the network learns well without them; leaky activations or a norm keep units alive.",
        )  # fmt: skip
    return Finding(
        "dying_units", "problem", layer, title, evidence, means,
        "Lower the learning rate or warm it up; leaky activations or a norm before them keep units alive.",
        "Data of another kind in that phase silences units too; then they come back with the data.",
    )  # fmt: skip


def born_silent(history: RunHistory) -> Iterator[Occurrence]:
    """Units that are silent from the first step."""
    for layer in bends(history):
        silent = history.layer(layer.name, "silent")
        n_units = layer.shape[-1 if len(layer.shape) < 3 else 0] if layer.shape else 1
        many = max(_BORN, 0.5 + _CHANCE * 0.5 / n_units**0.5)
        if len(silent) and many <= silent[0] < 1:
            yield Occurrence(int(history.steps[0]), Finding(
                "born_silent", "problem", layer.name,
                f"{percent(silent[0])} of the units of layer {layer.name} are silent from the start.",
                "They put out 0 on every sample of the first snapshot.",
                "The weights were drawn so that these units are never reached.",
                "Look at the initial bias and at the scale of the inputs.",
                "Sparse inputs leave units silent on few samples; a larger batch shows which are.",
            ))  # fmt: skip


def saturating_units(history: RunHistory) -> Iterator[Occurrence]:
    """Units that are driven to where their activation is flat (SageMaker's `saturated_activation`)."""
    for layer in bends(history):
        saturated, silent = history.layer(layer.name, "saturated"), history.layer(layer.name, "silent")
        at = since((saturated >= _SATURATED) & (silent < _SATURATED), 2)
        if at is not None and not (
            layer.is_output and (does_well(history) or gets_on(history, at))
        ):  # sure of its answers, as it should be
            yield Occurrence(int(history.steps[at]), Finding(
                "saturating_units", "problem", layer.name,
                f"{percent(saturated[at])} of the units of layer {layer.name} are saturated, {between(history, at)}"
                f"{rate_rose(history, at)}.",
                "At least 95 % of their values lie where the activation's derivative is below 5 % of its greatest.",
                "Almost no gradient passes a saturated unit.",
                "Scale the inputs, start from smaller weights, or lower the learning rate.",
                "A gate that is meant to be open or shut is saturated on purpose.",
            ))  # fmt: skip


def scale_out_of_range(history: RunHistory) -> Iterator[Occurrence]:
    """Activations that all but vanish or grow without bound (SageMaker's `tensor_variance`)."""
    for layer in history.about.layers:
        rms = history.layer(layer.name, "rms")
        dead = history.layer(layer.name, "silent") == 1
        huge = (rms > _HUGE_SCALE) & ~(layer.is_output & _gets_better(history))
        for what, holds in (("vanished", (rms < _FLAT_SCALE) & ~dead), ("exploded", huge)):
            at = since(holds, 2)
            if at is not None:
                yield Occurrence(int(history.steps[at]), Finding(
                    "scale_out_of_range", "problem", layer.name,
                    f"The activations of layer {layer.name} {what}, {between(history, at)}{rate_rose(history, at)}.",
                    f"Root mean square {rms[at]:.2g}.",
                    "Values of such a size leave nothing for the next layer to work with, or overflow.",
                    "Put a norm before it, lower the learning rate, or scale the inputs.",
                    "An output in units of its own, such as money or counts, may be large on purpose.",
                ))  # fmt: skip
                break


def _gets_better(history: RunHistory) -> Array:
    """Whether the loss lies below its first value: an output in units of its own may be large [r]."""
    return history.value("loss") < first_loss(history)


def collapse(history: RunHistory) -> Iterator[Occurrence]:
    """Rows that fall into one direction: the representation collapses.

    A network that still tells the classes apart has not: means over positions may be alike where maps are not.
    """
    blind = ~(history.value("accuracy") > history.value("majority") + _TOLD)
    for layer in bends(history):
        rank = history.layer(layer.name, "rank")
        known = np.flatnonzero(np.isfinite(rank))
        alive = (history.layer(layer.name, "silent") < 1)[known] & blind[known]
        rank = rank[known]
        widest = np.maximum.accumulate(rank) if len(rank) else rank
        at = lasting((rank <= _COLLAPSED) & (widest >= _WAS_WIDE) & alive, _REMAIN)
        if at is not None:
            place = int(known[at])
            if gets_on(history, place, by=_MUCH) and not _gives_up(history):
                continue
            yield Occurrence(int(history.steps[place]), Finding(
                "collapse", "problem", layer.name,
                f"The representation of layer {layer.name} collapsed {between(history, place)}"
                f"{rate_rose(history, place)}.",
                f"Its rows used {widest[at]:.1f} directions and use {rank[at]:.1f} now.",
                "All samples look alike from there on.",
                "Go back to a checkpoint before that step; lower the learning rate, or look at the loss: some losses "
                "are least where everything is alike.",
                "With two classes, a well-trained last layer uses one direction.",
            ))  # fmt: skip


def _gives_up(history: RunHistory) -> bool:
    """Whether the loss is all but 0 and a wide output uses one direction: a loss that is least where all is alike."""
    wide = [layer for layer in history.about.layers if layer.is_output and layer.shape and layer.shape[0] >= _WAS_WIDE]
    ranks = [history.layer(layer.name, "rank") for layer in wide]
    loss = history.value("loss")
    loss = loss[np.isfinite(loss)][-_STAY:]
    is_least = len(loss) > 0 and bool(abs(loss.mean()) < _FITTED * abs(first_loss(history)))
    return is_least and any(bool((rank[np.isfinite(rank)][-_STAY:] <= _COLLAPSED).all()) for rank in ranks)


def poor_start(history: RunHistory) -> Iterator[Occurrence]:
    """Weights that were drawn badly (SageMaker's `poor_weight_initialization`)."""
    if not history.snapshots:
        return
    for layer in bends(history):
        rank, spread, silent = (history.layer(layer.name, what)[:_STAY] for what in ("rank", "spread", "silent"))
        n_units = layer.shape[0] if len(layer.shape) == 1 else 0
        is_alike = len(rank) == _STAY and ((rank > 0) & (rank < 1 + _ALIKE) & np.isin(silent, (0, 1))).all()
        if n_units >= 8 and is_alike and spread[0] > 0:
            yield Occurrence(int(history.steps[0]), Finding(
                "poor_start", "problem", layer.name,
                f"All units of layer {layer.name} do the same from the start.",
                f"Effective rank {rank[0]:.2f} of {n_units} units at the first snapshot.",
                "Units with equal weights get equal gradients and stay equal.",
                "Draw the weights at random.",
                "Inputs that all lie on one line look the same.",
            ))  # fmt: skip
            return
    scales = [history.layer(layer.name, "rms")[0] for layer in bends(history)]
    scales = [scale for scale in scales if np.isfinite(scale) and scale > 0]
    if len(scales) > 2 and (scales[-1] < 1e-3 * scales[0] or scales[-1] > 1e3 * scales[0]):
        way = "shrinks" if scales[-1] < scales[0] else "grows"
        yield Occurrence(int(history.steps[0]), Finding(
            "poor_start", "problem", None,
            f"From the start the signal {way} a thousandfold from the first activation to the last.",
            f"Root mean square {scales[0]:.2g} at the first, {scales[-1]:.2g} at the last.",
            "Gradients change by as much on their way back.",
            "Initialise by fan-in (He or Glorot), or put norms between layers.",
            "Residual branches that start at zero are meant so.",
        ))  # fmt: skip
