"""Rules about layers as a whole: those that do nothing, that collapse, that the head does not use."""

from collections.abc import Iterator

import numpy as np

from unbend._names import INPUT
from unbend.numerics.moments import Moments
from unbend.numerics.scatter import Scatter
from unbend.numerics.similarity import Similarity
from unbend.numerics.spectrum import Spectrum
from unbend.study.findings.evidence import CLEAR_R2, UNITS, Evidence, both, is_alike, name_of
from unbend.study.head import Head
from unbend.study.values import Finding, Layer

ALIKE = 0.99
"""Debiased CKA above which two layers carry the same representation."""
SAME_FISHER = 0.05
"""Relative change of the Fisher value below which a layer leaves separability as it was."""
IDLE = 1e-3
"""Spread of a branch, over that of what it meets, from which it adds something."""
USED = 0.05
"""Share of a layer's directions below which it is said to have collapsed."""
LEAST_WIDTH = 8


def idle_branch(e: Evidence) -> Iterator[Finding]:
    """A branch that adds nothing to what it meets: what it puts out hardly varies."""
    layers = {layer.name: layer for layer in e.layers}
    spread = {layer.name: float(np.sqrt(np.mean(m.std**2))) for layer, m in e.layers_with(Moments)}
    graph, usual = e.paths(), float(np.median(list(spread.values()) or [np.nan]))
    for name, branch, others in graph.joins():
        top = max((spread.get(other, np.nan) for other in others), default=np.nan)
        leads = {INPUT, *(layer.name for layer in e.layers if layer.kind == "input")} & {
            branch,
            *graph.ancestors.get(branch, ()),
        }
        if branch not in spread or layers[branch].kind in {"input", "embedding"} or not leads:
            continue
        if any(branch in graph.ancestors.get(other, ()) for other in others) or not spread[branch] <= IDLE * min(
            top, usual
        ):
            continue
        shortcut = next((other for other in others if other in graph.ancestors.get(branch, ())), None)
        past = f", and {name_of(layers[shortcut])} passes it by" if shortcut in layers else ""
        yield Finding(
            "idle_branch", "problem" if e.is_ill else "note" if e.is_judged else "warning", branch,
            f"The branch that ends in layer {branch} does nothing: it adds next to nothing to layer {name}.",
            f"Standard deviation of what it puts out {spread[branch]:.2g}, of what it meets {top:.2g}{past}.",
            "The network is as good without this branch: all that is computed there is lost.",
            "Check the last scale of the branch: weights or a normalisation's gain that start at zero, a gate that is "
            "shut, or units that are dead.",
        )  # fmt: skip


def idle_layers(e: Evidence) -> Iterator[Finding]:
    """A layer that changes neither the representation, nor how separable it is, nor what can be read from it."""
    alike = e.result(Similarity)
    if alike is None:
        return
    place = {name: i for i, name in enumerate(alike.layers)}
    for before, after in e.steps():
        if after.kind not in {*UNITS, "block", "attention"} or not {before.name, after.name} <= place.keys():
            continue
        cka = alike.cka[place[before.name], place[after.name]]
        a, b = both(before, after)
        if cka >= ALIKE and is_alike(a, b) and _is_same_fisher(before, after):
            yield Finding(
                "idle_layer", "note", after.name,
                f"Layer {after.name} changes next to nothing.",
                f"CKA with {name_of(before)} {cka:.3f} on {alike.n:,} rows; held-out "
                f"{e.score} {a.held_out:.3f} before it, "
                f"{b.held_out:.3f} after{_fishers(before, after)}.",
                "On this data it acts like the identity: it costs time and parameters, and separates nothing.",
                "Try the network without it; if the loss stays the same, leave it out.",
                rests_on=(before.name, after.name),
            )  # fmt: skip


def _is_same_fisher(before: Layer, after: Layer) -> bool:
    a, b = _fisher(before), _fisher(after)
    return bool(np.isnan(a) and np.isnan(b)) or a == b or bool(abs(b - a) <= SAME_FISHER * max(abs(a), 1.0))


def _fishers(before: Layer, after: Layer) -> str:
    a, b = _fisher(before), _fisher(after)
    return f"; Fisher value {a:.1f} before, {b:.1f} after" if np.isfinite(a) and np.isfinite(b) else ""


def _fisher(layer: Layer) -> float:
    scatter = layer.result(Scatter)
    return np.nan if scatter is None else scatter.fisher


def collapsed_rank(e: Evidence) -> Iterator[Finding]:
    """Wide layers that live in fewer directions than half of what the classes need."""
    for layer, s in e.layers_with(Spectrum):
        d, k = len(s.values), max(len(e.about.class_names), 2)
        few = min((k - 1) / 2, USED * d)
        if layer.kind == "input" or layer.is_output or d < LEAST_WIDTH or s.n < 2 * d or s.for_95 >= max(few, 2):
            continue
        if not s.effective_rank:
            yield Finding(
                "collapsed_rank", e.symptom(is_strong=True), layer.name,
                f"Layer {layer.name} puts out the same for every sample.",
                f"None of its {d} units varies over {s.n:,} rows.",
                "Nothing about the sample passes this layer, so nothing behind it can depend on the input.",
                "Look for dead or saturated units here and before it, or weights that are all zero.",
            )  # fmt: skip
            continue
        yield Finding(
            "collapsed_rank", "note", layer.name,
            f"Layer {layer.name} has {d} units, but its samples lie almost in {_directions(s.effective_rank)}.",
            f"Effective rank {s.effective_rank:.1f}, participation ratio {s.participation_ratio:.1f}; "
            f"{s.for_95} of {d} directions hold 95 % of the variance of {s.n:,} rows.",
            f"{k} classes can need up to {k - 1} directions; in fewer they are crowded together.",
            "Look for one unit of huge scale (a normalisation helps), strong weight decay, or a high learning rate.",
        )  # fmt: skip


def _directions(rank: float) -> str:
    return "one direction" if round(rank) <= 1 else f"{round(rank)} directions"


def head_under_trained(e: Evidence) -> Iterator[Finding]:
    """The network's own output is beaten by a read-out refitted on what feeds it."""
    head = e.result(Head)
    if head is None:
        return
    has_interval = bool(np.isfinite(head.low))
    if head.gain <= 0.01 or not (head.low > 0.005 if has_interval else head.gain > CLEAR_R2):
        return
    gain = f" Gain {head.gain:+.3f}, 95 % interval {head.low:+.3f} to {head.high:+.3f}." if has_interval else ""
    yield Finding(
        "head_under_trained", e.symptom(is_strong=head.gain > 0.05), None,
        f"The network's own head does worse than one refitted on layer {head.layer}.",
        f"Held-out {e.score} {head.own:.3f} of the network, {head.refitted:.3f} of a "
        f"linear read-out of layer {head.layer}, "
        f"over {head.n:,} rows.{gain}",
        "The hidden layers hold more than the network makes use of.",
        "Check the order of the labels, missing classes and the statistics of normalisation first; then train the last "
        "layer longer with the rest frozen, or refit it once at the end.",
        rests_on=(head.layer,),
    )  # fmt: skip
