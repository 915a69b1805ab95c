"""Any data set as batches of inputs, labels and row numbers, split the same way every time.

In: `load.Data`, a pair (x, y), a Dataset or a DataLoader. Out: a `Source`, whose `batches` can be iterated again and
again. A row belongs to the held-out part by its hashed number, so the split does not depend on batch size, order,
rank or machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unbend._typing import Array
from unbend.capture.inputs import take
from unbend.errors import DataError
from unbend.load.dataset import Data, from_arrays
from unbend.numerics.hashing import hashes
from unbend.study.ranks import Share
from unbend.study.reader import LABEL_KEYS, Minibatch, Reader, reader, split_labels

Part: TypeAlias = Literal["train", "held_out"]
HELD_OUT = 0.2
"""Share of rows held out when a data set has no test part of its own."""
_SALT = 1
_FAR = 1 << 40
"""Added to the row numbers of a test part, whatever the training part's size: shards with one test part then number
it alike, and `merge` counts it once."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A data set in two parts.

    Attributes:
        n: rows by part; None where that is not known before a pass.
        n_classes: number of classes if the labels are all at hand, 0 for targets, None when not known.
        class_names: names of the classes, if there are any.
        name: what the data set is called.
        origin: where it came from.
        split: how the parts came about, in one sentence.
        pieces: how each part is read.
    """

    n: dict[Part, int | None]
    n_classes: int | None
    class_names: tuple[str, ...]
    name: str
    origin: str
    split: str
    pieces: "dict[Part, Piece]"

    @property
    def is_declared(self) -> bool:
        """Whether the caller says which rows are held out: else the network may have been trained on them."""
        return self.pieces["held_out"].reader is not self.pieces["train"].reader

    def batches(self, part: Part, *, most: int | None = None, share: Share | None = None) -> Iterator[Minibatch]:
        """A fresh iterator over the batches of one part.

        Args:
            part: which.
            most: only that many rows, the first ones; None for all.
            share: of those, the rows this rank takes; None for all.
        """
        return self.pieces[part].batches(most, share or Share())

    def some(self, part: Part, most: int) -> Iterator[Minibatch]:
        """The batches of at most that many rows of one part: those of the least hashes, the first ones of a stream."""
        piece = self.pieces[part]
        n = piece.n
        if n is None or n <= most:
            return self.batches(part, most=most)
        rows = np.arange(n) if piece.rows is None else piece.rows
        return replace(
            piece, rows=np.sort(rows[np.argsort(hashes(rows, salt=_SALT + 1), kind="stable")[:most]])
        ).batches(None, Share())


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One part of a data set.

    Attributes:
        reader: reads the data set it is a part of.
        rows: its rows; None for all, or where `held` chooses them as they come.
        shift: added to row numbers, so that two data sets never share one.
        held: for a part of a stream: share of rows held out, and whether this is the held-out part.
    """

    reader: Reader
    rows: Array | None = None
    shift: int = 0
    held: tuple[float, bool] | None = None

    @property
    def n(self) -> int | None:
        """Rows; None where that is not known before a pass."""
        return self.reader.n if self.rows is None else len(self.rows)

    def batches(self, most: int | None, share: Share) -> Iterator[Minibatch]:
        """The batches of this part."""
        if self.reader.n is None:
            found = self._streamed(most, share)
        elif most is None and share.n == 1:
            found = self.reader.read(self.rows)
        else:
            rows = np.arange(self.reader.n) if self.rows is None else self.rows
            found = self.reader.read(share.of(rows[:most]))
        return (Minibatch(b.inputs, b.y, b.ids + self.shift) for b in found)

    def _streamed(self, most: int | None, share: Share) -> Iterator[Minibatch]:
        """The rows of a stream that belong to this part, and to this rank."""
        seen = 0
        for b in self.reader.read(None):
            kept = np.arange(len(b.ids))
            if self.held is not None:
                is_held = _is_held(b.ids, self.held[0])
                kept = np.flatnonzero(is_held if self.held[1] else ~is_held)
            kept = kept[: None if most is None else most - seen]
            mine = kept[share.mine(seen + np.arange(len(kept)))]
            seen += len(kept)
            if len(mine):
                index = torch.from_numpy(mine)
                yield Minibatch(take(b.inputs, index, len(b.ids)), b.y[index], b.ids[mine])
            if most is not None and seen >= most:
                return


