"""What silence on the rows seen says of a unit, in words.

In: `Activity`. Out: a sentence.
"""

import numpy as np

from unbend._shares import small_percent
from unbend.numerics.activity import Activity


def bound_in_words(a: Activity) -> str:
    """How often silent units may fire nevertheless, and whether held-out rows woke one."""
    d = len(a.silent)
    said = f"0 of {a.n:,} rows woke a silent unit; with 95 % confidence one that was named before fires on fewer than "
    said += small_percent(a.silent_rate_bound)
    if np.isfinite(a.silent_bound_of_all) and d > 1:
        said += f", all of the layer's {d:,} units together on fewer than {small_percent(a.silent_bound_of_all)}"
    if a.n_wakes < 0:
        return f"{said}."
    woke = "none of them fires" if a.n_wakes == 0 else f"{a.n_wakes:,} of these {a.n_silent:,} fire after all"
    return f"{said}. On {a.n_asked:,} held-out rows {woke}."
