"""Row ids to uniform 64-bit hashes, so that a sample of rows is the same in every layer, rank, run and merge."""

import numpy as np

from unbend._typing import Array, Int64, Shaped
from unbend.numerics import compiled


def hashes(ids: Int64[Array, "n"], salt: int = 0) -> Shaped[Array, "n"]:
    """A uniform uint64 for each row id, the same on every machine.

    Args:
        ids: row numbers.
        salt: another salt gives an independent hash.

    Source:
        SplitMix64 (Steele, Lea & Flood 2014), a bijection of 64-bit integers.
    """
    return compiled.mix(np.ascontiguousarray(ids), shift(salt))


def shift(salt: int = 0) -> np.uint64:
    """What is added to an id before it is mixed."""
    return np.uint64((salt + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
