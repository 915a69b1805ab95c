"""What the spots of a run add up in a step that is reported: sums per unit and some rows.

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

from unbend._typing import Array, Float64, Int64
from unbend.capture.live import Spot
from unbend.numerics.batch import Saturation
from unbend.numerics.view import View
from unbend.numerics.views import reduce
from unbend.study.watch.read import Looks, Room, SeenPass, look

SAMPLES = 256
"""Samples of a forward pass that are looked at: enough to know a share to 3 points, and a silent unit at 1.2 % of the
samples. Values that are not finite are looked for in all of them."""
COLUMNS = 4096
"""Units of a layer whose values are kept for questions about rows; of wider layers, the first so many."""
CHECKED = 512
"""Steps whose peaks are kept until they are looked at."""
_KEPT = 8
"""Eager passes of one step that are kept before they are added up."""
_SUMS = 5
"""Per unit: total, squares, values other than 0, magnitude, flat values. Of no activation the first two are known, of
a rectifier three, since its magnitudes are its values, and its zeros are flat."""


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What all spots added up, on the host, their units side by side.

    Attributes:
        n: samples of each spot [l].
        count: values per unit of each spot [l].
        starts: where each spot's units begin [l].
        layer: the spot of each unit [d].
        sums: total, squares, zeros, magnitude and flat per unit [5, d].
        low: least value per unit [d].
        high: greatest value per unit [d].
    """

    n: Int64[Array, "l"]
    count: Float64[Array, "l"]
    starts: Int64[Array, "l"]
    layer: Int64[Array, "d"]
    sums: Float64[Array, "5 d"]
    low: Float64[Array, "d"]
    high: Float64[Array, "d"]


@final
class StepPlace:
    """Where among the peaks the step stands that runs now, as a number and, for compiled graphs, on the device.

    Args:
        device: where the layers' values are.
    """

    def __init__(self, device: torch.device) -> None:
        self.number: int = 0
        self.tensor: Tensor = torch.zeros(1, dtype=torch.int64, device=device)
        self._host: Array | None = self.tensor.numpy() if self.tensor.is_cpu else None
        self.room: Room = Room()
        self.is_marked: bool = False

    def move(self, step: int) -> None:
        """Go to a step."""
        self.number = step % CHECKED
        if self._host is None:
            self.tensor.fill_(self.number)
        else:
            self._host[0] = self.number  # the same memory, at a tenth of the time


