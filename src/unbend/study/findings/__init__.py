"""The diagnosis: plain rules, each one function from what was measured to findings.

In: the layers' Results and the figures over depth. Out: `Finding`s, worst first. A rule says what was found, the
evidence, why it matters and what to do; thresholds are named, with their source where there is one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from unbend.study.findings.data import (
    exchanged_labels,
    ignored_classes,
    leaked,
    missing_class,
    noisy_labels,
    shifted,
    shuffled_labels,
    unpredicted_class,
    unscaled,
)
from unbend.study.findings.differential import INSTEAD
from unbend.study.findings.evidence import Evidence, Rule
from unbend.study.findings.output import (
    applied_twice,
    clipped_output,
    constant_softmax,
    not_repeatable,
    output_range,
    raw_scores,
    squared_error,
    stale_norm,
    too_few_outputs,
)
from unbend.study.findings.scale import gradient_reach, scale
from unbend.study.findings.separability import fading, lost_separability, no_better_than_untrained, rises
from unbend.study.findings.structure import collapsed_rank, head_under_trained, idle_branch, idle_layers
from unbend.study.findings.training import diverged, over_fitted, stuck, under_fitted, untrained
from unbend.study.findings.trust import chance_would_do, few_rows, lossy_reduction, read_out_over_fits
from unbend.study.findings.units import dormant_units, nonfinite, saturated_units, silent_units
from unbend.study.findings.weights import (
    affine_stack,
    constant_weights,
    exploding,
    large_weights,
    missing_bias,
    narrow_passage,
    shrunk_weights,
    strong_dropout,
    untouched_layer,
    vanishing,
)
from unbend.study.findings.worth import essential, replaceable, unused
from unbend.study.values import SEVERITIES, About, Finding, Layer

__all__ = ["RULES", "Evidence", "Rule", "findings"]

CAUSES: tuple[Rule, ...] = (
    diverged, nonfinite,
    too_few_outputs, constant_softmax, applied_twice, raw_scores, clipped_output, output_range,
    not_repeatable, stale_norm,
    exchanged_labels, leaked, shifted, shuffled_labels, missing_class, ignored_classes,
    constant_weights, idle_branch, shrunk_weights, affine_stack, missing_bias, unscaled, exploding,
    narrow_passage, vanishing, strong_dropout, untouched_layer, untrained, silent_units, large_weights, saturated_units,
    noisy_labels, squared_error, over_fitted, under_fitted, unpredicted_class,
)  # fmt: skip
"""Rules that name a cause. A cause explains those after it: first what makes numbers meaningless, then what output and
loss contradict, then the data, then the weights and the structure, then training as a whole."""
SYMPTOMS: tuple[Rule, ...] = (
    lost_separability, head_under_trained, gradient_reach, collapsed_rank, fading, idle_layers, replaceable, unused,
    essential, dormant_units, scale,
    no_better_than_untrained, stuck, lossy_reduction, read_out_over_fits, chance_would_do, few_rows, rises,
)  # fmt: skip
"""Rules that name what a cause leads to, or what is worth knowing."""
RULES = (*CAUSES, *SYMPTOMS)
MOST = 3
"""Findings of one rule and severity that are told apart; of more, the others are named in a line. Also the greatest
number of problems and warnings."""
_LOUD = ("problem", "warning")


def findings(
    about: About, layers: Sequence[Layer], across: Mapping[str, Any], *, unasked: Collection[str] = frozenset()
) -> tuple[Finding, ...]:
    """The differential diagnosis: the leading cause first, then what else was found, worst first.

    The first cause in the order of `CAUSES` leads. What it explains is told as a note that says so.

    Args:
        about: what was studied.
        layers: with their Results.
        across: Results that span layers.
        unasked: layers whose read-outs are closed forms because a logistic regression would take too long: what rests
            on them is a note.
    """
    evidence = Evidence(about, layers, across)
    order = {layer.name: i for i, layer in enumerate(layers)}

    def rank(f: Finding) -> tuple[int, int]:
        return SEVERITIES.index(f.severity), order.get(f.layer or "", -1)

    found = [_weigh(finding, unasked) for rule in RULES for finding in _condense(sorted(rule(evidence), key=rank))]
    leader = next((finding for finding in found if finding.severity in _LOUD), None)
    if leader is not None:
        rest = [finding for finding in found if finding is not leader]
        explained = tuple(dict.fromkeys(f.rule for f in rest if f.severity in _LOUD))
        found = [replace(leader, explains=explained), *sorted((_explain(f, leader) for f in rest), key=rank)]
    else:
        found.sort(key=rank)
    return tuple(replace(finding, instead=INSTEAD.get(finding.rule, "")) for finding in found)


def _weigh(finding: Finding, unasked: Collection[str]) -> Finding:
    """A finding that rests on closed forms alone, as a note that says so."""
    if finding.severity == "note" or not unasked or not set(finding.rests_on) & set(unasked):
        return finding
    told = (
        f"{finding.evidence} It rests on closed forms: a logistic regression, which may read more, would take too long."
    )
    return replace(finding, severity="note", evidence=told)


def _explain(finding: Finding, leader: Finding) -> Finding:
    """A finding that a leading cause explains: a note, which says so."""
    if finding.severity == "good":
        return replace(finding, severity="note")
    if finding.severity not in _LOUD:
        return finding
    return replace(
        finding, severity="note", evidence=f"{finding.evidence} The first finding explains it: {leader.title}"
    )


def _condense(found: Sequence[Finding]) -> list[Finding]:
    """At most `MOST` findings of one rule and severity; the last names the layers of the others."""
    out: list[Finding] = []
    for _, group in groupby(found, key=lambda f: (f.rule, f.severity)):
        same = list(group)
        shown, others = same[:MOST], [f.layer or "the network" for f in same[MOST:]]
        if others:
            names = ", ".join(others[:8]) + (", …" if len(others) > 8 else "")
            told = f"{shown[-1].evidence} The same holds for {len(others)} more: {names}."
            rests_on = tuple(dict.fromkeys(name for f in same[MOST - 1 :] for name in f.rests_on))
            shown[-1] = replace(shown[-1], evidence=told, rests_on=rests_on)
        out += shown
    return out
