"""Equal rows with different labels: the smallest proof of overlap, and a first bound on unavoidable errors."""

import numpy as np

BLOCK = 1 << 22  # entries hashed at a time


def groups(x: np.ndarray) -> np.ndarray:
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


def contradictions(group: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, int]:
    """Pairs of equal rows with different labels, one per group, and how many rows such groups force wrong."""
    order = np.lexsort((y, group))
    g, label = group[order], y[order]
    change = np.flatnonzero((g[1:] == g[:-1]) & (label[1:] != label[:-1]))
    _, first = np.unique(g[change], return_index=True)
    pairs = np.stack([order[change[first]], order[change[first] + 1]], axis=1)
    if len(pairs) == 0:
        return pairs, 0
    inside = np.isin(group, group[pairs[:, 0]])
    table = np.unique(np.stack([group[inside], y[inside]], axis=1), axis=0, return_counts=True)
    forced = 0
    for one in np.unique(table[0][:, 0]):
        counts = table[1][table[0][:, 0] == one]
        forced += int(counts.sum() - counts.max())
    return pairs, forced
