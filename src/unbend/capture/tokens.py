"""Which positions of an output count: each layer reads the padding mask that the planning pass matched to it.

In: a batch's inputs and the taps. Out: masks by name, true where a token counts.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unbend.capture.inputs import named_tensors
from unbend.capture.taps import Caught, Tap

FOR_ALL = ""
"""Name of a mask that holds for every layer it fits."""


def token_masks(inputs: Any, taps: Iterable[Tap], *, mask: Tensor | None = None) -> dict[str, Tensor]:
    """The masks of one batch that the taps are read under, by the name of their input; or the one that is given.

    Args:
        inputs: the batch, as the model takes it, before it has run.
        taps: from `capture.plan`.
        mask: true where a token counts [n, t]; it takes the place of all others.
    """
    if mask is not None:
        return {FOR_ALL: mask}
    wanted = {tap.mask.name: tap.mask.meaning for tap in taps if tap.mask is not None}
    if not wanted:
        return {}
    given = {name: tensor for name, tensor in named_tensors(inputs) if name in wanted}
    return {name: _counting(tensor, is_padding=wanted[name] == "padding") for name, tensor in given.items()}


def _counting(mask: Tensor, *, is_padding: bool) -> Tensor:
    """True where a token counts [n, t]; lengths [n] as they are."""
    if mask.ndim < 2:
        return mask
    flat = mask.reshape(len(mask), -1)
    return flat == 0 if is_padding else flat != 0


def token_mask(tap: Tap, caught: Caught, masks: Mapping[str, Tensor]) -> Tensor | None:
    """The mask that fits a tap's tokens: its own, else that of the batch which it stands under."""
    if tap.view.layout != "tokens":
        return None
    if caught.mask is not None:
        return caught.mask
    found = masks.get(FOR_ALL)
    if found is None and tap.mask is not None:
        found = masks.get(tap.mask.name)
    n, t = caught.values.shape[:2]
    if found is not None and found.ndim == 1:
        found = torch.arange(t, device=found.device) < found[:, None]
    return found if found is not None and tuple(found.shape) == (n, t) else None


def unmasked_padding(model: nn.Module, inputs: Any) -> str | None:
    """A sentence about padding that an embedding knows of and no mask tells; None where there is none to be seen."""
    numbers = [
        t for _, t in named_tensors(inputs) if t.ndim == 2 and not t.is_floating_point() and t.dtype != torch.bool
    ]
    embeddings = ((path, module) for path, module in model.named_modules() if isinstance(module, nn.Embedding))
    for path, module in embeddings:
        padding = module.padding_idx
        if padding is not None and any(_is_padded(ids, padding) for ids in numbers):
            return (
                f"Token {padding} is padding for {path or 'the embedding'} (padding_idx) and stands in the inputs, "
                "but no mask among them tells which positions count, so padding is read like tokens. Give the "
                "model a mask, such as attention_mask."
            )
    return None


def _is_padded(ids: Tensor, padding: int) -> bool:
    """Whether some sequence begins or ends with padding, and there are other tokens too."""
    return bool((ids[:, [0, -1]] == padding).any()) and bool((ids != padding).any())
