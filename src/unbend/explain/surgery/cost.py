"""What the operations will take, known before the first of them.

In: a model on data, layers, operations. Out: a `SurgeryCost`. Nothing is changed: the model runs as it is over a batch.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from unbend._names import number_of
from unbend.capture import Tap, quiet
from unbend.explain.setup import Setup
from unbend.explain.surgery.replay import Replay


@dataclass(frozen=True, slots=True)
class SurgeryCost:
    """What the operations take at most: some may turn out to be impossible.

    Attributes:
        n_layers: layers that are changed.
        n_operations: operations on them, all layers together.
        n_passes: forward passes that these take together, in shares of the network's calls; the plain one among them.
        n: held-out rows.
        n_fit: training rows that are read before, once; None where that is not known.
        seconds: that these passes take, by the first batch.
        budget: seconds of processor time after which no further batch is begun; None for no limit.
    """

    n_layers: int
    n_operations: int
    n_passes: float
    n: int
    n_fit: int | None
    seconds: float
    budget: float | None

    @property
    def sentence(self) -> str:
        """The same in words."""
        layers = number_of(self.n_layers, "layer")
        fitted = "the" if self.n_fit is None else f"{self.n_fit:,}"
        told = (
            f"Surgery reads {fitted} training rows once; then {self.n_operations} operations on {layers} take "
            f"{self.n_passes:.1f} forward passes over {number_of(self.n, 'held-out row')}, about "
            f"{in_seconds(self.seconds)}"
        )
        if self.budget is not None and self.seconds > self.budget:
            return f"{told}; after {in_seconds(self.budget)} fewer rows do."
        return f"{told}."


def surgery_cost(
    made: Setup, taps: Sequence[Tap], operations: Sequence[str], size: int, budget: float | None
) -> SurgeryCost:
    """What operations on some layers will take.

    Args:
        made: the model on data.
        taps: the layers.
        operations: what is done to each.
        size: rows of a batch.
        budget: seconds that they may take; None for no limit.

    Cost:
        Two forward passes, of two rows and of one batch.
    """
    rows = made.subject.held_out
    some = min(size, rows.n)
    given = made.work.plan.protect
    with quiet(made.model):
        replay = Replay(made.model, rows.rows(0, 2)[0], [tap.place for tap in taps])
        start = time.perf_counter()
        replay.record(given(rows.rows(0, some)[0]))
        seconds = time.perf_counter() - start
    n_passes = 1 + len(operations) * sum(replay.share(tap.place) for tap in taps)
    return SurgeryCost(
        n_layers=len(taps), n_operations=len(operations) * len(taps), n_passes=n_passes, n=rows.n,
        n_fit=made.work.rows.n["train"], seconds=seconds * n_passes * rows.n / some, budget=budget,
    )  # fmt: skip


def in_seconds(value: float) -> str:
    """Seconds as an estimate has them.

    Example:
        >>> in_seconds(0.02), in_seconds(3.21), in_seconds(75.4)
        ('0.1 s', '3.2 s', '75 s')
    """
    return f"{value:.0f} s" if value >= 10 else f"{max(value, 0.1):.1f} s"
