"""Rules about gradients and weights in the course of a run."""

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
    name_of,
    rate_rose,
    since,
    with_weights,
)
from unbend.study.history.values import RunHistory
from unbend.study.values import Finding

_VANISHED = 1e-4
"""Share of the last layer's gradient that reaches the first, below which it has vanished."""
_NOTHING = 1e-7
_FITTED = 0.01
"""Share of the first loss below which every sample is fitted, and no gradient is left to vanish."""
_EXPLODED = 100.0
"""Times the usual gradient."""
_THROWN = 0.5
"""Share of its own norm that one step moves a layer."""
_HURLED = 5.0
"""Times its own norm that a step moves a layer, of which nothing it had learnt is left."""
_SEEN = 4
"""Snapshots after which it is told whether weights that were thrown about came to rest: large first steps may."""
_STUCK = 1e-8
_UNFELT = 1e-6
"""Share of the weights' norm below which a gradient times a usual rate is lost in the rounding of float32."""
_LEARNT = 0.9
"""Share of the first loss below which layers that stand still have settled; above, they are stuck."""
_KNOWN = 3


def not_finite(history: RunHistory) -> Iterator[Occurrence]:
    """The first value that is NaN or infinite (SageMaker's `exploding_tensor`)."""
    for event in history.events:
        if event.what == "non-finite":
            place = f"layer {event.text}" if event.text else "the gradient"
            yield Occurrence(event.step, Finding(
                "not_finite", "problem", event.text or None,
                f"A value of {place} is NaN or infinite from step {event.step:,} on.",
                "It is the first such value of the run, and the layers before it were finite in that step."
                if event.text else "The layers' outputs were finite in that step.",
                "NaN spreads to everything it is added to, and an optimiser never forgets it.",
                "Look at the data of that step, then lower the learning rate or clip gradients.",
                "A hole in the data, a division by zero, or float16 that overflows in this one layer.",
            ))  # fmt: skip
            return


def vanishing_gradient(history: RunHistory) -> Iterator[Occurrence]:
    """A gradient that does not reach the first layers (SageMaker's and AUTOTRAINER's vanishing gradient)."""
    layers = with_weights(history)
    if len(layers) < 2:
        return
    gradients = np.stack([history.layer(layer.name, "gradient") for layer in layers])
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = gradients[0] / gradients[-1]
    has_fitted = history.value("loss") < _FITTED * max(first_loss(history), 0.0)
    vanished = (reach < _VANISHED) & (gradients[-1] > 0) | (history.value("gradient") < _NOTHING)
    at = since(vanished & ~has_fitted, _KNOWN)
    if at is None:
        return
    whole = history.value("gradient")[at]
    seen = f"{reach[at]:.1e} of the last layer's" if whole >= _NOTHING else f"{whole:.1e}"
    if reach[at] == 0:
        yield _cut_off(history, at, layers[0].name)
        return
    yield Occurrence(int(history.steps[at]), Finding(
        "vanishing_gradient", "problem", layers[0].name,
        f"Almost no gradient reaches layer {layers[0].name}, {between(history, at)}{rate_rose(history, at)}.",
        f"The norm of its gradient is {seen}, before clipping and unscaled.",
        "Layers without a gradient are not trained.",
        "Use activations that do not saturate, residual connections or norms; initialise by fan-in.",
        "Where no loss is logged: a run that fits every sample has no gradient left anywhere.",
    ))  # fmt: skip


def _cut_off(history: RunHistory, at: int, layer: str) -> Occurrence:
    """No gradient at all: it did not fade on its way but was cut."""
    silent = [bend.name for bend in bends(history) if history.layer(bend.name, "silent")[at] == 1]
    return Occurrence(int(history.steps[at]), Finding(
        "vanishing_gradient", "problem", layer,
        f"No gradient reaches {name_of(layer)}, {between(history, at)}{rate_rose(history, at)}.",
        f"The norm of its gradient is 0; layer {silent[0]} puts out nothing but zeros." if silent else
        "The norm of its gradient is exactly 0, while the last layer has one.",
        "Layers without a gradient are not trained.",
        f"See why layer {silent[0]} went silent." if silent else
        "Look for `detach()`, `torch.no_grad()` or `.data` between it and the loss.",
        "A layer that the loss does not depend on in this phase, on purpose.",
    ))  # fmt: skip


def exploding_gradient(history: RunHistory) -> Iterator[Occurrence]:
    """A gradient far above what was usual (AUTOTRAINER's exploding gradient)."""
    norm, loss = history.value("gradient"), history.value("loss")
    with np.errstate(over="ignore"):
        is_high = norm[1:] > _EXPLODED * np.fmin.accumulate(norm)[:-1]  # the usual one is no less than the least
    for i in (np.flatnonzero(is_high) + 1).tolist():
        if i < _KNOWN:
            continue
        usual, before = (_median(values[:i]) for values in (norm, loss))
        if norm[i] > _EXPLODED * usual > 0 and not loss[i] <= before:
            yield Occurrence(int(history.steps[i]), Finding(
                "exploding_gradient", "problem", None,
                f"The gradient exploded {between(history, i)}{rate_rose(history, i)}.",
                f"Its norm is {norm[i]:.2g}, before clipping and unscaled, where {usual:.2g} was usual.",
                "A single such step undoes many.",
                "Clip gradients, lower the learning rate, warm it up.",
                "One odd batch does the same once.",
            ))  # fmt: skip
            return


