"""Sparse networks: which weights are cut, and training that leaves them cut.

In: a module and a share. Out: masks, one per weight matrix. This module must not know data.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from unbend._one_line import in_one_line
from unbend.errors import DataError

Masks: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """What a round of pruning left.

    Attributes:
        round: 0 is the dense network.
        kept: share of the weights (biases not counted) that are left.
        masks: by parameter name, True where a weight is left.
        score: what the training of that round returned.
    """

    round: int
    kept: float
    masks: dict[str, np.ndarray]
    score: float

    __repr__ = in_one_line


def smallest(
    model: nn.Module,
    share: float,
    *,
    masks: Mapping[str, Tensor] | None = None,
    scope: Literal["layer", "network"] = "layer",
    output_share: float | None = None,
) -> Masks:
    """Masks that cut the smallest weights, a `share` of those that are still there.

    Only weight matrices and kernels are cut, no biases and no normalisations. Of equal sizes the earlier is
    cut.

    Args:
        model: any module.
        share: from 0 to 1, of the weights that `masks` leave.
        masks: what was cut before; nothing when left out.
        scope: compare sizes within each layer, or over the whole network.
        output_share: share of the last layer, with scope "layer"; Frankle & Carbin take half.

    Raises:
        DataError: a share outside 0 to 1.

    Source:
        Han et al. (2015); Frankle & Carbin (2019).
    """
    sizes = {name: weight.detach().abs() for name, weight in _weights(model).items()}
    return _cut(sizes, share, masks, scope, output_share)


def any_at_random(
    model: nn.Module,
    share: float,
    *,
    seed: int,
    masks: Mapping[str, Tensor] | None = None,
    scope: Literal["layer", "network"] = "layer",
) -> Masks:
    """Masks that cut weights at random: what cutting by size must beat.

    Args:
        model: any module.
        share: from 0 to 1, of the weights that `masks` leave.
        seed: of the draw.
        masks: what was cut before; nothing when left out.
        scope: the share of each layer, or of the whole network.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = _weights(model)
    sizes = {name: torch.rand(w.shape, generator=generator).to(w.device) for name, w in weights.items()}
    return _cut(sizes, share, masks, scope, None)


def shuffle(masks: Mapping[str, Tensor], *, seed: int) -> Masks:
    """As many weights left in every layer, at other places: a control for which ones are left."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator).to(mask.device)].view_as(mask)
        for name, mask in masks.items()
    }


def kept_share(masks: Mapping[str, Tensor]) -> float:
    """The share of weights that masks leave."""
    return sum(int(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())


@contextmanager
def masked(model: nn.Module, masks: Mapping[str, Tensor]) -> Iterator[nn.Module]:
    """A block in which the cut weights of `model` are 0 and stay 0 under training.

    They are set to 0 on entering; their gradients are set to 0 as they arise, so that SGD, momentum, weight
    decay and Adam, with a fresh state, leave them exactly there. After the block they are 0 still, but free.

    Args:
        model: the network that the masks are of.
        masks: by name of the parameter, true where a weight is left.

    Raises:
        DataError: a mask fits no weight of the model.
    """
    weights = _weights(model)
    for name, mask in masks.items():
        if name not in weights or weights[name].shape != mask.shape:
            raise DataError(
                f"masks: {name!r} of shape {list(mask.shape)} fits no weight of {type(model).__name__}. "
                "Make them of this network."
            )
    hooks = []
    with torch.no_grad():
        for name, mask in masks.items():
            weights[name].mul_(mask)
            hooks.append(weights[name].register_hook(lambda gradient, mask=mask: gradient * mask))
    try:
        yield model
    finally:
        for hook in hooks:
            hook.remove()


def tickets(
    model: nn.Module,
    fit: Callable[[nn.Module], float],
    *,
    rounds: int,
    share: float = 0.2,
    output_share: float | None = None,
) -> Iterator[Ticket]:
    """Iterative pruning by size with rewinding: train, cut, go back to the first weights, and again.

    Every round yields the ticket whose training it was; the model then has its trained weights.

    Args:
        model: the network with its first weights; trained in place.
        fit: trains the model it is given, in place, and returns a score such as held-out accuracy.
        rounds: how often weights are cut; one more training than that is done.
        share: of the weights left that a round cuts.
        output_share: the same for the last layer; as `share` when left out.

    Source:
        Frankle & Carbin (2019).
    """
    first = {name: value.clone() for name, value in model.state_dict().items()}
    masks: Masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in _weights(model).items()}
    for i in range(rounds + 1):
        model.load_state_dict(first)
        with masked(model, masks):
            score = fit(model)
        arrays = {name: mask.numpy(force=True).copy() for name, mask in masks.items()}
        yield Ticket(i, kept_share(masks), arrays, score)
        masks = smallest(model, share, masks=masks, output_share=output_share)


def _cut(
    sizes: dict[str, Tensor],
    share: float,
    masks: Mapping[str, Tensor] | None,
    scope: str,
    output_share: float | None,
) -> Masks:
    for value in (share, share if output_share is None else output_share):
        if not 0 <= value <= 1:
            message = f"share: expected a number from 0 to 1, got {value}."
            raise DataError(message)
    left = {name: masks[name] if masks else torch.ones_like(s, dtype=torch.bool) for name, s in sizes.items()}
    if scope == "network":
        flat = torch.cat([size.flatten() for size in sizes.values()])
        mask = _without_smallest(flat, torch.cat([mask.flatten() for mask in left.values()]), share)
        parts = mask.split([size.numel() for size in sizes.values()])
        return {name: part.view_as(sizes[name]) for name, part in zip(sizes, parts, strict=True)}
    last = list(sizes)[-1]
    shares = {name: share if output_share is None or name != last else output_share for name in sizes}
    return {name: _without_smallest(sizes[name], left[name], shares[name]) for name in sizes}


def _without_smallest(size: Tensor, left: Tensor, share: float) -> Tensor:
    size = size.masked_fill(~left, -1.0).flatten()
    n_cut = size.numel() - int(left.sum()) + round(share * int(left.sum()))
    mask = torch.ones_like(size, dtype=torch.bool)
    mask[size.argsort(stable=True)[:n_cut]] = False
    return mask.view_as(left)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.named_parameters() if value.ndim >= 2}
