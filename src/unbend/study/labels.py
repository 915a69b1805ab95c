"""What the labels of a study are: classes, targets, or none; decided once, noted, and then written alike.

In: a data set, the width of the model's output, what the loss is written for, what the user says. Out: a `Coding`.
The rule is `load.labels.coding`; here it is asked with what only a study knows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.errors import DataError
from unbend.load.labels import Coding, LabelFacts, Task, coding, column, facts, total
from unbend.study.position_labels import TOLD, OutputForm, PositionCoding, position_coding
from unbend.study.positions import Positions
from unbend.study.reader import Minibatch
from unbend.study.source import Source

MOST_CLASSES = 1024
"""Classes that are read out. Every read-out holds a table of their square, and a row of the sample one number of each:
8 MB a layer for the thousand classes of ImageNet, 3 GB for 20,000."""
MOST_LABELS = 128
"""Yes/no labels of a row that are read out, each by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What the labels are.

    Attributes:
        task: classes, yes/no labels or targets; None where there are no labels.
        n_classes: classes; 0 for all else.
        names: of the classes, one each; of several yes/no labels.
        code: writes labels for all that is measured.
        notes: what was decided for the user.
        positions: how rows are drawn of labels per position; None for one label per row.
        n_unread: classes or yes/no labels that are too many to be read out: the rows are studied as if there were none.
    """

    task: Task | None
    n_classes: int
    names: tuple[str, ...]
    code: Callable[[Any], Tensor]
    notes: tuple[str, ...] = ()
    positions: Positions | None = None
    n_unread: int = 0


def labels(rows: Source, first: Minibatch, out: OutputForm, *, n_classes: int | None, wish: Task | None,
           has_loss: bool = False) -> Labels:  # fmt: skip
    """What the labels of a data set are.

    Args:
        rows: the data, with labels as the user wrote them.
        first: a first batch.
        out: the form of the model's output for it.
        n_classes: what the user says; None for nothing.
        wish: what the loss is written for; None where that is not known.
        has_loss: there is a loss of output and labels, so that too few outputs are diagnosed, not refused.

    Raises:
        DataError: labels that fit no reading, or do not fit the model's output.

    Cost:
        Where neither the labels at hand nor the output tell, one pass over the data.
    """
    if first.y is None:
        note = "There are no labels: what is measured is what needs none."
        return Labels(None, 0, (), _nothing, (note,))
    at = position_coding(first.y, out, values=_values(rows), n_classes=n_classes, wish=wish)
    if at is not None:
        return _of_positions(at, rows, first, out.bare)
    width = 0 if out.grid else out.width
    known = _facts(rows, first, width, wish, n_classes)
    names = rows.class_names
    found = coding("y", known, class_names=names, n_classes=n_classes, wish=wish, width=width)
    if rows.labels is not None:
        _check_varied(known)
    if found.task != "classes":
        if found.task == "yes/no":
            return _yes_no(found, known.shape[0], names)
        _check_columns(known, width, n_classes)
        return Labels(found.task, 0, (), found, _words(found))
    k = found.n_classes
    notes = _words(found)
    if n_classes is None:
        if rows.labels is None and not names and found.values is None and not known.shape and width > 1:
            _check_range(k, width, known if has_loss else None)
            k = width
        elif names and rows.labels is None:
            k = len(names)
        else:
            _check_range(k, width, known if has_loss else None)
    k = max(k, 2) if n_classes is None else n_classes
    if k > MOST_CLASSES:
        return _too_many(k, notes)
    own = found.class_names[:k]
    every = (*own, *(str(i) for i in range(len(own), k)))
    return Labels("classes", k, every, replace(found, n_classes=k), notes)


def _values(rows: Source) -> Array | None:
    """The different labels of all rows, where they are numbers and at hand."""
    if rows.labels is None or any(column("y", y).dtype.kind not in "biuf" for y in rows.labels):
        return None
    return np.unique(np.concatenate([np.unique(column("y", y)) for y in rows.labels]))


def _of_positions(at: PositionCoding, rows: Source, first: Minibatch, bare: str) -> Labels:
    """Labels per position."""
    grid = tuple(at(first.y).shape[1 : 1 + at.n_axes])
    k = at.n_classes
    if k > MOST_CLASSES:
        return _too_many(k, ())
    own = rows.class_names[:k]
    names = (*own, *(str(i) for i in range(len(own), k)))
    return Labels(at.task, k, names, at, (TOLD,), Positions.of(grid, bare))


def _yes_no(found: Coding, k: int, names: tuple[str, ...]) -> Labels:
    """Several yes/no labels per row, each with a read-out of its own."""
    if k > MOST_LABELS:
        note = (
            f"Each row has {k:,} yes/no labels, more than the {MOST_LABELS} that are read out: what needs no labels is "
            "measured. Choose some of them: y[:, :100], or target= with a function."
        )
        return Labels(None, 0, (), _unread, (note,), n_unread=k)
    own = names if len(names) == k else tuple(str(j) for j in range(k))
    return Labels("yes/no", 0, own, found, _words(found))


def _too_many(k: int, notes: tuple[str, ...]) -> Labels:
    """More classes than can be read out."""
    note = (
        f"{k:,} classes are more than the {MOST_CLASSES:,} that are read out, as the cost grows with their square: "
        "what needs no labels is measured. Group the classes, or study the rows of some of them."
    )
    return Labels(None, 0, (), _unread, (*notes, note), n_unread=k)


def _unread(y: Any) -> Tensor:
    return torch.zeros(len(y), 1, dtype=torch.float64)


def _nothing(_y: Any) -> Tensor:
    raise DataError("y: there are labels in some batches and none in others. Give all rows labels, or none.")


def _words(found: Coding) -> tuple[str, ...]:
    return (found.note,) if found.note else ()


def _facts(rows: Source, first: Minibatch, width: int, wish: Task | None, n_classes: int | None) -> LabelFacts:
    """What is known of the labels: of all of them, unless the first ones and the output tell."""
    if rows.labels is not None:
        return total([facts("y", column("y", y)) for y in rows.labels if len(y)])
    known = facts("y", column("y", first.y))
    if known.kind == "f" and known.values is None and not known.is_binary:
        return known
    is_told = n_classes == 0 or width > 1 or rows.class_names or wish is not None
    if (
        known.kind in "ibf"
        and not known.shape
        and is_told
        and not (known.values is not None and known.values.min() < 0)
    ):
        return known
    batches = (b for part in rows.pieces for b in rows.batches(part))
    return total([facts("y", column("y", b.y)) for b in batches if len(b.y)])


def _check_varied(known: LabelFacts) -> None:
    if known.values is not None and len(known.values) == 1:
        raise DataError("y: all rows have the same label, so there is nothing to separate. Pass rows of two classes.")


def _check_columns(known: LabelFacts, width: int, n_classes: int | None) -> None:
    """Refuse targets that are not as many as the model's outputs."""
    k = known.shape[0] if known.shape else 1
    if n_classes is not None or not width or width == k or (width == 1 and k == 1):
        return
    if width > 1:
        given = f"{k} floating-point targets" if k > 1 else "one floating-point target"
        raise DataError(
            f"y: there is {given} per row, but the model puts out {width} numbers. Give class indices as integers "
            "(y.long()), or say n_classes=0 if they are meant as targets of a regression."
        )


def _check_range(k: int, width: int, known: LabelFacts | None) -> None:
    room = max(width, 2)
    if known is not None and known.values is not None and len(known.values) == k:
        return  # labels of every class up to the last: no stray numbers, but more classes than outputs
    if width > 1 and k > room:  # one number for more than two classes is a fault of the network, and is diagnosed
        raise DataError(
            f"y: expected class indices in [0, {room}), as the model puts out {width} "
            f"number{'s' if width > 1 else ''} for a row, got {k - 1}. Map your labels to 0..{room - 1}, or say "
            f"n_classes={k} if the model's output is no score per class (n_classes=0 for a regression)."
        )
