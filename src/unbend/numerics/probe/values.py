"""Probes as values that are saved: read-outs, how near their optimum they are, and what stands beside them.

In: nothing. Out: `Probes` and its parts. Must not know how a probe is fitted.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from unbend.errors import LayerError
from unbend.numerics.interval import PairedDifference, paired_difference
from unbend.numerics.result import result


@result
class Optimality:
    """How near the optimum a fit is, in float64 on the standardised rows.

    Attributes:
        objective: the penalised mean log-loss.
        gap: upper bound of the objective minus its minimum over all weights.
        gradient_norm: norm of the gradient by the weights, with the bias solved exactly.
        tolerance: the wanted gap, as a share of the objective.
        is_converged: the gap is no larger than that.
        passes: passes over the rows that the solver took.
    """

    objective: float
    gap: float
    gradient_norm: float
    tolerance: float
    is_converged: bool
    passes: int

    @property
    def relative_gap(self) -> float:
        """The gap over the objective."""
        return self.gap / self.objective if self.objective > 0 else float(self.gap > 0)


@result
class Path:
    """Penalties from strong to weak, each judged on held-out rows.

    Attributes:
        l2: penalties that were fitted; the path ends early once the loss has risen twice.
        loss: log-loss in nats on the held-out rows.
        accuracy: share of the held-out rows that are right.
        chosen: the penalty with the least loss.
        n_held_out: rows that judged.
        is_complete: every penalty asked for was fitted.
    """

    l2: Float64[np.ndarray, " m"]
    loss: Float64[np.ndarray, " m"]
    accuracy: Float64[np.ndarray, " m"]
    chosen: float
    n_held_out: int
    is_complete: bool


@result
class Folds:
    """Held-out loss and accuracy of each fold, at one penalty.

    Attributes:
        loss: log-loss in nats on the rows of each fold.
        accuracy: share of its rows that are right.
        n: its rows.
    """

    loss: Float64[np.ndarray, " f"]
    accuracy: Float64[np.ndarray, " f"]
    n: Int64[np.ndarray, " f"]


@result
class ProbeControl:
    """What the same probe does with labels that mean nothing.

    Attributes:
        capacity: its accuracy on the rows it was fitted to, with shuffled labels; None without shuffles.
        chance: share of the most frequent class there.
        n_types: types of the control task.
        task_accuracy: its held-out accuracy on the control task; None without one.
        selectivity: the accuracy on the real labels minus that one, on the same rows.
    """

    capacity: float | None
    chance: float
    n_types: int
    task_accuracy: float | None
    selectivity: PairedDifference | None


@result
class Probe:
    """The linear read-out of one layer: `h @ weight.T + bias` scores the classes, highest wins.

    Attributes:
        layer: its dotted name.
        weight: one row per class.
        bias: one number per class.
        l2: the chosen penalty.
        accuracy: share of held-out rows, which chose nothing, that are right.
        low: lower end of its Wilson interval.
        high: upper end.
        loss: log-loss of those rows, nats per row.
        right: which of them were right.
        train_accuracy: share of the fitted rows that are right.
        optimality: how near the optimum the fit is, on the standardised rows.
        path: how the penalty was chosen; None for a single penalty.
        folds: cross-validation at that penalty; None without folds.
        control: the same probe with labels that mean nothing.
    """

    layer: str
    weight: Float64[np.ndarray, "k d"]
    bias: Float64[np.ndarray, " k"]
    l2: float
    accuracy: float
    low: float
    high: float
    loss: float
    right: Bool[np.ndarray, " n"]
    train_accuracy: float
    optimality: Optimality
    path: Path | None
    folds: Folds | None
    control: ProbeControl


@result
class Probes:
    """The probes of all layers, fitted and judged on the same rows.

    Attributes:
        layers: each layer's read-out.
        classes: the labels, in the order of the rows of every `weight`.
        n: fitted rows.
        n_test: held-out rows.
        level: of all intervals.
        seed: of splits, controls and samples.
    """

    layers: dict[str, Probe]
    classes: Int64[np.ndarray, " k"]
    n: int
    n_test: int
    level: float
    seed: int

    def difference(self, first: str, second: str) -> PairedDifference:
        """The held-out accuracy of one layer minus another's, with the interval for paired rows."""
        for name in (first, second):
            if name not in self.layers:
                raise LayerError(f"layers: no layer named {name!r}. It has: {', '.join(self.layers)}.")
        return paired_difference(self.layers[first].right, self.layers[second].right, self.level)
