"""What an examination found: plain numbers about output, loss, weights, data and short trials, for rules to judge.

In: nothing. Out: `Examination` and its parts, which can be saved and judged again without the model.
"""

import math

from unbend._typing import Array, Int64
from unbend.numerics.result import result

APART = 0.75
"""Area under the ROC curve from which two parts are said to differ; 1/2 is chance."""


@result
class Scores:
    """How good the network is, and how good simple references are on the same rows.

    Attributes:
        train: score of the network on the training rows: accuracy, or R² for a regression; -inf if it is not finite.
        held_out: the same on held-out rows.
        majority: share of the most frequent class among the held-out rows; 0 for a regression: R² of the mean.
        linear: held-out score of a linear read-out of the raw input; NaN where it was not asked for.
        curved: the best held-out score of extra trees and nearest neighbours on the raw input; NaN likewise.
        margin: a shortfall beyond noise: 1.64 standard errors of the best reference, at least .04 (.07 for R²).
    """

    train: float
    held_out: float
    majority: float
    linear: float
    curved: float
    margin: float

    @property
    def reachable(self) -> float:
        """The best held-out score that is known to be attainable; NaN where no reference could be fitted."""
        known = [score for score in (self.linear, self.curved) if score == score]  # noqa: PLR0124  NaN
        return max(known, default=float("nan"))

    @property
    def is_referred(self) -> bool:
        """Whether any simple reference was fitted."""
        return math.isfinite(self.reachable)

    @property
    def shortfall(self) -> float:
        """How far the network falls short of that; NaN where it is not known."""
        return self.reachable - self.held_out

    @property
    def is_ill(self) -> bool:
        """Whether it falls short by more than noise."""
        return self.shortfall > self.margin


@result
class Contract:
    """What the network puts out, and what the loss asks of it.

    Attributes:
        layer: the module that puts out the network's output, where one does.
        width: numbers per sample.
        end: the function the output leaves: softmax, log_softmax, sigmoid, relu, tanh …; "" for none of them.
        before: the function before that one, reshapes aside.
        before_layer: the module it ran in.
        sums_to_one: whether every row is not negative and sums to 1.
        is_constant: whether it is the same for every row.
        low: least output.
        high: greatest output.
        clipped: share of outputs at the bound of `end` that the loss pulls further out; NaN without a loss.
        outside: share of the targets of a regression that `end` cannot reach.
        is_repeatable: whether two passes over the same rows agree in evaluation mode.
        loss_now: the loss of these outputs; NaN without a loss, here and below.
        loss_tenfold: the loss of ten times these outputs.
        loss_one_hot: the loss of outputs that are 1 for the right class and 0 for the others.
        loss_sure: the loss of outputs thirty times as far apart.
        loss_growth: the loss two away from the one-hot outputs over that one away; 4 for a squared error.
        loss_climb: how much the loss still rises from wrong to more wrong outputs, over its rise from right to wrong;
            about 1 for cross-entropy, 0 for a loss that is bounded.
    """

    layer: str | None
    width: int
    end: str
    before: str
    before_layer: str | None
    sums_to_one: bool
    is_constant: bool
    low: float
    high: float
    clipped: float
    outside: float
    is_repeatable: bool
    loss_now: float
    loss_tenfold: float
    loss_one_hot: float
    loss_sure: float
    loss_growth: float
    loss_climb: float = float("nan")

    @property
    def takes_scores(self) -> bool:
        """Whether the loss takes scores of either sign: large ones are better than perfect probabilities."""
        return self.loss_one_hot > self.loss_sure + 0.05 and self.loss_sure > -0.01

    @property
    def is_squared(self) -> bool:
        """Whether the loss is a squared error: 0 at one-hot outputs, four times as much at twice the distance."""
        return abs(self.loss_one_hot) < 1e-6 and abs(self.loss_growth - 4) < 0.05


@result
class Weights:
    """The weights of one layer.

    Attributes:
        layer: its path.
        n: how many.
        size: root mean square over that of PyTorch's default draw, U(-1/√fan_in, 1/√fan_in).
        identical: output units whose weights equal those of another.
        n_units: output units.
        top: largest magnitude over the bound of that draw.
        p_drawn: Kolmogorov-Smirnov p-value that they come from that draw.
        pull: root mean square of the loss gradient over the largest of all layers; NaN without a loss.
        is_finite: whether all are.
        lacks_bias: it has no bias, and no normalisation follows that has one.
        rms_in: root mean square of what goes in, over the rows examined.
        rms_out: of what comes out.
    """

    layer: str
    n: int
    size: float
    identical: int
    n_units: int
    top: float
    p_drawn: float
    pull: float
    is_finite: bool
    lacks_bias: bool
    rms_in: float
    rms_out: float

    @property
    def looks_drawn(self) -> bool:
        """Whether they look like a fresh draw: spread evenly up to just below its bound."""
        return 1 - 8 / max(self.n, 1) < self.top <= 1 + 1e-6 and self.p_drawn > 0.01


@result
class Passage:
    """What a layer that narrows its input lets through: read-outs of everything before and behind it, unreduced.

    Attributes:
        layer: its path.
        kind: `pool`, `affine` or `recurrent`.
        before: held-out score of a linear read-out of all that enters.
        after: of all that leaves.
        units: units (channels) behind it.
        positions: positions behind it.
        by_trees: whether trees read it; else a linear read-out does.
    """

    layer: str
    kind: str
    before: float
    after: float
    units: int
    positions: int
    by_trees: bool = False


