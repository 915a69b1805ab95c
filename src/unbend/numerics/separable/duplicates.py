"""Equal rows with different labels: the smallest proofs of overlap."""

import numpy as np
from jaxtyping import Float, Int64, Shaped

BLOCK = 1 << 22
"""Entries hashed at a time."""


def groups(x: Float[np.ndarray, "n d"]) -> Int64[np.ndarray, "n"]:
    """A number for each row, the same for rows that are equal (0.0 and -0.0 are).

    Cost:
        One pass over `x` and one sort of n hashes; equal hashes are compared entry by entry.
    """
    n, d = x.shape
    width = np.uint32 if x.dtype == np.float32 else np.uint64
    multipliers = np.random.default_rng(0).integers(1, 2**63, d, dtype=np.uint64) | np.uint64(1)
    hashes = np.empty(n, np.uint64)
    step = max(1, BLOCK // max(d, 1))
    for start in range(0, n, step):
        bits = (x[start : start + step] + x.dtype.type(0)).view(width).astype(np.uint64)
        bits ^= bits >> np.uint64(13)
        hashes[start : start + step] = (bits * multipliers).sum(axis=1, dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    starts = np.ones(n, bool)
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    for i in same:
        starts[i + 1] = not np.array_equal(x[order[i]], x[order[i + 1]])
    out = np.empty(n, np.int64)
    out[order] = np.cumsum(starts) - 1
    return out


def contradictions(group: Int64[np.ndarray, "n"], y: Shaped[np.ndarray, "n"]) -> Int64[np.ndarray, "p 2"]:
    """Disjoint pairs `[p, 2]` of equal rows with different labels, as many as there are."""
    order = np.lexsort((y, group))
    g, label = group[order], y[order]
    mixed = np.unique(g[1:][(g[1:] == g[:-1]) & (label[1:] != label[:-1])])
    first = np.searchsorted(g, mixed)
    last = np.searchsorted(g, mixed, side="right")
    pairs = [_match(order[a:b], label[a:b]) for a, b in zip(first, last, strict=True)]
    return np.concatenate(pairs) if pairs else np.zeros((0, 2), np.int64)


def _match(members: Int64[np.ndarray, "m"], label: Shaped[np.ndarray, "m"]) -> Int64[np.ndarray, "p 2"]:
    """Pair rows half a group apart in the order of labels: no two of a kind meet unless one label has the half."""
    size = np.unique(label, return_counts=True)[1].max()
    count = min(len(members) // 2, len(members) - size)
    shift = max(size, len(members) - count)
    return np.stack([members[:count], members[shift : shift + count]], axis=1)
