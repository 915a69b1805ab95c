"""Is it linearly separable? Verdicts with proofs that anyone can check."""

from unbend.numerics.separable.decide import separate
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
    "JointOverlap",
    "JointSeparation",
    "Overlap",
    "Separation",
    "Undecided",
    "Verdict",
    "separate",
]
