"""Steering: a direction added to a layer during the forward pass, and what the output makes of it.

In: a model and data, a layer, a class or a direction. Out: a `Steering`, always beside random directions of the same
length; `adding` for a forward pass of the user's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array, Float64
from unbend.capture import Tap, quiet
from unbend.errors import DataError, LayerError, ShapeError
from unbend.explain.defaults import STRENGTHS
from unbend.explain.scores import row_losses
from unbend.explain.setup import Setup, setup
from unbend.explain.surgery.operations import add
from unbend.explain.surgery.replay import Replay, changed_output
from unbend.numerics.centroids import CentroidState, centroids
from unbend.numerics.direction import Direction, mean_direction, row_means
from unbend.numerics.result import result
from unbend.numerics.second import SecondState
from unbend.study.progress import Progress, silent, ticker, with_bars
from unbend.study.settings import ReadAs
from unbend.study.values import wanted_state

ROWS = 500


@result
class Steering:
    """What the output makes of a direction that is added to a layer.

    Attributes:
        direction: the direction.
        label: the class it leads to.
        n: held-out rows of other classes.
        strengths: multiples of the direction's length that were added, 0 among them [s].
        called: share of the rows that the network calls the class then [s].
        score: mean log-probability of the class [s].
        random_called: the same for random directions of the same length [r, s].
        random_score: the same [r, s].
    """

    direction: Direction
    label: int
    n: int
    strengths: Float64[Array, "s"]
    called: Float64[Array, "s"]
    score: Float64[Array, "s"]
    random_called: Float64[Array, "r s"]
    random_score: Float64[Array, "r s"]

    @property
    def effect(self) -> float:
        """By how much one whole step raises the share that is called the class, beyond random directions."""
        one, none = (int(np.abs(self.strengths - s).argmin()) for s in (1.0, 0.0))
        random = (self.random_called[:, one] - self.random_called[:, none]).mean() if len(self.random_called) else 0.0
        return float(self.called[one] - self.called[none] - random)


@with_bars
def steer(  # noqa: PLR0913  every setting by name, so that an editor completes it
    model: nn.Module,
    data: Any,
    towards: int | str,
    *,
    layers: Sequence[str] | None = None,
    directions: Mapping[str, Direction] | None = None,
    held_out: Any = None,
    strengths: Sequence[float] = STRENGTHS,
    n_random: int = 3,
    rows: int = ROWS,
    batch_size: int = 256,
    seed: int = 0,
    progress: Progress = silent,
    **read_as: Unpack[ReadAs],
) -> tuple[Steering, ...]:
    """Add to each layer the way from all other rows to a class, and see how many rows the network calls that class.

    Args:
        model: any module that puts out one row of scores for each sample; it stays as it is.
        data: samples with classes, as `unbend.study` takes them.
        towards: the class, by number or by name.
        layers: paths or globs; None for a sensible choice.
        directions: what to add to which layer; None for the difference of class means of the training rows.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        strengths: how much is added, in multiples of the direction's length; 0 is added to them.
        n_random: random directions of the same length, for comparison.
        rows: held-out rows at most; those of the class itself are left out.
        batch_size: rows per forward pass.
        seed: of the random directions.
        progress: called as it goes on; left out, bars show by themselves.
        read_as: `reduce`, `axis`, `inputs`, `target`, `output`, `groups` and `n_classes`, as `unbend.study` takes them.

    Raises:
        DataError: no such class.
        ModelError: the model puts out no score for each class.
        LayerError: no such layer, or none in which a way leads there.

    Cost:
        A pass over the training rows; then for each layer, strength and direction the layers behind it.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=300, seed=0)
        >>> net = unbend.zoo.mlp([2, 16, 2], seed=0)
        >>> [found.direction.layer for found in unbend.steer(net, (data.x_train, data.y_train), 1)]
        ['0', '1']
    """
    chosen = list(directions) if layers is None and directions else layers
    with setup(model, data, held_out=held_out, layers=chosen, rows=rows, batch_size=batch_size, **read_as) as made:
        label = _label(made, towards)
        made.check_scores()
        plan = made.work.plan
        taps = [tap for tap in plan.taps if tap.name not in {plan.output, plan.head}]
        taps = [tap for tap in taps if tap.alias_of is None and not tap.order]
        if not taps:
            raise LayerError("layers: none of these layers stands before the output. Name others.")
        ways = dict(directions or _directions(made, taps, label, progress))
        if not ways:
            raise LayerError(
                "layers: in none of these is the mean of one class another than that of the rest, so nothing leads "
                "there. Name others."
            )
        lost = [name for name in ways if name not in {tap.name for tap in taps}]
        if lost:
            raise LayerError(f"directions: {lost[0]!r} is no layer before the output that can be steered.")
        levels = np.unique([0.0, *strengths])
        return _steer(made, [tap for tap in taps if tap.name in ways], ways, label, levels, n_random, seed, progress)


def _label(made: Setup, towards: int | str) -> int:
    names = made.class_names
    if isinstance(towards, str) and towards in names:
        return names.index(towards)
    if not isinstance(towards, str) and 0 <= towards < len(names):
        return towards
    raise DataError(f"towards: no class {towards!r}. The classes are {', '.join(names[:20])}.")


def _directions(made: Setup, taps: Sequence[Tap], label: int, progress: Progress) -> dict[str, Direction]:
    """From the mean of all other training rows to that of the class, in every layer where these differ."""
    rows = made.work.rows
    tick = ticker(progress, "Training rows", rows.n["train"])
    kinds = (CentroidState, SecondState) if any(tap.view.is_picked for tap in taps) else (CentroidState,)
    states = made.states(taps, rows.batches("train"), kinds, tick=tick)
    found = {}
    for tap in taps:
        own = states[tap.name]
        if tap.view.is_picked:
            means = row_means(wanted_state(own, SecondState))
        else:
            means = centroids(wanted_state(own, CentroidState))
        known = means.mean[np.isfinite(means.mean).all(1)]  # a class may have no training rows
        if np.ptp(known, axis=0).max(initial=0.0) > 0:
            found[tap.name] = mean_direction(means, label, layer=tap.name, name=made.class_names[label])
    return found


def _steer(
    made: Setup, taps: Sequence[Tap], ways: Mapping[str, Direction], label: int, levels: Float64[Array, "s"],
    n_random: int, seed: int, progress: Progress,
) -> tuple[Steering, ...]:  # fmt: skip
    subject, given = made.subject, made.work.plan.protect
    rows = (subject.held_out.y != label).nonzero().flatten()
    if not len(rows):
        raise DataError("held_out: all held-out rows are of that class, so none can be steered to it.")
    inputs = subject.held_out.of(rows)[0]
    found = []
    tick = ticker(progress, "Steering", len(taps))
    with quiet(made.model):
        replay = Replay(made.model, inputs, [tap.place for tap in taps])
        replay.record(given(inputs))
        for tap in taps:
            way = ways[tap.name]
            tried = [way, *(way.random(seed + i) for i in range(n_random))]
            outs = [[replay.change(given(inputs), {tap.place: add(tap, level * one.step)}).cpu() for level in levels]
                    for one in tried]  # fmt: skip
            called = np.array([[float((subject.guess(o) == label).double().mean()) for o in row] for row in outs])
            wanted = torch.full((len(rows),), label)
            score = np.array([[-float(row_losses(o, wanted).mean()) for o in row] for row in outs])
            found.append(
                Steering(direction=way, label=label, n=len(rows), strengths=levels, called=called[0], score=score[0],
                         random_called=called[1:], random_score=score[1:])
            )  # fmt: skip
            tick(1)
    return tuple(found)


@contextmanager
def adding(model: nn.Module, vectors: Mapping[str, Array | Tensor], *, axis: int = -1) -> Iterator[None]:
    """Add vectors to the outputs of layers in every forward pass inside the block.

    Args:
        model: any module.
        vectors: by path of the layer, one number a unit: such as `0.5 * direction.step`.
        axis: of the units: -1 for features and tokens, 1 for channels.

    Raises:
        LayerError: no such layer.
        ShapeError: a layer has another number of units along the axis.

    Example:
        >>> net = nn.Sequential(nn.Identity(), nn.Identity())
        >>> with adding(net, {"0": np.array([1.0, 0.0])}):
        ...     net(torch.zeros(1, 2))
        tensor([[1., 0.]])
    """
    modules = dict(model.named_modules())
    with ExitStack() as stack:
        for path, vector in vectors.items():
            if path not in modules:
                raise LayerError(f"vectors: no layer named {path!r} in {type(model).__name__}.")
            hook = partial(_add, path, torch.as_tensor(vector), axis)
            stack.callback(modules[path].register_forward_hook(hook).remove)
        yield


def _add(path: str, vector: Tensor, axis: int, _module: nn.Module, _args: Any, output: Any) -> Any:
    def change(out: Tensor, _given: Tensor | None) -> Tensor:
        if not -out.ndim <= axis < out.ndim or out.shape[axis] != len(vector):
            raise ShapeError(
                f"vectors: {path!r} puts out {list(out.shape)}, and the vector has {len(vector)} numbers. Pass the "
                "axis of the units (axis=1 for channels), or a vector of this layer."
            )
        shape = [1] * out.ndim
        shape[axis] = len(vector)
        return out + vector.to(out).reshape(shape)

    return changed_output(output, change, None)
