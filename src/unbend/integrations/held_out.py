"""Held-out numbers of trainers, under the names that a watch and its page know them by."""

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
        is_one = isinstance(value, (int, float, np.number)) or (isinstance(value, Tensor) and value.numel() == 1)
        if said and is_one and not isinstance(value, bool) and not name.endswith(_NO_MEASURE):
            found[f"validation_{_LONG.get(said[1], said[1])}"] = float(value)
    return found
