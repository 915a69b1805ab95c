"""Batches of any data set in an order that never changes: arrays, map-style data sets, streams.

In: `load.Data`. Out: a `Reader`. Whatever a loader shuffles, repeats or drops, a row keeps its number, so that every
pass over the data sees the same rows under the same numbers.
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
from unbend.capture.inputs import take
from unbend.errors import DataError
from unbend.load.dataset import Data
from unbend.study.repeats import Repeats

LABEL_KEYS = ("labels", "label", "y", "target", "targets")


@dataclass(frozen=True, slots=True, eq=False)
class Minibatch:
    """Inputs as the model takes them, labels, and row numbers."""

    inputs: Any
    y: Tensor
    ids: Array


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A data set that can be read again and again.

    Attributes:
        n: rows; None for a stream.
        read: batches of the given rows, by number and in that order; all of them for None, and always for a stream.
        labels: all labels, where they are at hand without reading the samples.
    """

    n: int | None
    read: Callable[[Array | None], Iterator[Minibatch]]
    labels: Tensor | None = None


def reader(data: Data, batch_size: int) -> Reader:
    """How to read a data set.

    Args:
        data: samples and labels, a Dataset or a DataLoader.
        batch_size: rows per batch for arrays and Datasets; a DataLoader keeps its own.

    Raises:
        DataError: arrays without labels.
    """
    if isinstance(data.x, DataLoader):
        return _of_loader(data.x)
    if isinstance(data.x, Dataset):
        return _of_loader(DataLoader(data.x, batch_size=batch_size, generator=torch.Generator()))
    if data.y is None:
        raise DataError("data: there are no labels. Pass samples and labels, (x, y).")
    return _of_arrays(data.x, data.y, batch_size)


def split_labels(batch: Any) -> tuple[Any, Tensor]:
    """Inputs and labels of one batch of a user's loader.

    Raises:
        DataError: a batch without labels, or with labels that are no numbers.
    """
    if isinstance(batch, Mapping):
        key = next((k for k in LABEL_KEYS if batch.get(k) is not None), None)
        if key is not None:
            return {k: v for k, v in batch.items() if k != key}, _numbers(batch[key])
    elif isinstance(batch, (tuple, list)) and len(batch) >= 2:
        *inputs, y = batch
        return (inputs[0] if len(inputs) == 1 else tuple(inputs)), _numbers(y)
    raise DataError(
        f"data: a batch is a {type(batch).__name__} without labels. Batches are (inputs, y), or mappings with a key "
        f"{' or '.join(repr(k) for k in LABEL_KEYS[:2])}."
    )


def _numbers(y: Any) -> Tensor:
    try:
        return torch.as_tensor(y).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"y: expected class indices or targets as numbers, got a {type(y).__name__}. Map your labels to 0..k-1."
        ) from error


def _of_arrays(x: Any, y: Tensor, batch_size: int) -> Reader:
    n = len(y)

    def read(rows: Array | None) -> Iterator[Minibatch]:
        count = n if rows is None else len(rows)
        for start in range(0, count, batch_size):
            stop = min(start + batch_size, count)
            if rows is None:
                yield Minibatch(_slice(x, start, stop), y[start:stop], np.arange(start, stop))
            else:
                index = torch.from_numpy(rows[start:stop])
                yield Minibatch(take(x, index, n), y[index], rows[start:stop])

    return Reader(n, read, y)


def _slice(x: Any, start: int, stop: int) -> Any:
    return {key: value[start:stop] for key, value in x.items()} if isinstance(x, Mapping) else x[start:stop]


def _of_loader(loader: DataLoader) -> Reader:
    data = loader.dataset
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        return _of_stream(loader)
    if loader.batch_size is None and loader.batch_sampler is None:
        return _of_stream(_ordered(loader, data, None, batch_size=None))
    chosen = _chosen(loader, len(data))  # type: ignore[arg-type]
    n = len(data) if chosen is None else len(chosen)  # type: ignore[arg-type]
    batch_size = loader.batch_size or _largest(loader.batch_sampler)

    def read(rows: Array | None) -> Iterator[Minibatch]:
        numbers = np.arange(n) if rows is None else rows
        wanted = numbers if chosen is None else chosen[numbers]
        start = 0
        for batch in _ordered(loader, data, wanted, batch_size=batch_size):
            inputs, y = split_labels(batch)
            yield Minibatch(inputs, y, _numbered(numbers[start : start + batch_size], y))
            start += len(y)

    labels = _known_labels(loader)
    return Reader(n, read, labels if labels is None or chosen is None else labels[torch.from_numpy(chosen)])


def _numbered(ids: Array, y: Tensor) -> Array:
    if y.ndim == 0 or len(y) != len(ids):
        got = f"{len(y)}" if y.ndim else "a single one"
        raise DataError(
            f"y: expected one label per row, got {got} for a batch of {len(ids)} rows. Check the collate function."
        )
    return ids


def _ordered(loader: DataLoader, data: Dataset, rows: Array | None, *, batch_size: int | None) -> DataLoader:
    """The loader over some rows, in order, without touching the global random generator."""
    return DataLoader(
        data if rows is None else Subset(data, rows.tolist()),
        batch_size=batch_size,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        worker_init_fn=loader.worker_init_fn,
        generator=torch.Generator(),
    )


def _chosen(loader: DataLoader, n: int) -> Array | None:
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


def _of_stream(loader: DataLoader) -> Reader:
    """Batches as they come; every pass must give as many rows as the first whole one."""
    whole: list[int] = []

    def read(_rows: Array | None) -> Iterator[Minibatch]:
        start, repeats = 0, Repeats(0 if whole else loader.num_workers)
        for batch in loader:
            inputs, y = split_labels(batch)
            repeats.add(inputs, y)
            yield Minibatch(inputs, y, np.arange(start, start + len(y)))
            start += len(y)
        repeats.check()
        whole.append(start)
        if start != whole[0] or not start:
            raise DataError(
                f"data: the stream gave {whole[0]} rows at first and {start} later. A study reads the data more than "
                "once: give an IterableDataset whose __iter__ starts afresh each time."
            )

    return Reader(None, read)


def _known_labels(loader: DataLoader) -> Tensor | None:
    """All labels of a data set that holds them as one tensor or list, beside its samples."""
    labels = _held_labels(loader.dataset)
    if labels is None or loader.collate_fn is not default_collate or not len(labels):
        return None
    _, first = split_labels(default_collate([loader.dataset[0]]))
    return labels if first.shape == labels[:1].shape and torch.equal(first, labels[:1].to(first.dtype)) else None


def _held_labels(data: Any) -> Tensor | None:
    if isinstance(data, Subset):
        inner = _held_labels(data.dataset)
        return None if inner is None else inner[torch.as_tensor(data.indices, dtype=torch.long)]
    held = data.tensors[-1] if isinstance(data, TensorDataset) else getattr(data, "targets", None)
    if not isinstance(held, (Tensor, list, np.ndarray)) or len(held) != len(data):
        return None
    try:
        return torch.as_tensor(held)
    except (TypeError, ValueError, RuntimeError):
        return None
