"""Numbers that trainers log: those that are held out, under the names that a watch knows them by, and the others."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

_NAME = re.compile(r"(?:validation|valid|val|eval)[_/. -]+(.+)")
_LONG = {"acc": "accuracy"}
_NO_MEASURE = ("runtime", "per_second", "preparation_time", "batch_count")
"""Ends of names under which trainers tell how long validation took, and over how many batches."""


def held_out(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Those of a trainer's numbers that validation found: `validation_` and what was measured.

    Example:
        >>> held_out({"val_loss": 0.5, "val/acc": 0.9, "eval_runtime": 3.1, "value_loss": 2.0, "loss": 0.4})
        {'validation_loss': 0.5, 'validation_accuracy': 0.9}
    """
    found = {}
    for name, value in numbers.items():
        said = _NAME.fullmatch(name)
        if said and is_number(value) and not name.endswith(_NO_MEASURE):
            found[f"validation_{_LONG.get(said[1], said[1])}"] = float(value)
    return found


def others(numbers: Mapping[str, Any]) -> dict[str, Tensor | float]:
    """Those of a loop's numbers that are not held out, as they are; what is no number is left out.

    Example:
        >>> others({"loss": 0.4, "eval_loss": 0.5, "text": "a", "epoch": 3})
        {'loss': 0.4, 'epoch': 3.0}
    """
    known = {name: value for name, value in numbers.items() if is_number(value) and not _NAME.fullmatch(name)}
    return {name: value if isinstance(value, Tensor) else float(value) for name, value in known.items()}


def is_number(value: Any) -> bool:
    """Whether this is one number; a truth value is none."""
    if isinstance(value, Tensor):
        return value.numel() == 1
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
