"""Which steps are reported, so that looking costs no more than it may.

In: how often, a budget, and what reports and steps cost. Out: the next step. Plain arithmetic on seconds.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median

from unbend.errors import DataError

_KNOWN = 16
"""Durations remembered: of the last steps without a report, and of the last reports."""
_FIRST = 10
"""Steps between the first two reports, the first of which sets up much and so tells little of what they cost; also the
least distance chosen freely."""
_PAUSE = 4
"""A step counts for at most so many usual ones: what happens between steps, such as validation, buys no report."""


def share_of(budget: float | str | None) -> float:
    """A budget as a share: "2%", 0.02; infinite for None.

    Raises:
        DataError: it is none.

    Example:
        >>> share_of("2%"), share_of(0.05), share_of(None)
        (0.02, 0.05, inf)
    """
    if budget is None:
        return math.inf
    text = str(budget).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not share > 0:
        raise DataError(f'budget: expected a share such as "2%" or 0.02, or None, got {budget!r}.')
    return share


@dataclass(slots=True)
class Schedule:
    """Which steps are reported.

    Attributes:
        every: steps between reports; None to choose.
        share: what reports may cost, as a share of the run.
        next: the next step that is reported, from 1.
        distance: steps between reports at present.
        steps: seconds of the last steps without a report; where `every` is given, of the last ones of all.
        costs: seconds the last reports added to their steps.
        spent: seconds of their own work that reports took, the first one left out; known where `every` is given.
        credit: seconds that reports may still cost; below 0, what they cost too much. The first report is not in it.
        n_reports: so far.
        n_steps: without a report, so far; where `every` is given, all.
        usual: median of `steps`, looked up anew every sixteenth.
    """

    every: int | None
    share: float
    next: int = 1
    distance: int = 1
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=_KNOWN))
    costs: deque[float] = field(default_factory=lambda: deque(maxlen=_KNOWN))
    credit: float = 0.0
    spent: float = 0.0
    n_reports: int = 0
    n_steps: int = 0
    usual: float = 0.0

    def note(self, seconds: float, own: float | None) -> None:
        """Take in how long a step lasted, and what of it was a report's own work; None for a step without a report.

        What a report costs is its own work, or what its step lasted beyond the usual, whichever is more: kernels in
        the forward pass cost time that is not seen otherwise. Where the distance is given only its own work matters.
        """
        if self.every is not None:
            self._note_spent(seconds, own)
            return
        if own is None:
            if self.n_steps < _KNOWN or self.n_steps % _KNOWN == 0:
                self.usual = median(self.steps) if self.steps else seconds
            self.n_steps += 1
            self.credit += self.share * min(seconds, _PAUSE * self.usual)
            self.steps.append(seconds)
            return
        usual = median(self.steps) if self.steps else seconds
        cost = max(own, min(seconds - usual if self.steps else 0.0, 2 * own))
        self.n_reports += 1
        if self.n_reports == 2:
            self.costs.clear()
        self.costs.append(cost)
        if self.n_reports > 1:
            self.credit -= cost

    def _note_spent(self, seconds: float, own: float | None) -> None:
        """The same where the distance is given."""
        self.n_steps += 1
        self.steps.append(seconds)
        if own is not None:
            if self.n_reports < _KNOWN or self.n_reports % _KNOWN == 0:
                self.usual = median(self.steps)
            self.n_reports += 1
            self.spent += own if self.n_reports > 1 else 0.0

    def share_spent(self) -> float:
        """Where `every` is given, what share of usual steps' time reports took: compiling and pauses buy nothing."""
        return self.spent / max(self.n_steps * self.usual, 1e-9)

    def wish(self) -> int:
        """How many steps from now a snapshot may be taken again."""
        return self.every or self._affordable()

    def plan(self, step: int, distance: int) -> None:
        """Take the next snapshot so many steps after `step`; ranks of one run must agree on it."""
        self.distance, self.next = distance, step + distance

    def _affordable(self) -> int:
        """The least distance at which reports cost their share."""
        if math.isinf(self.share):
            return 1
        if not self.steps or self.n_reports < 2:
            return _FIRST
        usual = max(median(self.steps), 1e-9)
        return max(_FIRST, math.ceil((median(self.costs) - self.credit) / (self.share * usual)))