@final
class SpotSums:
    """Sums of one spot, held where the layer's values are.

    Args:
        spot: what is looked at.
        number: of the spot.
        at: the step that runs now, shared by all spots.
        samples: how many samples of a forward pass are looked at.
    """

    def __init__(self, spot: Spot, number: int, at: StepPlace, samples: int = SAMPLES) -> None:
        device, width, saturation = at.tensor.device, spot.tap.view.width, spot.tap.saturation
        self.samples: int = samples
        self.width: int = width
        self.view: View = spot.tap.view
        self.looks: Looks = Looks(
            self.view.layout,
            is_judged=saturation is not None,
            is_rectifier=saturation is not None and saturation.is_rectifier and saturation.high == np.inf,
            edges=(0.0, 0.0) if saturation is None else _inside(saturation),
        )
        self.sums: Tensor = torch.zeros(_SUMS, width, dtype=torch.float64, device=device)
        self.extremes: Tensor = torch.full((2, width), -torch.inf, device=device)
        self.counts: Tensor = torch.zeros(2, dtype=torch.float64, device=device)
        self.at: StepPlace = at
        self.wants_rows: bool = True
        self.peaks: Tensor = torch.zeros(CHECKED, device=device)
        self.rows: Tensor = torch.zeros(samples, min(width, COLUMNS), device=device)
        self._number = number
        self._passes: list[SeenPass] = []
        self._totals: list[tuple[int, int, Tensor]] = []
        self._is_dirty = False

    def add(self, values: Tensor, pre: Tensor | None) -> None:
        """Add one forward pass.

        Args:
            values: the layer's values as they are read, detached.
            pre: the activation's input, where its saturation is about that.

        Cost:
            One read of at most `SAMPLES` samples, and one of the others; fused into one in a compiled graph.
        """
        if not len(values) or values.shape[-1 if self.view.layout != "maps" else 1] != self.width:
            return
        x, z = values[: self.samples], None if pre is None else pre[: self.samples]
        if torch.compiler.is_compiling():
            self.check(values)
            self._add_in_graph(x.float(), None if z is None else z.float())
        else:
            seen = look(x, z, self.looks, self.at.room)
            self._passes.append(seen)
            self._note(seen.sums[0].sum())
            if len(values) > self.samples:
                self._note(values[self.samples :].sum(dtype=torch.float32))
            if len(self._passes) == _KEPT:
                self._add_passes()
        if torch.compiler.is_compiling() or self.wants_rows:  # in a graph always: there are to be no more than two
            n = min(x.shape[0], self.rows.shape[0])
            view = View(self.view.layout, self.view.rule, self.view.width)
            self.rows[:n].copy_(reduce(x[:n].float(), view)[:, : self.rows.shape[1]])

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
            self._note(total)

    def mark(self) -> None:
        """Note that a value of this step is not finite."""
        self._note(torch.tensor(torch.nan))
        self.at.is_marked = True

    @property
    def is_eager(self) -> bool:
        """Whether this step's passes were all eager, on the CPU."""
        return bool(self._passes) and not self._is_dirty and self.at.tensor.is_cpu

    @property
    def n(self) -> int:
        """Samples added in this step."""
        return sum(one.n for one in self._passes) + (0 if self._passes else int(self.counts[0]))

    def parts(self) -> tuple[list[Tensor], SeenPass | None]:
        """What was added, as tensors that wait to be joined; the pass they are of, where it is one eager one only."""
        if len(self._passes) == 1 and not self._is_dirty:
            one = self._passes[0]
            return [*one.sums, one.high, *(() if one.low is None else (one.low,))], one
        self._add_passes()
        return [self.sums.flatten(), self.extremes.flatten(), self.counts], None

    def buffers(self) -> tuple[Tensor, ...]:
        """What is to be emptied before a step that is reported: nothing, if all that was added are eager passes."""
        is_empty = bool(self._passes) and not self._is_dirty
        self._passes.clear()
        self._is_dirty = False
        return () if is_empty else (self.sums, self.counts, self.extremes)  # a graph may have added

    def take_totals(self) -> list[tuple[int, int, Tensor]]:
        """Of eager passes since the last call: spot and step among the peaks, and the total."""
        totals, self._totals = self._totals, []
        return totals

    def _note(self, total: Tensor) -> None:
        self._totals.append((self._number, self.at.number, total))

    def _add_in_graph(self, x: Tensor, z: Tensor | None) -> None:
        """The sums of `read.look`, in a form that a compiler makes one loop of."""
        axes = [0, *range(2, x.ndim)] if self.view.layout == "maps" else list(range(x.ndim - 1))
        found = [x.sum(axes), (x * x).sum(axes)]
        if self.looks.is_rectifier:
            found.append(x.sign().sum(axes))
        elif self.looks.is_judged:
            z = x if z is None else z
            flat = (z - z.clamp(*self.looks.edges)).sign().square()
            found += [x.sign().square().sum(axes), x.abs().sum(axes), flat.sum(axes)]
        low = None if self.looks.is_rectifier else x.amin(axes)
        self._add(SeenPass(tuple(found), x.amax(axes), low, x.shape[0], x.numel() // self.width))

    def _add(self, seen: SeenPass) -> None:
        """Add a pass into the buffers."""
        self.sums[: len(seen.sums)].add_(torch.stack(seen.sums))
        self.extremes[1].copy_(torch.maximum(self.extremes[1], seen.high))
        if seen.low is not None:
            self.extremes[0].copy_(torch.maximum(self.extremes[0], -seen.low))
        self.counts[0].add_(seen.n)
        self.counts[1].add_(seen.count)

    def _add_passes(self) -> None:
        """Add the eager passes into the buffers."""
        for one in self._passes:
            self._add(one)
        self._passes.clear()
        self._is_dirty = True


@final
class SpotTable:
    """The sums of all spots of a run, their units side by side in one vector: one transfer, one message to the others.

    Args:
        spots: where the run is looked at.
        at: the step that runs now.
        samples: how many samples of a forward pass are looked at.
    """

    def __init__(self, spots: Sequence[Spot], at: StepPlace, samples: int = SAMPLES) -> None:
        self.each: tuple[SpotSums, ...] = tuple(SpotSums(spot, i, at, samples) for i, spot in enumerate(spots))
        widths = [one.width for one in self.each]
        self.width: int = sum(widths)
        self.starts: Int64[Array, "l"] = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])[:-1].astype(np.int64)
        self.layer: Int64[Array, "d"] = np.repeat(np.arange(len(widths)), widths)
        self.rectified: Int64[Array, "r"] = np.flatnonzero([self.each[i].looks.is_rectifier for i in self.layer])

    def reset(self) -> None:
        """Begin anew."""
        found = [buffers for one in self.each if (buffers := one.buffers())]
        if found:
            torch._foreach_zero_([buffer for buffers in found for buffer in buffers])
            torch._foreach_sub_([extremes for _, _, extremes in found], torch.inf)

    def pack(self) -> Float64[Array, "p"]:
        """All sums, extremes and counts as one vector on the host."""
        d, n = self.width, len(self.each)
        out = np.zeros(7 * d + 2 * n)
        sums, extremes = out[: 5 * d].reshape(5, d), out[5 * d : 7 * d].reshape(2, d)
        counts = out[7 * d :].reshape(2, n)
        parts = [one.parts() for one in self.each]
        if not parts:
            return out
        found = torch.cat([tensor for tensors, _ in parts for tensor in tensors]).cpu().numpy()
        at = 0
        for i, (one, (_, seen), start) in enumerate(zip(self.each, parts, self.starts, strict=True)):
            end, w = start + one.width, one.width
            if seen is None:
                sums[:, start:end] = found[at : at + 5 * w].reshape(5, w)
                extremes[:, start:end] = found[at + 5 * w : at + 7 * w].reshape(2, w)
                counts[:, i] = found[at + 7 * w : at + 7 * w + 2]
                at += 7 * w + 2
                continue
            k = len(seen.sums)
            sums[:k, start:end] = found[at : at + k * w].reshape(k, w)
            extremes[1, start:end] = found[at + k * w : at + (k + 1) * w]
            at += (k + 1) * w
            extremes[0, start:end] = -np.inf if seen.low is None else -found[at : at + w]
            counts[:, i] = seen.n, seen.count
            at += 0 if seen.low is None else w
        return out

    def unpack(self, packed: Float64[Array, "p"]) -> Taken:
        """What `packed` holds."""
        d, rectified = self.width, self.rectified
        sums, (low, high) = packed[: 5 * d].reshape(5, d).copy(), packed[5 * d : 7 * d].reshape(2, d)
        n, count = packed[7 * d :].reshape(2, len(self.each))
        np.subtract(count[self.layer], sums[2], out=sums[2])  # what was counted are the values other than 0
        sums[3, rectified], sums[4, rectified] = np.abs(sums[0, rectified]), sums[2, rectified]
        low = -low
        low[rectified] = 0.0
        return Taken(n.astype(np.int64), count, self.starts, self.layer, sums, low, high)

    def take_peaks(self) -> Array:
        """The sums of values of the steps since the last look [spots, steps]."""
        peaks = torch.stack([one.peaks for one in self.each]).cpu().numpy()
        torch._foreach_zero_([one.peaks for one in self.each])
        totals = [total for one in self.each for total in one.take_totals()]
        if totals:
            rows, columns, values = zip(*totals, strict=True)
            with np.errstate(invalid="ignore", over="ignore"):  # such sums are what is looked for
                np.add.at(peaks, (rows, columns), torch.stack(values).cpu().numpy())
        return peaks


def _inside(saturation: Saturation) -> tuple[float, float]:
    """The least and greatest float32 between the edges at and beyond which an activation is flat."""
    low = np.nextafter(np.float32(saturation.low), np.float32(np.inf))
    high = np.nextafter(np.float32(saturation.high), np.float32(-np.inf))
    return float(low), float(high)


def add_packed(parts: Sequence[Float64[Array, "p"]], width: int) -> Float64[Array, "p"]:
    """The sum of what several ranks packed: sums and counts are added, extremes are the greatest.

    Args:
        parts: of each rank.
        width: units of all spots.
    """
    whole = np.stack(parts)
    out = whole.sum(0)
    extremes = slice(5 * width, 7 * width)
    out[extremes] = whole[:, extremes].max(0)
    return out
