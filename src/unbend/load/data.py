"""A data set from one line of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Samples and labels, with the test part where the source has one.

    Attributes:
        x: Tensor `[n, ...]`, a Dataset, a DataLoader, or a dict of tensors (Hugging Face inputs).
        y: int64 class indices or float targets; None when `x` is a Dataset or DataLoader giving pairs.
        held_out: the test part, None when the source has none.
        class_names: in the order of the class indices; empty for targets and unnamed classes.
        name: what the page calls it.
        source: where it came from, what was done to its numbers, and its licence.
    """

    x: Any
    y: Tensor | None
    held_out: Data | None = None
    class_names: tuple[str, ...] = ()
    name: str = ""
    source: str = ""


def data(spec: str, *, label: str | None = None) -> Data:
    """The data set that `spec` names."""
    raise NotImplementedError((spec, label))


def bundled() -> tuple[str, ...]:
    """The names of the data sets that need no file."""
    return ("digits", "iris", "wine", "breast_cancer", "diabetes", "fashion-mnist")
