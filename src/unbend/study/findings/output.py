"""Rules about the output and the loss: what the network can say against what the loss asks. Most of them are proofs."""

from collections.abc import Iterator

from unbend._shares import percent
from unbend.study.findings.evidence import Evidence
from unbend.study.values import Finding

_CLIPPED = 0.05
"""Share of outputs held at a bound that the loss pulls them across, from which it is a fault."""
_BOUNDED = 0.02
"""Rise of a loss from wrong to more wrong outputs, over that from right to wrong, below which it is bounded."""
_OUTSIDE = 0.02
"""Share of targets that cannot be put out, likewise."""


def too_few_outputs(e: Evidence) -> Iterator[Finding]:
    """Fewer outputs than classes."""
    x = e.examination
    k = len(e.about.class_names)
    if x is None or not ((x.output.width == 1 and k > 2) or 1 < x.output.width < k):
        return
    n = x.output.width
    last = x.weights[-1].layer if x.weights else None
    yield Finding(
        "too_few_outputs", "problem", last,
        f"The output has {n} unit{'s' if n > 1 else ''}, too few for {k} classes.",
        f"The labels name {k} classes; every row gets {n} number{'s' if n > 1 else ''}.",
        "Some classes cannot be told apart whatever is learned.",
        f"Give the last layer {k} units and a cross-entropy loss.",
    )  # fmt: skip


def constant_softmax(e: Evidence) -> Iterator[Finding]:
    """A softmax over one unit."""
    x = e.examination
    if x is not None and x.output.width == 1 and x.output.end == "softmax":
        yield Finding(
            "constant_softmax", "problem", x.output.layer,
            "The output is a softmax over a single unit: it is constant, always 1.",
            f"All {x.n_train:,} rows examined give the same output.",
            "A constant output has no gradient, so nothing is learned.",
            "Put a sigmoid on one unit, or give the output one unit per class.",
        )  # fmt: skip


def applied_twice(e: Evidence) -> Iterator[Finding]:
    """Probabilities handed to a loss that takes scores."""
    x = e.examination
    if x is None or not x.output.takes_scores:
        return
    o = x.output
    if o.sums_to_one:
        name, seen, twice = "softmax", "every row sums to 1", "the softmax is applied twice"
    elif o.end == "sigmoid":
        name, seen = "sigmoid", f"they lie between {o.low:.3g} and {o.high:.3g}"
        twice = "the sigmoid is applied twice" if o.width == 1 else "a softmax follows the sigmoid"
    else:
        return
    yield Finding(
        "applied_twice", "problem", o.layer,
        f"The outputs are already probabilities, but the loss takes logits: {twice}.",
        f"Of the outputs {seen}; the loss of perfect probabilities is {o.loss_one_hot:.2f}, "
        f"of large scores {o.loss_sure:.2f}.",
        "The loss cannot come near 0 and its gradient stays small, so training is slow and stops early.",
        f"Remove the {name} before the loss.",
    )  # fmt: skip


def raw_scores(e: Evidence) -> Iterator[Finding]:
    """A negative loss of classes: it takes log-probabilities and gets something else."""
    x = e.examination
    if x is None or not e.about.class_names or not x.output.loss_now < -1e-3:
        return
    o = x.output
    is_unbounded = o.loss_tenfold < 5 * o.loss_now
    seen = f"; {o.loss_tenfold:.3g} for ten times the outputs" if is_unbounded else ""
    yield Finding(
        "raw_scores", "problem", None,
        f"The loss is {'negative without bound' if is_unbounded else 'negative'}: it expects log-probabilities and "
        "gets other outputs.",
        f"Loss {o.loss_now:.3g}{seen}. The negative log-likelihood of classes is never below 0.",
        "Such a loss rewards ever larger outputs, whichever class is right.",
        "Put a log-softmax before this loss, or use cross-entropy on the scores.",
    )  # fmt: skip


