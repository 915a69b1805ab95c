"""Least-squares concept erasure: the smallest affine change after which no linear read-out beats a constant.

In: the second moments of a layer and its one-hot classes. Out: an `Eraser`, and the proof that the class means are
equal behind it.
"""

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Float64
from unbend.errors import ShapeError
from unbend.numerics.result import result
from unbend.numerics.second import SecondState, eigen

_LEAST = 1e-9
"""A direction whose correlation with the classes is below this tells them apart by rounding only."""


@result
class Eraser:
    """x ↦ x - left right (x - mean): what a linear read-out could use of the classes is gone.

    Equal class means are necessary and sufficient for that: under any convex loss no affine read-out of the erased rows
    beats the best constant, on the rows it was fitted on (Belrose et al. 2023, theorem 3.1).

    Attributes:
        n: rows it was fitted on.
        mean: their mean [d].
        left: directions that are taken away [d, r].
        right: what is read off a row for each of them [r, d].
        gap: greatest distance of a class mean from the mean before, in standard deviations of a unit.
        gap_left: the same afterwards, computed from the moments; 0 up to rounding.
        moved: share of the variance of the rows that is taken away.
    """

    n: int
    mean: Float64[Array, "d"]
    left: Float64[Array, "d r"]
    right: Float64[Array, "r d"]
    gap: float
    gap_left: float
    moved: float

    @property
    def rank(self) -> int:
        """Directions that are taken away: at most one fewer than there are classes."""
        return self.left.shape[1]

    def __call__(self, x: Tensor) -> Tensor:
        """Rows [..., d] without what told the classes apart."""
        if x.shape[-1] != len(self.mean):
            raise ShapeError(f"x: expected rows of {len(self.mean)} numbers, got {x.shape[-1]}.")
        mean, left, right = (torch.from_numpy(part).to(x) for part in (self.mean, self.left, self.right))
        return x - ((x - mean) @ right.T) @ left.T


def erase(second: SecondState) -> Eraser:
    """The eraser of the classes of a layer.

    Among all affine maps behind which the class means are equal it is the one that moves the rows least, in the mean
    square, whatever inner product distance is measured with.

    Args:
        second: second moments of rows, with one-hot classes as their targets.

    Cost:
        O(d³), once a state.

    Source:
        Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff and Biderman, LEACE: perfect linear concept erasure in
        closed form, NeurIPS 2023, theorem 4.3.

    Example:
        >>> x = torch.tensor([[0.0, 0], [2, 1], [4, 0], [6, 1]], dtype=torch.float64)
        >>> y = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]], dtype=torch.float64)
        >>> found = erase(SecondState.of_rows(x, y))
        >>> bool(torch.allclose(found(x)[:2].mean(0), found(x)[2:].mean(0)))
        True
    """
    second = second.settle()
    whiten, colour = _whitening(second)
    found, strength, _ = np.linalg.svd(whiten @ second.cross, full_matrices=False)
    size = np.sqrt(np.diagonal(second.yy).max(initial=0.0))  # of a direction that tells a class exactly
    kept = found[:, strength > max(_LEAST * size, 1e-300)]
    left, right = colour @ kept, kept.T @ whiten
    return _eraser(second, left, right)


def erase_random(second: SecondState, rank: int, seed: int = 0) -> Eraser:
    """An eraser of as many directions that have nothing to do with the classes: the control of `erase`.

    The directions are drawn evenly from the whitened rows, as those of `erase` lie there.

    Args:
        second: second moments of rows.
        rank: how many directions.
        seed: of the draw.
    """
    second = second.settle()
    whiten, colour = _whitening(second)
    drawn = np.random.default_rng(seed).standard_normal((len(whiten), min(rank, len(whiten))))
    kept = np.linalg.qr(drawn)[0]
    return _eraser(second, colour @ kept, kept.T @ whiten)


def _whitening(second: SecondState) -> tuple[Float64[Array, "r d"], Float64[Array, "d r"]]:
    """A map to rows of uncorrelated columns of one length, and its inverse on what varies."""
    basis = eigen(second)
    root = np.sqrt(basis.values)
    unscale = np.divide(1.0, basis.scale, out=np.zeros_like(basis.scale), where=basis.scale > 0)
    return basis.vectors.T * basis.scale / root[:, None], unscale[:, None] * basis.vectors * root


def _eraser(second: SecondState, left: Array, right: Array) -> Eraser:
    """With what its moments tell of it."""
    counts = second.n * second.y_mean
    gaps = np.divide(second.cross, counts, out=np.zeros_like(second.cross), where=counts > 0)  # class mean - mean
    spread = np.sqrt(np.diagonal(second.gram) / max(second.n, 1))
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)[:, None]
    after = gaps - left @ (right @ gaps)
    total = float(np.trace(second.gram))
    taken = float(np.sum((left.T @ left) * (right @ second.gram @ right.T)))
    return Eraser(
        n=second.n, mean=second.mean, left=left, right=right, gap=float(np.abs(gaps * scale).max(initial=0.0)),
        gap_left=float(np.abs(after * scale).max(initial=0.0)), moved=taken / total if total > 0 else 0.0,
    )  # fmt: skip
