"""Is it linearly separable? Verdicts with proofs that anyone can check.

In: arrays or tensors and integer labels. Out: Results. `rows` reads the input exactly; `search`, `newton`,
`witness`, `simplex`, `hinge`, `binary` and `joint` look for a proof; `verdicts` states it; `clearance` and
`dependency`, on `rounding`, check it and know nothing of the search; `frame` and `ladder` say what it is worth.
Verdicts load at once, the search when it is first asked for: a saved proof is read without it.
"""

from typing import TYPE_CHECKING

from unbend._lazy import on_demand
from unbend.numerics.separable.step import Control, Frame, LadderStep, Packing
from unbend.numerics.separable.verdicts import (
    Answers,
    JointOverlap,
    JointSeparation,
    Overlap,
    Separation,
    Undecided,
    Verdict,
)

if TYPE_CHECKING:
    from unbend.numerics.separable.cover import cover_probability
    from unbend.numerics.separable.decide import separate
    from unbend.numerics.separable.ladder import ladder_step, separate_with

__all__ = [
    "Answers",
    "Control",
    "Frame",
    "JointOverlap",
    "JointSeparation",
    "LadderStep",
    "Overlap",
    "Packing",
    "Separation",
    "Undecided",
    "Verdict",
    "cover_probability",
    "ladder_step",
    "separate",
    "separate_with",
]

__getattr__ = on_demand(
    __name__,
    {"cover": ("cover_probability",), "decide": ("separate",), "ladder": ("ladder_step", "separate_with")},
)
