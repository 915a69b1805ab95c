"""Any data set as batches of inputs, labels and row numbers, split the same way every time.

In: whatever a study is given. Out: a `Source`, whose `batches` can be iterated again and again. A row belongs to the
held-out part by its hashed number (or by its group, or its class and number), so the split does not depend on batch
size, order, rank or machine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from unbend._shares import percent
from unbend._typing import Array, Bool
from unbend.capture.inputs import take
from unbend.errors import DataError
from unbend.load.labels import column
from unbend.numerics.hashing import hashes
from unbend.study import split
from unbend.study.given import Given, take_data
from unbend.study.items import Items
from unbend.study.ranks import Share
from unbend.study.reader import Minibatch, Reader, reader, some_labels

Part: TypeAlias = Literal["train", "held_out"]
HELD_OUT = 0.2
"""Share of rows held out when a data set has no test part of its own."""
_SALT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A data set in two parts.

    Attributes:
        n: rows by part; None where that is not known before a pass.
        labels: labels of each part as the user wrote them, where they are all at hand.
        class_names: names of the classes, if there are any.
        name: what the data set is called.
        origin: where it came from.
        split: how the parts came about, in one sentence.
        pieces: how each part is read.
        items: tells inputs from labels.
        notes: what was decided about the form of the data.
        columns: names of the columns of the samples, where these have names.
        coding: writes labels for all that is measured; None to leave them as they are.
    """

    n: dict[Part, int | None]
    labels: tuple[Any, ...] | None
    class_names: tuple[str, ...]
    name: str
    origin: str
    split: str
    pieces: "dict[Part, Piece]"
    items: Items
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    coding: Callable[[Any], Tensor] | None = None

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
        found = self.pieces[part].batches(most, share or Share())
        return found if self.coding is None else map(self._encode, found)

    def encode(self, coding: Callable[[Any], Tensor]) -> "Source":
        """The same with labels written by a coding."""
        return replace(self, coding=coding)

    def _encode(self, b: Minibatch) -> Minibatch:
        assert self.coding is not None  # noqa: S101  asked by the caller
        y = torch.zeros(len(b.ids), 1, dtype=torch.float64) if b.y is None else self.coding(b.y)
        return Minibatch(b.inputs, y, b.ids, b.y)

    def some(self, part: Part, most: int) -> Iterator[Minibatch]:
        """The rows of one part whose numbers have the least hashes, at most that many.

        Cost:
            A pass over the part, for a stream.
        """
        piece = self.pieces[part]
        if piece.n is None:
            return iter(_least(self.batches(part), most))
        rows = np.arange(piece.n) if piece.rows is None else piece.rows
        if len(rows) > most:
            piece = replace(piece, rows=np.sort(rows[np.argsort(hashes(rows, salt=_SALT), kind="stable")[:most]]))
        found = piece.batches(None, Share())
        return found if self.coding is None else map(self._encode, found)


def _least(batches: Iterator[Minibatch], most: int) -> list[Minibatch]:
    """The rows of a stream whose numbers have the least hashes; no more of them are held at a time."""
    held: list[Minibatch] = []
    codes: list[Array] = []
    for b in batches:
        held.append(b)
        codes.append(hashes(b.ids, salt=_SALT))
        n = sum(map(len, codes))
        if n > most:
            limit = np.partition(np.concatenate(codes), most - 1)[most - 1]
            kept = [np.flatnonzero(code <= limit) for code in codes]
            pairs = [(_only(b, i), code[i]) for b, i, code in zip(held, kept, codes, strict=True) if len(i)]
            held, codes = [b for b, _ in pairs], [code for _, code in pairs]
    return held


