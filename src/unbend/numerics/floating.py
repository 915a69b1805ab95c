"""How numpy treats floating-point exceptions while we compute.

In: whatever a program has set with `np.seterr`. Out: numpy's own setting, for the duration of a call. A program that
lets every underflow raise must not stop a proof whose bounds allow for it.
"""

import numpy as np


def as_shipped() -> np.errstate:
    """A decorator, or a context, in which numpy warns of overflow and is silent about underflow.

    Example:
        >>> with np.errstate(under="raise"), as_shipped():
        ...     float(np.float64(1e-200) * np.float64(1e-200))
        0.0
    """
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
