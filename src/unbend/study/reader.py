"""Batches of any data set in an order that never changes: arrays, map-style data sets, streams.

In: what was given, and what tells inputs from labels. Out: a `Reader`, whose labels are as the user wrote them.
Whatever a loader shuffles, repeats or drops, a row keeps its number, so that every pass over the data sees the same
rows under the same numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from unbend._typing import Array
from unbend.capture.inputs import n_samples, take
from unbend.errors import DataError
from unbend.load.labels import column
from unbend.study.given import Given
from unbend.study.items import Items
from unbend.study.repeats import Repeats


@dataclass(frozen=True, slots=True, eq=False)
class Minibatch:
    """Some rows of a data set.

    Attributes:
        inputs: as the model takes them.
        y: labels as the user wrote them (None where there are none), or coded for all that is measured.
        ids: row numbers.
        raw: labels as the user wrote them, beside coded ones.
    """

    inputs: Any
    y: Any
    ids: Array
    raw: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A data set that can be read again and again.

    Attributes:
        n: rows; None for a stream.
        read: batches of the given rows, by number and in that order; all of them for None, and always for a stream.
        labels: all labels as the user wrote them, where they are at hand without reading the samples.
    """

    n: int | None
    read: Callable[[Array | None], Iterator[Minibatch]]
    labels: Any = None


def reader(data: Given, batch_size: int, items: Items) -> Reader:
    """How to read a data set.

    Args:
        data: samples and labels, a Dataset or a DataLoader.
        batch_size: rows per batch for arrays and Datasets; a DataLoader keeps its own.
        items: tells inputs from labels.
    """
    if isinstance(data.x, DataLoader):
        return _of_loader(data.x, items)
    if isinstance(data.x, Dataset):
        return _of_loader(DataLoader(data.x, batch_size=batch_size, generator=torch.Generator()), items)
    return _of_arrays(data.x, None if data.y is None else _plain(data.y), batch_size)


def some_labels(y: Any, index: Tensor) -> Any:
    """Some rows of labels that are a tensor, an array of words, or None."""
    return y if y is None else y[index if isinstance(y, Tensor) else index.numpy()]


def _plain(y: Any) -> Any:
    """Labels as a tensor, or as an array of words."""
    if isinstance(y, Tensor):
        return y.detach().cpu()
    found = column("y", y)
    if found.dtype.kind not in "biuf":
        return found
    kept = {"u2": np.int32, "u4": np.int64, "u8": np.int64}.get(found.dtype.str[1:], found.dtype.newbyteorder("="))
    return torch.from_numpy(found.astype(kept, copy=not found.flags.writeable))


def _of_arrays(x: Any, y: Any, batch_size: int) -> Reader:
    n = n_samples(x) if y is None else len(y)

    def read(rows: Array | None) -> Iterator[Minibatch]:
        total = n if rows is None else len(rows)
        for start in range(0, total, batch_size):
            stop = min(start + batch_size, total)
            if rows is None:
                part = None if y is None else y[start:stop]
                yield Minibatch(_slice(x, start, stop), part, np.arange(start, stop))
            else:
                index = torch.from_numpy(rows[start:stop])
                yield Minibatch(take(x, index, n), some_labels(y, index), rows[start:stop])

    return Reader(n, read, y)


def _slice(x: Any, start: int, stop: int) -> Any:
    if isinstance(x, Mapping):
        return {key: value[start:stop] for key, value in x.items()}
    return tuple(value[start:stop] for value in x) if isinstance(x, tuple) else x[start:stop]