def _only(b: Minibatch, which: Array) -> Minibatch:
    """Some rows of a batch."""
    if len(which) == len(b.ids):
        return b
    index = torch.from_numpy(which)
    raw = some_labels(b.raw, index)
    return Minibatch(take(b.inputs, index, len(b.ids)), b.y[index], b.ids[which], raw)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One part of a data set.

    Attributes:
        reader: reads the data set it is a part of.
        rows: its rows; None for all, or where `is_mine` chooses them as they come.
        shift: added to row numbers, so that two data sets never share one.
        is_mine: for a part of a stream: whether rows of these numbers belong to it.
    """

    reader: Reader
    rows: Array | None = None
    shift: int = 0
    is_mine: Callable[[Array], Bool[Array, "_"]] | None = None

    @property
    def n(self) -> int | None:
        """Rows; None where that is not known before a pass."""
        return self.reader.n if self.rows is None else len(self.rows)

    def batches(self, most: int | None, share: Share) -> Iterator[Minibatch]:
        """The batches of this part."""
        if self.reader.n is None:
            found = self._stream(most, share)
        elif most is None and share.n == 1:
            found = self.reader.read(self.rows)
        else:
            rows = np.arange(self.reader.n) if self.rows is None else self.rows
            found = self.reader.read(share.of(rows[:most]))
        return (Minibatch(b.inputs, b.y, b.ids + self.shift) for b in found)

    def _stream(self, most: int | None, share: Share) -> Iterator[Minibatch]:
        """The rows of a stream that belong to this part, and to this rank."""
        seen = 0
        for b in self.reader.read(None):
            kept = np.arange(len(b.ids))
            if self.is_mine is not None:
                kept = np.flatnonzero(self.is_mine(b.ids))
            kept = kept[: None if most is None else most - seen]
            mine = kept[share.mine(seen + np.arange(len(kept)))]
            seen += len(kept)
            if len(mine):
                index = torch.from_numpy(mine)
                yield Minibatch(take(b.inputs, index, len(b.ids)), some_labels(b.y, index), b.ids[mine])
            if most is not None and seen >= most:
                return


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """How rows are held out of a data set that has no test part.

    Attributes:
        share: of the rows; 0 for none.
        groups: of each row, or the part of an item that names its group: whole groups are held out. None for rows.
        stratify: whether the same share of every class is held out.
    """

    share: float = HELD_OUT
    groups: Any = None
    stratify: bool = False


def source(
    data: Any,
    *,
    held_out: Any = None,
    batch_size: int = 512,
    holding: Holding | None = None,
    items: Items | None = None,
) -> Source:
    """A data set, whatever its form, in two parts.

    A DataLoader gives its data set, batch size, collate function and workers; the rows are read in the order of the
    data set, whatever it shuffles or drops. A sampler that picks some rows is heard. A stream is read as it comes,
    once for every pass.

    Args:
        data: what `given.given` takes: a pair of arrays (x, y), samples alone, a Dataset, a DataLoader and others.
        held_out: the same for the held-out part; left out, rows are held out by their hashed number.
        batch_size: rows per batch, for arrays and Datasets; a DataLoader keeps its own.
        holding: how rows are held out when there is no test part.
        items: tells inputs from labels; left out, the last part of an item is its label.

    Raises:
        DataError: nothing that can be iterated as rows, too few rows, groups that do not fit.

    Cost:
        Nothing is read but the first item; with groups or classes that are not at hand, one pass over the data.
    """
    items, holding = items or Items(), holding or Holding()
    whole = take_data(data, items, "data")
    test = whole.held_out if held_out is None else take_data(held_out, items, "held_out")
    _check_names(whole.class_names)
    first = reader(whole, batch_size, items)
    _check_rows(first.n, "data", 2)
    pieces: dict[Part, Piece]
    if test is None:
        if holding.groups is None and whole.groups is not None:
            holding = replace(holding, groups=whole.groups)
        _check_named(holding.groups, data, whole)
        pieces, word = _split(first, holding, lambda own: reader(take_data(data, own, "data"), batch_size, own))
        known = (first.labels,)
    else:
        if holding.groups is not None:
            raise DataError("groups: the data have a test part already. Pass groups, or a test part.")
        other = reader(test, batch_size, items)
        _check_rows(other.n, "held_out", 1)
        pieces = {
            "train": Piece(first),
            "held_out": Piece(other, shift=split.FAR),
        }
        word = "The data set has a test part; it is held out."
        known = (first.labels, other.labels)
    return Source(
        n={part: piece.n for part, piece in pieces.items()},
        labels=None if any(labels is None for labels in known) else known,
        class_names=whole.class_names, name=whole.name or "data", origin=whole.source, split=word, pieces=pieces,
        items=items, notes=whole.notes, columns=whole.columns,
    )  # fmt: skip


def _split(whole: Reader, holding: Holding, again: Callable[[Items], Reader]) -> tuple[dict[Part, Piece], str]:
    """One data set in two parts; `again` reads it under another choice of parts."""
    share = holding.share
    word = (
        f"{percent(share)} of the rows are held out, chosen by their hashed number." if share else "No row is held out."
    )
    held: Bool[Array, "_"] | None = None
    if holding.groups is not None:
        groups = _groups(whole, holding.groups, again)
        held = split.by_group(groups, share)
        n = len(np.unique(groups))
        word = f"{percent(share)} of the {n:,} groups are held out whole, chosen by their hashed names."
    elif holding.stratify:
        y = _all_labels(whole)
        if y.ndim > 1:
            raise DataError(
                f"stratify: expected one label per row, got shape {list(y.shape)}. Leave stratify out, or pass groups."
            )
        held = split.by_class(y, share)
        word = f"{percent(share)} of the rows of each class are held out, chosen by their hashed number."
    elif whole.n is not None:
        held = split.by_number(whole.n, share)
    if whole.n is not None and held is not None:
        ids = np.arange(whole.n)
        return {"train": Piece(whole, ids[~held]), "held_out": Piece(whole, ids[held])}, word

    def is_held(ids: Array) -> Bool[Array, "_"]:
        return split.is_held(ids, share) if held is None else held[ids]

    return {
        "train": Piece(whole, is_mine=lambda ids: ~is_held(ids)), "held_out": Piece(whole, is_mine=is_held),
    }, word  # fmt: skip


def _check_named(groups: Any, data: Any, whole: Given) -> None:
    """Refuse the name of a part where the data are samples and labels at hand, which have no parts."""
    if (isinstance(groups, str | int) or callable(groups)) and whole.y is not None and not isinstance(data, Mapping):
        name = f"no part {groups!r}" if isinstance(groups, str | int) else "no parts to choose from"
        raise DataError(
            f"groups: the data are samples and labels, which have {name}. Give the group of each row, groups=[...] "
            "(of a table, --group COLUMN)."
        )


def _groups(whole: Reader, groups: Any, again: Callable[[Items], Reader]) -> Array:
    """The group of each row: as given, or read from the part of the items that is named."""
    if isinstance(groups, str | int) or callable(groups):
        own = again(Items(target=groups))
        return _all_labels(own)
    found = column("groups", groups)
    if found.ndim != 1 or (whole.n is not None and len(found) != whole.n):
        raise DataError(f"groups: expected one group per row, got {list(found.shape)} for {whole.n} rows.")
    return found


def _all_labels(whole: Reader) -> Array:
    """The labels of every row, from one pass where they are not at hand."""
    if whole.labels is not None:
        return column("y", whole.labels)
    found = [b.y for b in whole.read(None)]
    if not found or any(y is None for y in found):
        raise DataError("stratify: there are no labels to hold out alike. Leave stratify out.")
    return np.concatenate([column("y", y) for y in found])


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"class_names: {name!r} stands for more than one class. Give each class its own name.")


def _check_rows(n: int | None, where: str, least: int) -> None:
    if n is not None and n < least:
        found = "there are no rows" if n == 0 else f"{n} row is too few to measure anything"
        raise DataError(f"{where}: {found}. Pass at least two rows, better a hundred.")
