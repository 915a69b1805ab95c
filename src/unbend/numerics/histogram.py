"""How the values of a layer are distributed, on a fixed signed logarithmic grid.

The grid is the float32 format itself: sign, exponent and the two leading bits of the mantissa, four bins an
octave from 1e-38 to 3e38 on either side of zero. It needs no range, never re-bins, and merges by adding.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Float64, Int64, Tensor
from unbend.numerics.result import result
from unbend.numerics.state import measure

if TYPE_CHECKING:
    import unbend.numerics.batch

CODES = 2048
PER_ROW = 1024
"""At most this many values of a row are counted, evenly spaced from a place fixed by the row's hash."""
_SHIFT = 21
_NONFINITE = 1020


@dataclass(frozen=True, slots=True, eq=False)
class HistogramState:
    """Counts per float32 prefix [2048].

    Attributes:
        n: rows seen.
        counts: values by the first eleven bits of their float32.
    """

    n: int
    counts: Int64[Array, "2048"]

    __repr__ = in_one_line

    @classmethod
    def of(cls, batch: "unbend.numerics.batch.Batch") -> "HistogramState":
        """The values of the chosen rows of one batch, at most 1024 of each; of tokens, those that count."""
        import torch

        s, x, mask, codes = batch.samples, batch.values, batch.mask, batch.samples.codes
        if s.dense is not None:
            index = torch.from_numpy(s.dense).to(x.device)
            x, mask, codes = x[index], None if mask is None else mask[index], codes[s.dense]
        flat = _spread(x.flatten(1), codes, mask).float().contiguous()
        prefix = flat.view(torch.int32).flatten().bitwise_right_shift(_SHIFT).bitwise_and(CODES - 1)
        counts = torch.bincount(prefix, minlength=CODES).cpu().numpy()
        # How a NaN is written depends on how it was made: all that is not finite goes into one count.
        codes_lost = np.r_[_NONFINITE : CODES // 2, CODES // 2 + _NONFINITE : CODES]
        lost = counts[codes_lost].sum()
        counts[codes_lost] = 0
        counts[_NONFINITE] = lost
        return cls(len(x), counts)

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "HistogramState":
        """No values."""
        return cls(0, np.zeros(CODES, np.int64))

    def __add__(self, other: "HistogramState") -> "HistogramState":
        return HistogramState(self.n + other.n, self.counts + other.counts)


@result
class Histogram:
    """Counts of values on the signed logarithmic grid, trimmed to where values are.

    Attributes:
        n: rows the values come from.
        edges: bin edges, rising [b + 1].
        counts: values per bin [b].
        zeros: values that are exactly 0 (or below the least normal float32); they are in no bin.
        nonfinite: values that are NaN, infinite or beyond float32; they are in no bin.
    """

    n: int
    edges: Float64[Array, "b1"]
    counts: Int64[Array, "b"]
    zeros: int
    nonfinite: int


@measure(HistogramState)
def histogram(state: HistogramState) -> Histogram:
    """The distribution of a layer's values, four bins an octave."""
    half = CODES // 2
    positive, negative = state.counts[:half], state.counts[half:]
    zeros = int(positive[:4].sum() + negative[:4].sum())
    nonfinite = int(positive[_NONFINITE:].sum() + negative[_NONFINITE:].sum())
    grid = (np.arange(4, _NONFINITE + 1, dtype=np.int64) << _SHIFT).astype(np.int32).view(np.float32).astype(float)
    grid[-1] = float(np.finfo(np.float32).max)
    up, down = positive[4:_NONFINITE], negative[4:_NONFINITE]
    used = np.flatnonzero(up + down)
    if not len(used):
        return Histogram(
            n=state.n, edges=np.array([-1.0, 1.0]), counts=np.zeros(1, np.int64), zeros=zeros, nonfinite=nonfinite
        )
    lo = used[0]
    high_up = np.flatnonzero(up)[-1] + 1 if up.any() else lo
    high_down = np.flatnonzero(down)[-1] + 1 if down.any() else lo
    edges = np.concatenate([-grid[lo : high_down + 1][::-1], grid[lo : high_up + 1]])
    counts = np.concatenate([down[lo:high_down][::-1], [0], up[lo:high_up]])
    return Histogram(n=state.n, edges=edges, counts=counts, zeros=zeros, nonfinite=nonfinite)


def _spread(flat: Tensor, codes: Array, mask: Tensor | None) -> Tensor:
    """At most `PER_ROW` values of each row: evenly spaced, round and round from a place fixed by its hash."""
    width = flat.shape[1]
    if width <= PER_ROW:
        return flat if mask is None else flat.unflatten(1, (mask.shape[1], -1))[mask]
    import torch

    stride = -(-width // PER_ROW)
    start = (codes % np.uint64(width)).astype(np.int64)
    take = torch.from_numpy((start[:, None] + stride * np.arange(width // stride)) % width).to(flat.device)
    taken = flat.gather(1, take)
    return taken if mask is None else taken[mask.gather(1, take // (width // mask.shape[1]))]
