"""What the network puts out against what the loss asks: probed with made-up outputs, never by the loss's name.

In: a subject. Out: `Contract`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from unbend.study.examine.ends import Trail
from unbend.study.examine.subject import Subject
from unbend.study.examine.values import Contract

_ROWS = 256
_SURE = 30.0
"""Scores so far apart that a softmax or sigmoid of them is 1 to rounding."""
_SAME = 1e-3
"""Relative difference of two passes over the same rows from which they are said to differ."""


def output(subject: Subject) -> Contract:
    """What the network puts out, and what the loss asks of it.

    Cost:
        Two passes over a few rows, and the loss of a few made-up outputs.
    """
    out, path = subject.out, subject.trail
    is_finite = bool(torch.isfinite(out).all())
    probe = _probe(subject) if subject.loss is not None and is_finite else [math.nan] * 5
    end, before = path.end, path.before
    layer = end.path if end is not None else path.steps[0].path if path.steps else ""
    return Contract(
        layer=layer or None,
        width=out.shape[1],
        end="" if end is None else end.name,
        before="" if before is None else before.name,
        before_layer=None if before is None else before.path or None,
        sums_to_one=is_finite and out.shape[1] > 1 and float(out.min()) >= 0 and _close_to_one(out.sum(1)),
        is_constant=is_finite and float((out - out[:1]).abs().max()) <= 1e-6 * max(float(out.abs().max()), 1e-12),
        low=float(out.min()),
        high=float(out.max()),
        clipped=_share_clipped(subject, path) if subject.loss is not None and is_finite else math.nan,
        outside=_outside(subject, path),
        is_repeatable=_is_repeatable(subject),
        loss_now=probe[0],
        loss_tenfold=probe[1],
        loss_one_hot=probe[2],
        loss_sure=probe[3],
        loss_growth=probe[4],
        loss_climb=_climb(subject, path) if subject.loss is not None and is_finite else math.nan,
    )


def _close_to_one(total: Tensor) -> bool:
    return float((total - 1).abs().max()) < 1e-4


def _is_repeatable(subject: Subject) -> bool:
    inputs, _ = subject.train.rows(0, 64)
    with torch.no_grad():
        first, again = (subject.run(subject.model, inputs).double() for _ in range(2))
    size = float(torch.nan_to_num(first, 0.0, 0.0, 0.0).abs().mean())
    return bool(torch.allclose(first, again, rtol=_SAME, atol=_SAME * size, equal_nan=True))


def _probe(subject: Subject) -> list[float]:
    """The loss of the outputs, of ten times them, of perfect outputs, of sure ones, and how it grows from there."""
    now, hot = subject.out[:_ROWS], _one_hot(subject, subject.train.y[:_ROWS])
    far = _SURE * (2 * hot - 1) if hot.shape[1] == 1 else _SURE * hot
    one, two = (_ask(subject, lambda e=e: hot + e) for e in (1.0, 2.0))
    return [
        _ask(subject, lambda: now), _ask(subject, lambda: 10 * now), _ask(subject, lambda: hot),
        _ask(subject, lambda: far), two / one if one > 0 else math.nan,
    ]  # fmt: skip


def _climb(subject: Subject, path: Trail) -> float:
    """How much the loss still rises from wrong to more wrong outputs, over its rise from right to wrong ones.

    Outputs are made of the kind that the network puts out: probabilities where it ends in a softmax or sigmoid.
    """
    out, hot = subject.out, _one_hot(subject, subject.train.y[:_ROWS])
    if out.shape[1] == 1:
        return math.nan
    if path.end is not None and path.end.name not in {"softmax", "sigmoid", "log_softmax"}:
        return math.nan
    right = torch.full_like(hot, 1e-7) / hot.shape[1] + hot * (1 - 1e-7)
    wrong = right.roll(1, 1)
    rows = [mix / mix.sum(1, keepdim=True) for mix in (right, wrong + 1e-3 * hot, wrong + 1e-6 * hot)]
    is_logged = path.end is None or path.end.name == "log_softmax"
    low, high, higher = (_ask(subject, lambda p=p: p.log() if is_logged else p) for p in rows)
    return (higher - high) / (high - low) if high > low else math.nan


def _ask(subject: Subject, make: Callable[[], Tensor]) -> float:
    if not subject.n_classes:
        return math.nan
    try:
        with torch.no_grad():
            return float(subject.value(make(), subject.train.rows(0, _ROWS)[1]))
    except Exception:  # noqa: BLE001  the user's loss may refuse an output that no network puts out, in any way
        return math.nan


def _one_hot(subject: Subject, y: Tensor) -> Tensor:
    """Perfect outputs, of the network's own width."""
    width = subject.out.shape[1]
    if width == 1:
        return y.reshape(len(y), -1)[:, :1].float()
    hot = torch.zeros(len(y), width)
    if subject.n_classes:
        kept = y < width
        hot[torch.arange(len(y))[kept], y[kept]] = 1
    return hot


def _share_clipped(subject: Subject, path: Trail) -> float:
    """Share of outputs at a lower bound of 0 while the loss would have them lower."""
    if path.end is None or path.end.name not in {"relu", "relu6", "clamp", "clamp_min", "clip", "threshold"}:
        return 0.0
    out = subject.out[:512].clone().requires_grad_()
    try:
        subject.value(out, subject.train.rows(0, 512)[1]).backward()
    except Exception:  # noqa: BLE001  as above
        return math.nan
    grad = out.grad
    if grad is None:
        return math.nan
    return float(((out == 0) & (grad > 1e-3 * grad.abs().max())).float().mean())


_RANGES = {"sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "hardsigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0),
           "hardtanh": (-1.0, 1.0), "relu": (0.0, math.inf), "relu6": (0.0, 6.0), "softplus": (0.0, math.inf),
           "exp": (0.0, math.inf), "log_softmax": (-math.inf, 0.0), "logsigmoid": (-math.inf, 0.0)}  # fmt: skip
"""What each end can put out."""


def _outside(subject: Subject, path: Trail) -> float:
    """Share of the targets of a regression that the end of the network cannot reach."""
    if subject.n_classes or path.end is None:
        return 0.0
    low, high = _RANGES.get(path.end.name, (-math.inf, math.inf))
    y = subject.train.y
    return float(((y < low - 1e-6) | (y > high + 1e-6)).float().mean())