def source(data: Any, *, held_out: Any = None, batch_size: int = 512, share: float = HELD_OUT) -> Source:
    """A data set, whatever its form, in two parts.

    A DataLoader gives its data set, batch size, collate function and workers; the rows are read in the order of the
    data set, whatever it shuffles or drops. A sampler that picks some rows is heard. A stream is read as it comes,
    once for every pass.

    Args:
        data: `load.Data`, a pair of arrays (x, y), a Dataset of pairs, or a DataLoader.
        held_out: the same for the held-out part; left out, rows are held out by their hashed number.
        batch_size: rows per batch, for arrays and Datasets; a DataLoader keeps its own.
        share: share of rows held out when there is no test part; 0 for none.

    Raises:
        DataError: nothing that can be iterated as pairs, too few rows, one class only.
    """
    whole = _as_data(data, "data")
    test = whole.held_out if held_out is None else _as_data(held_out, "held_out")
    _check_names(whole.class_names)
    first = reader(whole, batch_size)
    _check_rows(first.n, "data", 2)
    pieces: dict[Part, Piece]
    if test is None:
        pieces, split = _split(first, share)
        known = [first.labels]
    else:
        other = reader(test, batch_size)
        _check_rows(other.n, "held_out", 1)
        pieces = {
            "train": Piece(first),
            "held_out": Piece(other, shift=_FAR),
        }
        split = "The data set has a test part; it is held out."
        known = [first.labels, other.labels]
    n = {part: piece.n for part, piece in pieces.items()}
    return Source(
        n, _n_classes(known, whole.class_names), whole.class_names, whole.name or "data", whole.source, split, pieces
    )


def _split(whole: Reader, share: float) -> tuple[dict[Part, Piece], str]:
    """One data set in two parts."""
    split = f"{share:.0%} of the rows are held out, chosen by their hashed number." if share else "No row is held out."
    if whole.n is None:
        return {"train": Piece(whole, held=(share, False)), "held_out": Piece(whole, held=(share, True))}, split
    ids = np.arange(whole.n)
    held = _is_held(ids, share)
    if share and not 0 < held.sum() < whole.n:
        held = ids == int(np.argmin(hashes(ids, _SALT)))
    return {"train": Piece(whole, ids[~held]), "held_out": Piece(whole, ids[held])}, split


def _is_held(ids: Array, share: float) -> Array:
    return hashes(ids, _SALT) < np.uint64(int(share * 2**64 - 1) if share else 0)


def _as_data(data: Any, where: str) -> Data:
    if isinstance(data, Data):
        return data
    if isinstance(data, (Dataset, DataLoader)):
        named = type(data.dataset if isinstance(data, DataLoader) else data).__name__
        return Data(data, None, name=named)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return from_arrays(where, (data[0], data[1]))
    if isinstance(data, Mapping) and any(key in data for key in LABEL_KEYS):
        inputs, y = split_labels(dict(data))
        return from_arrays(where, (inputs, y))
    raise DataError(
        f"{where}: expected a pair (x, y), a Dataset, a DataLoader or unbend.load.data(...), got "
        f"{type(data).__name__}. Pass labels together with the samples, such as (x, y)."
    )


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"class_names: {name!r} stands for more than one class. Give each class its own name.")


def _check_rows(n: int | None, where: str, least: int) -> None:
    if n is not None and n < least:
        found = "there are no rows" if n == 0 else f"{n} row is too few to measure anything"
        raise DataError(f"{where}: {found}. Pass at least two rows, better a hundred.")


def _n_classes(ys: Sequence[Tensor | None], names: tuple[str, ...]) -> int | None:
    if any(y is None for y in ys):
        return len(names) or None
    known = [y for y in ys if y is not None and len(y)]
    if any(y.is_floating_point() for y in known):
        return 0
    if all(bool((y == known[0].flatten()[0]).all()) for y in known):
        raise DataError("y: all rows have the same label, so there is nothing to separate. Pass rows of two classes.")
    return max(max(int(y.max()) for y in known) + 1, len(names))