def _median(values: Array) -> float:
    """Of the finite values; NaN where there is none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan


def update_ratio(history: RunHistory) -> Iterator[Occurrence]:
    """Steps that throw a layer's weights about, or do not move them (SageMaker's `weight_update_ratio`)."""
    still: list[tuple[int, str, float]] = []
    for layer in with_weights(history):
        update, gradient = history.layer(layer.name, "update"), history.layer(layer.name, "gradient")
        at = since(update > _THROWN, 2)
        is_harm = at is not None and (
            (update[at:] > _HURLED).any()
            or (len(update) > at + _SEEN and not (gets_on(history, at) or does_well(history)))
        )
        if at is not None and is_harm:
            yield Occurrence(int(history.steps[at]), Finding(
                "update_ratio", "problem", layer.name,
                f"One step changes {name_of(layer.name)} by {percent(update[at])} of its weights, "
                f"{between(history, at)}{rate_rose(history, at)}.",
                "A thousandth is usual.",
                "Weights that are thrown about do not learn.",
                "Lower the learning rate.",
                "Weights that start at 0 move by much of their norm at first.",
            ))  # fmt: skip
            continue
        at = since((update < _STUCK) & (update > 0) & (gradient > 0), _KNOWN)
        if at is not None:
            still.append((at, layer.name, float(update[at])))
    if len(still) > max(len(with_weights(history)) / 2, 2):  # the rate, not the layers
        at = max(at for at, _, _ in still)
        yield _hardly_moved(history, at, None, f"{len(still)} layers", max(update for _, _, update in still))
        return
    for at, name, update in still:
        yield _hardly_moved(history, at, name, name_of(name), update)


def _hardly_moved(history: RunHistory, at: int, layer: str | None, what: str, update: float) -> Occurrence:
    return Occurrence(int(history.steps[at]), Finding(
        "update_ratio", "warning", layer,
        f"Steps hardly move {what}, {between(history, at)}.",
        f"One step changes {'each by at most' if layer is None else 'it by'} {update:.1e} of its weights; a thousandth "
        "is usual.",
        "At this pace it does not learn in any time.",
        "Raise the learning rate, or look at how gradients are scaled.",
        "A schedule that ends at 0 looks the same at its end.",
    ))  # fmt: skip


def unchanged_weights(history: RunHistory) -> Iterator[Occurrence]:
    """A layer that stays as it is while others learn (SageMaker's `unchanged_tensor`)."""
    layers = with_weights(history)
    moves = {layer.name: history.layer(layer.name, "update") for layer in layers}
    others = np.fmax.reduce(np.stack(list(moves.values())), 0) if moves else np.zeros(0)
    for layer in layers:
        at = since((moves[layer.name] == 0) & (others > 0), _KNOWN)
        if at is not None:
            gradient, weight = (float(history.layer(layer.name, what)[at]) for what in ("gradient", "weight"))
            name = name_of(layer.name)
            why = "It gets a gradient, so the optimiser does not hold it." if gradient > 0 else "It gets no gradient."
            if 0 < gradient < _UNFELT * weight:
                why = f"Its gradient is {gradient:.1e}, too small to be felt by its weights."
            yield Occurrence(int(history.steps[at]), Finding(
                "unchanged_weights", "warning", layer.name,
                f"{name[0].upper()}{name[1:]} does not change, {between(history, at)}, while others do.",
                f"{why} It asks for one (`requires_grad`).",
                "What is not trained stays as it was drawn.",
                "Hand all parameters to the optimiser, or freeze the layer by `requires_grad_(False)`."
                if gradient >= _UNFELT * weight else "See what keeps the gradient from it.",
                "A layer that the loss does not depend on in this phase, on purpose.",
            ))  # fmt: skip


def settled(history: RunHistory) -> Iterator[Occurrence]:
    """Layers that hardly move any more while others do: freezing them would cost nothing."""
    layers = with_weights(history)
    loss = history.value("loss")
    loss = loss[np.isfinite(loss)]
    has_learnt = not len(loss) or loss[-5:].mean() < _LEARNT * loss[:3].mean()
    is_dead = any(history.layer(layer.name, "silent")[-1:] == 1 for layer in bends(history))
    if len(history.snapshots) < 10 or len(layers) < 3 or not has_learnt or is_dead:
        return
    moves = np.stack([history.layer(layer.name, "update") for layer in layers])
    most = np.fmax.reduce(moves, 0)
    still = (moves < 0.02 * most) & (moves > 0) & (moves < 1e-4)
    n = next((i for i in range(len(layers)) if since(still[i][-5:], 5) is None), len(layers) - 1)
    if n:
        last = min(int(np.flatnonzero(~still[i])[-1]) + 1 if (~still[i]).any() else 0 for i in range(n))
        names = ", ".join(layer.name or "the model's own parameters" for layer in layers[:n])
        yield Occurrence(int(history.steps[min(last, len(history.steps) - 1)]), Finding(
            "settled", "note", layers[n - 1].name,
            f"The first layers ({names}) have settled: freezing them would cost nothing.",
            f"A step changes them by at most {moves[:n, -5:].max():.1e} of their weights, others by {most[-1]:.1e}.",
            "Their gradients are computed for nothing.",
            "Freeze them, or stop if the others have settled too.",
        ))  # fmt: skip
