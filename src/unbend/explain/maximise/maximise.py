"""The input that a unit, channel, direction or class answers to most, made by gradient ascent, beside real ones.

In: a model and data. Out: a `Maximisation`. Many targets are one batch: each climbs by itself, from the same start and
under the same jitter, so a target's input does not depend on what stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array, Bool, Float64, Int64, Shaped
from unbend.capture import quiet
from unbend.errors import DataError
from unbend.explain.defaults import FOR_IMAGES, STEPS
from unbend.explain.maximise.noise import Doubt, doubt, shift
from unbend.explain.maximise.parameters import Parametrisation, parametrisation
from unbend.explain.maximise.targets import Answering, Targets, numbers_of, targets
from unbend.explain.setup import Setup, setup
from unbend.explain.units.examples import Examples, Form, as_maps, from_maps, names_of
from unbend.numerics.direction import Direction
from unbend.numerics.result import result
from unbend.study.progress import Progress, silent, ticker, with_bars
from unbend.study.settings import ReadAs
from unbend.zoo.optimiser import adam_steps

RATE = 0.05
ROWS = 2000
"""Training rows beside which inputs are judged."""
EXAMPLES = 8
"""Real rows shown beside each."""
_START = 0.1
"""Spread of the start, in spreads of the data: grey, nearly."""
_JITTER = 16
"""An image is moved by up to its side over this, at least one pixel."""
_BLOCK = 31 << 20
"""Bytes of a block that is taken and let go before the ascent: glibc then keeps what each step lets go, up to twice as
much, and does not hand it back to the system, which would give every step new pages, a fifth of its time."""


@dataclass(frozen=True, slots=True)
class Ascent:
    """How inputs are made.

    Attributes:
        parametrisation: "frequency", "maco" or "pixels" for images; "whitened" or "columns" for other numbers, or for
            rows that look like square images and are none; None for the first that fits.
        steps: of Adam.
        rate: of a step, in spreads of the data.
        jitter: pixels by which an image is moved at most before each step; None for a sixteenth of its side.
        total_variation: spreads of the answer that an image must gain for as much total variation as a training image
            has on average.
    """

    parametrisation: str | None = None
    steps: int = STEPS
    rate: float = RATE
    jitter: int | None = None
    total_variation: float = 0.0


@result
class Maximisation:
    """Inputs that some units, channels, directions or classes answer to most.

    Attributes:
        layer: whose they are.
        names: of each target.
        units: their numbers; -1 for a direction [m].
        parametrisation: in what numbers the inputs were written.
        form: how they are shown.
        x: the inputs, as they are shown [m, ...].
        inputs: the inputs, as the model takes them [m, ...].
        answer: of each target to its input [m].
        mean: its mean answer to training rows [m].
        spread: its standard deviation over them [m].
        real_ids: numbers of the training rows with the greatest answers [m, e].
        real_answer: these answers [m, e].
        examples: these rows.
        survival: share of the answer above the mean that is left after small changes of the input [m].
        real_survival: the same of the strongest training rows [m].
        unlike: share of the input's power at high frequencies; of columns its Mahalanobis distance [m].
        usual: what 99 % of the training rows do not exceed there.
        is_noise: the input is adversarial noise rather than what the target answers to in the data [m].
        row_mean: of the training rows, column by column; empty for images [q].
        row_spread: their standard deviations; empty for images [q].
        n: training rows that it was judged beside.
        reading: how positions are read, in words; empty where the layer has none.
        class_names: of the classes.
    """

    layer: str
    names: tuple[str, ...]
    units: Int64[Array, "m"]
    parametrisation: str
    form: Form
    x: Shaped[Array, "m ..."]
    inputs: Shaped[Array, "m ..."]
    answer: Float64[Array, "m"]
    mean: Float64[Array, "m"]
    spread: Float64[Array, "m"]
    real_ids: Int64[Array, "m e"]
    real_answer: Float64[Array, "m e"]
    examples: Examples
    survival: Float64[Array, "m"]
    real_survival: Float64[Array, "m"]
    unlike: Float64[Array, "m"]
    usual: float
    is_noise: Bool[Array, "m"]
    row_mean: Float64[Array, "q"]
    row_spread: Float64[Array, "q"]
    n: int
    reading: str
    class_names: tuple[str, ...]

    @property
    def excess(self) -> Float64[Array, "m"]:
        """How far each answer is above the mean, in multiples of how far the greatest real one is; NaN if constant."""
        real = self.real_answer[:, 0] - self.mean
        return np.divide(self.answer - self.mean, real, out=np.full(len(real), np.nan), where=real > 0)


@with_bars
def maximise(
    model: nn.Module,
    data: Any,
    layer: str | None = None,
    *,
    units: Sequence[int] | None = None,
    directions: Direction | Sequence[Direction] = (),
    positions: str = "mean",
    how: Ascent = Ascent(),
    batch_size: int = 256,
    seed: int = 0,
    progress: Progress = silent,
    **read_as: Unpack[ReadAs],
) -> Maximisation:
    """The input that each class, or each unit or channel of a layer, or a direction in it answers to most.

    The start is grey, with a little noise that is the same for all, or, where no gradient leads up from there, the
    training row with the greatest answer; each step moves the image by a pixel or so and climbs by Adam. Beside every
    input stand the training rows with the greatest answers, and whether it is adversarial noise: an answer that small
    changes destroy though real rows survive them, or that is out of reach of real rows through frequencies, or
    combinations of columns, that they do not have.

    Args:
        model: any module whose input is one tensor of numbers; it stays as it is.
        data: samples with classes, as `unbend.study` takes them.
        layer: whose units; None for the classes of the output.
        units: which of them, or which classes; None for all, 256 at most.
        directions: in that layer, instead of units.
        positions: the answer of a channel, or where there are tokens, is its "mean" over positions or its "greatest".
        how: parametrisation, steps, jitter, total variation.
        batch_size: targets that climb together.
        seed: of the start and of the jitter.
        progress: called as it goes on; left out, bars show by themselves.
        read_as: `reduce`, `axis`, `inputs`, `target`, `output`, `groups` and `n_classes`, as `unbend.study` takes them.

    Raises:
        DataError: the input is token numbers, or no single tensor; no such class, parametrisation or reading.
        LayerError: no such layer or unit.

    Cost:
        `how.steps` times the layers up to this one, forward and backward, for each target; a pass over 2,000 rows.

    Source:
        Erhan et al. 2009; Olah, Mordvintsev and Schubert, Feature visualization, Distill 2017; Fel et al., Unlocking
        feature visualization for deeper networks with magnitude constrained optimization, NeurIPS 2023.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=200, seed=0)
        >>> net = unbend.zoo.mlp([2, 8, 2], seed=0)
        >>> found = unbend.maximise(net, (data.x_train, data.y_train), "0", units=[0, 3])
        >>> found.names, found.x.shape
        (('unit 0', 'unit 3'), (2, 2))
    """
    if positions not in ("mean", "greatest"):
        raise DataError(f"positions: expected 'mean' or 'greatest', got {positions!r}.")
    ways = (directions,) if isinstance(directions, Direction) else tuple(directions)
    layer = ways[0].layer if layer is None and ways else layer
    chosen = None if layer is None else [layer]
    with setup(model, data, layers=chosen, rows=ROWS, batch_size=batch_size, needs_classes=False, **read_as) as made:
        asked = targets(made, layer, units, ways, is_greatest=positions == "greatest")
        rows = numbers_of(made.subject.train.inputs)
        name, numbers = parametrisation(how.parametrisation, rows, made.work.rows.column_names)
        with quiet(made.model, grad=True, keeps_state=False), Answering(made, asked.tap).running() as answering:
            answers = _answers(answering, asked, rows, batch_size)
            beside = Beside(rows, answers, float(_variation(rows).mean()) if name in FOR_IMAGES else None)
            tick = ticker(progress, f"{len(asked.names)} inputs", how.steps * len(asked.names))
            parts = []
            for index in torch.arange(len(asked.names)).split(batch_size):
                parts.append(climb(answering, asked.of(index), numbers, beside.of(index), how, seed=seed))
                tick(how.steps * len(index))
            return _judge(made, asked, answering, beside, torch.cat(parts), name, batch_size)


@torch.no_grad()
def _answers(answering: Answering, asked: Targets, rows: Tensor, size: int) -> Tensor:
    """What all targets answer to training rows [n, m]."""
    return torch.cat([asked.all(answering(part)) for part in rows.split(size)])


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Training rows that targets are climbed beside.

    Attributes:
        rows: the rows [n, ...].
        answers: of the targets to them [n, m].
        variation: their mean total variation; None where they are no images.
    """

    rows: Tensor
    answers: Tensor
    variation: float | None

    def of(self, index: Tensor) -> "Beside":
        """For some of the targets."""
        return Beside(self.rows, self.answers[:, index], self.variation)


