"""The softmax objective, split into its passes over the rows: plain tensors in, plain tensors out.

    F(W, b) = (1/m) Σ w_i ( log Σ_c exp s_ic - s_i,y(i) ) + (μ/2) |W|²,      s_i = W z_i + b,   m = Σ w_i

The bias is not penalised. Scores and probabilities are held class by class, [k, n]: sums over classes then run
along memory. Rows of weight 0 are held out: they cost one product and get their scores for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

_PRODUCT = 1024
"""Rows per matrix product: one block of 512 float32 columns stays in the second-level cache."""
_ELEMENTWISE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Standardised rows z, their classes y in 0..k-1, and the weight of each row, mostly 0 or 1.

    Attributes:
        z: the rows, standardised.
        y: their classes.
        k: number of classes.
        weight: of each row, mostly 0 or 1.
        size: of each row, 1 and its mean square, by which steps are scaled.
        total: sum of the weights.
    """

    z: Float[Tensor, "n d"]
    y: Int64[Tensor, " n"]
    k: int
    weight: Float[Tensor, " n"]
    size: Float[Tensor, " n"]
    total: float

    @classmethod
    def of(
        cls, z: Float[Tensor, "n d"], y: Int64[Tensor, " n"], k: int, weight: Float[Tensor, " n"] | None = None
    ) -> "Rows":
        """Rows with their mean squared length, which tells how much a row can bend the objective."""
        weight = torch.ones(len(z), dtype=z.dtype, device=z.device) if weight is None else weight.to(z.dtype)
        size = 1 + torch.linalg.vector_norm(z, dim=1).square() / max(z.shape[1], 1)
        return cls(z, y, k, weight, size, float(weight.sum(dtype=torch.float64)))

    def with_weights(self, weight: Float[Tensor, " n"]) -> "Rows":
        """The same rows with other weights; nothing is copied."""
        weight = weight.to(self.z.dtype)
        return Rows(self.z, self.y, self.k, weight, self.size, float(weight.sum(dtype=torch.float64)))

    def with_labels(self, y: Int64[Tensor, " n"], k: int) -> "Rows":
        """The same rows with other labels; nothing is copied."""
        return Rows(self.z, y, k, self.weight, self.size, self.total)


def image(rows: Rows, v: Float64[Tensor, "k e"], dtype: torch.dtype | None = None) -> Float[Tensor, "k n"]:
    """The scores that the weights v, with the bias as last column, give every row; in the rows' precision."""
    n, d = rows.z.shape
    v = v.to(dtype or rows.z.dtype)
    out = torch.empty(rows.k, n, dtype=v.dtype, device=rows.z.device)
    across, bias = v[:, :d].T.contiguous(), v[:, d:]
    for i in range(0, n, _PRODUCT):
        torch.add((rows.z[i : i + _PRODUCT].to(v.dtype) @ across).T, bias, out=out[:, i : i + _PRODUCT])
    return out


def softmax(rows: Rows, scores: Float[Tensor, "k n"]) -> tuple[float, Float[Tensor, "k n"]]:
    """The weighted mean log-loss, and the probabilities."""
    p = torch.empty_like(scores)
    loss = 0.0
    for i in range(0, scores.shape[1], _ELEMENTWISE):
        here = slice(i, i + _ELEMENTWISE)
        s, y = scores[:, here], rows.y[None, here]
        top = s.amax(0)
        e = torch.exp(s - top)
        mass = e.sum(0)
        row_loss = mass.log() + top - s.gather(0, y)[0]
        loss += float((row_loss * rows.weight[here]).sum(dtype=torch.float64))
        torch.div(e, mass, out=p[:, here])
    return loss / rows.total, p


def gradient(rows: Rows, p: Float[Tensor, "k n"]) -> Float64[Tensor, "k e"]:
    """The gradient of the mean loss, without the penalty; last column for the bias. In the precision of p."""
    n, d = rows.z.shape
    out = torch.zeros(rows.k, d + 1, dtype=torch.float64, device=rows.z.device)
    for i in range(0, n, _PRODUCT):
        here = slice(i, i + _PRODUCT)
        residual = p[:, here].clone()
        residual.scatter_add_(0, rows.y[None, here], residual.new_full((1, residual.shape[1]), -1.0))
        residual *= rows.weight[here]
        out[:, :d] += residual @ rows.z[here].to(p.dtype)
        out[:, d] += residual.sum(1, dtype=torch.float64)
    return out / rows.total


def curvature(rows: Rows, p: Float[Tensor, "k n"], images: Sequence[Float[Tensor, "k n"]]) -> Float64[Tensor, "m m"]:
    """The Hessian of the mean loss on the span of some directions, from their images."""
    m = len(images)
    out = torch.zeros(m, m, dtype=torch.float64)
    for i in range(0, p.shape[1], _ELEMENTWISE):
        here = slice(i, i + _ELEMENTWISE)
        w = p[:, here] * rows.weight[here]
        ahead = [d[:, here] for d in images]
        weighted = [w * d for d in ahead]
        means = [(p[:, here] * d).sum(0) for d in ahead]
        sums = [w.sum(0) for w in weighted]
        for a in range(m):
            for b in range(a, m):
                out[a, b] += float((weighted[a] * ahead[b]).sum()) - float(sums[a] @ means[b])
    return (out + out.triu(1).T) / rows.total
