"""How a layer's output tensor becomes one row per sample: by a named rule, never silently.

In: a tensor whose first axis is the sample. Out: rows [n, d] for everything that compares samples, and the
layout that says where the units are for everything that looks at units.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from unbend.errors import ShapeError
from unbend.numerics.hashing import hashes
from unbend.numerics.sweep import fit_mask
from unbend.numerics.view import Rule, View


def reduce(values: Tensor, view: View, *, mask: Tensor | None = None, means: Tensor | None = None) -> Tensor:
    """One row per sample.

    Args:
        values: the layer's output, its first axis the sample.
        view: layout and rule.
        mask: for tokens [n, t], true where a token counts.
        means: the mean over positions, when a sweep has made it already.

    Raises:
        ShapeError: the rule does not fit the layout.

    Example:
        >>> reduce(torch.ones(2, 3, 4, 4), View("maps", "mean", 3)).shape
        torch.Size([2, 3])
    """
    rows = _positions(values, view, mask, means)
    return sketch(rows, view.sketch) if view.sketch else rows


def _positions(values: Tensor, view: View, mask: Tensor | None, means: Tensor | None) -> Tensor:
    if view.layout == "features":
        return values
    if view.layout == "maps":
        return _maps(values, view, means)
    return _tokens(values, view, mask, means)


def _maps(values: Tensor, view: View, means: Tensor | None) -> Tensor:
    if view.rule == "flatten":
        return values.flatten(1)
    if view.rule == "mean":
        return _real(values).flatten(2).mean(2) if means is None else means
    if view.rule == "max":
        return values.flatten(2).amax(2)
    raise ShapeError(
        f"view: the rule {view.rule!r} does not reduce feature maps. Use mean, max or flatten; "
        "cls and last are for tokens."
    )


def _tokens(values: Tensor, view: View, mask: Tensor | None, means: Tensor | None) -> Tensor:
    x = values.flatten(1, -2)
    valid = None if mask is None else fit_mask(mask, x)
    if view.rule == "mean" and means is not None:
        return means
    if view.rule not in {"mean", "flatten", "cls", "last", "max"}:
        raise ShapeError(f"view: the rule {view.rule!r} does not reduce tokens. Use mean, cls, last, max or flatten.")
    return _every_token(x, view.rule) if valid is None else _valid_tokens(_real(x), view.rule, valid)


def _every_token(x: Tensor, rule: Rule) -> Tensor:
    if rule == "mean":
        return _real(x).mean(1)
    if rule == "flatten":
        return x.flatten(1)
    return x.amax(1) if rule == "max" else x[:, 0 if rule == "cls" else -1]


def _valid_tokens(x: Tensor, rule: Rule, valid: Tensor) -> Tensor:
    """The same over the tokens that count; NaN where none does."""
    if rule == "flatten":
        return torch.where(valid[..., None], x, 0.0).flatten(1)
    if rule == "mean":
        return torch.where(valid[..., None], x, 0.0).sum(1) / valid.sum(1)[:, None]
    if rule == "max":
        rows = torch.where(valid[..., None], x, -torch.inf).amax(1)
    else:
        code = valid.to(torch.uint8)
        at = code.argmax(1) if rule == "cls" else code.shape[1] - 1 - code.flip(1).argmax(1)
        rows = x[torch.arange(len(x), device=x.device), at]
    return torch.where(valid.any(1)[:, None], rows, torch.nan)


def _real(x: Tensor) -> Tensor:
    """Values that can be averaged without loss: half types in float32, integers in float64."""
    if x.dtype in {torch.float32, torch.float64}:
        return x
    return x.float() if x.is_floating_point() else x.double()


def sketch(rows: Tensor, width: int) -> Tensor:
    """The count sketch of rows: `width` sums of signed units; unit j goes to sum j mod `width`, its sign is hashed.

    A fixed linear map: whatever a hyperplane separates in the sketch, a hyperplane separates in the
    layer, and a linear read-out of the sketch is a linear read-out of the layer. Over the choice of signs,
    inner products are kept in expectation.

    Cost:
        One read of the rows.

    Source:
        Weinberger et al. 2009, feature hashing, here with buckets of equal size.
    """
    x = _real(rows)
    d = x.shape[1]
    signed = x * _signs(d).to(x)
    height = -(-d // width)
    if height * width > d:
        signed = torch.nn.functional.pad(signed, (0, height * width - d))
    return signed.unflatten(1, (height, width)).sum(1)


@lru_cache(maxsize=64)
def _signs(d: int) -> Tensor:
    code = hashes(np.arange(d), salt=7)
    return torch.from_numpy(1.0 - 2.0 * (code >> np.uint64(63)).astype(np.float32))
