"""Rules about the weights as they are, and about what the structure lets through."""

import math
from collections.abc import Iterator

import numpy as np

from unbend._shares import percent
from unbend.study.examine.values import Examination, Passage, Weights
from unbend.study.findings.evidence import Evidence
from unbend.study.values import Finding

_SHRUNK = 0.2
"""Size against a fresh draw below which weights are said to have decayed."""
_SMALL = 0.5
"""And below which they are small."""
_LARGE = 6.0
"""And above which they are large."""
_EXPLODES = 200.0
"""Growth from the input to the output of at least four layers from which activations explode."""
_DROP = 0.05
_DROP_TREES = 0.1
_VANISHES = 1e-3
_PULLED = 0.02
"""Gradient against the greatest of all layers from which a layer would have moved, had it been trained."""
_MANY = 200
"""Weights of unmoved layers from which chance no longer explains them."""


def constant_weights(e: Evidence) -> Iterator[Finding]:
    """Weights that are all zero, or units that are all the same."""
    x = e.examination
    if x is None:
        return
    for w in x.weights[:-1] or x.weights:
        if w.top == 0:
            title, seen = f"All weights of layer {w.layer} are zero, so its units are identical.", f"{w.n:,} weights."
        elif w.n_units >= 4 and w.identical >= w.n_units / 2:
            title = f"{w.identical} of {w.n_units} units of layer {w.layer} are identical: the symmetry of constant "
            title, seen = title + "initial weights was never broken.", "Their rows of weights are equal."
        else:
            continue
        yield Finding(
            "constant_weights", "problem" if e.is_ill else "note" if e.is_judged else "warning", w.layer, title, seen,
            "Units that start equal get equal gradients and stay equal: the layer is as wide as one unit.",
            "Initialise the weights at random.",
        )  # fmt: skip
        return


def shrunk_weights(e: Evidence) -> Iterator[Finding]:
    """Weights that have decayed to nearly nothing."""
    x = e.examination
    sizes = [] if x is None else [w.size for w in x.weights]
    if x is None or not sizes or not max(sizes[:-1] or sizes) > 0:
        return
    seen = f"Size against a usual draw, layer by layer: {_list_values(sizes)}. {e.own_score}"
    if np.median(sizes) < _SHRUNK:
        yield Finding(
            "shrunk_weights", "problem" if e.is_ill else "note", None,
            "The weights are near zero: weight decay has shrunk them, or they started too small.", seen,
            "Signals and gradients fade from layer to layer.",
            "Lower the weight decay; then start from larger weights (PyTorch's own, He or Xavier).",
        )  # fmt: skip
    elif np.median(sizes) < _SMALL and e.is_ill and _starts_better(x):
        yield Finding(
            "small_weights", "problem", None,
            f"The weights are too small: at the median {np.median(sizes):.2f} times those of a usual draw.",
            f"{seen} A fresh copy, trained briefly, gets further than this network when it is trained on.",
            "Signals and gradients shrink from layer to layer, so that the first layers hardly learn.",
            "Start from larger weights (PyTorch's own, He or Xavier), and check the weight decay.",
        )  # fmt: skip


def _starts_better(x: Examination) -> bool:
    """Whether a fresh copy gets further in a short training than the network itself, by more than noise."""
    fresh, going_on = x.trial("fresh"), x.trial("on")
    return fresh is not None and going_on is not None and fresh.held_out - going_on.held_out > x.scores.margin


def exploding(e: Evidence) -> Iterator[Finding]:
    """What large weights make of the data, layer after layer."""
    x = e.examination
    if x is None or len(x.weights) < 4 or not x.is_finite:
        return
    climb = x.weights[-1].rms_out / max(x.weights[0].rms_in, 1e-9)
    if climb > _EXPLODES and np.median([w.size for w in x.weights]) > 2:
        yield Finding(
            "exploding", "problem" if e.is_ill else "note", None,
            f"Activations and gradients explode with depth: the output is {climb:.2g} times the input.",
            f"Root mean square by layer: {_list_values([w.rms_out for w in x.weights])}. {e.own_score}",
            "Steps that suit the last layers throw the first ones off.",
            "Initialise with smaller weights, or put normalisation between the layers.",
        )  # fmt: skip


