"""What a claim of the field is: a sentence, an experiment, and the bounds that decide it.

In: the functions of one experiment. Out: a `Claim`, and the `Verdict` over its result. It must not
know which claims there are, files or pages.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from unbend._one_line import in_one_line
from unbend._shares import percent

if TYPE_CHECKING:  # drawing takes a second to import, and most of what is asked of a claim is words
    import matplotlib.figure

__all__ = ["Budget", "Check", "Claim", "Number", "Outcome", "Section", "Verdict", "percent"]

Number: TypeAlias = float | int
Budget = Literal["quick", "full"]
Outcome = Literal["holds", "holds with a condition", "false as told"]
Section = Literal["Foundations", "Seeing separability arise", "Linear regions, width and depth", "Training"]


@dataclass(frozen=True, slots=True)
class Check:
    """One measured number, the bounds it must keep, and why they stand where they stand.

    Attributes:
        what: the number in words, with its unit.
        measured: its value.
        low: the smallest value that passes.
        high: the largest value that passes; a check without bounds only reports its number.
        reason: where the bounds come from: a theorem, a paper, rounding, or the spread seen over seeds.
    """

    what: str
    measured: Number
    low: Number = -math.inf
    high: Number = math.inf
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the number lies within its bounds; one that is not a number does not."""
        return bool(self.low <= self.measured <= self.high)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the numbers say of the claim as it is told.

    Attributes:
        outcome: whether the claim holds as told, holds with a condition, or is false as told.
        truth: what is true instead, or under which condition, in one sentence.
        checks: the numbers that decide it. The outcome stands only if every one of them passes.
    """

    outcome: Outcome
    truth: str
    checks: tuple[Check, ...]

    __repr__ = in_one_line

    @property
    def passed(self) -> bool:
        """Whether this run bears the outcome out."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The checks that did not pass, in words."""
        return tuple(check.what for check in self.checks if not check.passed)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the field, and the experiment that decides it.

    Attributes:
        name: how it is called on the command line; the name of its module.
        section: the part of the lab it stands in.
        told: the claim in one sentence, as it is usually told; it is this sentence that is judged.
        told_by: what kind of source tells it so.
        run: `run(seed, budget)`, the experiment: a Result of plain arrays and numbers, the same for the same
            arguments. The budget decides sizes, never a clock, so that anyone gets the same numbers.
        holds: the verdict over a result.
        finding: one sentence filled from a result's numbers.
        draw: draws a result on an empty figure.
        film: the frames of an animation, where time or depth is the point: draws frame `i` of a result.
        n_frames: how many frames `film` has for a result.
        needs: names in `unbend.zoo.DATA_SETS` of the data that must be installed.
        source: the paper or theorem.
    """

    name: str
    section: Section
    told: str
    told_by: str
    run: Callable[[int, Budget], Any]
    holds: Callable[[Any], Verdict]
    finding: Callable[[Any], str]
    draw: "Callable[[Any, matplotlib.figure.Figure], None]"
    film: "Callable[[Any, matplotlib.figure.Figure, int], None] | None" = None
    n_frames: Callable[[Any], int] | None = None
    needs: tuple[str, ...] = ()
    source: str = ""

    __repr__ = in_one_line