def clipped_output(e: Evidence) -> Iterator[Finding]:
    """An output that cannot leave a bound the loss pulls it across."""
    x = e.examination
    if x is None:
        return
    o = x.output
    if o.end == "sigmoid" and o.before in {"relu", "relu6"}:
        yield Finding(
            "clipped_output", "problem", o.before_layer,
            "A ReLU stands before the final sigmoid: no output can go below one half.",
            f"Outputs run from {o.low:.3f} to {o.high:.3f}.",
            "One of the two classes can never be said with confidence.",
            "Remove the ReLU before the sigmoid.",
        )  # fmt: skip
    elif o.clipped > _CLIPPED:
        yield Finding(
            "clipped_output", "problem", o.layer,
            f"The output passes a {_name_of(o.end)}: it cannot go below 0, although the loss asks for it.",
            f"{percent(o.clipped)} of the outputs are clipped at 0 while the loss pulls them down.",
            "What is clipped gets no gradient: those outputs do not learn.",
            f"Remove the {_name_of(o.end)} from the output.",
        )  # fmt: skip


def output_range(e: Evidence) -> Iterator[Finding]:
    """Targets that the output cannot reach."""
    x = e.examination
    if x is not None and x.output.outside > _OUTSIDE and not x.output.clipped > _CLIPPED:
        yield Finding(
            "output_range", "problem", x.output.layer,
            f"The output activation has a range that {percent(x.output.outside)} of the targets lie outside of.",
            f"The output leaves a {_name_of(x.output.end)}; outputs run from {x.output.low:.3g} to {x.output.high:.3g}"
            f", targets have mean {x.rows.y_mean:.3g} and standard deviation {x.rows.y_spread:.3g}.",
            "Those targets cannot be met, whatever is learned.",
            "Remove the activation from the output, or scale the targets into its range.",
        )  # fmt: skip


def squared_error(e: Evidence) -> Iterator[Finding]:
    """Squared error on classes."""
    x = e.examination
    if x is None or not e.about.class_names or x.output.width < 2:
        return
    if x.output.is_squared:
        what = "it is a squared error on class outputs."
        seen = "It is 0 for one-hot outputs and four times as large at twice the distance."
    elif x.output.loss_climb < _BOUNDED:
        what = "it is bounded, as a squared error on class probabilities is."
        seen = (
            f"From wrong to more wrong outputs it rises {x.output.loss_climb:.2g} times as much as from right to wrong."
        )
    else:
        return
    yield Finding(
        "squared_error", "warning" if e.is_ill else "note", None,
        f"The loss does not suit the task: {what}", f"{seen} {e.own_score}",
        "Its gradient fades for rows that are wrong with confidence, so they are learned last.",
        "Use cross-entropy on the scores.",
    )  # fmt: skip


def not_repeatable(e: Evidence) -> Iterator[Finding]:
    """Two passes over the same rows differ in evaluation mode."""
    x = e.examination
    if x is not None and not x.output.is_repeatable and x.is_finite:
        yield Finding(
            "not_repeatable", "problem", x.dropout_layer,
            "Two passes over the same rows differ in evaluation mode: dropout or other noise is left on.",
            "The outputs of the same rows differ by more than 0.1 %.",
            "Predictions depend on chance, and are worse than they need be.",
            "Pass training=self.training to functional dropout, or use nn.Dropout; then evaluate again.",
        )  # fmt: skip


def stale_norm(e: Evidence) -> Iterator[Finding]:
    """Batch normalisation whose running statistics are not those of the data."""
    x = e.examination
    if x is None:
        return
    least = max(0.05, x.scores.margin)
    gain, gain_train = x.on_batch_statistics - x.scores.held_out, x.train_on_batch_statistics - x.scores.train
    if not (
        gain > least and gain_train > least
    ):  # where they suit the training rows, it is the held-out rows that differ
        return
    yield Finding(
        "stale_norm", "problem", x.norm_layer,
        "The running statistics of batch normalisation are stale: they are not those of the data.",
        f"Held-out {e.score} {x.scores.held_out:.3f}, with the statistics of each batch {x.on_batch_statistics:.3f}; "
        f"in training {x.scores.train:.3f} and {x.train_on_batch_statistics:.3f}.",
        "In evaluation mode the layers behind it see values of another scale than in training.",
        f"Re-estimate them: a pass over the training data in training mode without gradients{_of_layer(x.norm_layer)}.",
    )  # fmt: skip


def _name_of(end: str) -> str:
    return {"relu": "ReLU", "relu6": "ReLU6", "tanh": "tanh"}.get(end, end.replace("_", " "))


def _of_layer(name: str | None) -> str:
    """Where, if it is known."""
    return "" if name is None else f" (from layer {name})"
