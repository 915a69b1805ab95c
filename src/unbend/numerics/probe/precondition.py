"""Preconditioners for the softmax objective.

In: where we stand. Out: a solve with a near Hessian. The Hessian's diagonal blocks, one per class, are second moments
weighted by p(1 - p). They are estimated from rows drawn with probability proportional to what a row adds, and their
diagonal is then raised to the exact one: a unit that fires on a handful of rows is in no sample, and without this its
step would be unbounded.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from unbend.numerics.probe.objective import Rows

_ROWS_PER_COLUMN = 12
_BLOCK_ENTRIES = 30_000_000
"""Above this many entries in all blocks, the classes share one block."""
_WIDEST = 4096
"""Wider than this, the diagonal alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Estimated blocks of the Hessian of the loss: one per class, one for all, or only the diagonals.

    Attributes:
        moments: one per class or one for all, whole or their diagonals.
    """

    moments: Float64[Tensor, "c e e"] | Float64[Tensor, "c e"]

    def solver(self, l2: float) -> "Solver":
        """The blocks with the penalty on all but the bias, factored."""
        moments = self.moments.clone()
        diagonal = moments if moments.ndim == 2 else moments.diagonal(dim1=1, dim2=2)
        jitter = 1e-7 * diagonal.mean(1, keepdim=True) + 1e-12
        diagonal[:, :-1] += l2
        diagonal += jitter
        return Solver(moments if moments.ndim == 2 else torch.linalg.cholesky(moments))


@dataclass(frozen=True, slots=True, eq=False)
class Solver:
    """Factors of the blocks, ready to solve.

    Attributes:
        factors: of the blocks, whole or their diagonals.
    """

    factors: Float64[Tensor, "c e e"] | Float64[Tensor, "c e"]

    def __call__(self, g: Float64[Tensor, "k e"]) -> Float64[Tensor, "k e"]:
        """A descent direction against g, in the span where the classes' weights add up to zero."""
        if self.factors.ndim == 2:
            v = -g / self.factors
        elif len(self.factors) == 1:
            v = -torch.cholesky_solve(g.T, self.factors[0]).T
        else:
            v = -torch.cholesky_solve(g[:, :, None], self.factors)[:, :, 0]
        return v - v.mean(0)


def blocks(rows: Rows, p: Float[Tensor, "k n"], generator: torch.Generator, *, shared: bool = False) -> Blocks:
    """The blocks of the Hessian at probabilities p.

    Args:
        rows: the rows.
        p: probabilities, class by class.
        generator: draws the rows.
        shared: one block for all classes, which is exact where all classes are equally likely; two classes share one
            in any case, which is exact for them: their weights are each other's opposite.

    Cost:
        Up to 12 k (d + 1)³ multiplications, and one pass over the rows.
    """
    width = rows.z.shape[1] + 1
    k = rows.k
    shared = shared or k == 2 or k * width**2 > _BLOCK_ENTRIES
    curvatures = (1 - p.square().sum(0, keepdim=True)) / (k - 1) if shared else p * (1 - p)
    curvatures = curvatures * rows.weight
    exact = _diagonals(rows, curvatures)
    if width > _WIDEST:
        return Blocks(exact)
    sample = _ROWS_PER_COLUMN * width * (k // len(curvatures))
    return Blocks(torch.stack([_block(rows, b, e, sample, generator) for b, e in zip(curvatures, exact, strict=True)]))


def _diagonals(rows: Rows, curvatures: Float[Tensor, "c n"]) -> Float64[Tensor, "c e"]:
    out = torch.zeros(len(curvatures), rows.z.shape[1] + 1, dtype=torch.float64, device=rows.z.device)
    for i in range(0, len(rows.z), 1024):
        out[:, :-1] += curvatures[:, i : i + 1024] @ rows.z[i : i + 1024].square()
    out[:, -1] = curvatures.sum(1, dtype=torch.float64)
    return out / rows.total


def _block(
    rows: Rows,
    own_curvature: Float[Tensor, " n"],
    exact: Float64[Tensor, " e"],
    sample: int,
    generator: torch.Generator,
) -> Float64[Tensor, "e e"]:
    """One block from a sample of rows, with its exact diagonal."""
    n, d = rows.z.shape
    adds = own_curvature * rows.size
    kept = adds * (sample / (float(adds.sum(dtype=torch.float64)) + 1e-30)) if sample < n else torch.ones_like(adds)
    kept.clamp_(max=1.0)
    draw = torch.rand(n, generator=generator, dtype=kept.dtype, device=kept.device)
    chosen = torch.nonzero(draw < kept)[:, 0]
    some = torch.empty(len(chosen), d + 1, dtype=rows.z.dtype, device=rows.z.device)
    some[:, :d] = rows.z[chosen]
    some[:, d] = 1
    some *= (own_curvature[chosen] / kept[chosen]).sqrt_()[:, None]
    moment = _gram(some).double() / rows.total
    moment.diagonal().add_((exact - moment.diagonal()).clamp_(min=0))
    return moment


def _gram(a: Float[Tensor, "m e"]) -> Float[Tensor, "e e"]:
    """aᵀa; numpy sees that the two factors are one and halves the work."""
    if a.device.type != "cpu":
        return a.T @ a
    b = a.numpy()
    return torch.from_numpy(b.T @ b)
