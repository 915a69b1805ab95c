"""The diagnosis: plain rules, each one function from what was measured to findings.

In: the layers' Results and the figures over depth. Out: `Finding`s, worst first. A rule says what was found, the
evidence, why it matters and what to do; thresholds are named, with their source where there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from unbend.study.findings.evidence import Evidence, Rule
from unbend.study.findings.scale import gradient_reach, scale
from unbend.study.findings.separability import fading, lost_separability, no_better_than_untrained, rises
from unbend.study.findings.structure import collapsed_rank, head_under_trained, idle_layers
from unbend.study.findings.trust import chance_would_do, few_rows, over_fitted
from unbend.study.findings.units import dormant_units, nonfinite, saturated_units, silent_units
from unbend.study.values import SEVERITIES, About, Finding, Layer

__all__ = ["RULES", "Evidence", "Rule", "findings"]

RULES: tuple[Rule, ...] = (
    nonfinite, silent_units, dormant_units, saturated_units, lost_separability, fading, idle_layers, collapsed_rank,
    head_under_trained, over_fitted, chance_would_do, few_rows, scale, gradient_reach, no_better_than_untrained, rises,
)  # fmt: skip
MOST = 3
"""Findings of one rule and severity that are told apart; of more, the others are named in a line."""


def findings(about: About, layers: Sequence[Layer], across: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings of every rule, worst first, in the order of the layers."""
    evidence = Evidence(about, layers, across)
    order = {layer.name: i for i, layer in enumerate(layers)}

    def rank(f: Finding) -> tuple[int, int]:
        return SEVERITIES.index(f.severity), order.get(f.layer or "", -1)

    found = [finding for rule in RULES for finding in _condensed(sorted(rule(evidence), key=rank))]
    return tuple(sorted(found, key=rank))


def _condensed(found: Sequence[Finding]) -> list[Finding]:
    """At most `MOST` findings of one rule and severity; the last names the layers of the others."""
    out: list[Finding] = []
    for _, group in groupby(found, key=lambda f: (f.rule, f.severity)):
        same = list(group)
        shown, others = same[:MOST], [f.layer or "the network" for f in same[MOST:]]
        if others:
            names = ", ".join(others[:8]) + (", …" if len(others) > 8 else "")
            told = f"{shown[-1].evidence} The same holds for {len(others)} more: {names}."
            shown[-1] = replace(shown[-1], evidence=told)
        out += shown
    return out
