"""The diagnosis: plain rules, each one function from what was measured to findings.

In: the layers' Results and the figures over depth. Out: `Finding`s, worst first. A rule says what was found, the
evidence, why it matters and what to do; thresholds are named, with their source where there is one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from unbend.study.depth import Depth, Head
from unbend.study.values import SEVERITIES, About, Finding, Layer

MANY = 0.1
"""Share of silent, dormant or saturated units from which a layer is worth a word."""
MOST = 0.9
"""And from which hardly anything of it is left."""
ALIKE = 0.99
"""Debiased CKA above which two layers carry the same representation."""
MASSIVE = 100.0
"""Factor between the scales of two layers from which activations are said to explode (or vanish)."""
LOST_ORDERS = 4.0
"""Orders of magnitude a gradient may lose before the first layers hardly learn."""
GAP = 0.1
"""Training minus held-out accuracy of a read-out from which it is said to over-fit."""
FEW_ROWS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All a rule may look at."""

    about: About
    layers: Sequence[Layer]
    across: Mapping[str, Any]

    @property
    def score(self) -> str:
        """What a read-out is scored by."""
        return "accuracy" if self.about.task == "classification" else "R²"

    def measured(self, name: str) -> Iterator[tuple[Layer, Any]]:
        """Layers that have a Result of that name, with it."""
        return ((layer, layer.results[name]) for layer in self.layers if name in layer.results)


Rule: TypeAlias = Callable[[Evidence], Iterator[Finding]]


