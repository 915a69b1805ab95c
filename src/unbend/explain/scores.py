"""The loss of every row, whatever form the output has: logits, probabilities, a single score."""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from unbend.errors import ModelError


def check_scores(out: Float[Tensor, "n *s"], n_classes: int) -> None:
    """Refuse outputs by which no row can be said to be called a class.

    Args:
        out: for some rows; one number a row is the score of the second of two classes.
        n_classes: classes that rows may have.

    Raises:
        ModelError: they are no row of scores, or of fewer than there are classes.
    """
    if out.ndim != 2:
        raise ModelError(
            f"model: expected one row of scores for each sample, got outputs of shape {tuple(out.shape[1:])}. "
            "Let forward return [n, classes]."
        )
    if out.shape[1] < n_classes and (out.shape[1], n_classes) != (1, 2):
        raise ModelError(
            f"model: expected a score for each of {n_classes} classes, got {out.shape[1]} numbers a sample. Let "
            "forward return [n, classes], or name the part of the output that holds them (output=)."
        )


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
