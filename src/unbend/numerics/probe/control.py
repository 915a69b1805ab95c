"""Control tasks: rows come in, labels that mean nothing go out.

A probe that is right on a control task shows its own capacity, not the merit of the layer. Two tasks:
*shuffled labels*, which no row tells anything about, measure how much the probe can memorise; a *control task*
gives every type of input (a word, or a cell of the input space) one random label for good, so that memorising
types carries over to held-out rows.

Source:
    Hewitt and Liang, Designing and Interpreting Probes with Control Tasks, EMNLP 2019.
"""

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from unbend.numerics.probe.standard import Standard

_ROWS = 2048


def shuffle(y: Int64[Tensor, " n"], seed: int) -> Int64[Tensor, " n"]:
    """The labels in a random order."""
    return y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))]


def control_labels(types: Int64[Tensor, " n"], y: Int64[Tensor, " m"], k: int, seed: int) -> Int64[Tensor, " n"]:
    """One random label for each type, drawn as often as the labels y occur, for every row of that type."""
    share = torch.bincount(y, minlength=k).double()
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.multinomial(share, int(types.max()) + 1, replacement=True, generator=generator)
    return drawn[types]


def types_of(
    fitted: Shaped[Tensor, "n d"], other: Shaped[Tensor, "m d"], n_types: int, seed: int
) -> Int64[Tensor, " r"]:
    """The type of each row, then of each other row: the nearest of `n_types` random rows of the first array.

    Args:
        fitted: rows that the types are drawn from.
        other: further rows to be sorted into the same types.
        n_types: how many types.
        seed: draws the rows.

    Cost:
        One product of the rows with n_types vectors.
    """
    standard = Standard.of(fitted)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(fitted), generator=generator)[:n_types]
    anchors = standard.apply(fitted[chosen]).float()
    return torch.cat([_nearest(fitted, standard, anchors), _nearest(other, standard, anchors)])


def _nearest(h: Tensor, standard: Standard, anchors: Tensor) -> Tensor:
    half = anchors.square().sum(1) / 2
    found = [(standard.apply(block).float() @ anchors.T - half).argmax(1) for block in h.split(_ROWS)]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)