def climb(
    answering: Answering, asked: Targets, numbers: Parametrisation, beside: Beside, how: Ascent, *, seed: int
) -> Tensor:
    """The inputs at the end of the ascent, without gradients.

    Args:
        answering: the model up to the layer, listened to.
        asked: the targets.
        numbers: what is changed.
        beside: training rows.
        how: the settings.
        seed: of start and jitter.
    """
    torch.empty(_BLOCK, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(seed)
    z = _start(answering, asked, numbers, beside, generator)
    spread = beside.answers.std(0, correction=0).clamp_min(1e-6)
    step = adam_steps([z], weight_decay=0.0)
    for _ in range(how.steps):
        x = numbers.inputs(z)
        answer = asked.own(answering(x if beside.variation is None else _jitter(x, how.jitter, generator)))
        loss = -(answer / spread).sum()
        if how.total_variation and beside.variation:
            loss = loss + how.total_variation * (_variation(x) / beside.variation).sum()
        (z.grad,) = torch.autograd.grad(loss, [z])
        step(how.rate)
        with torch.no_grad():
            z.copy_(numbers.keep(z))
    return numbers.inputs(z.detach()).detach()


def _start(
    answering: Answering, asked: Targets, numbers: Parametrisation, beside: Beside, generator: torch.Generator
) -> Tensor:
    """Grey for each target, or its strongest row where no gradient leads up from grey, as behind a ReLU that is off."""
    grey = _START * numbers.start(generator).to(beside.answers.device)
    z = grey.expand(len(asked.names), *grey.shape).clone().requires_grad_()
    (slope,) = torch.autograd.grad(asked.own(answering(numbers.inputs(z))).sum(), [z])
    is_flat = slope.flatten(1).abs().amax(1) == 0
    if is_flat.any():
        with torch.no_grad():
            z[is_flat] = numbers.keep(numbers.of(beside.rows[beside.answers.argmax(0)[is_flat]]))
    return z


def _jitter(x: Tensor, most: int | None, generator: torch.Generator) -> Tensor:
    """Images moved by up to so many pixels, all alike."""
    maps = as_maps(x)
    reach = max(1, min(maps.shape[2:]) // _JITTER) if most is None else most
    if not reach:
        return x
    down, right = torch.randint(0, 2 * reach + 1, (2,), generator=generator).tolist()
    return from_maps(shift(maps, reach, down, right), tuple(x.shape[1:]))


def _variation(x: Tensor) -> Tensor:
    """Total variation of each image: mean absolute differences of neighbouring pixels."""
    maps = as_maps(x)
    return maps.diff(dim=2).abs().mean((1, 2, 3)) + maps.diff(dim=3).abs().mean((1, 2, 3))


@torch.no_grad()
def _judge(
    made: Setup, asked: Targets, answering: Answering, beside: Beside, x: Tensor, name: str, size: int
) -> Maximisation:
    sample, is_map, rows, answers = made.subject.train, name in FOR_IMAGES, beside.rows, beside.answers
    best = answers.topk(min(EXAMPLES, len(answers)), dim=0)

    def own(inputs: Tensor) -> Tensor:
        """What each target answers to the input in its own place."""
        every = torch.arange(len(inputs)).split(size)
        return torch.cat([asked.of(index).own(answering(inputs[index.to(inputs.device)])) for index in every])

    said: Doubt = doubt(x, [rows[at] for at in best.indices], rows, own, answers.mean(0), is_map=is_map)
    ids = sample.ids
    assert ids is not None  # noqa: S101  rows of a source have numbers
    at = best.indices.T.cpu()
    kept = torch.unique(at)
    order = torch.from_numpy(np.argsort(ids[kept.numpy()]))
    kept = kept[order]
    y = sample.y[kept].numpy()
    form, shown = _picture(rows[kept.to(rows.device)], is_map=is_map)
    columns = np.zeros((1, 0)) if is_map else _numbers(rows.flatten(1))
    return Maximisation(
        layer=asked.tap.name, names=asked.names, units=np.array(asked.units), parametrisation=name, form=form,
        x=_picture(x, is_map=is_map)[1], inputs=x.cpu().numpy(), answer=_numbers(own(x)),
        mean=_numbers(answers.mean(0)), spread=_numbers(answers.std(0, correction=0)),
        real_ids=ids[at.numpy()], real_answer=_numbers(best.values.T),
        examples=Examples(form=form, ids=ids[kept.numpy()], x=shown, y=y.reshape(len(y), -1)[:, 0],
                          column_names=() if is_map else names_of(rows, made.work.rows.column_names)),
        survival=said.survival, real_survival=said.real_survival, unlike=said.unlike, usual=said.usual,
        is_noise=said.is_noise, row_mean=columns.mean(0), row_spread=columns.std(0), n=len(rows),
        reading=asked.reading, class_names=made.class_names,
    )  # fmt: skip


def _picture(x: Tensor, *, is_map: bool) -> tuple[Form, Array]:
    x = x.float().cpu()
    return ("image", as_maps(x).movedim(1, -1).numpy()) if is_map else ("columns", x.flatten(1).numpy())


def _numbers(values: Tensor) -> Float64[Array, "*s"]:
    return values.double().cpu().numpy()