def large_weights(e: Evidence) -> Iterator[Finding]:
    """Weights that are far too large, where a fresh copy does better."""
    x = e.examination
    fresh = None if x is None else x.trial("fresh")
    if x is None or fresh is None or not x.weights:
        return
    sizes, gain = [w.size for w in x.weights], fresh.held_out - x.scores.held_out
    if not (np.median(sizes[:-1] or sizes) > _LARGE and e.is_ill and gain > x.scores.margin / 2):
        return
    top = max(x.weights, key=lambda w: w.size)
    if min(sizes) > _LARGE:
        every = " in every layer" if len(sizes) > 1 else ""  # those of recurrent layers are not looked at
        title = f"The weights have blown up{every}: at layer {top.layer}"
        advice = "Lower the learning rate; then start from smaller weights."
    else:
        title = f"The weights are too large: at layer {top.layer}"
        advice = "Initialise with smaller weights."
    yield Finding(
        "large_weights", "problem", top.layer, f"{title} {top.size:.0f} times those of a usual draw.",
        f"Size against a usual draw, layer by layer: {_list_values(sizes)}. A fresh copy, trained briefly, does better "
        f"by {gain:.3f}.",
        "Large weights drive activations into their flat parts and make outputs overconfident.", advice,
    )  # fmt: skip


def affine_stack(e: Evidence) -> Iterator[Finding]:
    """Affine layers with nothing between them, or none hidden at all, on a task that is not linear."""
    x = e.examination
    if x is None or not x.is_affine or not x.weights:
        return
    names = [w.layer for w in x.weights]
    gain = x.scores.curved - x.scores.held_out
    costs = gain > x.scores.margin
    seen = f"{e.own_score} Trees or neighbours on the raw input reach {x.scores.curved:.3f}." if costs else e.own_score
    if len(names) > 1:
        yield Finding(
            "affine_stack", "problem" if costs else "note", names[0],
            f"Layers {', '.join(names[:6])} are linear with no activation between: together they are one linear map.",
            f"On lines through the data the outputs lie on a line, to rounding. {seen}",
            "More layers of this kind cannot do more than one, and lose rank where they are narrow.",
            "Put a non-linear activation between the layers.",
        )  # fmt: skip
    elif costs:
        yield Finding(
            "affine_stack", "problem", None,
            "The network has no hidden layer, and the task is not linear.",
            f"{seen} A linear read-out of the raw input reaches {x.scores.linear:.3f}.",
            "One affine map draws one plane between two classes.",
            "Add a hidden layer with an activation.",
        )  # fmt: skip


def missing_bias(e: Evidence) -> Iterator[Finding]:
    """Layers without a bias, where a fresh copy with biases learns more."""
    x = e.examination
    if x is None:
        return
    bare = next((w.layer for w in x.weights if w.lacks_bias), None)
    biased, fresh = x.trial("fresh, biased"), x.trial("fresh")
    if bare is not None and biased is not None and fresh is not None and biased.train - fresh.train > _DROP:
        yield Finding(
            "missing_bias", "problem", bare,
            f"Layer {bare} has no bias: a bias is missing.",
            f"A fresh copy, trained briefly, reaches {fresh.train:.3f} in training without and {biased.train:.3f} "
            "with it.",
            "Without a bias every boundary of its units passes through the origin.",
            "Add a bias, or a normalisation that has one.",
        )  # fmt: skip


def narrow_passage(e: Evidence) -> Iterator[Finding]:
    """A pool or a narrow layer that lets too little through; read with every position kept."""
    x = e.examination
    lost = [] if x is None else [(p.before - p.after - _least(x, p), p) for p in x.passages]
    if x is None or not lost:
        return
    beyond, p = max(lost, key=lambda pair: pair[0])
    if not beyond > 0:
        return
    k = len(e.about.class_names)
    seen = (
        f"{'Trees on' if p.by_trees else 'A linear read-out of'} all that enters it read{'s' * (not p.by_trees)} "
        f"{p.before:.3f}, {'on' if p.by_trees else 'of'} all that leaves it {p.after:.3f} held out."
    )
    if p.kind == "pool":
        left = f"{p.positions} position{'s' if p.positions > 1 else ''}"
        title, advice = f"Pooling at layer {p.layer} leaves {left}: resolution is lost.", "Pool less, or later."
    else:
        units = f"{p.units} unit{'s' if p.units > 1 else ''} for {k} classes" if k else f"{p.units} units"
        title, advice = f"Layer {p.layer} is too narrow: {units}.", "Make the layer wider."
    yield Finding(
        "narrow_passage", "problem", p.layer, title, f"{seen} {e.own_score}",
        "What does not pass here is gone: no later layer can bring it back.", advice,
    )  # fmt: skip