@result
class Reduction:
    """What a mean over positions leaves out of a layer: read-outs of the mean and of more positions, on the same rows.

    Attributes:
        layer: its path.
        positions: positions it has.
        cells: positions that are read, each the mean of its neighbours.
        n: held-out rows.
        reduced: held-out accuracy of a logistic regression of the mean of all positions.
        finer: the same of all cells.
        low: lower end of the 99 % interval of the difference, paired by row.
        high: upper end.
    """

    layer: str
    positions: int
    cells: int
    n: int
    reduced: float
    finer: float
    low: float
    high: float


@result
class DataFacts:
    """The data as such: scales, and how the two parts relate.

    Attributes:
        spread_low: least standard deviation of an input column that varies; NaN where the input is not one tensor.
        spread_high: greatest.
        spread_median: median.
        size: root mean square of the input.
        offset: median of |mean| / standard deviation over the columns.
        is_normalised: the first layer normalises its input.
        y_mean: mean of the targets of a regression; NaN for classes.
        y_spread: their standard deviation.
        counts: training rows per class; None for a regression.
        confusion: held-out rows of class i that the network calls j; None where its output is no score per class.
        in_train: accuracy (R²) of trees within the training rows, cross-validated; NaN where it was not asked for.
        in_held_out: the same within the held-out rows.
        majority_train: share of the most frequent class in training.
        apart: area under the ROC curve with which trees tell training from held-out inputs; NaN where not asked for.
        copies: share of the held-out rows whose inputs are in the training set too.
        leak: input column that tells the label alone, and with what held-out accuracy; -1 and NaN for none.
        leak_score: that accuracy, or R².
        noise: share of the training labels that the other training rows contradict as surely as they confirm the right
            ones; NaN where it was not asked for.
        noise_held_out: the same within the held-out rows.
        targets_are_inputs: the targets are the inputs themselves, as those of an autoencoder.
        precision: average precision with which the network's output ranks the held-out rows of each class before the
            others, averaged over the classes; one over their number by chance. NaN where there is no `confusion`.
        leak_name: name of the column that tells the label alone; empty where it has none.
    """

    spread_low: float
    spread_high: float
    spread_median: float
    size: float
    offset: float
    is_normalised: bool
    y_mean: float
    y_spread: float
    counts: Int64[Array, "k"] | None
    confusion: Int64[Array, "k k"] | None
    in_train: float
    in_held_out: float
    majority_train: float
    apart: float
    copies: float
    leak: int
    leak_score: float
    noise: float = float("nan")
    noise_held_out: float = float("nan")
    targets_are_inputs: bool = False
    precision: float = float("nan")
    leak_name: str = ""


@result
class Trial:
    """A short training of a copy.

    Attributes:
        name: `on` from the trained weights, `fresh` from new ones; `fresh, scaled` on standardised inputs, `fresh,
            biased` with biases added, `on, no dropout` and `fresh, no dropout` without it.
        n_steps: steps of Adam that were made.
        train: score of the copy on the training rows afterwards.
        held_out: on held-out rows.
    """

    name: str
    n_steps: int
    train: float
    held_out: float


@result
class Examination:
    """What can be found out about a network beyond its layers' statistics.

    Attributes:
        n_train: training rows examined.
        n_held_out: held-out rows examined.
        is_declared: the caller says which rows are held out, so the network cannot have been trained on them.
        scores: the network's against simple references.
        output: what it puts out, against what the loss asks.
        weights: layer by layer, in the order in which they run.
        passages: layers that narrow what they get, where the network falls short.
        rows: the data.
        trials: short trainings of copies.
        is_affine: the whole network, a softmax or sigmoid at its end aside, is one affine map to rounding.
        flat_activations: hidden activations that are flat on both sides, in a row.
        fresh_reach: gradient at the first layer over that at the last in a fresh copy; NaN where not asked for.
        dropout: greatest dropout rate.
        dropout_layer: where it is.
        on_batch_statistics: held-out score with batch normalisation on the statistics of the batch; NaN without one.
        norm_layer: the first layer of batch normalisation.
        train_on_batch_statistics: the same score on the training rows.
        precision: type of the weights, such as `float16`.
        reductions: layers that the study reads by their mean over positions, read again with more of them.
    """

    n_train: int
    n_held_out: int
    is_declared: bool
    scores: Scores
    output: Contract
    weights: tuple[Weights, ...]
    passages: tuple[Passage, ...]
    rows: DataFacts
    trials: tuple[Trial, ...]
    is_affine: bool
    flat_activations: int
    fresh_reach: float
    dropout: float
    dropout_layer: str | None
    on_batch_statistics: float
    norm_layer: str | None
    train_on_batch_statistics: float = float("nan")
    precision: str = ""
    reductions: tuple[Reduction, ...] = ()

    def trial(self, name: str) -> Trial | None:
        """The trial of that name, if it was made."""
        return next((trial for trial in self.trials if trial.name == name), None)

    @property
    def is_finite(self) -> bool:
        """Whether weights and outputs are finite."""
        return all(w.is_finite for w in self.weights) and self.scores.train > float("-inf")


def is_unscaled(data: DataFacts) -> bool:
    """Whether the input columns are large, or of widely different scale, and nothing normalises them."""
    wide = data.spread_high > 20 * data.spread_median and data.spread_high > 10
    return not data.is_normalised and (wide or data.size > 20)
