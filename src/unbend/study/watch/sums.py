"""What the spots of a run add up in a step that is reported: sums per unit and some rows.

In: a layer's values in eager passes, and what compiled graphs added up. Out: sums and rows, on the host. No transfer in
`add` and `check`, so that they wait for no device. Eager passes are kept as they come, which takes half the calls.
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
from unbend.study.watch.graph import (
    CHECKED,
    N_NUMBERS,
    N_SUMMARY,
    SAMPLES,
    GraphPlan,
    GraphSums,
    graph_sums,
    spread_out,
)
from unbend.study.watch.read import Looks, Room, SeenPass, look

_KEPT = 8
"""Eager passes of one step that are kept before they are added up."""


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
        self.step: int = 0
        self.number: int = 0
        self.tensor: Tensor = torch.zeros(2, dtype=torch.int64, device=device)
        self._cell: Array | None = self.tensor.numpy() if device.type == "cpu" else None
        self.room: Room = Room()
        self.is_marked: bool = False

    def move(self, step: int) -> None:
        """Go to a step."""
        self.step, self.number = step, step % CHECKED
        if self._cell is None:
            self.tensor.copy_(torch.tensor((step, self.number)), non_blocking=True)
        else:
            # A call of torch takes as long as all the rest of a step without a report.
            self._cell[0], self._cell[1] = step, self.number


@final
class SpotSums:
    """Sums of one spot, held where the layer's values are.

    Args:
        spot: what is looked at.
        number: of the spot.
        at: the step that runs now, shared by all spots.
        samples: how many samples of a forward pass are looked at.
        memory: as in `graph_sums`.
    """

    def __init__(self, spot: Spot, number: int, at: StepPlace, *, samples: int, memory: Array | None) -> None:
        width, saturation = spot.tap.view.width, spot.tap.saturation
        self.samples: int = samples
        self.width: int = width
        self.view: View = View(spot.tap.view.layout, spot.tap.view.rule, width)
        self.looks: Looks = Looks(
            self.view.layout,
            is_judged=saturation is not None,
            is_rectifier=saturation is not None and saturation.is_rectifier and saturation.high == np.inf,
            edges=(0.0, 0.0) if saturation is None else _inside(saturation),
        )
        self.at: StepPlace = at
        self.wants_rows: bool = True
        self.plan: GraphPlan = GraphPlan(self.view, self.looks.is_judged, self.looks.is_rectifier, samples)
        self.graph: GraphSums = graph_sums(at.tensor, memory, self.looks, self.plan)
        self._number = number
        self._passes: list[SeenPass] = []
        self._totals: list[tuple[int, int, Tensor]] = []
        self._is_added = False

    def add(self, values: Tensor, pre: Tensor | None) -> None:
        """Add one eager forward pass.

        Args:
            values: the layer's values as they are read, detached.
            pre: the activation's input, where its saturation is about that.

        Cost:
            One read of at most `SAMPLES` samples, and one of the others.
        """
        if not len(values) or values.shape[-1 if self.view.layout != "maps" else 1] != self.width:
            return
        x, z = values[: self.samples], None if pre is None else pre[: self.samples]
        seen = look(x, z, self.looks, self.at.room)
        self._passes.append(seen)
        self._note(seen.sums[0].sum())
        if len(values) > self.samples:
            self._note(values[self.samples :].sum(dtype=torch.float32))
        if len(self._passes) == _KEPT:
            self._add_passes()
        if self.wants_rows:
            n = min(x.shape[0], self.rows.shape[0])
            self.rows[:n].copy_(reduce(x[:n].float(), self.view)[:, : self.rows.shape[1]])

    def check(self, values: Tensor) -> None:
        """Note the sum of all values of this step; it is NaN or infinite where a value is, or where it overflows.

        Cost:
            One read of all samples. (The greatest magnitude would not overflow, and takes fifty times as long.)
        """
        self._note(values.sum(dtype=torch.float32))

    def mark(self) -> None:
        """Note that a value of this step is not finite."""
        self._note(torch.tensor(torch.nan, dtype=torch.float32))
        self.at.is_marked = True

    @property
    def rows(self) -> Tensor:
        """Rows of the last pass."""
        return self.graph.rows

    @property
    def is_eager(self) -> bool:
        """Whether this step's passes were all eager, on the CPU."""
        return bool(self._passes) and not self._is_added and self.at.tensor.is_cpu

    @property
    def is_compiled(self) -> bool:
        """Whether no pass was eager since the last look at peaks."""
        return not self._passes and not self._totals

    @property
    def n(self) -> int:
        """Samples added in this step."""
        if self._passes:
            return sum(one.n for one in self._passes)
        n, _, _, step = self.graph.summary[N_NUMBERS:].tolist()
        return int(n) if step == self.at.step else 0

    def parts(self) -> tuple[list[Tensor], SeenPass | None]:
        """What was added, as tensors that wait to be joined; the pass they are of, where it is one eager one only."""
        if len(self._passes) == 1 and not self._is_added:
            one = self._passes[0]
            return [*one.sums, one.high, *(() if one.low is None else (one.low,))], one
        self._add_passes()
        return [self.graph.summary[N_NUMBERS:], self.graph.table.flatten()], None

    def reset(self) -> None:
        """Begin a step that is reported."""
        self._passes.clear()
        self._is_added = False

    def take_totals(self) -> list[tuple[int, int, Tensor]]:
        """Of eager passes since the last call: spot and step among the peaks, and the total."""
        totals, self._totals = self._totals, []
        return totals

    def _note(self, total: Tensor) -> None:
        self._totals.append((self._number, self.at.number, total))

    def _add_passes(self) -> None:
        """Add the eager passes into the buffers."""
        for one in self._passes:
            self.graph.add_pass(one, self.plan, 0.0)
            self._is_added = True
        self._passes.clear()


