"""How a layer's output tensor becomes one row per sample: by a named rule, never silently.

In: a tensor whose first axis is the sample. Out: rows [n, d] for everything that compares samples, and the
layout that says where the units are for everything that looks at units.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from unbend.errors import ShapeError
from unbend.numerics.hashing import hashes
from unbend.numerics.sweep import Layout

Rule: TypeAlias = Literal["none", "mean", "flatten", "cls", "last", "max"]
RULES: tuple[str, ...] = get_args(Rule)
WIDEST = 4096
"""Rows wider than this are folded (`View.fold`): second moments cost width² memory and width³ time."""


@dataclass(frozen=True, slots=True)
class View:
    """The rule by which a layer's output is read.

    Attributes:
        layout: `features` [n, d], `maps` [n, d, *positions] or `tokens` [n, *positions, d].
        rule: how positions are reduced: `mean`, `max`, `flatten` (keep all), `cls` (first token), `last`
            (last valid token); `none` where there is nothing to reduce.
        width: units (channels) of the layer.
        fold: 0, or the number of signed sums the row is folded to because it is wider than `WIDEST`.
    """

    layout: Layout = "features"
    rule: Rule = "none"
    width: int = 0
    fold: int = 0

    def __str__(self) -> str:
        words = {"none": "as it is", "mean": "mean over positions", "max": "max over positions",
                 "flatten": "flattened", "cls": "first token", "last": "last token"}  # fmt: skip
        folded = f", folded to {self.fold} signed sums" if self.fold else ""
        return words[self.rule] + folded


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
    return folded(rows, view.fold) if view.fold else rows


def _positions(values: Tensor, view: View, mask: Tensor | None, means: Tensor | None) -> Tensor:
    if view.layout == "features":
        return values
    if view.rule == "flatten":
        return values.flatten(1)
    if view.layout == "maps":
        return _maps(values.flatten(2), view, means)
    return _tokens(values.flatten(1, -2), view, mask, means)


def _maps(x: Tensor, view: View, means: Tensor | None) -> Tensor:
    if view.rule == "mean":
        return x.mean(2) if means is None else means
    if view.rule == "max":
        return x.amax(2)
    raise ShapeError(f"view: the rule {view.rule!r} is for tokens; feature maps take mean, max or flatten.")


def _tokens(x: Tensor, view: View, mask: Tensor | None, means: Tensor | None) -> Tensor:
    valid = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask.to(x.device) != 0
    if view.rule == "cls":
        return x[:, 0]
    if view.rule == "last":
        last = valid.shape[1] - 1 - valid.flip(1).to(torch.uint8).argmax(1)
        return x[torch.arange(len(x), device=x.device), last]
    if view.rule == "max":
        return x.masked_fill(~valid[..., None], -torch.inf).amax(1)
    if view.rule == "mean":
        return (x * valid[..., None]).sum(1) / valid.sum(1).clamp(min=1)[:, None] if means is None else means
    raise ShapeError(f"view: the rule {view.rule!r} does not reduce tokens; use mean, cls, last, max or flatten.")


def folded(rows: Tensor, width: int) -> Tensor:
    """Rows folded to `width` sums of randomly signed units, the same signs and places every time.

    A fixed linear map: whatever a hyperplane separates in the folded rows, a hyperplane separates in the
    layer, and a linear read-out of the fold is a linear read-out of the layer. Inner products are kept in
    expectation.

    Cost:
        One read of the rows.

    Source:
        Weinberger et al. 2009, feature hashing.
    """
    code = hashes(np.arange(rows.shape[1]), salt=7)
    place = torch.from_numpy((code % np.uint64(width)).astype(np.int64)).to(rows.device)
    sign = torch.from_numpy(1.0 - 2.0 * (code >> np.uint64(63)).astype(np.float64)).to(rows)
    return torch.zeros(len(rows), width, dtype=rows.dtype, device=rows.device).index_add_(1, place, rows * sign)
