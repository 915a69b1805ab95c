"""All tapped layers of one batch, as rows: the simplest way to get at hidden representations."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from unbend.capture.outputs import call
from unbend.capture.plan import plan
from unbend.capture.quiet import bare, quiet
from unbend.capture.taps import Caught, Tap, tapped
from unbend.errors import ShapeError
from unbend.numerics.views import Rule
from unbend.numerics.views import reduce as reduced


def representations(
    model: nn.Module,
    inputs: Any,
    *,
    layers: Sequence[str] | None = None,
    reduce: Rule | Mapping[str, Rule] | None = None,
    mask: Tensor | None = None,
) -> dict[str, Tensor]:
    """One row per sample for every tapped layer, in the order the layers run.

    The model runs in evaluation mode without gradients and is left as it was. The rows are copies, so a later
    in-place activation does not change them.

    Args:
        model: any module.
        inputs: one batch: a tensor, a tuple of arguments, or a mapping of keywords.
        layers: paths or globs; left out, a sensible choice.
        reduce: how positions are reduced: `mean`, `max`, `flatten`, `cls` or `last`, for all or by glob.
        mask: for tokens [n, t], true where a token counts; found by itself under `attention_mask`.

    Returns:
        Layer name → rows [n, d].

    Raises:
        ModelError: not a module, or one that cannot be looked into.
        ShapeError: the model does not take these inputs, or they hold no samples.
        LayerError: no such layer or rule.

    Cost:
        Three forward passes, one of them on two rows, and the rows.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        >>> [(name, tuple(rows.shape)) for name, rows in representations(net, torch.ones(2, 3)).items()]
        [('0', (2, 4)), ('1', (2, 4))]
    """
    model = bare(model)
    places = plan(model, inputs, _n(inputs), layers=layers, reduce=reduce)
    if mask is None and isinstance(inputs, Mapping):
        mask = inputs.get("attention_mask")
    rows: dict[str, Tensor] = {}

    def receive(tap: Tap, caught: Caught) -> None:
        rows[tap.name] = reduced(caught.values, tap.view, mask=token_mask(tap, caught, mask)).detach().clone()

    with quiet(model), tapped(model, places.taps, receive):
        call(model, inputs)
    return rows


def token_mask(tap: Tap, caught: Caught, mask: Tensor | None) -> Tensor | None:
    """The mask that fits a tap's tokens: its own, or the batch's where the lengths agree."""
    if tap.view.layout != "tokens":
        return None
    if caught.mask is not None:
        return caught.mask
    return mask if mask is not None and mask.ndim == 2 and tuple(mask.shape) == tuple(caught.values.shape[:2]) else None


def _n(inputs: Any) -> int:
    """Samples in a batch."""
    values = (
        inputs.values() if isinstance(inputs, Mapping) else inputs if isinstance(inputs, (tuple, list)) else [inputs]
    )
    n = next((len(v) for v in values if isinstance(v, Tensor) and v.ndim), 0)
    if not n:
        raise ShapeError("inputs: expected a batch of at least one sample, got none. Pass tensors of shape [n, ...].")
    return n
