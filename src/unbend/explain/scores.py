"""The loss of every row, whatever form the output has: logits, probabilities, a single score."""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F


def row_losses(out: Float[Tensor, "n k"], y: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Cross-entropy of each row in nats; of logits, or of outputs that are probabilities already.

    Example:
        >>> import torch
        >>> row_losses(torch.zeros(1, 2), torch.tensor([0])), row_losses(torch.tensor([[0.5, 0.5]]), torch.tensor([1]))
        (tensor([0.6931]), tensor([0.6931]))
    """
    y = y.to(out.device)
    is_share = bool(((out >= 0) & (out <= 1)).all())
    if out.shape[1] == 1:
        score, wanted = out[:, 0], y.to(out.dtype)
        loss = F.binary_cross_entropy if is_share else F.binary_cross_entropy_with_logits
        return loss(score, wanted, reduction="none")
    if is_share and bool(((out.sum(1) - 1).abs() < 1e-3).all()):
        return F.nll_loss(out.clamp_min(1e-12).log(), y, reduction="none")
    return F.cross_entropy(out, y, reduction="none")
