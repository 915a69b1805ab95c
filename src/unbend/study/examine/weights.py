"""The weights of every layer as they are: their size against a fresh draw, equal units, what the loss would change.

In: a subject. Out: `Weights` by layer, in the order in which they run; whether the network is one affine map.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import kolmogorov
from torch import Tensor, nn

from unbend._typing import Array
from unbend.capture import twin
from unbend.capture.kinds import kind_of, original_class
from unbend.capture.quiet import hear_modules
from unbend.errors import DataError, ModelError
from unbend.study.examine.subject import Subject
from unbend.study.examine.values import Weights

_SEEN = 512
_DRAWN = 5000
"""Weights compared with a fresh draw; of more, the first ones."""
_FAR = (0.5, 3.0, -5.0)
"""Where on a line through two rows the network is asked: between them and far outside."""
_AFFINE = (nn.Linear, nn.modules.conv._ConvNd)  # noqa: SLF001  the base of Conv1d, Conv2d, Conv3d


@dataclass(frozen=True, slots=True)
class Ran:
    """A module that ran: its path, what it is, the sizes of what went in and came out, and their root mean squares.

    Attributes:
        path: of the module.
        module: the module itself.
        shape_in: sizes of what went in.
        shape_out: sizes of what came out.
        rms_in: root mean square of what went in.
        rms_out: root mean square of what came out.
    """

    path: str
    module: nn.Module
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    rms_in: float
    rms_out: float


def ran(subject: Subject) -> tuple[Ran, ...]:
    """Modules without children in the order in which they first ran, with one tensor in and one out.

    Of a recurrent layer with the rows first it is what it puts out at every position.
    """
    found: dict[str, Ran] = {}

    def note(path: str, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        out = out[0] if is_recurrent(module) else out
        if args and isinstance(args[0], Tensor) and isinstance(out, Tensor) and path not in found:
            x = args[0]
            found[path] = Ran(path, module, tuple(x.shape), tuple(out.shape), _before[path], rms(out))

    _before: dict[str, float] = {}

    def enter(path: str, _module: nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], Tensor):
            _before[path] = rms(args[0])

    leaves = [(path, module) for path, module in subject.model.named_modules() if next(module.children(), None) is None]
    with torch.no_grad(), hear_modules(leaves, enter, note):
        subject.run(subject.model, subject.train.rows(0, _SEEN)[0])
    return tuple(found.values())


def is_recurrent(module: nn.Module) -> bool:
    """Whether it is a recurrent layer that is given rows first, and puts out a pair."""
    return isinstance(module, nn.RNNBase) and module.batch_first


def rms(values: Tensor) -> float:
    """Root mean square."""
    return float(values.detach().double().pow(2).mean().sqrt()) if values.numel() else math.nan


def is_affine_layer(module: nn.Module) -> bool:
    """Whether a module is an affine layer with a weight."""
    return issubclass(original_class(module), _AFFINE) and isinstance(getattr(module, "weight", None), Tensor)


def weights(subject: Subject, modules: tuple[Ran, ...]) -> tuple[Weights, ...]:
    """What the weights of every affine layer show.

    Cost:
        One backward pass over a few rows, where there is a loss.
    """
    affine = [(i, each) for i, each in enumerate(modules) if is_affine_layer(each.module)]
    pulls = pull(subject, subject.copy(), [each.path for _, each in affine])
    top = max((p for p in pulls.values() if math.isfinite(p)), default=math.nan)
    return tuple(
        _of(each, pulls.get(each.path, math.nan) / top if top > 0 else math.nan, modules[i + 1 : i + 2])
        for i, each in affine
    )


def _uniform(drawn: Array) -> float:
    """Asymptotic p of Kolmogorov and Smirnov's test of a uniform distribution over [-1, 1].

    As `scipy.stats.kstest` gives it; that package takes longer to load than a study of a small net.
    """
    n = len(drawn)
    share = np.clip((np.sort(drawn) + 1) / 2, 0.0, 1.0)
    above, below = (np.arange(1.0, n + 1) / n - share).max(), (share - np.arange(0.0, n) / n).max()
    return float(np.clip(kolmogorov(max(above, below) * np.sqrt(n)), 0.0, 1.0))


def _of(each: Ran, share: float, after: tuple[Ran, ...]) -> Weights:
    weight = each.module.weight.detach()  # pyrefly: ignore
    weight = weight if isinstance(weight, Tensor) else torch.zeros(0)
    flat = weight.flatten(1).double()
    bound = flat.shape[1] ** -0.5
    values = flat.flatten()
    is_finite = bool(torch.isfinite(values).all())
    top = float(values.abs().max()) if values.numel() and is_finite else math.nan
    drawn = (values[:_DRAWN] / bound).numpy()
    p = _uniform(drawn) if is_finite and len(drawn) else 0.0
    has_norm = any(kind_of(next_.module) == "norm" for next_ in after)
    return Weights(
        layer=each.path,
        n=values.numel(),
        size=rms(values) * math.sqrt(3) / bound,
        identical=_identical(flat, top),
        n_units=len(flat),
        top=top / bound,
        p_drawn=p,
        pull=share,
        is_finite=is_finite,
        lacks_bias=getattr(each.module, "bias", None) is None and not has_norm,
        rms_in=each.rms_in,
        rms_out=each.rms_out,
    )


def _identical(flat: Tensor, top: float) -> int:
    """Units whose weights equal those of another, to the rounding of a training step."""
    if not top > 0 or len(flat) < 2:
        return len(flat) if top == 0 else 0
    return len(flat) - len(torch.unique((flat / top * 1e5).round(), dim=0))


def pull(subject: Subject, net: nn.Module, paths: list[str]) -> Mapping[str, float]:
    """Root mean square of the loss gradient at the weights of some layers; empty where there is none."""
    if subject.loss is None:
        return {}
    inputs, labels = subject.train.rows(0, _SEEN)
    try:
        subject.value(subject.run(net, inputs), labels).backward()
    except (RuntimeError, DataError):  # a network that takes no gradients says nothing of them
        return {}
    parts = dict(net.named_modules())
    grads = {path: getattr(parts[path].weight, "grad", None) for path in paths}
    return {path: rms(grad) for path, grad in grads.items() if isinstance(grad, Tensor)}


def fresh_reach(subject: Subject, paths: list[str]) -> float:
    """Gradient at the first layer over that at the last, in a fresh copy: before any training."""
    try:
        fresh = twin(subject.model, seed=0)
    except ModelError:
        return math.nan
    found = list(pull(subject, fresh, paths).values())
    return found[0] / found[-1] if len(found) > 1 and found[-1] > 0 else math.nan


def is_affine(subject: Subject) -> bool:
    """Whether the network is one affine map by its structure: with its weights and with fresh ones.

    With dead units alone a network is affine too, but not with fresh weights. A softmax or sigmoid module at its end is
    set aside.
    """
    if not _acts_affinely(subject, subject.copy()):
        return False
    try:
        return _acts_affinely(subject, twin(subject.model, seed=0))
    except ModelError:
        return False


def _acts_affinely(subject: Subject, net: nn.Module) -> bool:
    """Whether on a line through two rows the outputs lie on a line, far outside too."""
    x = subject.train.inputs
    if not isinstance(x, Tensor) or not x.is_floating_point() or subject.train.n < 8:
        return False
    net, n = net.double(), min(128, subject.train.n // 2)
    end = subject.trail.end
    if end is not None and end.name in {"softmax", "log_softmax", "sigmoid"}:
        parent, _, leaf = end.path.rpartition(".")
        if not leaf or next(net.get_submodule(end.path).children(), None) is not None:
            return False
        setattr(net.get_submodule(parent), leaf, nn.Identity())
    elif end is not None:
        return False
    a, b = x[:n].double(), x[-n:].double()
    try:
        with torch.no_grad():
            at_a, at_b = subject.run(net, a), subject.run(net, b)
            size = max(rms(at_b - at_a), 1e-12)
            return all(
                rms(subject.run(net, a + t * (b - a)) - at_a - t * (at_b - at_a)) < 1e-5 * size * max(1, abs(t))
                for t in _FAR
            )
    except (RuntimeError, ModelError):  # a network that computes in another precision inside
        return False
