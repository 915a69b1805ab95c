"""Is it linearly separable? Verdicts with proofs that anyone can check.

In: arrays or tensors and integer labels. Out: Results. `rows` reads the input exactly; `search`, `newton`,
`witness`, `simplex`, `hinge`, `binary` and `joint` look for a proof; `verdicts` states it; `clearance` and
`dependency`, on `rounding`, check it and know nothing of the search; `frame` and `ladder` say what it is worth.
"""

from unbend.numerics.separable.control import Control
from unbend.numerics.separable.cover import cover_probability
from unbend.numerics.separable.decide import separate
from unbend.numerics.separable.frame import Frame
from unbend.numerics.separable.ladder import LadderStep, ladder_step, separate_with
from unbend.numerics.separable.packing import Packing
from unbend.numerics.separable.verdicts import (
    Answers,
    JointOverlap,
    JointSeparation,
    Overlap,
    Separation,
    Undecided,
    Verdict,
)

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
