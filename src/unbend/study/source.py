"""Any data set as batches of inputs, labels and row numbers, split the same way every time.

In: `load.Data`, a pair (x, y), a Dataset or a DataLoader. Out: a `Source`, whose `batches` can be iterated again and
again. A row belongs to the held-out part by its hashed number, so the split does not depend on batch size, order,
rank or machine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from unbend._typing import Array
from unbend.errors import DataError
from unbend.load.dataset import Data, from_arrays
from unbend.numerics.hashing import hashes

Part: TypeAlias = Literal["train", "held_out"]
HELD_OUT = 0.2
"""Share of rows held out when a data set has no test part of its own."""
_LABEL_KEYS = ("labels", "label", "y", "target", "targets")
_SALT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Minibatch:
    """Inputs as the model takes them, labels, and row numbers."""

    inputs: Any
    y: Tensor
    ids: Array


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A data set in two parts.

    Attributes:
        batches: part → a fresh iterator over its batches.
        n: rows by part; None where that is not known before a pass.
        n_classes: number of classes if the labels are all at hand, 0 for targets, None when not known.
        class_names: names of the classes, if there are any.
        name: what the data set is called.
        origin: where it came from.
        split: how the parts came about, in one sentence.
    """

    batches: Callable[[Part], Iterator[Minibatch]]
    n: dict[Part, int | None]
    n_classes: int | None
    class_names: tuple[str, ...]
    name: str
    origin: str
    split: str