def _least(x: Examination, p: Passage) -> float:
    """A fall of what can be read that is more than noise.

    What only trees tell counts where neither going on nor a fresh start brings the network near what can be reached:
    layers that are not trained yet hold much that trees read and later layers will.
    """
    if not p.by_trees:
        return max(_DROP, x.scores.margin)
    tried = [t.held_out for t in (x.trial("on"), x.trial("fresh")) if t is not None]
    is_stuck = len(tried) == 2 and max(tried) < x.scores.reachable - x.scores.margin
    return _DROP_TREES + x.scores.margin if is_stuck else math.inf


def vanishing(e: Evidence) -> Iterator[Finding]:
    """Gradients that vanish through flat activations, already before any training."""
    x = e.examination
    if x is None or not e.is_ill or x.flat_activations < 3 or not x.fresh_reach < _VANISHES:
        return
    yield Finding(
        "vanishing", "problem", None,
        f"Gradients vanish through {x.flat_activations} layers of sigmoid or tanh: the first layer gets "
        f"{x.fresh_reach:.1g} of the last one's.",
        f"Measured in a fresh copy, before any training. {e.own_score}",
        "The first layers hardly learn.",
        "Use ReLU or GELU in the hidden layers, with normalisation or residual connections if the network is deep.",
    )  # fmt: skip


def untouched_layer(e: Evidence) -> Iterator[Finding]:
    """Layers that still look like a fresh draw while others have moved and the loss pulls at them."""
    x = e.examination
    if x is None or len(x.weights) < 2 or not x.is_finite:
        return
    still = [w for w in x.weights if w.n >= 48 and w.looks_drawn]
    moved = [w for w in x.weights if w.n >= 48 and (w.top > 1.3 or w.p_drawn < 1e-4)]
    pulled = [w for w in still if w.pull > _PULLED]
    if not moved or not pulled or sum(w.n for w in pulled) < _MANY:
        return
    going_on = x.trial("on")
    gain = -math.inf if going_on is None else going_on.held_out - x.scores.held_out
    is_large = max(w.n for w in pulled) >= 500
    level = "problem" if e.is_ill else "warning" if gain > 0.02 or is_large else "note"
    first = pulled[0]
    yield Finding(
        "untouched_layer", level, first.layer,
        f"Layer {first.layer} still has its initial weights: it was never trained.",
        f"{_draw_words(pulled)}; the others have moved. {e.own_score}",
        "The layers behind it learn from random features.",
        "Hand all parameters to the optimiser, unless the layer is frozen on purpose.",
    )  # fmt: skip


def strong_dropout(e: Evidence) -> Iterator[Finding]:
    """A dropout rate without which training goes further."""
    x = e.examination
    if x is None or not e.is_ill:
        return
    tried = [t for t in (x.trial("on, no dropout"), x.trial("fresh, no dropout")) if t is not None]
    best = max((t.held_out for t in tried), default=-math.inf)
    if best - x.scores.held_out > x.scores.margin / 2:
        yield Finding(
            "strong_dropout", "problem", x.dropout_layer,
            f"A dropout rate of {x.dropout:g} is too high: it leaves {percent(1 - x.dropout)} of the units.",
            f"{e.own_score} A short training without dropout reaches {best:.3f} held out.",
            "So few units carry each row that little is learned.",
            "Lower the dropout rate.",
        )  # fmt: skip


def _list_values(values: list[float]) -> str:
    shown = ", ".join(f"{value:.2g}" for value in values[:8])
    return shown + (", …" if len(values) > 8 else "")


def _draw_words(found: list[Weights]) -> str:
    each = [f"layer {w.layer}: largest weight {w.top:.3f} of the bound of a fresh draw" for w in found[:3]]
    return "; ".join(each)[:1].upper() + "; ".join(each)[1:]
