"""The value of a loss, whatever form of labels it was written for.

In: a loss, a model's output, labels coded and as the user wrote them. Out: its value. The forms are tried in a written
order, `FORMS`; one that only works because shapes are broadcast does not count. Losses can be named.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unbend.errors import DataError
from unbend.load.dataset import IGNORED
from unbend.load.labels import Task

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class LabelForms:
    """The labels of one batch.

    Attributes:
        y: as they are coded: class indices int64 [n], or floats [n] or [n, t]; or these at positions of each row.
        raw: as the user wrote them; None where they are not numbers.
        n_classes: number of classes; 0 for targets and yes/no labels.
    """

    y: Tensor
    raw: Any = None
    n_classes: int = 0


def _as_given(labels: LabelForms, output: Tensor) -> Tensor | None:
    """As the user wrote them, unless floats lie in another shape than the output, which would be broadcast."""
    raw = labels.raw
    if not isinstance(raw, Tensor) or raw.dtype == torch.bool:
        return None
    is_index = not raw.is_floating_point()
    is_spread = output.numel() == len(raw) and raw.shape != output.shape
    if is_spread or (is_index and output.numel() == len(raw)):
        return None
    return raw if is_index else raw.to(output.dtype)


def _as_indices(labels: LabelForms, output: Tensor) -> Tensor | None:
    """Class indices [n], for an output with a score per class."""
    return labels.y if labels.n_classes and output.numel() > len(labels.y) else None


def _as_output(labels: LabelForms, output: Tensor) -> Tensor | None:
    """Floats in the shape and dtype of the output."""
    return labels.y.to(output.dtype).reshape(output.shape) if labels.y.numel() == output.numel() else None


def _as_signs(labels: LabelForms, output: Tensor) -> Tensor | None:
    """-1 and 1 in the shape of the output, where the user wrote them so."""
    raw = labels.raw
    is_signed = isinstance(raw, Tensor) and raw.numel() == output.numel() and bool((raw.abs() == 1).all())
    return raw.to(output.dtype).reshape(output.shape) if is_signed and bool((raw < 0).any()) else None


def _as_one_hot(labels: LabelForms, output: Tensor) -> Tensor | None:
    """One-hot rows in the shape and dtype of the output."""
    k = labels.n_classes
    if not k or output.ndim != 2 or output.shape[1] < k or output.shape[1] < 2:
        return None
    return F.one_hot(labels.y, output.shape[1]).to(output.dtype)


def _as_row(labels: LabelForms, output: Tensor) -> Tensor | None:
    """Floats [n] for one output a row: for a loss that takes the last axis off the output, and refused its shape."""
    is_one = output.ndim == 2 and output.shape[1] == 1 and labels.y.numel() == len(output)
    return labels.y.to(output.dtype).reshape(-1) if is_one else None


FORMS: tuple[Callable[[LabelForms, Tensor], Tensor | None], ...] = (
    _as_signs, _as_given, _as_indices, _as_output, _as_one_hot, _as_row,
)  # fmt: skip
"""Forms of labels, in the order in which they are tried. The last one is broadcast by a loss that does not ask for it,
so it comes when the output's own shape has been refused."""


def loss_value(loss: Loss | str, output: Tensor, labels: LabelForms) -> Tensor:
    """The loss of a batch, its labels in the form the loss was written for.

    Args:
        loss: a function or module (output, labels), or the name of one (`LOSSES`).
        output: of the model [n, ...].
        labels: of the same rows.

    Raises:
        DataError: no form of the labels suits it; in the loss's own words.

    Example:
        >>> y = LabelForms(torch.tensor([0, 1]), n_classes=2)
        >>> loss_value(nn.BCEWithLogitsLoss(), torch.zeros(2, 1), y), loss_value("mse", torch.zeros(2, 1), y)
        (tensor(0.6931), tensor(0.5000))
    """
    function = loss_of_name(loss) if isinstance(loss, str) else loss
    said = ""
    for scores, y in _readings(labels, output):
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="Using a target size")
                value = function(scores, y.to(output.device))
        except (RuntimeError, ValueError, TypeError, IndexError, UserWarning) as error:
            said = said or str(error).strip().partition("\n")[0]
            continue
        if isinstance(value, Tensor):
            return value
        said = said or f"it returns a {type(value).__name__}"
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    raise DataError(
        f"loss: {name} takes the labels in no form (as given, class indices, floats in the output's shape "
        f"{list(output.shape)}, one-hot rows, a float a row). It says: {said or 'nothing'}. "
        "Wrap it so that it takes (output, y)."
    )


