"""The network under examination, with some rows of both parts: what every test of it needs, made once.

In: a bare model, a data set. Out: `Subject`. The model is run in evaluation mode and never written to: whatever changes
a network is done to a copy.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unbend._typing import Array
from unbend.capture import as_rows, call, tensor_of
from unbend.capture.inputs import join, take, tensors_in
from unbend.capture.twin.fresh import duplicate
from unbend.numerics.single import turn
from unbend.study.examine.ends import Trail, trail
from unbend.study.loss import LabelForms, Loss, loss_value
from unbend.study.source import Part, Source

MOST = 1500
"""Rows of each part that are examined."""
COLUMNS = 4096
"""Numbers per sample up to which references read the raw input."""
_BATCH = 256
_FEW = 8


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some rows of one part.

    Attributes:
        inputs: as the model takes them.
        y: class indices [n] or targets [n, t], float32.
        n: rows.
        raw: labels as the user wrote them, where they are numbers.
        n_classes: classes; 0 for targets.
        ids: their numbers in the data set.
    """

    inputs: Any
    y: Tensor
    n: int
    raw: Tensor | None = None
    n_classes: int = 0
    ids: Array | None = None

    @property
    def majority(self) -> float:
        """Share of the most frequent class; 0 for targets, or without rows."""
        return float(torch.bincount(self.y).max() / self.n) if self.n_classes and self.n else 0.0

    def rows(self, start: int, end: int) -> tuple[Any, LabelForms]:
        """Some of them."""
        return self.of(torch.arange(start, min(end, self.n)))

    def of(self, index: Tensor) -> tuple[Any, LabelForms]:
        """The rows of an index."""
        raw = None if self.raw is None else self.raw[index]
        return take(self.inputs, index, self.n), LabelForms(self.y[index], raw, self.n_classes)


@final
class Subject:
    """A network with some rows of both parts.

    Args:
        model: the bare module.
        source: the data.
        fit: applied to the inputs of each batch.
        n_classes: classes; 0 for a regression.
        loss: as the caller gave it, or None.
        protect: applied to inputs before a network gets them, such as a copy where it writes into them.
        most: rows of each part at most.
        in_rows: whether an output of one number a sample is a row of one; a loss of the caller's may need it as it is.
    """

    def __init__(
        self,
        model: nn.Module,
        source: Source,
        fit: Callable[[Any], Any],
        *,
        n_classes: int,
        loss: Loss | str | None,
        protect: Callable[[Any], Any] = lambda inputs: inputs,
        most: int = MOST,
        in_rows: bool = False,
    ) -> None:
        self.model: nn.Module = model
        self.n_classes: int = n_classes
        self.loss: Loss | str | None = loss
        self.column_names: tuple[str, ...] = source.column_names
        self._protect, self._in_rows = protect, in_rows
        self.train: Sample = sample(source, "train", fit, n_classes, most)
        self.held_out: Sample = sample(source, "held_out", fit, n_classes, most)

    def run(self, net: nn.Module, inputs: Any) -> Tensor:
        """The output of a network for some inputs."""
        found = tensor_of(call(net, self._protect(inputs)))
        if found is None:
            raise TypeError("model: expected a tensor among its outputs, got none.")
        return as_rows(found.tensor) if self._in_rows else found.tensor

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
        return (out[:, 0] > self._middle).long()

    @cached_property
    def trail(self) -> Trail:
        """The last functions before the output."""
        inputs, _ = self.train.rows(0, _FEW)
        return trail(self.model, lambda: self.run(self.model, inputs))

    @cached_property
    def _middle(self) -> float:
        return turn([self.out.cpu().numpy()], is_logit=self.trail.is_affine)

    def copy(self) -> nn.Module:
        """A copy that can be changed and trained.

        Raises:
            ModelError: the network cannot be copied.
        """
        net = duplicate(self.model, "the network itself was not examined", with_hooks=True)
        for parameter in net.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
        return net

    def value(self, out: Tensor, labels: LabelForms) -> Tensor:
        """The loss as one number; the caller's loss gets labels as it takes them."""
        if self.loss is None:
            raise TypeError("loss: expected a function of output and labels, got none.")
        found = loss_value(self.loss, out, labels)
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


def sample(source: Source, part: Part, fit: Callable[[Any], Any], n_classes: int, most: int = MOST) -> Sample:
    """Rows of one part, spread over all of it where that can be."""
    batches = list(source.some(part, most))
    batches = [b for b in batches if _form(b.inputs) == _form(batches[0].inputs)]  # padded to other lengths: left out
    if not batches:
        return Sample(None, torch.zeros(0, dtype=torch.int64), 0)
    y = torch.cat([b.y for b in batches])
    y = y.reshape(len(y), -1)
    y = y[:, 0].long() if n_classes else y.float()
    raws = [b.raw for b in batches if isinstance(b.raw, Tensor)]
    raw = torch.cat(raws) if len(raws) == len(batches) else None
    ids = np.concatenate([b.ids for b in batches])
    return Sample(join([fit(b.inputs) for b in batches]), y, len(y), raw, n_classes, ids)


def _form(inputs: Any) -> list[tuple[int, ...]]:
    """Lengths of all axes but the samples'; those of packed sequences may differ."""
    return [] if isinstance(inputs, PackedSequence) else [tuple(t.shape[1:]) for t in tensors_in(inputs)]


def pooled_r2(out: Tensor, y: Tensor) -> float:
    """R² over all targets together, each weighted by its variance."""
    out, y = out.double().reshape(len(y), -1), y.double().reshape(len(y), -1)
    total = float(((y - y.mean(0)) ** 2).sum())
    return 1 - float(((out - y) ** 2).sum()) / total if total > 0 else math.nan
