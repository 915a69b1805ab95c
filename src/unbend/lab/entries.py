"""The runs of one claim, gathered: what it says, whether it is borne out, its numbers over seeds.

In: a claim and its runs. Out: an `Entry`, the same for the page, the terminal and JSON.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypedDict

from unbend.lab.claim import Check, Claim, Number, Outcome
from unbend.lab.results import Run

Word = Literal[Outcome, "failed", "not run"]
MARKS: dict[Word, str] = {
    "holds": "✓",
    "holds with a condition": "◐",
    "false as told": "✗",
    "failed": "!",
    "not run": "–",
}
"""A sign for every badge, so that none is told by its colour alone."""


@dataclass(frozen=True, slots=True)
class Line:
    """One checked number over all seeds.

    Attributes:
        what: the number in words.
        values: one for each seed.
        bounds: what it must keep, in words; they may differ between seeds, then these are the first seed's.
        reason: where the bounds come from.
        passed: whether every seed keeps them.
    """

    what: str
    values: tuple[Number, ...]
    bounds: str
    reason: str
    passed: bool

    @property
    def middle(self) -> Number:
        """The median over the seeds."""
        return median(self.values)

    @property
    def spread(self) -> str:
        """The least and the greatest value; empty where they are one."""
        low, high = min(self.values), max(self.values)
        return "" if digits(low) == digits(high) else f"{digits(low)} … {digits(high)}"


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What the lab says of one claim.

    Attributes:
        claim: the claim.
        runs: of it, one for each seed; never empty.
        word: the badge.
        truth: what is true, from the first run that came to an end; empty where the checks do not bear it out.
        finding: of that run.
        lines: the checked numbers.
        trouble: what is missing or went wrong, run by run.
    """

    claim: Claim
    runs: tuple[Run, ...]
    word: Word
    truth: str
    finding: str
    lines: tuple[Line, ...]
    trouble: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of processor time in all its runs."""
        return sum(run.seconds for run in self.runs)


def entry(claim: Claim, runs: Sequence[Run]) -> Entry:
    """The runs of a claim, gathered; one failed check in one seed makes it failed.

    Args:
        claim: the claim.
        runs: of it, at least one.
    """
    ordered = tuple(sorted(runs, key=lambda run: run.seed))
    ended = [run for run in ordered if run.verdict is not None]
    first = ended[0] if ended else None
    word = _word(ordered)
    return Entry(
        claim=claim,
        runs=ordered,
        word=word,
        truth=first.verdict.truth if first is not None and first.verdict is not None and word != "failed" else "",
        finding=first.finding if first is not None else "",
        lines=tuple(_lines([run.verdict.checks for run in ended if run.verdict is not None])),
        trouble=tuple(_trouble(ordered)),
    )


def _word(runs: Sequence[Run]) -> Word:
    """The badge: the worst that happened, or the outcome that every seed bears out."""
    status = {run.status for run in runs}
    outcomes = {run.verdict.outcome for run in runs if run.verdict is not None}
    if status & {"failed", "error"} or len(outcomes) > 1:
        return "failed"
    return outcomes.pop() if outcomes and status == {"passed"} else "not run"


def _trouble(runs: Sequence[Run]) -> list[str]:
    said = [(run.seed, run.reason) for run in runs if run.reason]
    said += [
        (run.seed, f"{check.what}: {digits(check.measured)}, expected {bounds(check)}.")
        for run in runs if run.verdict is not None for check in run.verdict.checks if not check.passed
    ]  # fmt: skip
    outcomes = {run.verdict.outcome for run in runs if run.verdict is not None}
    if len(outcomes) > 1:
        said += [(run.seed, f"says: {run.verdict.outcome}") for run in runs if run.verdict is not None]
    if len({reason for _, reason in said}) == 1:
        return [said[0][1]]
    if len(runs) == 1:
        return [reason for _, reason in said]
    return [f"Seed {seed}: {reason}" for seed, reason in said]


def _lines(checks: Sequence[Sequence[Check]]) -> list[Line]:
    """The numbers by what they are; seeds that did not measure one are left out of it."""
    found: dict[str, list[Check]] = {}
    for own in checks:
        for check in own:
            found.setdefault(check.what, []).append(check)
    return [
        Line(what, tuple(check.measured for check in same), bounds(same[0]), same[0].reason,
             all(check.passed for check in same))
        for what, same in found.items()
    ]  # fmt: skip


def bounds(check: Check) -> str:
    """The bounds of a check in words.

    Example:
        >>> bounds(Check("n", 3.0, 1, 5)), bounds(Check("n", 3.0, high=1e-12)), bounds(Check("n", 3.0))
        ('1 … 5', '≤ 1e-12', '')
    """
    if check.low == check.high:
        return f"= {digits(check.low)}"
    if math.isinf(check.low) and math.isinf(check.high):
        return ""
    if math.isinf(check.low):
        return f"≤ {digits(check.high)}"
    return f"≥ {digits(check.low)}" if math.isinf(check.high) else f"{digits(check.low)} … {digits(check.high)}"


def digits(value: Number) -> str:
    """A number to four digits, a whole one in full.

    Example:
        >>> digits(0.00715138), digits(4096.0), digits(-16.3), digits(float("nan"))
        ('0.007151', '4,096', '−16.3', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{int(value):,}" if value == int(value) and abs(value) < 1e9 else f"{value:.4g}"
    return text.replace("-", "−", 1) if value < 0 else text


class ListedClaim(TypedDict):
    """A claim in the list of the lab.

    Attributes:
        claim: its name.
        section: what it is about.
        told: the claim as it is told.
        told_by: where it is told.
        source: where it comes from.
        needs: data sets and packages that it is measured with.
        missing: those that are not there, with how to get them.
    """

    claim: str
    section: str
    told: str
    told_by: str
    source: str
    needs: list[str]
    missing: list[str]


class PlainCheck(TypedDict):
    """A measured number with its bounds.

    Attributes:
        what: the number in words, with its unit.
        measured: its value.
        low: the smallest value that passes; null for no bound.
        high: the largest value that passes; null for no bound.
        passed: whether it lies between.
        reason: where the bounds come from.
    """

    what: str
    measured: float | None
    low: float | None
    high: float | None
    passed: bool
    reason: str


class PlainRun(TypedDict):
    """One run of a claim.

    Attributes:
        seed: what chance began with.
        budget: how large the experiment was.
        status: whether every check passed, one failed, the data is missing, or the experiment broke down.
        reason: what to install, or what went wrong; empty for a run that came to an end.
        seconds: of processor time.
        outcome: what the numbers say of the claim as it is told; null without numbers.
        finding: one sentence filled from the numbers.
        checks: the numbers that decide it.
    """

    seed: int
    budget: str
    status: str
    reason: str
    seconds: float
    outcome: str | None
    finding: str
    checks: list[PlainCheck]


class PlainEntry(TypedDict):
    """What the lab says of one claim.

    Attributes:
        claim: its name.
        section: what it is about.
        told: the claim as it is told.
        told_by: what kind of source tells it so.
        verdict: the badge.
        truth: what is true.
        source: where the claim comes from.
        trouble: what is missing or went wrong, run by run.
        runs: one for each seed.
    """

    claim: str
    section: str
    told: str
    told_by: str
    verdict: str
    truth: str
    source: str
    trouble: list[str]
    runs: list[PlainRun]


def plain(found: Entry) -> PlainEntry:
    """An entry as JSON has it; a number that is not finite is null."""
    return {
        "claim": found.claim.name,
        "section": found.claim.section,
        "told": found.claim.told,
        "told_by": found.claim.told_by,
        "verdict": found.word,
        "truth": found.truth,
        "source": found.claim.source,
        "trouble": list(found.trouble),
        "runs": [
            {
                "seed": run.seed,
                "budget": run.budget,
                "status": run.status,
                "reason": run.reason,
                "seconds": round(run.seconds, 3),
                "outcome": None if run.verdict is None else run.verdict.outcome,
                "finding": run.finding,
                "checks": [] if run.verdict is None else [_plain(check) for check in run.verdict.checks],
            }
            for run in found.runs
        ],
    }


def _plain(check: Check) -> PlainCheck:
    numbers = {"measured": check.measured, "low": check.low, "high": check.high}
    finite = {key: value if math.isfinite(value) else None for key, value in numbers.items()}
    return {
        "what": check.what, "measured": finite["measured"], "low": finite["low"], "high": finite["high"],
        "passed": check.passed, "reason": check.reason,
    }  # fmt: skip
