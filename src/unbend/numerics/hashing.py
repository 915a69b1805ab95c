"""Row ids to uniform 64-bit hashes, so that a sample of rows is the same in every layer, rank, run and merge."""

import numpy as np

from unbend._typing import Array, Int64, Shaped


def hashes(ids: Int64[Array, "n"], salt: int = 0) -> Shaped[Array, "n"]:
    """A uniform uint64 for each row id, the same on every machine.

    Args:
        ids: row numbers.
        salt: another salt gives an independent hash.

    Source:
        SplitMix64 (Steele, Lea & Flood 2014), a bijection of 64-bit integers.
    """
    z = ids.astype(np.uint64) + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