def _of_loader(loader: DataLoader, items: Items) -> Reader:
    data = loader.dataset
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        return _of_stream(loader, items)
    if loader.batch_size is None and loader.batch_sampler is None:
        return _of_stream(_in_order(loader, data, None, batch_size=None), items)
    chosen = _sampled_rows(loader, len(data))  # type: ignore[arg-type]
    n = len(data) if chosen is None else len(chosen)  # type: ignore[arg-type]
    batch_size = loader.batch_size or _largest(loader.batch_sampler)

    def read(rows: Array | None) -> Iterator[Minibatch]:
        numbers = np.arange(n) if rows is None else rows
        wanted = numbers if chosen is None else chosen[numbers]
        start = 0
        for batch in _in_order(loader, data, wanted, batch_size=batch_size):
            inputs, y = _split(items, batch)
            ids = numbers[start : start + batch_size]
            yield Minibatch(inputs, y, ids if y is None else _number(ids, y))
            start += len(ids)

    labels = _known_labels(loader, items)
    return Reader(n, read, labels if chosen is None else some_labels(labels, torch.from_numpy(chosen)))


def _split(items: Items, batch: Any) -> tuple[Any, Any]:
    inputs, y = items.split(batch)
    return inputs, None if y is None else _plain(y)


def _number(ids: Array, y: Any) -> Array:
    if y.ndim == 0 or len(y) != len(ids):
        got = f"{len(y)}" if y.ndim else "a single one"
        raise DataError(
            f"y: expected one label per row, got {got} for a batch of {len(ids)} rows. Check the collate function."
        )
    return ids


def _in_order(loader: DataLoader, data: Any, rows: Array | None, *, batch_size: int | None) -> DataLoader:
    """The loader over some rows, in order, without touching the global random generator."""
    return DataLoader(
        data if rows is None else Subset(data, rows.tolist()),
        batch_size=batch_size,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        worker_init_fn=loader.worker_init_fn,
        generator=torch.Generator(),
    )


def _sampled_rows(loader: DataLoader, n: int) -> Array | None:
    """The rows that the loader's sampler ever gives, rising, each once; None for all."""
    sampler: Any = loader.sampler if loader.batch_size is not None else loader.batch_sampler
    if isinstance(sampler, (RandomSampler, SequentialSampler, DistributedSampler)):
        return None
    indices = getattr(sampler, "indices", None)
    if indices is None:
        with torch.random.fork_rng([]):
            indices = list(sampler)
        if loader.batch_size is None:
            indices = list(chain.from_iterable(indices))
    rows = np.unique(np.asarray(indices, dtype=np.int64))
    return None if len(rows) == n else rows


def _largest(batches: Iterable[Any] | None) -> int:
    with torch.random.fork_rng([]):
        return max((len(batch) for batch in batches or ()), default=1)


def _of_stream(loader: DataLoader, items: Items) -> Reader:
    """Batches as they come; every pass must give as many rows as the first whole one."""
    whole: list[int] = []

    def read(_rows: Array | None) -> Iterator[Minibatch]:
        start, repeats = 0, Repeats(0 if whole else loader.num_workers)
        for batch in loader:
            inputs, y = _split(items, batch)
            n = n_samples(inputs) if y is None else len(y)
            repeats.add(inputs, y, n)
            yield Minibatch(inputs, y, np.arange(start, start + n))
            start += n
        repeats.check()
        whole.append(start)
        if start != whole[0] or not start:
            raise DataError(
                f"data: the stream gave {whole[0]} rows at first and {start} later. A study reads the data more than "
                "once: give an IterableDataset whose __iter__ starts afresh each time."
            )

    return Reader(None, read)


def _known_labels(loader: DataLoader, items: Items) -> Any:
    """All labels of a data set that holds them as one tensor or list, beside its samples."""
    if loader.collate_fn is not default_collate:
        return None
    labels = _held_labels(loader.dataset, items)
    if labels is None or not len(labels):
        return None
    _, first = _split(items, default_collate([loader.dataset[0]]))
    return labels if first is not None and np.array_equal(column("y", first), column("y", labels[:1])) else None


def _held_labels(data: Any, items: Items) -> Any:
    if isinstance(data, Subset):
        return some_labels(_held_labels(data.dataset, items), torch.as_tensor(data.indices, dtype=torch.long))
    held = items.split(data.tensors)[1] if isinstance(data, TensorDataset) else getattr(data, "targets", None)
    if not isinstance(held, (Tensor, list, np.ndarray)) or len(held) != len(data):
        return None
    try:
        return _plain(held)
    except DataError:
        return None
