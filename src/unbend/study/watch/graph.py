"""What a compiled graph adds up of one spot, and the numbers it makes of that at once.

In: a layer's values inside a forward pass. Out: sums, extremes, rows and numbers, in buffers that stay where they are.
There is no branch on values and no transfer, so that no graph breaks and no device is waited for. Numbers that are made
in the graph cost next to nothing; made outside of it, between two products, they cost more than all sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Float64
from unbend.numerics.activity import DORMANT, MOSTLY
from unbend.numerics.view import View
from unbend.numerics.views import reduce
from unbend.study.watch.read import Looks, SeenPass

SAMPLES = 256
"""Samples of a forward pass that are looked at: enough to know a share to 3 points, and a silent unit at 1.2 % of the
samples. Values that are not finite are looked for in all of them."""
COLUMNS = 4096
"""Units of a layer whose values are kept for questions about rows; of wider layers, the first so many."""
CHECKED = 512
"""Steps whose peaks are kept until they are looked at."""
_CHUNK = 16
"""Rows that are summed by themselves first; `SAMPLES`, and what ranks take of it, are such rows as a rule."""
N_NUMBERS = 7
"""What a graph says of a spot: the six numbers of an activation as `measure.of_sums` names them, and how many of its
units were finite."""
N_SUMMARY = N_NUMBERS + 4
"""These, and what they are of: samples, values per unit, the sum of all values, and of which step, -1 for none."""


@dataclass(frozen=True, slots=True, eq=False)
class GraphPlan:
    """What is decided before a graph is made. No plain number with a point is among it: it would be handed in anew.

    Attributes:
        view: how rows are read, before sketching.
        is_judged: as in `read.Looks`.
        is_rectifier: as there.
        samples: how many samples of a pass are looked at.
    """

    view: View
    is_judged: bool
    is_rectifier: bool
    samples: int

    @property
    def n_sums(self) -> int:
        """Sums of each unit, as in `read.SeenPass`."""
        return 3 if self.is_rectifier else 5 if self.is_judged else 2

    @property
    def n_extremes(self) -> int:
        """Extremes of each unit."""
        return 1 if self.is_rectifier else 2


@dataclass(frozen=True, slots=True, eq=False)
class GraphSums:
    """Sums of one spot, held where the layer's values are; they begin anew in the first pass of each step.

    Few tensors, since a compiled graph looks at each of them before every call.

    Attributes:
        now: the step that runs, and its place among the peaks; shared by all spots [2].
        edges: as in `read.Looks` [2].
        table: sums per unit as in `read.SeenPass`, greatest value, and of all but rectifiers the least, negated [k, d].
        summary: what was made of them, as `N_SUMMARY` says [N_SUMMARY].
        peaks: the sums of all values of the last steps that were not reported [CHECKED].
        rows: of the last pass [samples, columns].
    """

    now: Tensor
    edges: Tensor
    table: Tensor
    summary: Tensor
    peaks: Tensor
    rows: Tensor

    def add(self, values: Tensor, pre: Tensor | None, plan: Any) -> None:
        """Add one forward pass of a step that is reported.

        Args:
            values: the layer's values as they are read, detached.
            pre: the activation's input, where its saturation is about that.
            plan: a `GraphPlan`.
        """
        if not len(values) or values.shape[1 if plan.view.layout == "maps" else -1] != plan.view.width:
            return
        x, z = values[: plan.samples].float(), None if pre is None else pre[: plan.samples].float()
        seen, means = self._look(x, z, plan)
        self.add_pass(seen, plan, seen.sums[0].sum() + _total(values[plan.samples :]))
        n = min(x.shape[0], self.rows.shape[0])
        means = None if means is None else means[:n]
        self.rows[:n].copy_(reduce(x[:n], plan.view, means=means)[:, : self.rows.shape[1]])

    def check(self, values: Tensor) -> None:
        """Look at one forward pass of any other step: the sum of its values is added to the step's peak.

        Cost:
            One read of all samples, fused into what makes them.
        """
        self.peaks.index_add_(0, self.now[1:], _total(values)[None])

    def add_pass(self, seen: SeenPass, plan: GraphPlan, total: Tensor | float) -> None:
        """Add a pass, in a graph or outside of one.

        Args:
            seen: the pass.
            plan: of the spot.
            total: the sum of its values.
        """
        k = len(seen.sums)
        state = self.summary[N_NUMBERS:]
        is_new = state[3:] != self.now[:1]
        extremes = [seen.high] if seen.low is None else [seen.high, -seen.low]
        row = torch.arange(k + len(extremes), device=is_new.device)[:, None]
        old = torch.where(is_new, torch.where(row < k, 0.0, -torch.inf), self.table)
        given = _stack([*seen.sums, *extremes])
        table = torch.where(row < k, old + given, torch.maximum(old, given))
        state = torch.where(is_new, 0.0, state)
        n, count, total = state[0] + seen.n, state[1] + seen.count, state[2] + total
        self.table.copy_(table)
        summary = [*_numbers(table, k, count, plan), n, count, total, self.now[0]]
        self.summary.copy_(_stack([one[None] for one in summary])[:, 0])

    def _look(self, x: Tensor, z: Tensor | None, plan: GraphPlan) -> tuple[SeenPass, Tensor | None]:
        """The sums of `read.look`, in a form that a compiler makes one loop of, and samples' means over positions.

        Samples are summed by themselves first: then one read tells of units, of rows and whether all is finite. Those
        that have no positions are summed by sixteens, which halves the time that many far rows at once take.
        """
        n, count = len(x), x.numel() // plan.view.width
        is_flat = plan.view.layout == "features"
        if is_flat and n == plan.samples and n % _CHUNK == 0:  # other sizes may change from step to step
            x, z = x.unflatten(0, (-1, _CHUNK)), None if z is None else z.unflatten(0, (-1, _CHUNK))
        axes = tuple(range(2, x.ndim)) if plan.view.layout == "maps" else tuple(range(1, x.ndim - 1))

        def add(of: Tensor) -> Tensor:
            return of.sum(axes) if axes else of

        each = add(x)
        found = [each.sum(0), add(x * x).sum(0)]
        if plan.is_rectifier:
            found.append(add((x > 0).float()).sum(0))
        elif plan.is_judged:
            z = x if z is None else z
            flat = (z != z.clamp(self.edges[0], self.edges[1])).float()
            found += [add((x != 0).float()).sum(0), add(x.abs()).sum(0), add(flat).sum(0)]
        low = None if plan.is_rectifier else (x.amin(axes) if axes else x).amin(0)
        high = (x.amax(axes) if axes else x).amax(0)
        return SeenPass(tuple(found), high, low, n, count), None if is_flat else each * (n / count)


def graph_sums(now: Tensor, memory: Array | None, looks: Looks, plan: GraphPlan) -> GraphSums:
    """Buffers of one spot.

    Args:
        now: the step that runs.
        memory: on the CPU that of `GraphSums.summary`, so that those of all spots are read at once [N_SUMMARY].
        looks: what is to be known.
        plan: what is decided.
    """
    device, d = now.device, plan.view.width
    summary = torch.empty(N_SUMMARY, dtype=torch.float64, device=device) if memory is None else torch.from_numpy(memory)
    return GraphSums(
        now,
        edges=torch.tensor(looks.edges, dtype=torch.float32, device=device),
        table=torch.zeros(plan.n_sums + plan.n_extremes, d, dtype=torch.float64, device=device),
        summary=summary.fill_(-1.0),
        peaks=torch.zeros(CHECKED, dtype=torch.float32, device=device),
        rows=torch.zeros(plan.samples, min(d, COLUMNS), dtype=torch.float32, device=device),
    )


def _total(values: Tensor) -> Tensor:
    """The sum of all values, of each sample or map first: one long sum is made by slower code, five times as slow."""
    inner = tuple(range(min(2, values.ndim - 1), values.ndim))
    return values.sum(inner, dtype=torch.float32).sum()


def spread_out(table: Float64[Array, "k d"], plan: GraphPlan) -> tuple[Float64[Array, "5 d"], Float64[Array, "2 d"]]:
    """A table of `GraphSums` on the host as five sums, those that are not known 0, and least, negated, and greatest."""
    k, d = plan.n_sums, table.shape[1]
    sums, extremes = np.zeros((5, d)), np.full((2, d), -np.inf)
    sums[:k], extremes[1] = table[:k], table[k]
    if plan.n_extremes == 2:
        extremes[0] = table[k + 1]
    return sums, extremes


def _numbers(table: Tensor, k: int, count: Tensor, plan: GraphPlan) -> list[Tensor]:
    """The numbers of `measure.of_sums`, and how many units were finite: `N_NUMBERS` of them."""
    high = table[k]
    low = torch.zeros_like(high) if plan.is_rectifier else -table[k + 1]
    good = torch.isfinite(table[0] + table[1] + low + high)
    each = torch.where(good, table[:k], 0.0) / count
    mean, squares = each[0], each[1]
    silent = ((low == 0) & (high == 0) & good).double()
    found = [squares, (squares - mean * mean).clamp_min(0.0), silent]
    if plan.is_judged:
        zeros = torch.where(good, (count - table[2]) / count, 0.0)
        magnitude, flat = (mean.abs(), zeros) if plan.is_rectifier else (each[3], each[4])
        is_dormant = (magnitude <= DORMANT * magnitude.sum() / good.double().sum()) | (silent > 0)
        found += [(is_dormant & good).double(), ((flat >= MOSTLY) & (silent == 0) & good).double(), zeros]
    else:
        found += [torch.zeros_like(mean)] * 3
    n = good.double().sum()
    parts = [part.sum() / n for part in found]
    return [parts[0].sqrt(), parts[1].sqrt(), *parts[2:], n]


def _stack(rows: Sequence[Tensor]) -> Tensor:
    """Rows as a table of float64, chosen by their number: to copy them into it takes a graph a call for each."""
    row = torch.arange(len(rows), device=rows[0].device)[:, None]
    out = rows[-1].double()[None]
    for i in reversed(range(len(rows) - 1)):
        out = torch.where(row == i, rows[i].double(), out)
    return out.expand(len(rows), -1)
