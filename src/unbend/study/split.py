"""Which rows are held out: by the hash of their number, of their group, or class by class.

In: row numbers, groups or labels. Out: whether each row is held out. A row's side depends on nothing but these, so that
shards, ranks and batch sizes agree.
"""

from hashlib import blake2b

import numpy as np

from unbend._typing import Array, Bool, Int64
from unbend.errors import DataError
from unbend.numerics.hashing import hashes

FAR = 1 << 40
"""Added to the row numbers of a test part, whatever the training part's size: shards with one test part then number
it alike, and `merge` counts it once."""
_SALT = 1


def is_held(ids: Array, share: float) -> Bool[Array, "_"]:
    """Whether the hash of each number is among the least `share`."""
    return hashes(ids, _SALT) < np.uint64(int(share * 2**64 - 1) if share else 0)


def by_number(n: int, share: float) -> Bool[Array, "_"]:
    """Rows by the hash of their number; one at least on each side."""
    return _with_both(np.arange(n), share)


def by_group(groups: Array, share: float) -> Bool[Array, "_"]:
    """Whole groups by the hash of their name, so that a group is on one side only, in every shard.

    Raises:
        DataError: a single group.
    """
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise DataError("groups: all rows are of one group, so none can be held out. Pass two groups or more.")
    return _with_both(np.array([_number_of(name) for name in names]), share)[place]


def by_class(y: Array, share: float) -> Bool[Array, "_"]:
    """Of every class the same share, the rows with the least hash; one at least where a class has two."""
    held = np.zeros(len(y), dtype=bool)
    codes = hashes(np.arange(len(y)), _SALT)
    for name in np.unique(y):
        rows = np.flatnonzero(y == name)
        n = round(share * len(rows))
        some = min(max(n, 1), len(rows) - 1) if share else 0
        held[rows[np.argsort(codes[rows])[:some]]] = True
    return held


def _with_both(ids: Int64[Array, "_"], share: float) -> Bool[Array, "_"]:
    held = is_held(ids, share)
    if share and len(ids) and not 0 < held.sum() < len(ids):
        held = ids == ids[int(np.argmin(hashes(ids, _SALT)))]
    return held


def _number_of(name: object) -> int:
    """A number that depends on the name of a group only."""
    return int.from_bytes(blake2b(str(name).encode(), digest_size=7).digest(), "big")
