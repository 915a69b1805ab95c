"""Which rows are held out: labels come in, masks and folds go out, the same for every layer."""

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from unbend.errors import DataError


def _place(y: Int64[Tensor, " n"], seed: int) -> Int64[Tensor, " n"]:
    """The place of each row among the rows of its class, in a random order."""
    shuffle = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    order = shuffle[torch.argsort(y[shuffle], stable=True)]
    counts = torch.bincount(y)
    starts = counts.cumsum(0) - counts
    place = torch.empty_like(y)
    place[order] = torch.arange(len(y)) - starts[y[order]]
    return place


def held_out_mask(y: Int64[Tensor, " n"], share: float, seed: int) -> Bool[Tensor, " n"]:
    """A random share of each class; every class keeps at least one row that is not held out.

    Args:
        y: classes 0..k-1.
        share: how much of each class to hold out, between 0 and 1.
        seed: draws the rows.
    """
    if not 0 < share < 1:
        raise DataError(f"share: expected a share between 0 and 1, got {share}. 0.2 holds out a fifth.")
    counts = torch.bincount(y)
    kept = (counts.double() * (1 - share)).round().long().clamp(min=1)
    return _place(y, seed) >= kept[y]


def folds_of(y: Int64[Tensor, " n"], n_folds: int, seed: int) -> Int64[Tensor, " n"]:
    """The fold of each row; the rows of a class are dealt out in turn, so that no class lies in one fold alone.

    Args:
        y: classes 0..k-1.
        n_folds: how many folds, at least 2.
        seed: deals the rows.
    """
    counts = torch.bincount(y)
    if n_folds < 2 or int(counts[counts > 0].min()) < 2:
        raise DataError(
            f"n_folds: expected at least 2 folds and 2 rows of every class, got {n_folds} folds and "
            f"{int(counts[counts > 0].min())} row(s) in the smallest class. Leave that class out, or use n_folds=0."
        )
    offset = counts.cumsum(0) - counts
    return (_place(y, seed) + offset[y]) % n_folds
