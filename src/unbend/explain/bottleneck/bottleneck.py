"""Two units before the output of any network: retrained, looked at, proved separable or not, and what it cost.

In: a model and data. Out: `NarrowedModel`, the copy and its `BottleneckPlane`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from unbend._one_line import in_one_line
from unbend.capture import kept_random
from unbend.explain.bottleneck.output import Insertion, narrow_before
from unbend.explain.bottleneck.retrain import SHOWN, PlaneFrame, Retraining, lines, plane, retrain, rule_of
from unbend.explain.scores import check_scores
from unbend.explain.setup import ROWS, Setup, setup
from unbend.numerics.interval import PairedDifference, paired_difference
from unbend.numerics.result import result
from unbend.numerics.separable import Answers, Verdict, separate
from unbend.study.examine.subject import Sample
from unbend.study.progress import Progress, silent, with_bars
from unbend.study.settings import ReadAs

BUDGET = 20.0
"""Seconds the proof may take."""


@result
class BottleneckPlane:
    """The plane of two units that were put before the output of a network.

    Attributes:
        layer: path of the two units' layer in the copy.
        reason: where it was put and why there.
        only_new: whether the new layers alone were trained.
        n_steps: steps of the retraining.
        plain_train: training accuracy of the network as it was.
        plain_held_out: its held-out accuracy.
        train: training accuracy of the copy.
        held_out: held-out accuracy of the copy.
        cost: held-out accuracy of the network as it was minus that of the copy, on the same rows.
        verdict: whether the classes of the training rows are linearly separable in the plane, with the proof.
        is_verified: whether that proof was checked.
        has_lines: whether the output layer, read in the plane, decides as the copy does; else no lines are drawn.
        points: the training rows in the plane.
        y: their classes.
        held_out_points: the held-out rows in the plane.
        held_out_y: their classes.
        weight: of the output layer, a row for each output.
        bias: of the output layer.
        frame_steps: when the plane was kept.
        frame_points: some training rows in it, then.
        frame_y: their classes.
        frame_weight: the output layer, then.
        frame_bias: its bias, then.
        class_names: of the classes.
    """

    layer: str
    reason: str
    only_new: bool
    n_steps: int
    plain_train: float
    plain_held_out: float
    train: float
    held_out: float
    cost: PairedDifference
    verdict: Verdict
    is_verified: bool
    has_lines: bool
    points: Float[np.ndarray, "n 2"]
    y: Int64[np.ndarray, "n"]
    held_out_points: Float[np.ndarray, "m 2"]
    held_out_y: Int64[np.ndarray, "m"]
    weight: Float64[np.ndarray, "k 2"]
    bias: Float64[np.ndarray, "k"]
    frame_steps: Int64[np.ndarray, "f"]
    frame_points: Float64[np.ndarray, "f s 2"]
    frame_y: Int64[np.ndarray, "s"]
    frame_weight: Float64[np.ndarray, "f k 2"]
    frame_bias: Float64[np.ndarray, "f k"]
    class_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NarrowedModel:
    """A copy of a network with two units before its output, retrained.

    Attributes:
        model: the copy.
        plane: what was found in the plane of the two units.
    """

    model: nn.Module
    plane: BottleneckPlane

    __repr__ = in_one_line


@with_bars
def bottleneck(  # noqa: PLR0913  every setting by name, so that an editor completes it
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    activation: str | None = None,
    only_new: bool = False,
    epochs: int | None = None,
    batch_size: int = 256,
    rate: float = 0.01,
    loss: Callable[[Tensor, Tensor], Tensor] | str | None = None,
    rows: int = ROWS,
    seed: int = 0,
    progress: Progress = silent,
    **read_as: Unpack[ReadAs],
) -> NarrowedModel:
    """Put a layer of two units before the output, retrain a copy, and look at the plane of those units.

    The output layer is found by running the model. Whatever the two units let through can be drawn, and whether the
    classes lie apart there is decided with a proof. It is another network than the one that was given: `plane.cost`
    tells what the two units cost in held-out accuracy.

    Args:
        model: any module that puts out one row of scores for each sample; it stays as it is.
        data: samples with classes, as `unbend.study` takes them.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        activation: what the two units bend with, such as "tanh"; None for nothing.
        only_new: train the two new layers only.
        epochs: passes over the training rows; None for 3,000 steps.
        batch_size: rows a step.
        rate: learning rate of the new layers; the others move at a tenth of it.
        loss: the loss (output, y), or its name; None for cross-entropy.
        rows: rows of each part at most.
        seed: of the new layers and of the order of the rows.
        progress: called as it goes on; left out, bars show by themselves.
        read_as: `reduce`, `axis`, `inputs`, `target`, `output`, `groups` and `n_classes`, as `unbend.study` takes them.

    Raises:
        ModelError: the model puts out no row of scores for each sample.
        DataError: the labels are no classes, or the loss is no longer finite.

    Cost:
        The retraining: 3,000 steps, forward and backward. With `only_new` mostly one forward pass over the rows.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=200, seed=0)
        >>> net = unbend.zoo.mlp([2, 16, 2], seed=0)
        >>> found = unbend.bottleneck(net, (data.x_train, data.y_train), epochs=2)
        >>> found.plane.layer, found.plane.points.shape[1]
        ('2.narrow', 2)
    """
    how = Retraining(only_new, epochs, batch_size, rate, seed)
    with setup(model, data, held_out=held_out, loss=loss, rows=rows, batch_size=batch_size, **read_as) as made:
        subject = made.subject
        check_scores(subject.out, subject.n_classes)
        look = subject.train.rows(0, 8)[0]
        with kept_random(made.model):
            net = narrow_before(made.model, look, min(8, subject.train.n), activation=activation, seed=seed)
            shown = _some(subject.train)
            rule, has_lines = rule_of(net, subject, shown)
            frames = retrain(net, subject, how, shown, rule, progress)
        progress("Proving separability", 0, None)
        found = _plane(made, net, how, _Film(rule, has_lines, shown.y, frames))
    net.model.eval()
    return NarrowedModel(net.model, found)


@dataclass(frozen=True, slots=True, eq=False)
class _Film:
    """How some rows moved in the plane.

    Attributes:
        rule: how positions are reduced, as `rule_of` found it.
        has_lines: as in `BottleneckPlane`.
        y: classes of the rows.
        frames: the plane at some moments.
    """

    rule: str
    has_lines: bool
    y: Tensor
    frames: Sequence[PlaneFrame]


def _some(rows: Sample) -> Sample:
    """The rows of the film."""
    n = min(rows.n, SHOWN)
    inputs, labels = rows.rows(0, n)
    return Sample(inputs, labels.y, n, n_classes=rows.n_classes)


def _plane(made: Setup, net: Insertion, how: Retraining, film: _Film) -> BottleneckPlane:
    """What there is to say of the plane at the end."""
    subject, frames = made.subject, film.frames
    train, train_out = plane(net, subject, subject.train, film.rule)
    held_out, out = plane(net, subject, subject.held_out, film.rule)
    y, y_held_out = subject.train.y, subject.held_out.y
    verdict = separate(train.cpu(), y, budget=BUDGET)
    assert not isinstance(verdict, Answers)  # noqa: S101  the joint question has one answer
    before, after = ((subject.guess(o) == y_held_out).numpy() for o in (subject.out_held_out, out))
    weight, bias = lines(net.output)
    return BottleneckPlane(
        layer=net.layer, reason=net.reason, only_new=how.only_new, n_steps=how.n_steps(subject.train.n),
        plain_train=subject.score(subject.out, y), plain_held_out=float(before.mean()),
        train=subject.score(train_out, y), held_out=float(after.mean()), cost=paired_difference(before, after),
        verdict=verdict, is_verified=bool(verdict.verify(train.cpu(), y)), has_lines=film.has_lines,
        points=train.cpu().numpy(), y=y.numpy(), held_out_points=held_out.cpu().numpy(),
        held_out_y=y_held_out.numpy(), weight=weight, bias=bias,
        frame_steps=np.array([one.step for one in frames]), frame_points=np.stack([one.points for one in frames]),
        frame_y=film.y.numpy(), frame_weight=np.stack([one.weight for one in frames]),
        frame_bias=np.stack([one.bias for one in frames]), class_names=made.class_names,
    )  # fmt: skip
