"""Row ids to uniform 64-bit hashes, so that a sample of rows is the same in every layer, rank, run and merge."""

import numpy as np

from unbend._typing import Array, Int64, Shaped
from unbend.numerics import compiled

_FEW = 4096
"""Ids up to which compiled code is not worth loading: that takes a second, this some 40 µs."""


def hashes(ids: Int64[Array, "n"], salt: int = 0) -> Shaped[Array, "n"]:
    """A uniform uint64 for each row id, the same on every machine.

    Args:
        ids: row numbers.
        salt: another salt gives an independent hash.

    Source:
        SplitMix64 (Steele, Lea & Flood 2014), a bijection of 64-bit integers.
    """
    if len(ids) > _FEW:
        return compiled.mix(np.ascontiguousarray(ids), shift(salt))
    z = np.asarray(ids).astype(np.uint64) + shift(salt)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def shift(salt: int = 0) -> np.uint64:
    """What is added to an id before it is mixed."""
    return np.uint64((salt + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
