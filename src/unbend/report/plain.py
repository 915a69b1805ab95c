"""A study or a Result as plain dicts, lists and numbers, for JSON.

NaN and infinity become null, which JSON has; the sums and row samples a study carries are left out.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from unbend.study.values import Study


def plain(value: Any) -> Any:
    """`value` in terms of dict, list, str, bool, int, float and None.

    Example:
        >>> plain({"accuracy": np.array([0.5, np.nan]), "n": np.int64(3)})
        {'accuracy': [0.5, None], 'n': 3}
    """
    if isinstance(value, Study):
        return {
            "about": plain(value.about),
            "layers": [plain(layer) for layer in value.layers],
            "across": plain(value.across),
            "findings": [plain(finding) for finding in value.findings],
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return _single(value)


def _single(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)
