"""How many classes there are, and whether the labels fit the model's output."""

from typing import Any

from torch import nn

from unbend.capture import call, quiet, tensor_of
from unbend.errors import DataError
from unbend.study.reader import Minibatch
from unbend.study.source import Source


def count_classes(model: nn.Module, rows: Source, look: Any, first: Minibatch) -> int:
    """Number of classes, 0 for targets: from the labels if they are at hand, else from the width of the output.

    Args:
        model: from `capture.bare`.
        rows: the data.
        look: a few inputs, as the model takes them.
        first: a first batch.

    Raises:
        DataError: the labels do not fit the model's output.

    Cost:
        One forward pass on a few rows; where neither the labels nor the output tell, one pass over the data.
    """
    width = _width(model, look)
    if first.y.is_floating_point():
        _check_targets(first, width)
        return 0
    if rows.n_classes is not None:
        _check_range(rows.n_classes, width)
        return rows.n_classes
    top = int(first.y.max()) if first.y.numel() else 0
    if width > 1:
        _check_range(top + 1, width)
        return width
    top = max([top, *(int(b.y.max()) for part in rows.pieces for b in rows.batches(part) if b.y.numel())])
    _check_range(top + 1, width)
    return max(top + 1, 2)


def _width(model: nn.Module, look: Any) -> int:
    """Numbers the model puts out for a sample; 0 where that is no vector."""
    with quiet(model):
        found = tensor_of(call(model, look))
    if found is None or found.tensor.ndim > 2:
        return 0
    return found.tensor.shape[1] if found.tensor.ndim == 2 else 1


def _check_targets(first: Minibatch, width: int) -> None:
    targets = first.y.shape[1] if first.y.ndim > 1 else 1
    if width > 1 and width != targets:
        given = f"{targets} floating-point targets" if targets > 1 else "one floating-point target"
        raise DataError(
            f"y: there is {given} per row, but the model puts out {width} numbers. Give class indices as integers "
            "(y.long()), or say n_classes=0 if they are meant as targets of a regression."
        )


def _check_range(k: int, width: int) -> None:
    room = max(width, 2)
    if width > 1 and k > room:  # one number for more than two classes is a fault of the network, and is diagnosed
        raise DataError(
            f"y: expected class indices in [0, {room}), as the model puts out {width} "
            f"number{'s' if width > 1 else ''} for a row, got {k - 1}. Map your labels to 0..{room - 1}, or say "
            f"n_classes={k} if the model's output is no score per class."
        )
