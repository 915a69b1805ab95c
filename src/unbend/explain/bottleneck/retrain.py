"""The training of a copy into which two units were put, watched as it goes on.

In: an `Insertion`, rows. Out: the copy trained in place, and the plane of its two units at some moments.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbend.capture import quiet
from unbend.errors import DataError
from unbend.explain.bottleneck.output import Insertion
from unbend.explain.scores import row_losses
from unbend.study.cost import LONG, in_words
from unbend.study.examine.subject import Sample, Subject
from unbend.study.loss import LabelForms
from unbend.study.progress import Progress, remark, ticker

Step: TypeAlias = Callable[[Tensor], Tensor]
"""From the numbers of some rows to the output of the copy for them."""
STEPS = 3000
"""Steps of a retraining whose length is not given."""
SHOWN = 400
"""Rows in a frame of the film."""
FRAMES = 40
_BATCH = 256
_REST = 0.1
"""Share of the rate at which layers that were trained before move on."""


@dataclass(frozen=True, slots=True)
class Retraining:
    """How a copy is retrained.

    Attributes:
        only_new: train the new layers only, and leave the others as they are.
        epochs: passes over the training rows; None for some 3,000 steps.
        batch_size: rows a step.
        rate: learning rate of the new layers; the others move at a tenth of it. It falls to 0 along a cosine.
        seed: of the new layers, the order of the rows, and of dropout.
    """

    only_new: bool = False
    epochs: int | None = None
    batch_size: int = _BATCH
    rate: float = 0.01
    seed: int = 0

    def n_steps(self, n: int) -> int:
        """How many steps that is for n rows."""
        per_epoch = -(-n // self.batch_size)
        return STEPS if self.epochs is None else self.epochs * per_epoch


@dataclass(frozen=True, slots=True, eq=False)
class PlaneFrame:
    """The plane of the two units at one moment.

    Attributes:
        step: after how many steps.
        points: where the rows shown lie.
        weight: of the output layer.
        bias: of the output layer.
    """

    step: int
    points: Float[np.ndarray, "n 2"]
    weight: Float[np.ndarray, "k 2"]
    bias: Float[np.ndarray, "k"]


def retrain(
    net: Insertion, subject: Subject, how: Retraining, shown: Sample, rule: str, progress: Progress
) -> list[PlaneFrame]:
    """Train the copy in place; the plane at some moments, many at first and few later.

    Args:
        net: the copy.
        subject: rows.
        how: the settings.
        shown: the first training rows, which stand in the frames.
        rule: how positions are reduced.
        progress: called as it goes on.

    Raises:
        DataError: the loss is no longer finite.

    Cost:
        `how.n_steps` steps; of the new layers alone, where the output is theirs, the rest of the network runs once.
    """
    n_steps, kept = how.n_steps(subject.train.n), []
    looks = {round(step) for step in [0.0, *np.geomspace(1, n_steps, FRAMES)]}
    tick = ticker(progress, "Retraining with two units", n_steps)
    with _flags_kept(net.model), quiet(net.model, training=not how.only_new, grad=True):
        torch.manual_seed(how.seed)
        features = _features(net, subject) if how.only_new else None
        outputs = _outputs(net, subject, features)
        look = partial(frame, net, subject, shown, rule=rule, features=features)
        steps, schedule = _optimizer(net, how, n_steps)
        for step, rows in enumerate(_batches(subject.train.n, how, n_steps)):
            if step in looks:
                kept.append(look(step=step))
            begun = time.thread_time()
            value = _loss(subject, outputs(rows), subject.train.of(rows)[1])
            if not bool(torch.isfinite(value)):
                raise DataError(f"bottleneck: the loss is no longer finite at step {step}. Lower rate ({how.rate:g}).")
            steps.zero_grad()
            value.backward()
            steps.step()
            schedule.step()
            if step == 1:
                remark(progress, _cost(how, n_steps, time.thread_time() - begun))
            tick(1)
        return [*kept, look(step=n_steps)]


@contextmanager
def _flags_kept(model: nn.Module) -> Iterator[None]:
    """Afterwards the parameters that are trained are those of before, so that the copy can be trained on."""
    known = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for parameter, flag in known:
            parameter.requires_grad_(flag)


def _cost(how: Retraining, n_steps: int, step: float) -> str:
    """How long the retraining will take, and what would take less; nothing for less than a minute."""
    if n_steps * step < LONG:
        return ""
    told = (
        f"Retraining takes about {in_words(n_steps * step)} ({n_steps:,} steps). epochs= (--epochs) takes fewer steps"
    )
    return f"{told}." if how.only_new else f"{told}; only_new=True (--only-new) trains the two new layers alone."


def _batches(n: int, how: Retraining, n_steps: int) -> Iterator[Tensor]:
    """Rows for each step: every row once before any comes again."""
    order = torch.Generator().manual_seed(how.seed)
    left = torch.zeros(0, dtype=torch.int64)
    for _ in range(n_steps):
        if not len(left):
            left = torch.randperm(n, generator=order)
        yield left[: how.batch_size]
        left = left[how.batch_size :]


def _optimizer(net: Insertion, how: Retraining, n_steps: int) -> tuple[torch.optim.Optimizer, Any]:
    new = list(net.head.parameters())
    known = {id(p) for p in new}
    rest = [p for p in net.model.parameters() if id(p) not in known and p.is_floating_point()]
    for parameter in rest:
        parameter.requires_grad_(not how.only_new)
    groups: list[dict[str, Any]] = [{"params": new, "lr": how.rate}]
    groups += [] if how.only_new or not rest else [{"params": rest, "lr": _REST * how.rate}]
    steps = torch.optim.Adam(groups, eps=max(1e-8, *(torch.finfo(p.dtype).tiny for p in new)))
    falling = torch.optim.lr_scheduler.LambdaLR(steps, lambda i: 0.5 + 0.5 * math.cos(math.pi * min(i / n_steps, 1)))
    return steps, falling


def _outputs(net: Insertion, subject: Subject, features: Tensor | None) -> Step:
    """From rows to the output; where it is known what the new layers take of each, the rest has run already."""
    if features is None:
        return lambda rows: subject.run(net.model, subject.train.of(rows)[0]).float()
    return lambda rows: net.head(features[rows.to(features.device)]).float()


def _features(net: Insertion, subject: Subject) -> Tensor | None:
    """What the new layers take of every training row, where the output is theirs; else None."""
    caught: list[Tensor] = []
    with torch.no_grad(), _hearing(net.head, lambda args, _out: caught.append(args[0].detach().clone())):
        first = subject.run(net.model, subject.train.rows(0, _BATCH)[0])
    with torch.no_grad():
        is_last = len(caught) == 1 and _is_same(net.head(caught[0]), first)
    if not is_last:
        return None
    caught.clear()
    with torch.no_grad(), _hearing(net.head, lambda args, _out: caught.append(args[0].detach().clone())):
        subject.outputs(net.model, subject.train)
    return torch.cat(caught)


def _is_same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=1e-4, atol=1e-6))


@contextmanager
def _hearing(module: nn.Module, hear: Callable[[Any, Tensor], None]) -> Iterator[None]:
    handle = module.register_forward_hook(lambda _module, args, out: hear(args, out))
    try:
        yield
    finally:
        handle.remove()


def _loss(subject: Subject, out: Tensor, labels: LabelForms) -> Tensor:
    """The caller's loss; without one cross-entropy, of logits or of probabilities."""
    if subject.loss is not None:
        return subject.value(out, labels)
    return row_losses(out, labels.y).mean()


