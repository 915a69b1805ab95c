"""Rows that depend on the batch they are in, or on the pass: seen by comparing the values of two batchings.

In: what a model put out for a batch and for the first rows of it. Out: the first layer where a row is not the same in
both, and why: BatchNorm without running statistics, code that looks across the batch; random numbers, kept state.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from unbend.capture.taps import Place, Tap

_CLOSE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 1e-1}
"""Difference of two batchings, as a share of a layer's greatest value, that rounding may make."""


@dataclass(frozen=True, slots=True)
class Mixing:
    """Rows that are not their sample's alone.

    Attributes:
        layer: the first where that shows.
        why: `batch` if they depend on the other rows of it, `pass` if they differ from pass to pass.
    """

    layer: str
    why: Literal["batch", "pass"]

    def __str__(self) -> str:
        if self.why == "pass":
            return (
                f"The same rows give other numbers in another pass, first in {self.layer}: forward draws random "
                "numbers or keeps a state between batches. The study holds for one pass over its batches."
            )
        return (
            f"Rows depend on the other rows of their batch, first in {self.layer} (BatchNorm without running "
            "statistics, or code that looks across the batch). The study holds for this batch size only."
        )


def mixing(
    seen: Sequence[tuple[Tap, Tensor]], fewer: Mapping[Place, Tensor], again: Callable[[], Mapping[Place, Tensor]]
) -> Mixing | None:
    """The first layer whose rows are not the same in both batchings; None if all are, or nothing can be compared.

    Args:
        seen: what was put out for a batch, in order.
        fewer: what was put out for its first rows.
        again: runs the whole batch once more; called only where rows differ.
    """
    unlike = next((pair for pair in seen if pair[0].place in fewer and _differs(*pair, fewer[pair[0].place])), None)
    if unlike is None:
        return None
    tap, whole = unlike
    other = again().get(tap.place)
    return Mixing(tap.name, "pass" if other is not None and _differs(tap, whole, other) else "batch")


def _differs(tap: Tap, whole: Tensor, part: Tensor) -> bool:
    """Whether the first rows of an output are others than those of a smaller batch, beyond rounding."""
    sample = tap.order[0] if tap.order else int(tap.time_first)
    a, b = whole.movedim(sample, 0), part.movedim(sample, 0)
    if not len(a) or a.shape[1:] != b.shape[1:] or a.dtype not in _CLOSE:
        return False
    a = a[torch.arange(len(b), device=a.device).clamp(max=len(a) - 1)].double()
    scale = float(a.nan_to_num(0, 0, 0).abs().amax()) if a.numel() else 0.0
    return not torch.allclose(a, b.double(), rtol=0, atol=_CLOSE[whole.dtype] * scale + 1e-12, equal_nan=True)