def findings(about: About, layers: Sequence[Layer], across: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings of every rule, worst first, in the order of the layers."""
    evidence = Evidence(about, layers, across)
    order = {layer.name: i for i, layer in enumerate(layers)}
    found = [finding for rule in RULES for finding in rule(evidence)]
    return tuple(sorted(found, key=lambda f: (SEVERITIES.index(f.severity), order.get(f.layer or "", -1))))


def nonfinite(e: Evidence) -> Iterator[Finding]:
    """NaN or infinite activations; only the first layer that has them is named."""
    bad = [(layer, int(m.nonfinite.sum())) for layer, m in e.measured("moments") if m.nonfinite.any()]
    if bad:
        layer, count = bad[0]
        yield Finding(
            "nonfinite", "problem", layer.name,
            f"Layer {layer.name} puts out NaN or infinity, the first layer to do so.",
            f"{count:,} values; {len(bad)} layers are affected.",
            "Everything behind it is undefined on these samples, and training on them destroys the weights.",
            "Look at the inputs of that layer: a division by zero, a log of zero, an overflow in float16, or a "
            "learning rate that has blown the weights up.",
        )  # fmt: skip


def silent_units(e: Evidence) -> Iterator[Finding]:
    """Units that put out nothing but 0."""
    for layer, a in e.measured("activity"):
        d = len(a.silent)
        if layer.kind not in {"activation", "function"} or a.n_silent < max(1, MANY * d):
            continue
        dead = a.n_silent >= MOST * d
        yield Finding(
            "silent_units", "problem" if dead else "warning", layer.name,
            f"{a.n_silent} of {d} units of {layer.name} are silent: 0 on every sample seen.",
            f"{a.n:,} samples; at 95 % confidence a silent unit fires on fewer than {a.silent_rate_bound:.2%} of such data.",
            "A silent ReLU passes no gradient, so it does not come back by itself; its width is paid for and not used.",
            "Lower the learning rate, use He initialisation with zero bias, put a normalisation in front, or use a "
            "leaky activation. Or make the layer narrower: these units can be cut off without any change.",
        )  # fmt: skip


def dormant_units(e: Evidence) -> Iterator[Finding]:
    """Units that are hardly ever active, beyond the silent ones."""
    for layer, a in e.measured("activity"):
        extra, d = a.n_dormant - a.n_silent, len(a.silent)
        if layer.kind in {"activation", "function"} and extra >= max(2, MANY * d):
            yield Finding(
                "dormant_units", "warning", layer.name,
                f"{extra} more units of {layer.name} are dormant: below 2.5 % of the layer's mean activity.",
                f"{a.n_dormant} of {d} units have a score of at most 0.025 over {a.n:,} samples (Sokar et al. 2023).",
                "Dormant units add next to nothing and tend to stay dormant as training goes on.",
                "Try a lower learning rate or weight decay on this layer, or re-initialise these units during training.",
            )  # fmt: skip


def saturated_units(e: Evidence) -> Iterator[Finding]:
    """Units on the flat parts of their activation."""
    for layer, a in e.measured("activity"):
        d = len(a.silent)
        if a.n_saturated >= max(2, MANY * d):
            yield Finding(
                "saturated_units", "warning", layer.name,
                f"{a.n_saturated} of {d} units of {layer.name} are saturated.",
                f"At least 95 % of their values lie where the derivative is below 5 % of its greatest, over {a.n:,} samples.",
                "Hardly any gradient passes a saturated unit: it learns slowly, and so does everything before it.",
                "Scale the inputs to unit variance, use Xavier initialisation, put a normalisation in front of the "
                "activation, or use one that does not saturate on both sides.",
            )  # fmt: skip


def lost_separability(e: Evidence) -> Iterator[Finding]:
    """A layer after which a linear read-out reads the labels worse, beyond both intervals."""
    for before, after in _steps(e, "readout"):
        a, b = before.results["readout"], after.results["readout"]
        fell = a.held_out - b.held_out
        clear = b.held_out_interval[1] < a.held_out_interval[0] if a.correct is not None else fell > 0.05
        if not clear or fell < 0.01 or after.is_output:
            continue
        k = len(b.bias)
        width = len(b.weight[0])
        narrow = "spectrum" in after.results and _rank(after) < max(k - 1, 1) and width < _width(before)
        cause = f" It has {width} units for {k} classes." if narrow else ""
        yield Finding(
            "bottleneck" if narrow else "lost_separability", "problem" if fell > 0.05 else "warning", after.name,
            f"Layer {after.name} loses separability: what a linear read-out can tell falls by {fell:.3f}.",
            f"Held-out {e.score} {a.held_out:.3f} after {before.name}, {b.held_out:.3f} after {after.name} "
            f"({_interval(b)}; {b.n_held_out:,} rows).{cause}"
            + _misled(before, after),
            "A later layer can only work with what is left here." if not narrow else
            "The layer is too narrow to keep the classes apart, and no later layer can bring back what it drops.",
            "Make the layer wider (at least one unit fewer than there are classes), or add a residual connection "
            "around it." if narrow else
            "Check whether this layer is wide enough, whether its units are alive, and whether a residual connection helps.",
        )  # fmt: skip


def idle_layers(e: Evidence) -> Iterator[Finding]:
    """A layer that changes neither the representation nor what can be read from it."""
    alike = e.across.get("similarity")
    if alike is None:
        return
    place = {name: i for i, name in enumerate(alike.layers)}
    for before, after in _steps(e, "readout"):
        if after.kind not in {"activation", "function", "block", "attention"} or before.kind == "input":
            continue
        if before.name not in place or after.name not in place:
            continue
        cka = alike.cka[place[before.name], place[after.name]]
        a, b = before.results["readout"], after.results["readout"]
        if cka < ALIKE or not _overlap(a, b):
            continue
        yield Finding(
            "idle_layer", "note", after.name,
            f"Layer {after.name} changes next to nothing.",
            f"CKA with {before.name} {cka:.3f} on {alike.n:,} rows; held-out {e.score} {a.held_out:.3f} before, {b.held_out:.3f} after.",
            "On this data it acts as the identity: it costs time and parameters and adds no separation.",
            "Try the network without it; if the loss stays the same, leave it out.",
        )  # fmt: skip


def collapsed_rank(e: Evidence) -> Iterator[Finding]:
    """Wide layers that live in very few directions, fewer than the classes need."""
    for layer, s in e.measured("spectrum"):
        d, k = len(s.values), max(len(e.about.class_names), 2)
        if layer.kind == "input" or layer.is_output or d < 8 or s.n < 2 * d or s.effective_rank >= min(k - 1, 0.05 * d):
            continue
        yield Finding(
            "collapsed_rank", "warning", layer.name,
            f"Layer {layer.name} has {d} units but uses about {s.effective_rank:.1f} directions.",
            f"Effective rank {s.effective_rank:.1f}, participation ratio {s.participation_ratio:.1f}; {s.for_95} directions "
            f"hold 95 % of the variance of {s.n:,} rows.",
            "With fewer directions than classes minus one, classes can only be told apart along a crowded line or plane.",
            "Look for one unit with a huge scale (normalise), too strong weight decay, or a learning rate that is too high.",
        )  # fmt: skip


def head_under_trained(e: Evidence) -> Iterator[Finding]:
    """The network's own output is beaten by a read-out refitted on what feeds it."""
    head: Head | None = e.across.get("head")
    if head is None:
        return
    clear = head.low > 0.005 if np.isfinite(head.low) else head.gain > 0.05
    if clear and head.gain > 0.01:
        yield Finding(
            "head_under_trained", "problem" if head.gain > 0.05 else "warning", None,
            "The output layer is under-trained: a refitted linear read-out of the last hidden layer does better.",
            f"Held-out {e.score} {head.own:.3f} of the network, {head.refitted:.3f} refitted on {head.layer}"
            + (f"; gain {head.gain:+.3f}, 95 % interval {head.low:+.3f} to {head.high:+.3f}" if np.isfinite(head.low) else "")
            + f" ({head.n:,} rows).",
            "The hidden layers already separate the classes; the last step does not use it.",
            "Train the output layer longer or at a higher rate with the rest frozen, or refit it once at the end.",
        )  # fmt: skip


def over_fitted(e: Evidence) -> Iterator[Finding]:
    """Read-outs that are much better on their training rows; the widest gap is named."""
    gaps = [
        (layer, r.train - r.held_out, r)
        for layer, r in e.measured("readout")
        if np.isfinite(r.held_out)
        and r.train - r.held_out > GAP
        and (r.correct is None or r.train > r.held_out_interval[1])
    ]
    if gaps:
        layer, gap, r = max(gaps, key=lambda g: g[1])
        yield Finding(
            "over_fitted", "warning", layer.name,
            f"The read-out of {layer.name} over-fits: {r.train:.3f} on training rows, {r.held_out:.3f} held out.",
            f"Gap {gap:.3f} with {r.n_fit:,} rows for {r.weight.shape[1]} units; {len(gaps)} layers show a gap above {GAP:.2f}.",
            "Separability of the training rows is then no merit of the layer.",
            "Trust the held-out curve; use more data, or stronger regularisation in the network.",
        )  # fmt: skip


def chance_would_do(e: Evidence) -> Iterator[Finding]:
    """Layers wide enough to fit permuted labels."""
    free = [(layer, r) for layer, r in e.measured("readout") if r.control_train > 0.95]
    if free:
        layer, r = free[0]
        yield Finding(
            "chance_would_do", "warning", layer.name,
            f"In {len(free)} layer{'s' if len(free) > 1 else ''} even permuted labels are separable: training "
            "separability says nothing there.",
            f"{layer.name}: {r.control_train:.3f} of {r.n_train:,} permuted training labels are fitted by {r.weight.shape[1]} units "
            f"(n/d = {r.n_train / max(r.weight.shape[1], 1):.1f}).",
            "By Cover's theorem any labels of n points are separable in enough dimensions; only held-out figures count.",
            "Judge these layers by the held-out curve only, or measure on more rows.",
        )  # fmt: skip


def few_rows(e: Evidence) -> Iterator[Finding]:
    """Too few rows for the second moments of the widest layer."""
    worst = min(((s.rows_per_unit, layer, s) for layer, s in e.measured("spectrum")), key=lambda t: t[0], default=None)
    if worst is not None and worst[0] < FEW_ROWS:
        ratio, layer, s = worst
        yield Finding(
            "few_rows", "note", layer.name,
            f"Few rows for the width: {s.n:,} rows for {len(s.values)} units in {layer.name}.",
            f"{ratio:.1f} rows per unit; below 10 the effective rank is biased low and read-outs over-fit.",
            "Figures of wide layers are then about this sample as much as about the network.",
            "Use more rows if you can; compare layers of like width; prefer the unbiased and debiased figures.",
        )  # fmt: skip


def scale(e: Evidence) -> Iterator[Finding]:
    """Activations that grow or shrink by orders of magnitude through the layers."""
    levels = [
        (layer, m.rms)
        for layer, m in e.measured("moments")
        if layer.kind != "input" and not layer.is_output and m.rms > 0
    ]
    if len(levels) < 2:
        return
    middle = float(np.median([rms for _, rms in levels]))
    for layer, rms in (max(levels, key=lambda t: t[1]), min(levels, key=lambda t: t[1])):
        if MASSIVE > rms / middle > 1 / MASSIVE:
            continue
        word = "explode" if rms > middle else "vanish"
        yield Finding(
            "scale", "warning", layer.name,
            f"Activations {word} at {layer.name}: root mean square {rms:.2g}, {max(rms / middle, middle / rms):,.0f} times "
            f"{'above' if rms > middle else 'below'} the median layer.",
            f"Median over {len(levels)} layers {middle:.2g}.",
            "Gradients change by the same factor on their way back, so layers learn at very different speeds.",
            "Initialise to keep the variance (He for ReLU, Xavier for tanh), or add normalisation or residual connections.",
        )  # fmt: skip


def gradient_reach(e: Evidence) -> Iterator[Finding]:
    """Loss gradients that vanish or explode on the way to the first layer."""
    g = e.across.get("gradients")
    if g is None or not np.isfinite(g.orders_lost) or abs(g.orders_lost) < LOST_ORDERS:
        return
    word = "vanish" if g.orders_lost > 0 else "explode"
    yield Finding(
        "gradient_reach", "problem", g.layers[0],
        f"Gradients {word}: they change by {abs(g.orders_lost):.1f} orders of magnitude between the last and the first layer.",
        f"Root mean square of dL/dh: {g.norm[-1]:.2e} at {g.layers[-1]}, {g.norm[0]:.2e} at {g.layers[0]} ({g.n:,} samples).",
        "The first layers hardly learn." if word == "vanish" else "Steps that suit the last layers throw the first ones off.",
        "Use He or orthogonal initialisation, normalisation, residual connections, or another activation than a sigmoid.",
    )  # fmt: skip


def no_better_than_untrained(e: Evidence) -> Iterator[Finding]:
    """Training added nothing that a linear read-out of random features would not have."""
    depth: Depth | None = e.across.get("depth")
    if depth is None:
        return
    hidden = [i for i, layer in enumerate(e.layers) if layer.kind != "input" and not layer.is_output]
    known = [i for i in hidden if np.isfinite(depth.twin[i]) and np.isfinite(depth.held_out[i])]
    if len(known) < 2:
        return
    gain = depth.held_out[known] - depth.twin[known]
    last = known[-1]
    margin = depth.high[last] - depth.held_out[last] if np.isfinite(depth.high[last]) else 0.02
    if float(gain.max()) <= margin:
        best = known[int(np.argmax(depth.twin[known]))]
        yield Finding(
            "untrained_does_as_well", "warning", None,
            "No hidden layer reads better than the same layer of the untrained twin.",
            f"Best untrained layer {depth.layers[best]}: held-out {e.score} {depth.twin[best]:.3f}; greatest gain by training "
            f"{gain.max():+.3f}.",
            "Random features of this width do as well: what the curve shows is the architecture and the data, not learning.",
            "Train longer, check the labels and the learning rate, or use a simpler model.",
        )  # fmt: skip


def rises(e: Evidence) -> Iterator[Finding]:
    """The good news: where separability arises."""
    depth: Depth | None = e.across.get("depth")
    if depth is None or depth.kinds[0] != "input" or len(depth.layers) < 2:
        return
    hidden = [i for i, layer in enumerate(e.layers) if i and not layer.is_output and np.isfinite(depth.held_out[i])]
    if not hidden:
        return
    best = hidden[int(np.argmax(depth.held_out[hidden]))]
    if depth.held_out[best] > depth.high[0] or (
        not np.isfinite(depth.high[0]) and depth.held_out[best] > depth.held_out[0] + 0.05
    ):
        yield Finding(
            "separability_rises", "good", depth.layers[best],
            f"The layers make the data more linearly separable, most at {depth.layers[best]}.",
            f"Held-out {e.score} of a linear read-out {depth.held_out[0]:.3f} on the input, {depth.held_out[best]:.3f} at "
            f"{depth.layers[best]}; {depth.twin[best]:.3f} there in the untrained twin.",
            "That gain over the input, and over the untrained twin, is what the hidden layers are for.",
            "Nothing to do.",
        )  # fmt: skip


RULES: tuple[Rule, ...] = (
    nonfinite, silent_units, dormant_units, saturated_units, lost_separability, idle_layers, collapsed_rank,
    head_under_trained, over_fitted, chance_would_do, few_rows, scale, gradient_reach, no_better_than_untrained, rises,
)  # fmt: skip


def _steps(e: Evidence, name: str) -> Iterator[tuple[Layer, Layer]]:
    """Neighbouring layers that both have a Result with held-out rows."""
    measured = [layer for layer, r in e.measured(name) if np.isfinite(r.held_out)]
    return zip(measured, measured[1:], strict=False)


def _overlap(a: Any, b: Any) -> bool:
    if a.correct is None:
        return bool(abs(a.held_out - b.held_out) < 0.01)
    return bool(a.held_out_interval[0] <= b.held_out <= a.held_out_interval[1])


def _interval(r: Any) -> str:
    low, high = r.held_out_interval
    return f"95 % interval {low:.3f} to {high:.3f}" if np.isfinite(low) else "no interval"


def _rank(layer: Layer) -> int:
    scatter = layer.results.get("scatter")
    return scatter.rank if scatter is not None else len(layer.results["spectrum"].values)


def _width(layer: Layer) -> int:
    return int(layer.results["readout"].weight.shape[1])


def _misled(before: Layer, after: Layer) -> str:
    """A word where the usual trace ratio tells the opposite."""
    a, b = before.results.get("scatter"), after.results.get("scatter")
    if a is None or b is None or not b.trace_ratio > a.trace_ratio:
        return ""
    return f" (The trace ratio tr B / tr W rises here, {a.trace_ratio:.2f} → {b.trace_ratio:.2f}: it misleads.)"
