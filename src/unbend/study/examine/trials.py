"""Short trainings of copies: what a little more training, or a fresh start, would bring.

In: a subject, with a loss. Out: `Trial`s. The network itself, the user's generators and flags stay as they are.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from unbend.capture import twin
from unbend.errors import ModelError
from unbend.study.examine.subject import Subject
from unbend.study.examine.values import Trial

STEPS = 300
"""Steps of Adam in a trial."""
SECONDS = 6.0
"""And how long they may take, on the processor: on a busy machine a trial is as long as on an idle one."""
_RATE = 3e-3
_ROWS = 64


def trial(
    subject: Subject,
    name: str,
    *,
    is_fresh: bool,
    change: Callable[[nn.Module], None] | None = None,
    is_scaled: bool = False,
) -> Trial | None:
    """The same short training of a copy; None where it cannot be made or trained.

    Args:
        subject: the network, with a loss.
        name: of the trial.
        is_fresh: start from new weights, not from the network's.
        change: done to the copy first.
        is_scaled: standardise the inputs with the mean and spread of the training rows.

    Cost:
        At most 300 steps on 64 rows, or six seconds.
    """
    try:
        net = twin(subject.model, seed=0).train() if is_fresh else subject.copy().train()
    except ModelError:
        return None
    for parameter in net.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    if change is not None:
        change(net)
    scale = _scaling(subject.train.inputs) if is_scaled else _same
    try:
        n = _train(subject, net, scale)
        net.eval()
        return Trial(name=name, n_steps=n, train=_score(subject, net, "train", scale),
                     held_out=_score(subject, net, "held_out", scale))  # fmt: skip
    except Exception:  # noqa: BLE001  a copy that cannot be trained costs the trial, not the study
        return None


def _train(subject: Subject, net: nn.Module, scale: Callable[[Any], Any]) -> int:
    """Train a copy; how many steps were made."""
    order = torch.Generator().manual_seed(0)
    steps = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=_RATE)
    left, made, end = torch.zeros(0, dtype=torch.int64), 0, time.thread_time() + SECONDS
    n = min(_ROWS, subject.train.n)
    with torch.enable_grad():
        while made < STEPS and time.thread_time() < end:
            if len(left) < n:
                left = torch.randperm(subject.train.n, generator=order)
            inputs, labels = subject.train.of(left[:n])
            left = left[n:]
            value = subject.value(subject.run(net, scale(inputs)), labels)
            if not bool(torch.isfinite(value)):
                break
            steps.zero_grad()
            value.backward()
            steps.step()
            made += 1
    return made


def _score(subject: Subject, net: nn.Module, part: str, scale: Callable[[Any], Any]) -> float:
    rows = subject.train if part == "train" else subject.held_out
    with torch.no_grad():
        out = [subject.run(net, scale(rows.rows(i, i + 256)[0])).float() for i in range(0, rows.n, 256)]
    return subject.score(torch.cat(out), rows.y) if out else math.nan


def _same(inputs: Any) -> Any:
    return inputs


def _scaling(x: Any) -> Callable[[Any], Any]:
    """Standardises a tensor column by column (channel by channel); leaves anything else as it is."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return _same
    axes = [0, *range(2, x.ndim)]
    mean, std = x.mean(axes, keepdim=True), x.std(axes, keepdim=True) + 1e-8
    return lambda inputs: (inputs - mean) / std


def without_dropout(net: nn.Module) -> None:
    """Switch every dropout of a copy off."""
    for module in net.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):  # noqa: SLF001  the base of all of them
            module.p = 0.0


def with_biases(paths: list[str]) -> Callable[[nn.Module], None]:
    """Gives the layers named a bias."""

    def change(net: nn.Module) -> None:
        for path in paths:
            module = net.get_submodule(path)
            weight = module.weight
            if isinstance(weight, Tensor):
                module.bias = nn.Parameter(torch.zeros(weight.shape[0]))

    return change