@final
class SpotTable:
    """The sums of all spots of a run, their units side by side in one vector: one transfer, one message to the others.

    Args:
        spots: where the run is looked at.
        at: the step that runs now.
        samples: how many samples of a forward pass are looked at.
    """

    def __init__(self, spots: Sequence[Spot], at: StepPlace, samples: int = SAMPLES) -> None:
        self._at = at
        self._memory: Array | None = np.zeros((len(spots), N_SUMMARY)) if at.tensor.is_cpu else None
        self.each: tuple[SpotSums, ...] = tuple(
            SpotSums(spot, i, at, samples=samples, memory=None if self._memory is None else self._memory[i])
            for i, spot in enumerate(spots)
        )
        widths = [one.width for one in self.each]
        self.width: int = sum(widths)
        self.starts: Int64[Array, "l"] = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])[:-1].astype(np.int64)
        self.layer: Int64[Array, "d"] = np.repeat(np.arange(len(widths)), widths)
        self.rectified: Int64[Array, "r"] = np.flatnonzero([self.each[i].looks.is_rectifier for i in self.layer])

    def reset(self) -> None:
        """Begin anew."""
        for one in self.each:
            one.reset()

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
                n, count, _, step = found[at : at + 4]
                k = len(one.graph.table)
                table = found[at + 4 : at + 4 + k * w].reshape(k, w)
                extremes[:, start:end] = -np.inf
                if step == one.at.step:  # else they are of a step before
                    sums[:, start:end], extremes[:, start:end] = spread_out(table, one.plan)
                    counts[:, i] = n, count
                at += 4 + k * w
                continue
            k = len(seen.sums)
            sums[:k, start:end] = found[at : at + k * w].reshape(k, w)
            extremes[1, start:end] = found[at + k * w : at + (k + 1) * w]
            at += (k + 1) * w
            extremes[0, start:end] = -np.inf if seen.low is None else -found[at : at + w]
            counts[:, i] = seen.n, seen.count
            at += 0 if seen.low is None else w
        return out

    def numbers(self) -> list[list[float]] | None:
        """What graphs made of this step's sums, `GraphSums.summary` by spot; None where a pass was eager.

        They are those of one process: sums of ranks must be added first.
        """
        if not self.each or not all(one.is_compiled for one in self.each):
            return None
        found: list[list[float]] = self._summaries().tolist()
        return found if all(one[-1] == self._at.step for one in found) else None

    def keep_totals(self) -> None:
        """Note the sums of this step's values among the peaks, because no snapshot is made of it."""
        for one, total in zip(self.each, self._totals().tolist(), strict=True):
            one.graph.peaks[self._at.number] += total

    def _totals(self) -> Float64[Array, "l"]:
        """The sums of values that graphs saw in this step."""
        found = self._summaries()
        return np.where(found[:, -1] == self._at.step, found[:, -2], 0.0)

    def _summaries(self) -> Float64[Array, "l 11"]:
        """`GraphSums.summary` of all spots; on the CPU where graphs write it."""
        if self._memory is not None:
            return self._memory
        return torch.stack([one.graph.summary for one in self.each]).cpu().numpy()

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
        """The sums of values of the steps since the last look [spots, steps], this one among them."""
        peaks = torch.stack([one.graph.peaks for one in self.each]).cpu().numpy()
        torch._foreach_zero_([one.graph.peaks for one in self.each])
        with np.errstate(invalid="ignore", over="ignore"):
            peaks[:, self._at.number] += self._totals()
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
