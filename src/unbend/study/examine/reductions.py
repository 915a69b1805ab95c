"""What a mean over positions leaves out: layers that the study reads reduced, read again at a finer resolution.

In: a subject, the layers as the study reads them. Out: `Reduction`s. It says something of the reduction, not of the
layer: the next layer gets every position.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array
from unbend.capture import tensor_of
from unbend.capture.quiet import hear_modules
from unbend.numerics.batch import batch, samples
from unbend.numerics.interval import paired_difference
from unbend.numerics.logistic_readout import logistic_readout
from unbend.numerics.readout import Readout, readout
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.study.examine.subject import Sample, Subject
from unbend.study.examine.values import Reduction
from unbend.study.values import Layer

COLUMNS = 1024
"""Numbers per sample up to which a layer is read again: a second of one core for 1,500 rows."""
_MOST = 3
"""Layers that are read again: the first of those that are reduced, one in the middle, the last."""
_LEVEL = 0.99


def reductions(subject: Subject, frames: Sequence[Layer]) -> tuple[Reduction, ...]:
    """Layers that are read by their mean over positions, read again with as many positions as can be afforded.

    Args:
        subject: the network with some rows.
        frames: the layers, as the study reads them.

    Cost:
        Two passes over the rows examined, and two read-outs a layer.
    """
    modules = dict(subject.model.named_modules())
    reduced = [
        frame for frame in frames
        if frame.view.rule == "mean" and frame.name in modules and not frame.is_output
        and frame.view.layout in ("maps", "tokens") and _cells(frame) > 1
    ]  # fmt: skip
    if not reduced or not subject.n_classes or min(subject.train.n, subject.held_out.n) < 2:
        return ()
    chosen = [reduced[i] for i in sorted({0, len(reduced) // 2, len(reduced) - 1})][:_MOST]
    train, unseen = (_features(subject, chosen, rows) for rows in (subject.train, subject.held_out))
    found = (_reduction(subject, frame, train.get(frame.name), unseen.get(frame.name)) for frame in chosen)
    return tuple(each for each in found if each is not None)


def _positions(frame: Layer) -> tuple[int, ...]:
    return tuple(frame.shape[1:] if frame.view.layout == "maps" else frame.shape[:-1])


def _grid(frame: Layer) -> tuple[int, ...]:
    """Cells along each axis of positions: as many as can be afforded, alike along all axes."""
    positions = _positions(frame)
    along = int((COLUMNS / max(frame.view.width, 1)) ** (1 / max(len(positions), 1)) + 1e-9)
    return tuple(max(min(p, along), 1) for p in positions)


def _cells(frame: Layer) -> int:
    return math.prod(_grid(frame)) if 1 <= len(_positions(frame)) <= 3 else 1


def _features(subject: Subject, chosen: Sequence[Layer], rows: Sample) -> dict[str, Tensor]:
    """What some layers put out for all rows, averaged within cells [n, d, cells]."""
    found: dict[str, list[Tensor]] = {frame.name: [] for frame in chosen}
    frames = {frame.name: frame for frame in chosen}

    def leave(path: str, _module: nn.Module, _args: tuple[Any, ...], out: Any) -> None:
        values = tensor_of(out)
        if values is not None:
            found[path].append(_pool(values.tensor.detach(), frames[path]))

    modules = dict(subject.model.named_modules())
    with hear_modules([(name, modules[name]) for name in found], lambda *_: None, leave):
        subject.outputs(subject.model, rows)
    joined = {name: torch.cat(parts) for name, parts in found.items() if parts}
    return {name: values for name, values in joined.items() if len(values) == rows.n}


def _pool(values: Tensor, frame: Layer) -> Tensor:
    maps = values.float() if frame.view.layout == "maps" else values.float().movedim(-1, 1)
    pool = (nn.functional.adaptive_avg_pool1d, nn.functional.adaptive_avg_pool2d, nn.functional.adaptive_avg_pool3d)
    return pool[maps.ndim - 3](maps, _grid(frame)).flatten(2)  # type: ignore[operator]


def _reduction(subject: Subject, frame: Layer, train: Tensor | None, unseen: Tensor | None) -> Reduction | None:
    """One layer, read by the mean of its cells and by all of them; None where its rows cannot be read."""
    if train is None or unseen is None or not (torch.isfinite(train).all() and torch.isfinite(unseen).all()):
        return None
    mean, all_cells = (
        _read(subject, pick(train), pick(unseen)) for pick in (lambda t: t.mean(2), lambda t: t.flatten(1))
    )
    gain = paired_difference(_right(all_cells), _right(mean), _LEVEL)
    return Reduction(
        layer=frame.name,
        positions=math.prod(_positions(frame)),
        cells=train.shape[2],
        n=gain.n,
        reduced=mean.held_out,
        finer=all_cells.held_out,
        low=gain.low,
        high=gain.high,
    )


def _read(subject: Subject, train: Tensor, unseen: Tensor) -> Readout:
    """A logistic read-out of plain rows."""
    parts = [
        batch(rows, samples(of.y, n_classes=subject.n_classes))
        for rows, of in ((train, subject.train), (unseen, subject.held_out))
    ]
    second, fitted, held_out = SecondState.of(parts[0]), SampleState.of(parts[0]), SampleState.of(parts[1])
    return logistic_readout(readout(second, fitted, held_out, controls=False), second, fitted, held_out)


def _right(read: Readout) -> Array:
    return np.zeros(0, bool) if read.correct is None else read.correct.astype(bool)
