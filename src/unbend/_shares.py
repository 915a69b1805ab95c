"""Shares as sentences, tables and pictures write them."""

import math

NONE = "—"
"""What stands for no number."""


def percent(share: float) -> str:
    """A share in percent, to a tenth; a dash for none.

    Example:
        >>> percent(0.9749), percent(1.0), percent(float("nan"))
        ('97.5 %', '100 %', '—')
    """
    return NONE if math.isnan(share) else f"{100 * share:.1f}".removesuffix(".0") + " %"
