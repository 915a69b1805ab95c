"""What one spot adds up in a step that is reported: sums per unit and some rows.

In: a layer's values inside the forward pass, eager or in a compiled graph. Out: sums and rows, on the host. There is
no branch on values and no transfer in `add`, so that it breaks no graph and waits for no device. A graph adds into
buffers that stay where they are; eager passes are kept as they come, which takes half the calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.capture.live import Spot
from unbend.numerics.batch import Saturation
from unbend.numerics.view import View
from unbend.numerics.views import reduce

SAMPLES = 256
"""Samples of a forward pass that are looked at: enough to know a share to 3 points, and a silent unit at 1.2 % of the
samples. Values that are not finite are looked for in all of them."""
COLUMNS = 4096
"""Units of a layer whose values are kept for questions about rows; of wider layers, the first so many."""
CHECKED = 512
"""Steps whose peaks are kept until they are looked at."""
_KEPT = 8
"""Eager passes of one step that are kept before they are added up."""
_ROWS = ("total", "squares", "others", "magnitude", "flat")
"""Of any layer the first two; of a rectifier three, since its magnitudes are its values, and its zeros are flat."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """What one eager pass gave: float32 sums by `_ROWS` [k, d], greatest values per unit, least ones if they matter."""

    found: list[Tensor]
    low: Tensor | None
    high: Tensor
    counts: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What a spot added up, on the host.

    Attributes:
        n: samples.
        count: values per unit.
        sums: total, squares, zeros, magnitude and flat per unit [5, d].
        low: least value per unit [d].
        high: greatest value per unit [d].
        rows: the first samples' rows [m, c], one a sample.
    """

    n: int
    count: int
    sums: Array
    low: Array
    high: Array
    rows: Tensor


@final
class StepPlace:
    """Where among the peaks the step stands that runs now, as a number and, for compiled graphs, on the device.

    Args:
        device: where the layers' values are.
    """

    def __init__(self, device: torch.device) -> None:
        self.number: int = 0
        self.tensor: Tensor = torch.zeros(1, dtype=torch.int64, device=device)

    def move(self, step: int) -> None:
        """Go to a step."""
        self.number = step % CHECKED
        self.tensor.fill_(self.number)


