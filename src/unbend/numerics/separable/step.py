"""What is known of one layer: the verdict and what stands beside it, as values that are saved and checked again.

In: nothing. Out: `LadderStep` and its parts. Knows the checkers, not the search: `ladder`, `frame`, `control` and
`packing` make these.
"""

import numpy as np
from jaxtyping import Int64

from unbend.numerics.floating import as_shipped
from unbend.numerics.result import result
from unbend.numerics.separable.rows import ArrayLike, rows
from unbend.numerics.separable.verdicts import JointOverlap, Overlap, Verdict, overlap_holds


@result
class Control:
    """How often the question has the answer "separable" when the labels mean nothing.

    Attributes:
        n_separable: permutations proved separable.
        n_overlap: permutations proved to overlap.
        n_undecided: permutations left open.
    """

    n_separable: int
    n_overlap: int
    n_undecided: int

    @property
    def n(self) -> int:
        """Permutations asked."""
        return self.n_separable + self.n_overlap + self.n_undecided

    @property
    def p_value(self) -> float:
        """Share of orders of the labels, the true one counted, that are separable or may be: (1 + s) / (1 + N)."""
        return (1 + self.n_separable + self.n_undecided) / (1 + self.n)


@result
class Packing:
    """Overlaps on disjoint rows: every linear read-out errs on at least `n_errors` rows.

    Attributes:
        overlaps: one proof for each of these errors.
    """

    overlaps: tuple[Overlap | JointOverlap, ...]

    @property
    def n_errors(self) -> int:
        """Rows that every read-out must get wrong."""
        return len(self.overlaps)

    @as_shipped()
    def verify(self, x: ArrayLike, y: ArrayLike) -> bool:
        """Whether every overlap verifies and no row is used twice."""
        x, y = rows(x, y)
        used = [np.unique(overlap.rows) for overlap in self.overlaps]  # one row may send to several rivals
        if used and len(np.unique(np.concatenate(used))) < sum(map(len, used)):
            return False
        return all(overlap_holds(overlap, x, y) for overlap in self.overlaps)


@result
class Frame:
    """The honest frame of a verdict.

    Attributes:
        n: rows.
        d: columns.
        rank: numerical dimension of the affine space the rows span, from at most 4 d evenly spaced rows.
        cover: probability that as many random labels are separable (Cover 1965); None where the labels are not two
            balanced classes.
        control: the same question with permuted labels, the primary null.
        spread: root mean square distance of a row from the mean row.
        margin: proved margin in units of `spread`; None unless separable.
        robustness: relative change of every stored number that the verdict provably survives.
        last_bits_only: separable, but only by differences as small as the rounding of the stored numbers.
        errors_at_most: rows that one actual read-out gets wrong.
        errors_at_least: rows that every read-out gets wrong, proved by disjoint overlaps.
        held_out_accuracy: of that same read-out, on rows it has not seen; None without such rows.
        n_held_out: how many such rows there were.
        is_worthless: separable, but so is at least every second permutation of the labels.
    """

    n: int
    d: int
    rank: int
    cover: float | None
    control: Control
    spread: float
    margin: float | None
    robustness: float
    last_bits_only: bool
    errors_at_most: int
    errors_at_least: int
    held_out_accuracy: float | None
    n_held_out: int
    is_worthless: bool


@result
class LadderStep:
    """Whether the classes are linearly separable in one layer, with everything needed to judge the answer.

    Attributes:
        verdict: the joint verdict (binary for two classes), with its proof.
        frame: what stands beside it.
        witnesses: the few rows to look at: the heaviest of an overlap, the tightest of a separation.
        packing: disjoint overlaps behind `frame.errors_at_least`; None unless the classes overlap.
        by_head: the proof is the network's own last layer.
    """

    verdict: Verdict
    frame: Frame
    witnesses: Int64[np.ndarray, "s"]
    packing: Packing | None
    by_head: bool

    @as_shipped()
    def verify(self, x: ArrayLike, y: ArrayLike) -> bool:
        """Whether the verdict and the lower bound on errors hold for these rows."""
        is_packed = self.packing is None or self.packing.verify(x, y)
        return is_packed and self.verdict.verify(x, y)