def plane(net: Insertion, subject: Subject, rows: Sample, rule: str = "mean") -> tuple[Tensor, Tensor]:
    """Where rows lie in the plane of the two units, and the output for them; positions are reduced by a rule."""
    caught: list[Tensor] = []
    with (
        quiet(net.model),
        _hearing(net.model.get_submodule(net.layer), lambda _args, out: caught.append(_reduce(out, net.output, rule))),
    ):
        out = subject.outputs(net.model, rows)
    return torch.cat(caught).float(), out


def _reduce(h: Tensor, output: nn.Module, rule: str) -> Tensor:
    """One row per sample."""
    if h.ndim == 2:
        return h.detach().clone()
    positions = h.flatten(2).transpose(1, 2) if not isinstance(output, nn.Linear) else h.flatten(1, -2)
    return {"mean": positions.mean(1), "first": positions[:, 0], "last": positions[:, -1]}[rule].detach().clone()


def rule_of(net: Insertion, subject: Subject, rows: Sample) -> tuple[str, bool]:
    """How positions are reduced so that the output layer, read there, is right; and whether any rule makes it so."""
    for rule in ("mean", "first", "last"):
        with suppress(RuntimeError):
            h, out = plane(net, subject, rows, rule)
            weight, bias = lines(net.output)
            read = h.double() @ torch.from_numpy(weight).T + torch.from_numpy(bias)
            if float((subject.guess(read) == subject.guess(out)).float().mean()) > 0.99:
                return rule, True
    return "mean", False


def lines(output: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Weight [k, 2] and bias [k] of the output layer."""
    weight, bias = (getattr(output, name) for name in ("weight", "bias"))
    rows = weight.detach().double().cpu().numpy().reshape(len(weight), -1)
    return rows, np.zeros(len(rows)) if bias is None else bias.detach().double().cpu().numpy()


def frame(
    net: Insertion, subject: Subject, shown: Sample, *, step: int, rule: str, features: Tensor | None
) -> PlaneFrame:
    """The plane as it is now; from what the new layers take, where that is known."""
    if features is None:
        h, _ = plane(net, subject, shown, rule)
    else:
        narrow = net.model.get_submodule(net.layer)
        caught: list[Tensor] = []
        with torch.no_grad(), _hearing(narrow, lambda _args, out: caught.append(_reduce(out, net.output, rule))):
            net.head(features[: shown.n])
        h = caught[0].float()
    return PlaneFrame(step, h.double().cpu().numpy(), *lines(net.output))
