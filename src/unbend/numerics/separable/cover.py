"""How often would labels without meaning be separable? Cover's count, for balanced labels only."""

from scipy.special import bdtr


def cover_probability(n: int, rank: int) -> float:
    """The probability that n points with fair coin flips for labels are linearly separable.

    Exact for points in general position that span `rank` dimensions, an upper bound for others. It does not hold
    for unbalanced labels: one class against nine others stays separable under shuffled labels to about twice the
    n. There, and in general, trust the permuted-label control.

    Args:
        n: number of points, at least one.
        rank: dimension of the affine space they span.

    Source:
        Cover, IEEE Trans. Electronic Computers EC-14 (1965) 326: 2^(1-n) Σ_{k ≤ rank} C(n-1, k).

    Example:
        >>> cover_probability(6, 2), cover_probability(3, 2)
        (0.5, 1.0)
    """
    return float(bdtr(min(rank, n - 1), n - 1, 0.5)) if n > 1 else 1.0