@final
class SpotSums:
    """Sums of one spot, held where the layer's values are.

    Args:
        spot: what is looked at.
        width: its units.
        at: the step that runs now, shared by all spots.
        samples: how many samples of a forward pass are looked at.
    """

    def __init__(self, spot: Spot, width: int, at: StepPlace, samples: int = SAMPLES) -> None:
        device = at.tensor.device
        self.samples: int = samples
        self.view: View = spot.tap.view
        saturation = spot.tap.saturation
        self.is_judged: bool = saturation is not None
        self.is_rectifier: bool = saturation is not None and saturation.is_rectifier and saturation.high == np.inf
        self.edges: tuple[float, float] = (0.0, 0.0) if saturation is None else _inside(saturation)
        columns = min(width, COLUMNS)
        self.sums: Tensor = torch.zeros(len(_ROWS), width, dtype=torch.float64, device=device)
        self.extremes: Tensor = torch.full((2, width), -torch.inf, device=device)
        self.counts: Tensor = torch.zeros(2, dtype=torch.float64, device=device)
        self.at: StepPlace = at
        self.wants_rows: bool = True
        self._passes: list[_Pass] = []
        self._totals: list[tuple[int, Tensor]] = []
        self._is_dirty = False
        self.peaks: Tensor = torch.zeros(CHECKED, device=device)
        self.rows: Tensor = torch.zeros(samples, columns, device=device)

    def add(self, values: Tensor, pre: Tensor | None) -> None:
        """Add one forward pass.

        Args:
            values: the layer's values as they are read, detached.
            pre: the activation's input, where its saturation is about that.

        Cost:
            Two to eight reads of at most `SAMPLES` samples, and one of all; fused into one in a compiled graph.
        """
        if values.shape[-1 if self.view.layout != "maps" else 1] != self.sums.shape[1]:
            return
        self.check(values)
        x = values[: self.samples].float()
        axes = [0, *range(2, x.ndim)] if self.view.layout == "maps" else list(range(x.ndim - 1))
        found = [x.sum(axes), (x * x).sum(axes)]
        if self.is_judged:
            found += self._judge(x, None if pre is None else pre[: self.samples].float(), axes)
        low, high = None if self.is_rectifier else x.amin(axes), x.amax(axes)
        n, count = x.shape[0], x.numel() // self.sums.shape[1]
        if torch.compiler.is_compiling():
            self._add_pass(found, low, high, (n, count))
        else:
            self._passes.append(_Pass(found, low, high, (n, count)))
            if len(self._passes) == _KEPT:
                self._add_passes()
        if torch.compiler.is_compiling() or self.wants_rows:  # in a graph always: there are to be no more than two
            n = min(n, self.rows.shape[0])
            view = View(self.view.layout, self.view.rule, self.view.width)
            self.rows[:n].copy_(reduce(x[:n], view)[:, : self.rows.shape[1]])

    def check(self, values: Tensor) -> None:
        """Note the sum of all values of this step; it is NaN or infinite where a value is, or where it overflows.

        Cost:
            One read of all samples. (The greatest magnitude would not overflow, and takes fifty times as long.)
        """
        total = values.sum(dtype=torch.float32)
        if torch.compiler.is_compiling():
            at = self.at.tensor
            self.peaks.index_copy_(0, at, self.peaks.index_select(0, at) + total)
        else:
            self._totals.append((self.at.number, total))

    def _judge(self, x: Tensor, pre: Tensor | None, axes: list[int]) -> list[Tensor]:
        """Values other than 0 and, but of a rectifier, magnitudes and flat values of an activation.

        Counted by signs: comparing takes five times as long, because sums of booleans are not vectorised.
        """
        if self.is_rectifier:
            return [x.sign().sum(axes)]
        z = x if pre is None else pre
        flat = (z - z.clamp(*self.edges)).sign().square()
        return [x.sign().square().sum(axes), x.abs().sum(axes), flat.sum(axes)]

    def _add_pass(self, found: list[Tensor], low: Tensor | None, high: Tensor, counts: tuple[int, int]) -> None:
        """Add a pass into the buffers."""
        self.sums[: len(found)].add_(torch.stack(found))
        self.extremes[1].copy_(torch.maximum(self.extremes[1], high))
        if low is not None:
            self.extremes[0].copy_(torch.maximum(self.extremes[0], -low))
        self.counts[0].add_(counts[0])
        self.counts[1].add_(counts[1])

    def _add_passes(self) -> None:
        """Add the eager passes into the buffers."""
        for one in self._passes:
            self._add_pass(one.found, one.low, one.high, one.counts)
        self._passes.clear()
        self._is_dirty = True

    @property
    def n(self) -> int:
        """Samples added in this step."""
        return sum(one.counts[0] for one in self._passes) + (0 if self._passes else int(self.counts[0]))

    def packed(self) -> Array:
        """All sums and extremes as one float64 vector on the host: one transfer, one message to the other ranks."""
        if len(self._passes) == 1 and not self._is_dirty:
            return self._packed_pass(self._passes[0])
        self._add_passes()
        parts = (self.sums.flatten(), self.counts, self.extremes.flatten().double())
        return torch.cat(parts).cpu().numpy()

    def _packed_pass(self, one: _Pass) -> Array:
        """The same of a single eager pass, without the buffers."""
        d, k = self.sums.shape[1], len(one.found)
        lows = () if one.low is None else (one.low,)
        found = torch.cat((*one.found, one.high, *lows)).cpu().numpy()
        out = np.zeros(7 * d + 2)
        out[: k * d] = found[: k * d]
        out[5 * d : 5 * d + 2] = one.counts
        out[5 * d + 2 : 6 * d + 2] = -np.inf if one.low is None else -found[(k + 1) * d :]
        out[6 * d + 2 :] = found[k * d : (k + 1) * d]
        return out

    def reset(self) -> None:
        """Begin anew."""
        if not self._passes or self._is_dirty:  # a graph may have added
            self.sums.zero_()
            self.counts.zero_()
            self.extremes.fill_(-torch.inf)
        self._passes.clear()
        self._is_dirty = False

    def take_totals(self) -> list[tuple[int, Tensor]]:
        """Where among the peaks the totals of eager passes belong, and the totals, since the last call."""
        totals, self._totals = self._totals, []
        return totals

    def unpack(self, packed: Array, rows: Tensor) -> Taken:
        """What `packed` holds, with the rows that go with it."""
        d = self.sums.shape[1]
        sums = packed[: 5 * d].reshape(5, d).copy()
        n, count = (int(value) for value in packed[5 * d : 5 * d + 2])
        low, high = -packed[5 * d + 2 : 6 * d + 2], packed[6 * d + 2 : 7 * d + 2]
        sums[2] = count - sums[2]  # what was counted are the values other than 0
        if self.is_rectifier:
            low, sums[3], sums[4] = np.zeros(d), np.abs(sums[0]), sums[2]
        return Taken(n, count, sums, low, high, rows[: min(n, len(rows))])


def _inside(saturation: Saturation) -> tuple[float, float]:
    """The least and greatest float32 between the edges at and beyond which an activation is flat."""
    low = np.nextafter(np.float32(saturation.low), np.float32(np.inf))
    high = np.nextafter(np.float32(saturation.high), np.float32(-np.inf))
    return float(low), float(high)


def add_packed(parts: Sequence[Array]) -> Array:
    """The sum of what several ranks packed, each of the same spot: sums are added, extremes are the greatest."""
    out = parts[0].copy()
    at = 5 * (len(out) - 2) // 7 + 2  # five sums a unit, two counts, two extremes a unit
    for part in parts[1:]:
        out[:at] += part[:at]
        out[at:] = np.maximum(out[at:], part[at:])
    return out