def _readings(labels: LabelForms, output: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs and labels in every form, in the order in which they are tried."""
    if labels.y.ndim > 1 and (labels.n_classes or labels.y.ndim > 2):
        yield from _at_positions(labels, output)
        return
    for form in FORMS:
        y = form(labels, output)
        if y is not None:
            yield output, y


def _at_positions(labels: LabelForms, output: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Labels per position: as given; with one row for each position that has a label, whichever axis holds scores."""
    y, raw = labels.y, labels.raw
    has_all = not labels.n_classes or bool((y != IGNORED).all())
    if isinstance(raw, Tensor) and (has_all or (not raw.is_floating_point() and raw.shape != output.shape)):
        yield output, raw.to(output.dtype) if raw.is_floating_point() else raw
    width = 1 if labels.n_classes else y.shape[-1]
    flat = y.reshape(-1) if labels.n_classes else y.reshape(-1, width)
    kept = flat != IGNORED if labels.n_classes else torch.ones(len(flat), dtype=torch.bool)
    for axis in (-1, 1):
        scores = output.movedim(axis, -1).flatten(0, -2) if output.ndim > 2 else output
        if output.numel() == len(flat):
            scores = output.reshape(-1, 1)
        if len(scores) == len(flat):
            rows = LabelForms(flat[kept], None, labels.n_classes)
            for form in FORMS:
                found = form(rows, scores[kept.to(scores.device)])
                if found is not None:
                    yield scores[kept.to(scores.device)], found


def _bce(output: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy of logits, or of probabilities where every output is one."""
    if bool(((output >= 0) & (output <= 1)).all()):
        return F.binary_cross_entropy(output, y)
    return F.binary_cross_entropy_with_logits(output, y)


LOSSES: dict[str, tuple[Loss, Task]] = {
    "cross_entropy": (F.cross_entropy, "classes"), "nll": (F.nll_loss, "classes"), "bce": (_bce, "classes"),
    "mse": (F.mse_loss, "targets"), "l1": (F.l1_loss, "targets"), "huber": (F.huber_loss, "targets"),
}  # fmt: skip
"""Losses that can be named, and what they are written for."""
_OF_CLASSES = (
    nn.CrossEntropyLoss, nn.NLLLoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.MultiMarginLoss, nn.SoftMarginLoss,
    nn.HingeEmbeddingLoss, nn.MultiLabelSoftMarginLoss,
)  # fmt: skip
_OF_TARGETS = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.PoissonNLLLoss)
_FUNCTIONS: dict[Any, Task] = {
    F.cross_entropy: "classes", F.nll_loss: "classes", F.binary_cross_entropy: "classes",
    F.binary_cross_entropy_with_logits: "classes", F.multi_margin_loss: "classes", F.soft_margin_loss: "classes",
    F.mse_loss: "targets", F.l1_loss: "targets", F.smooth_l1_loss: "targets", F.huber_loss: "targets",
    F.poisson_nll_loss: "targets",
}  # fmt: skip


def loss_of_name(name: str) -> Loss:
    """The loss of that name; `-` and `_` are the same.

    Raises:
        DataError: there is none.
    """
    key = name.replace("-", "_").lower()
    if key not in LOSSES:
        raise DataError(
            f"loss: no loss named {name!r}. There are: {', '.join(LOSSES)}; or pass a function (output, y)."
        )
    return LOSSES[key][0]


def written_for(loss: Loss | str | None) -> Task | None:
    """What a loss is written for; None where that is not known."""
    if isinstance(loss, str):
        loss_of_name(loss)
        return LOSSES[loss.replace("-", "_").lower()][1]
    if isinstance(loss, _OF_CLASSES):
        return "classes"
    if isinstance(loss, _OF_TARGETS):
        return "targets"
    return _FUNCTIONS.get(loss) if callable(loss) and getattr(loss, "__hash__", None) else None
