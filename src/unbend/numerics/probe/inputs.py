"""What a caller hands to the probes, checked: layers as tensors, classes and types as codes, splits by layer."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from unbend.errors import DataError, ShapeError

Table = Shaped[Tensor, "..."] | Shaped[np.ndarray, "..."]
Representations = Mapping[str, Table]


_LARGE, _SMALL = 1e150, 1e-150
"""Between these, squares neither overflow nor vanish in float64."""
_ROWS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Fitted and held-out rows of one layer; masks are applied when the layer's turn comes.

    Attributes:
        fitted: rows to fit, before `fit`.
        held: rows to score, before `hold`.
        fit: mask of the rows that are fitted; None for all.
        hold: mask of the rows that are scored; None for all.
    """

    fitted: Tensor
    held: Tensor
    fit: Tensor | None = None
    hold: Tensor | None = None

    def rows(self) -> tuple[Tensor, Tensor]:
        """Fitted rows, held-out rows."""
        return (
            self.fitted if self.fit is None else self.fitted[self.fit],
            self.held if self.hold is None else self.held[self.hold],
        )


def layers_of(
    representations: Representations | Iterable[Representations], y: Tensor | np.ndarray
) -> tuple[dict[str, Tensor], Tensor]:
    """Layer to rows as tensors on the CPU, and the labels."""
    if isinstance(representations, Mapping):
        layers = {str(name): torch.as_tensor(h).detach().cpu() for name, h in representations.items()}
    else:
        parts: dict[str, list[Tensor]] = {}
        for batch in representations:
            for name, h in batch.items():
                parts.setdefault(name, []).append(torch.as_tensor(h).detach().cpu().float())
        layers = {name: torch.cat(hs) for name, hs in parts.items()}
    y = torch.as_tensor(y).detach().cpu()
    if not layers:
        raise DataError("representations: expected at least one layer, got none. Pass a mapping from layer to rows.")
    if y.is_floating_point() or y.is_complex():
        raise DataError(f"y: expected classes as integers, got {y.dtype}. For numbers use `regress`.")
    for name, h in layers.items():
        if h.ndim != 2 or len(h) != len(y):
            raise ShapeError(
                f"{name}: expected [{len(y)}, d], one row for each label, got {list(h.shape)}. "
                "Flatten or pool all axes but the first."
            )
    return layers, y.long()


def known_classes(y: Tensor, classes: Tensor) -> Tensor:
    """The place of each label among the fitted classes."""
    place = torch.searchsorted(classes, y).clamp(max=len(classes) - 1)
    if not torch.equal(classes[place], y):
        strange = y[classes[place] != y][0].item()
        raise DataError(f"test: class {strange} is not among the fitted classes. Leave those rows out.")
    return place


def type_codes(types: Tensor | np.ndarray | None, order: Tensor | None, n: int) -> Tensor | None:
    """The types of the fitted rows, then of the held-out rows, as 0..n_types-1."""
    if types is None:
        return None
    types = torch.as_tensor(types).cpu()
    if len(types) != n:
        raise ShapeError(f"types: expected {n}, one for each row and each test row, got {len(types)}.")
    codes = torch.unique(types, return_inverse=True)[1]
    return codes if order is None else codes[order]


def held_out_layer(test_layers: dict[str, Tensor], name: str, h: Tensor) -> Tensor:
    """The held-out rows of a layer."""
    if name not in test_layers or test_layers[name].shape[1] != h.shape[1]:
        raise ShapeError(f"test: expected layer {name!r} of width {h.shape[1]}. Tap the same layers of one model.")
    return test_layers[name]


def require_range(name: str, h: Shaped[Tensor, "n d"]) -> None:
    """Refuse what is not finite, and rows whose spread has no square in float64; a few small units are no harm.

    Cost:
        One pass over the rows.
    """
    if not h.numel():
        return
    largest = spread = 0.0
    for block in h.split(_ROWS):
        rows = block.double()
        largest = max(largest, float(rows.abs().max()))
        spread = max(spread, float((rows - h[0].double()).abs().max()))
        if not math.isfinite(float(rows.sum())) and not bool(torch.isfinite(rows).all()):
            raise DataError(f"{name}: expected finite values. Look for inf and nan in the model's outputs.")
    if largest > _LARGE:
        raise DataError(
            f"{name}: expected numbers up to {_LARGE:g}, got {largest:g}. Divide them by a power of two first."
        )
    if 0 < spread < _SMALL:
        raise DataError(
            f"{name}: expected rows that differ by more than {_SMALL:g}, got {spread:g}. Multiply them by a power of "
            "two first."
        )