def source(data: Any, *, held_out: Any = None, batch_size: int = 512, share: float = HELD_OUT) -> Source:
    """A data set, whatever its form, in two parts.

    Args:
        data: `load.Data`, a pair of arrays (x, y), a Dataset of pairs, or a DataLoader.
        held_out: the same for the held-out part; left out, rows are held out by their hashed number.
        batch_size: rows per batch, for arrays and Datasets; a DataLoader keeps its own.
        share: share of rows held out when there is no test part.

    Raises:
        DataError: nothing that can be iterated as pairs, too few rows, one class only.
    """
    whole = _as_data(data, "data")
    test = whole.held_out if held_out is None else _as_data(held_out, "held_out")
    reader = _reader(whole, batch_size)
    if test is not None:
        other = _reader(test, batch_size)
        offset = reader.n or 0
        readers: dict[Part, tuple[_Reader, Array | None, int]] = {
            "train": (reader, None, 0),
            "held_out": (other, None, offset),
        }
        split = "The data set has a test part; it is held out."
    else:
        kept = _parts(reader, share)
        readers = {"train": (reader, kept["train"], 0), "held_out": (reader, kept["held_out"], 0)}
        split = f"{share:.0%} of the rows are held out, chosen by their hashed number."
    n = {part: (r.n if rows is None else len(rows)) for part, (r, rows, _) in readers.items()}
    ys = [part.y for part in (whole, test) if part is not None]

    def batches(part: Part) -> Iterator[Minibatch]:
        use, rows, shift = readers[part]
        if reader.n is None and test is None:
            return _filtered(use.read(None), part, share)
        return (Minibatch(b.inputs, b.y, b.ids + shift) for b in use.read(rows))

    return Source(
        batches,
        n,
        _n_classes(ys, whole.class_names),
        whole.class_names,
        whole.name or "data",
        whole.source,
        split,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Batches of the given rows (all of them for None), in order; `n` is None for a stream."""

    n: int | None
    read: Callable[[Array | None], Iterator[Minibatch]]


def _as_data(data: Any, where: str) -> Data:
    if isinstance(data, Data):
        return data
    if isinstance(data, (Dataset, DataLoader)):
        named = type(data.dataset if isinstance(data, DataLoader) else data).__name__
        return Data(data, None, name=named)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return from_arrays(where, (data[0], data[1]))
    if isinstance(data, Mapping) and any(key in data for key in _LABEL_KEYS):
        inputs, y = _split_labels(dict(data))
        return from_arrays(where, (inputs, y))
    raise DataError(
        f"{where}: expected a pair (x, y), a Dataset, a DataLoader or unbend.load.data(...), got "
        f"{type(data).__name__}. Pass labels together with the samples, such as (x, y)."
    )


def _n_classes(ys: Sequence[Tensor | None], names: tuple[str, ...]) -> int | None:
    known = [y for y in ys if y is not None]
    if not known:
        return len(names) or None
    if any(y.is_floating_point() for y in known):
        return 0
    k = max(int(y.max()) for y in known if len(y)) + 1
    if len(torch.unique(torch.cat([y.flatten() for y in known]))) < 2:
        raise DataError("y: all rows have the same label, so there is nothing to separate. Pass rows of two classes.")
    return max(k, len(names))


def _parts(reader: _Reader, share: float) -> dict[Part, Array]:
    if reader.n is None:
        return {"train": np.zeros(0, np.int64), "held_out": np.zeros(0, np.int64)}
    if reader.n < 2:
        raise DataError(
            f"data: {reader.n} row is too few to measure anything. Pass at least two rows, better a hundred."
        )
    ids = np.arange(reader.n)
    held = _is_held(ids, share)
    if not 0 < held.sum() < reader.n:
        held = ids == int(np.argmin(hashes(ids, _SALT)))
    return {"train": ids[~held], "held_out": ids[held]}


def _is_held(ids: Array, share: float) -> Array:
    return hashes(ids, _SALT) < np.uint64(int(share * 2**64 - 1))


def _filtered(stream: Iterator[Minibatch], part: Part, share: float) -> Iterator[Minibatch]:
    """The rows of a stream that belong to one part."""
    for b in stream:
        held = _is_held(b.ids, share)
        keep = held if part == "held_out" else ~held
        if keep.any():
            index = torch.from_numpy(np.flatnonzero(keep))
            yield Minibatch(_take(b.inputs, index, len(b.ids)), b.y[index], b.ids[keep])


def _take(inputs: Any, index: Tensor, n: int) -> Any:
    if isinstance(inputs, Tensor):
        return inputs[index.to(inputs.device)] if inputs.ndim and len(inputs) == n else inputs
    if isinstance(inputs, Mapping):
        return {key: _take(value, index, n) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return tuple(_take(value, index, n) for value in inputs)
    return inputs


def first_rows(inputs: Any, n: int, most: int) -> tuple[Any, int]:
    """The first rows of a batch, so that looking around costs little."""
    if n <= most:
        return inputs, n
    return _take(inputs, torch.arange(most), n), most


def _reader(data: Data, batch_size: int) -> _Reader:
    if isinstance(data.x, DataLoader):
        return _of_loader(data.x)
    if isinstance(data.x, Dataset):
        return _of_loader(DataLoader(data.x, batch_size=batch_size))
    if data.y is None:
        raise DataError("data: there are no labels. Pass (x, y).")
    return _of_arrays(data.x, data.y, batch_size)


def _of_arrays(x: Any, y: Tensor, batch_size: int) -> _Reader:
    n = len(y)

    def read(rows: Array | None) -> Iterator[Minibatch]:
        count = n if rows is None else len(rows)
        for start in range(0, count, batch_size):
            stop = min(start + batch_size, count)
            ids = np.arange(start, stop) if rows is None else rows[start:stop]
            if rows is None:
                yield Minibatch(_slice(x, start, stop), y[start:stop], ids)
            else:
                index = torch.from_numpy(ids)
                yield Minibatch(_take(x, index, n), y[index], ids)

    return _Reader(n, read)


def _slice(x: Any, start: int, stop: int) -> Any:
    return {key: value[start:stop] for key, value in x.items()} if isinstance(x, Mapping) else x[start:stop]


def _of_loader(loader: DataLoader) -> _Reader:
    """A map-style data set is read in its own order, whatever the loader shuffles or drops; a stream as it comes."""
    data = loader.dataset
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__") or loader.batch_size is None:
        return _Reader(None, lambda _rows: _numbered(loader))

    def read(rows: Array | None) -> Iterator[Minibatch]:
        ids = np.arange(len(data)) if rows is None else rows  # type: ignore[arg-type]
        plain = DataLoader(
            data if rows is None else Subset(data, rows.tolist()),
            batch_size=loader.batch_size,
            collate_fn=loader.collate_fn,
            num_workers=loader.num_workers,
        )
        start = 0
        for batch in plain:
            inputs, y = _split_labels(batch)
            yield Minibatch(inputs, y, ids[start : start + len(y)])
            start += len(y)

    return _Reader(len(data), read)  # type: ignore[arg-type]


def _numbered(loader: DataLoader) -> Iterator[Minibatch]:
    start = 0
    for batch in loader:
        inputs, y = _split_labels(batch)
        yield Minibatch(inputs, y, np.arange(start, start + len(y)))
        start += len(y)


def _split_labels(batch: Any) -> tuple[Any, Tensor]:
    """Inputs and labels of one batch of a user's loader."""
    if isinstance(batch, Mapping):
        key = next((k for k in _LABEL_KEYS if k in batch), None)
        if key is not None:
            return {k: v for k, v in batch.items() if k != key}, torch.as_tensor(batch[key])
    elif isinstance(batch, (tuple, list)) and len(batch) >= 2:
        *inputs, y = batch
        return (inputs[0] if len(inputs) == 1 else tuple(inputs)), torch.as_tensor(y)
    raise DataError(
        f"data: a batch is a {type(batch).__name__} without labels. Batches are (inputs, y), or mappings with a key "
        f"{' or '.join(repr(k) for k in _LABEL_KEYS[:2])}."
    )
