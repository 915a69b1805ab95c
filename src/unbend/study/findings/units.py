"""Rules about units: those that are broken, silent, dormant or saturated."""

from collections.abc import Iterator

from unbend.numerics.activity import Activity
from unbend.numerics.moments import Moments
from unbend.study.findings.evidence import UNITS, Evidence
from unbend.study.silence import bound_in_words
from unbend.study.values import Finding, Severity

MANY = 0.1
"""Share of silent, dormant or saturated units from which a layer is worth a word."""
HALF = 0.5
"""From which it may cost accuracy."""
MOST = 0.8
"""And from which hardly anything of it is left."""
_LIMITS = {"float16": "65,504", "bfloat16": "3.4e38"}
"""Largest finite values."""
_RECTIFIERS = frozenset({"ReLU", "ReLU6", "relu", "relu6", "relu_", "Hardswish", "threshold", "clamp", "clamp_min"})
"""Activations whose flat side is 0: where they are flat, units are silent or dormant, and told so."""


def nonfinite(e: Evidence) -> Iterator[Finding]:
    """NaN or infinite activations; only the first layer that has them is named."""
    bad = [(layer, m) for layer, m in e.layers_with(Moments) if m.nonfinite.any()]
    if not bad:
        return
    layer, m = bad[0]
    others = f" {len(bad) - 1} later layers are affected." if len(bad) > 1 else ""
    seen = (
        f"{int(m.nonfinite.sum()):,} values in {int((m.nonfinite > 0).sum())} of {len(m.nonfinite)} units, over "
        f"{m.n:,} samples.{others}"
    )
    x = e.examination
    limit = None if x is None or layer.kind == "input" else _LIMITS.get(x.precision)
    if limit is not None and x is not None and all(w.is_finite for w in x.weights):
        yield Finding(
            "overflow", "problem", layer.name,
            f"Layer {layer.name} overflows in {x.precision}: it puts out infinite values, and is the first to do so.",
            f"{seen} All weights are finite; {x.precision} ends at {limit}.",
            "Everything behind it is undefined on these samples.",
            "Compute this layer in float32, or scale what goes into it down.",
        )  # fmt: skip
        return
    yield Finding(
        "nonfinite", "problem", layer.name,
        f"Layer {layer.name} puts out NaN or infinite values, and is the first to do so.", seen,
        "Everything behind it is undefined on these samples, and training on them destroys the weights.",
        "Look at what goes into that layer: a division by zero, a log of zero, an overflow in float16, or weights "
        "blown up by too high a learning rate.",
    )  # fmt: skip


def silent_units(e: Evidence) -> Iterator[Finding]:
    """Units that put out nothing but 0."""
    for layer, a in e.layers_with(Activity):
        d = len(a.silent)
        if layer.kind not in UNITS or a.n_silent < max(1, MANY * d):
            continue
        yield Finding(
            "silent_units", _silent(e, a.n_silent / d), layer.name,
            f"{a.n_silent} of {d} units of layer {layer.name} are silent: they put out 0 for every sample seen.",
            bound_in_words(a),
            "No gradient passes a silent ReLU, so it does not come back by itself; its width is paid for and not used.",
            "Train again with a lower learning rate, He initialisation and zero bias, a normalisation in front, or a "
            "leaky activation. Or make the layer narrower: these units can be cut out, and the outputs stay the same.",
        )  # fmt: skip


def dormant_units(e: Evidence) -> Iterator[Finding]:
    """Units that are hardly ever active, beyond the silent ones."""
    for layer, a in e.layers_with(Activity):
        extra, d = a.n_dormant - a.n_silent, len(a.silent)
        if layer.kind in UNITS and extra >= max(2, MANY * d):
            more = "more " if a.n_silent else ""
            yield Finding(
                "dormant_units", "note", layer.name,
                f"{extra} {more}of {d} units of layer {layer.name} are dormant: hardly ever active.",
                f"Their mean activity is at most 2.5 % of the layer's (Sokar et al. 2023), over {a.n:,} samples.",
                "Dormant units add next to nothing, and tend to stay dormant as training goes on.",
                "Try a lower learning rate or less weight decay, or give these units new weights during training.",
            )  # fmt: skip


def saturated_units(e: Evidence) -> Iterator[Finding]:
    """Units on the flat parts of their activation."""
    for layer, a in e.layers_with(Activity):
        d = len(a.silent)
        if a.n_saturated >= max(2, MANY * d) and layer.module not in _RECTIFIERS:
            yield Finding(
                "saturated_units", e.symptom(is_strong=a.n_saturated - a.n_silent >= HALF * d), layer.name,
                f"{a.n_saturated} of {d} units of layer {layer.name} are saturated: "
                "stuck where the activation is flat.",
                f"At least 95 % of their values lie where its slope is below 5 % of the steepest ({a.n:,} samples).",
                "Hardly any gradient passes a saturated unit: it learns slowly, and so does everything before it.",
                "Scale the inputs to unit variance, use Xavier initialisation, put a normalisation in front of the "
                "activation, or use one that is not flat on both sides.",
            )  # fmt: skip


def _silent(e: Evidence, share: float) -> Severity:
    """How loud silent units are told: where most are left and the network does well, they are worth knowing only."""
    x = e.examination
    fresh = None if x is None else x.trial("fresh")
    has_cost = x is not None and fresh is not None and fresh.held_out - x.scores.held_out > x.scores.margin
    if e.is_ill:
        return "problem" if share >= MOST or (share >= HALF and has_cost) else "note"
    return "warning" if share >= MOST or (share >= HALF and not e.is_judged) else "note"
