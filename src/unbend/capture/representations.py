"""All tapped layers of one batch, as rows: the simplest way to get at hidden representations."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from unbend.capture.inputs import n_samples
from unbend.capture.outputs import call
from unbend.capture.plan import plan
from unbend.capture.quiet import bare, quiet
from unbend.capture.taps import Caught, Tap, tapped
from unbend.capture.tokens import token_mask, token_masks
from unbend.errors import ShapeError
from unbend.numerics import views
from unbend.numerics.view import Rule


def representations(
    model: nn.Module,
    inputs: Any,
    *,
    layers: Sequence[str] | None = None,
    reduce: Rule | Mapping[str, Rule] | None = None,
    mask: Tensor | None = None,
    axis: Mapping[str, int] | None = None,
) -> dict[str, Tensor]:
    """One row per sample for every tapped layer, in the order the layers run.

    The model runs in evaluation mode without gradients and is left as it was. The rows are copies, so a later
    in-place activation does not change them.

    Args:
        model: any module.
        inputs: one batch: a tensor, a packed sequence, a tuple of arguments, a mapping of keywords, or whatever
            forward takes as its one argument.
        layers: paths or globs; left out, a sensible choice.
        reduce: how positions are reduced: `mean`, `max`, `flatten`, `cls` or `last`, for all or by glob.
        mask: for tokens [n, t], true where a token counts; left out, each layer is read under the padding mask among
            the inputs that belongs to its tokens.
        axis: which axis of a layer's output holds its units, by name or glob; left out, what the model shows.

    Returns:
        Layer name → rows [n, d].

    Raises:
        ModelError: not a module, one that cannot be looked into, or one that puts out no rows.
        ShapeError: the model does not take these inputs, or they hold no samples.
        LayerError: no such layer or rule.

    Cost:
        Four forward passes, two of them on a few rows, and the rows.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        >>> [(name, tuple(rows.shape)) for name, rows in representations(net, torch.ones(2, 3)).items()]
        [('0', (2, 4)), ('1', (2, 4))]
    """
    model = bare(model)
    n = n_samples(inputs)
    if not n:
        raise ShapeError("inputs: expected a batch of at least one sample, got none. Pass tensors of shape [n, ...].")
    places = plan(model, inputs, n, layers=layers, reduce=reduce, axis=axis)
    masks = token_masks(inputs, places.taps, mask=mask)
    rows: dict[str, Tensor] = {}

    def receive(tap: Tap, caught: Caught) -> None:
        rows[tap.name] = views.reduce(caught.values, tap.view, mask=token_mask(tap, caught, masks)).detach().clone()

    with quiet(model), tapped(model, places.taps, receive):
        call(model, places.protect(inputs))
    return rows
