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


def small_percent(share: float) -> str:
    """A share in percent to two digits, however small it is.

    Example:
        >>> small_percent(0.0020818), small_percent(0.134)
        ('0.21 %', '13 %')
    """
    return f"{100 * share:.2g} %"


def points(difference: float) -> str:
    """A difference of shares in points, with its sign.

    Example:
        >>> points(0.018), points(-0.2)
        ('+1.8', '-20.0')
    """
    return f"{100 * difference:+.1f}"
