"""The network under examination, with some rows of both parts: what every test of it needs, made once.

In: a bare model, a data set. Out: `Subject`. The model is run in evaluation mode and never written to: whatever changes
a network is done to a copy.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array
from unbend.capture import call, tensor_of
from unbend.study.reader import Minibatch, take
from unbend.study.source import Part, Source

MOST = 1500
"""Rows of each part that are examined."""
COLUMNS = 4096
"""Numbers per sample up to which references read the raw input."""
_BATCH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some rows of one part.

    Attributes:
        inputs: as the model takes them.
        y: class indices [n] or targets [n, t], float32.
        n: rows.
    """

    inputs: Any
    y: Tensor
    n: int

    def rows(self, start: int, end: int) -> tuple[Any, Tensor]:
        """Some of them."""
        return self.of(torch.arange(start, min(end, self.n)))

    def of(self, index: Tensor) -> tuple[Any, Tensor]:
        """The rows of an index."""
        return take(self.inputs, index, self.n), self.y[index]


@final
class Subject:
    """A network with some rows of both parts.

    Args:
        model: the bare module.
        source: the data.
        fit: applied to the inputs of each batch.
        n_classes: classes; 0 for a regression.
        loss: as the caller gave it, or None.
    """

    def __init__(
        self,
        model: nn.Module,
        source: Source,
        fit: Callable[[Any], Any],
        *,
        n_classes: int,
        loss: Callable[[Tensor, Tensor], Tensor] | None,
    ) -> None:
        self.model: nn.Module = model
        self.n_classes: int = n_classes
        self.loss: Callable[[Tensor, Tensor], Tensor] | None = loss
        self.train: Sample = sample(source, "train", fit, n_classes)
        self.held_out: Sample = sample(source, "held_out", fit, n_classes)

    def run(self, net: nn.Module, inputs: Any) -> Tensor:
        """The output of a network for some inputs."""
        found = tensor_of(call(net, inputs))
        if found is None:
            raise TypeError("model: expected a tensor among its outputs, got none.")
        return found.tensor

    def outputs(self, net: nn.Module, rows: Sample) -> Tensor:
        """Its outputs for all of some rows, without gradients."""
        with torch.no_grad():
            parts = [self.run(net, rows.rows(i, i + _BATCH)[0]).float() for i in range(0, rows.n, _BATCH)]
        return torch.cat(parts)

    @cached_property
    def out(self) -> Tensor:
        """The network's outputs for the training rows."""
        return self.outputs(self.model, self.train)

    @cached_property
    def out_held_out(self) -> Tensor:
        """And for the held-out rows."""
        return self.outputs(self.model, self.held_out)

    def score(self, out: Tensor, y: Tensor) -> float:
        """Accuracy, or R² pooled over the targets; -inf where an output is not finite."""
        if not bool(torch.isfinite(out).all()):
            return -math.inf
        if not self.n_classes:
            return pooled_r2(out, y)
        return float((self.guess(out) == y).float().mean()) if len(y) else math.nan

    def guess(self, out: Tensor) -> Tensor:
        """The class that each output names."""
        if out.shape[1] > 1:
            return out.argmax(1)
        low, high = self._ends
        return (out[:, 0] > (0.5 if low >= 0 and high <= 1 else 0.0)).long()

    @cached_property
    def _ends(self) -> tuple[float, float]:
        return float(self.out.min()), float(self.out.max())

    def copy(self) -> nn.Module:
        """A copy that can be changed and trained."""
        net = copy.deepcopy(self.model)
        for parameter in net.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
        return net

    def value(self, out: Tensor, y: Tensor) -> Tensor:
        """The loss as one number; the caller's loss gets labels as it takes them."""
        if self.loss is None:
            raise TypeError("loss: expected a function of output and labels, got none.")
        try:
            found = self.loss(out, y)
        except (RuntimeError, ValueError, TypeError):
            if y.numel() != out.numel():
                raise
            found = self.loss(out, y.to(out.dtype).reshape(out.shape))
        return found.mean() if found.ndim else found

    @cached_property
    def table(self) -> tuple[Array, Array, Array, Array] | None:
        """Both parts as plain tables x, y, x of held out, y of held out; None where the input is no plain table."""
        parts = []
        for rows in (self.train, self.held_out):
            x = rows.inputs
            if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2 or x[0].numel() > COLUMNS:
                return None
            parts += [np.nan_to_num(x.flatten(1).cpu().double().numpy()), rows.y.numpy()]
        return parts[0], parts[1], parts[2], parts[3]


def sample(source: Source, part: Part, fit: Callable[[Any], Any], n_classes: int) -> Sample:
    """Rows of one part, spread over all of it where that can be."""
    batches = [Minibatch(fit(b.inputs), b.y, b.ids) for b in source.some(part, MOST)]
    y = torch.cat([b.y for b in batches]) if batches else torch.zeros(0, dtype=torch.int64)
    y = y.reshape(len(y), -1)
    y = y[:, 0].long() if n_classes else y.float()
    return Sample(_joined([b.inputs for b in batches]), y, len(y))


def _joined(parts: list[Any]) -> Any:
    """Batches of inputs as one, at any nesting."""
    first = parts[0] if parts else None
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(_joined(list(each)) for each in zip(*parts, strict=True))
    return first


def pooled_r2(out: Tensor, y: Tensor) -> float:
    """R² over all targets together, each weighted by its variance."""
    out, y = out.double().reshape(len(y), -1), y.double().reshape(len(y), -1)
    total = float(((y - y.mean(0)) ** 2).sum())
    return 1 - float(((out - y) ** 2).sum()) / total if total > 0 else math.nan
