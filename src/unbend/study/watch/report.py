"""One snapshot of a run: what the spots added up and the optimiser's step, made into numbers.

In: sums in buffers, norms on their device, labels. Out: numbers by layer. The only place of a watched run that waits
for a device or for other ranks.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array, Float64, Int64
from unbend.capture.live import Spot, is_covered
from unbend.study.history.values import numbers
from unbend.study.ranks import Share, gather, share
from unbend.study.watch.graph import N_NUMBERS
from unbend.study.watch.measure import codes, guesses, histogram_of, of_graphs, of_rows, of_sums
from unbend.study.watch.optimiser import OptimiserStep
from unbend.study.watch.schedule import share_of
from unbend.study.watch.settings import WatchSettings
from unbend.study.watch.sink import ValueHistogram
from unbend.study.watch.sums import CHECKED, N_COUNTS, SAMPLES, SpotSums, SpotTable, StepPlace, add_packed

_LABELS = 20
"""Labels for each class seen, on average, before they tell which classes are rare."""
_ROWS = 8
"""Rows of a class, the older ones counted less, before it has a recall: of a few rows often none is named rightly."""
_FORGET = 0.8
"""What a snapshot leaves of the counts of the confusion matrix: the last five snapshots or so tell."""
_FEW_CLASSES = 4096
"""Labels up to which they are counted without being sorted."""
_PATIENCE = 256
"""Snapshots after which rows are asked whatever it costs, since what is wrong with the run is asked only then too."""
_MUCH = 1 << 16
"""Values that a snapshot may hold while it waits to be made."""
_NONE = np.zeros(0)
_NO_ROWS = torch.zeros(0, 0, dtype=torch.float32)


@dataclass(frozen=True, slots=True, eq=False)
class RankPart:
    """What one rank brings to a snapshot.

    Attributes:
        packed: `SpotTable.pack`; empty where graphs made the numbers.
        numbers: `SpotTable.numbers`.
        rows: of each spot; empty where none are asked.
        peaks: `SpotTable.take_peaks`; empty where every step before was looked at.
        y: classes of the rows; None where they are not known.
        batch: samples of the model's own passes, and of the last of them; a layer may have seen some of these only.
        norms: `OptimiserStep.norms` on the host, the gradients' as they are without a scaler.
        values: of the whole network, as far as they are known.
        is_deep: whether rows are asked.
        distance: steps until this rank may take the next snapshot.
    """

    packed: Float64[Array, "p"]
    numbers: list[list[float]] | None
    rows: tuple[Tensor, ...]
    peaks: Array
    y: Int64[Array, "m"] | None
    batch: tuple[int, int]
    norms: Float64[Array, "5 q"]
    values: dict[str, float]
    is_deep: bool
    distance: int


@dataclass(frozen=True, slots=True, eq=False)
class SeenStep:
    """What was seen of a step, from which `Reporter.report` makes a snapshot, at once or later.

    Attributes:
        parts: of each rank.
        names: of the parameters.
        bad: the step and the layer of the first value that is not finite; the layer is "" where only gradients are.
        distance: steps until the next snapshot, on which all ranks agree.
        is_deep: whether rows are asked as well.
        is_urgent: whether it cannot wait, since it holds what the next step writes over, or much.
        is_deaf: whether there are spots and none of them has seen anything.
    """

    parts: Sequence[RankPart]
    names: tuple[str, ...]
    bad: tuple[int, str] | None
    distance: int
    is_deep: bool
    is_urgent: bool
    is_deaf: bool


@dataclass(frozen=True, slots=True, eq=False)
class Reported:
    """What a snapshot will hold, and what else was seen.

    Attributes:
        values: of the whole network.
        layers: by layer.
        histograms: of the values of layers, where they are wanted and rows were asked.
    """

    values: dict[str, float]
    layers: dict[str, dict[str, float]]
    histograms: dict[str, ValueHistogram]


@final
class Reporter:
    """Makes snapshots of one run.

    Args:
        model: inside its wrappers.
        chosen: where it is looked at.
        how: what the caller chose.
        has_histograms: whether a sink takes them.
    """

    def __init__(
        self, model: nn.Module, chosen: Sequence[Spot], how: WatchSettings, *, has_histograms: bool = False
    ) -> None:
        self._how, self._has_histograms = how, has_histograms
        self._budget = share_of(how.budget)
        self._histograms: dict[str, ValueHistogram] = {}
        self._ranks = share() if how.ranks else Share()
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self._at = StepPlace(device)
        self.advance: Callable[[int], None] = self._at.move
        self._each = -(-SAMPLES // self._ranks.n)
        self.spots: tuple[Spot, ...] = tuple(chosen)
        self._table = SpotTable(chosen, self._at, self._each)
        self._sums = self._table.each
        self._is_judged = np.array([one.looks.is_judged for one in self._sums], bool)
        self._is_covered = is_covered(self.spots)
        self._looked = 0
        self._n_unasked = _PATIENCE
        self._is_deep = True
        self._n_labels: dict[int, float] = {}
        self._confusion = np.zeros((0, 0))
        self._names: tuple[str, ...] = ()
        self._starts: dict[str, int] = {}

    def receivers(self) -> dict[Spot, SpotSums]:
        """What takes each spot's values."""
        return dict(zip(self.spots, self._sums, strict=True))

    def start(self, step: int) -> None:
        """Begin to look after so many steps."""
        self._looked = step
        self.advance(step)

    def reset(self, spend: float) -> None:
        """Begin a step that is reported.

        Args:
            spend: share of the run's time that watching has taken, as far as it decides whether rows are asked.
        """
        self._n_unasked += 1
        self._is_deep = self._how.every is None or self._n_unasked >= _PATIENCE or spend < self._budget
        has_rows = self._is_deep or self._ranks.n > 1  # the first rank decides for all
        self._table.reset()
        for spot, sums in zip(self.spots, self._sums, strict=True):
            sums.wants_rows = has_rows or spot.is_output

    def drop(self) -> None:
        """Begin the step anew, because its gradients were thrown away."""
        self._table.drop()

    @property
    def is_marked(self) -> bool:
        """Whether a value that is not finite is known already."""
        return self._at.is_marked

    @property
    def is_eager(self) -> bool:
        """Whether all spots were seen in eager passes on the CPU in this step, and a trail of them misses nothing."""
        return self._is_covered and all(sums.is_eager for sums in self._sums)

    def flush(self, step: int) -> tuple[int, str] | None:
        """The first step and layer, since the last look, of a value that is not finite.

        Args:
            step: how many steps there have been, the one that ran last included.
        """
        self._at.is_marked = False
        if not self._sums:
            return None
        return self._first_bad(self._table.take_peaks(), step)

    def _bad_now(self, peaks: Sequence[float], step: int) -> tuple[int, str] | None:
        """The same where every step before was looked at."""
        self._looked = step
        if math.isfinite(sum(peaks)):
            return None
        found = (spot for spot, peak in zip(self.spots, peaks, strict=True) if not math.isfinite(peak))
        return next(((step, spot.tap.name) for spot in found), None)

    def _first_bad(self, peaks: Array, step: int) -> tuple[int, str] | None:
        first = max(self._looked, step - CHECKED)
        self._looked = step
        if np.isfinite(peaks.sum()):
            return None
        for at in range(first, step):
            for spot, peak in zip(self.spots, peaks[:, at % CHECKED], strict=True):
                if not np.isfinite(peak):
                    return at + 1, spot.tap.name
        return None

    def look(
        self, taken: OptimiserStep, y: Tensor | None, step: int, values: Mapping[str, float], distance: int
    ) -> SeenStep | None:
        """What there is to see of a step; None where the optimiser skipped it.

        Args:
            taken: what the optimiser did.
            y: labels of the last forward pass; None where they are not known.
            step: how many steps there have been, this one included.
            values: of the whole network, as far as they are known.
            distance: steps until this rank may take the next snapshot.

        Raises:
            RankError: a rank has died.
        """
        if taken.skipped is not None and bool(torch.as_tensor(taken.skipped).max() > 0):
            self._table.keep_totals()
            return None
        mine = self._mine(taken, y, step, values, distance)
        parts = gather(lambda: mine, self._ranks)
        if mine.numbers is not None and self._looked == step - 1:
            bad = self._bad_now([one[-2] for one in mine.numbers], step)
        else:
            peaks = np.stack([part.peaks for part in parts]).max(0) if len(parts) > 1 else mine.peaks
            bad = self._first_bad(peaks, step) if self._sums else None
        if bad is None and not math.isfinite(sum(parts[0].norms[0].tolist())):
            bad = step, ""
        is_deaf = bool(self._sums) and not any(n for n, _ in self._counts(mine.packed, mine.numbers))
        is_deep = parts[0].is_deep
        is_much = mine.packed.size + sum(rows.numel() for rows in mine.rows) > _MUCH
        is_urgent = is_deep or is_much or len(parts) > 1
        return SeenStep(parts, taken.names, bad, max(part.distance for part in parts), is_deep, is_urgent, is_deaf)

    def report(self, seen: SeenStep) -> Reported:
        """The numbers of a step; steps are given in their order."""
        parts = seen.parts
        layers, values = self._of_spots(parts)
        self._n_unasked = 0 if seen.is_deep else self._n_unasked
        found = self._of_weights(parts, seen.names, layers)
        whole = numbers({**_mean_values(parts), **values, **found})
        histograms, self._histograms = self._histograms, {}
        return Reported(whole, layers, histograms)

    def _mine(
        self, taken: OptimiserStep, y: Tensor | None, step: int, values: Mapping[str, float], distance: int
    ) -> RankPart:
        """What this rank saw."""
        each = self._table.numbers() if self._ranks.n == 1 else None
        packed = self._table.pack() if each is None else _NONE
        rows = tuple(self._rows_of(sums) if sums.wants_rows else _NO_ROWS for sums in self._sums)
        batch = self._batch(self._counts(packed, each))
        label = codes(y, batch[1]) if self._is_of_batch(y, batch[1]) else None
        norms = taken.norms.double().cpu().numpy() if isinstance(taken.norms, Tensor) else taken.norms
        if taken.scale is not None:
            norms = np.concatenate([norms[:1] / float(taken.scale), norms[1:]])
        has_peaks = bool(self._sums) and (each is None or self._looked != step - 1)
        peaks = self._table.take_peaks() if has_peaks else np.zeros((0, CHECKED))
        values = {**values, "learning_rate": taken.rate}
        return RankPart(packed, each, rows, peaks, label, batch, norms, values, self._is_deep, distance)

    def _is_of_batch(self, y: Tensor | None, n: int) -> bool:
        """Whether there is a label for each of the last pass's samples: as many, or more if not all are looked at."""
        return y is not None and y.ndim > 0 and (len(y) == n or len(y) > n == self._each)

    def _rows_of(self, sums: SpotSums) -> Tensor:
        """Rows on the host; where they are few, and may be asked later, they are copied."""
        rows = sums.rows
        if self._is_deep or not rows.is_cpu or rows.numel() > _MUCH:
            return rows.cpu()
        return torch.from_numpy(rows.numpy().copy())

    def _counts(self, packed: Float64[Array, "p"], each: list[list[float]] | None) -> list[tuple[int, int]]:
        """Samples that each spot saw, and those of its last pass."""
        if each is not None:
            return [(int(one[N_NUMBERS]), int(one[N_NUMBERS + 2])) for one in each]
        n, _, last = packed[7 * self._table.width :].reshape(N_COUNTS, len(self._sums)).astype(int).tolist()
        return list(zip(n, last, strict=True))

    def _batch(self, counts: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Those of the model's own passes: of its output, or of the layer that saw most."""
        own = [count for spot, count in zip(self.spots, counts, strict=True) if spot.is_output and count[0]]
        return max(own or counts, default=(0, 0))

    def _of_spots(self, parts: Sequence[RankPart]) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """What layers did, and what the network's own output was worth."""
        labels = [part.y for part in parts]
        label = None if any(y is None for y in labels) else np.concatenate([y for y in labels if y is not None])
        values: dict[str, float] = {}
        if parts[0].numbers is None:
            whole = (
                add_packed([part.packed for part in parts], self._table.width) if len(parts) > 1 else parts[0].packed
            )
            each = of_sums(self._table.unpack(whole), self._is_judged)
        else:
            each = of_graphs(parts[0].numbers, self._is_judged)
        n = [self._counts(part.packed, part.numbers) for part in parts]
        layers = {spot.tap.name: found for spot, found in zip(self.spots, each, strict=True) if found}
        for i, (spot, found) in enumerate(zip(self.spots, each, strict=True)):
            is_asked = (parts[0].is_deep or spot.is_output) and all(len(part.rows[i]) for part in parts)
            if not is_asked or not found:
                continue
            cut = [part.rows[i][: counts[i][1]] for part, counts in zip(parts, n, strict=True)]
            is_labelled = label is not None and all(
                counts[i] == part.batch for part, counts in zip(parts, n, strict=True)
            )
            rows, y = _match(cut, labels) if is_labelled else (torch.cat(cut), None)
            if not len(rows):
                continue
            if parts[0].is_deep:
                found.update(of_rows(rows, y))
                self._draw(spot.tap.name, rows)
            if spot.is_output and y is not None:
                values |= self._own(rows, y, is_logit=spot.tap.kind == "affine")
        if label is not None and len(label):
            values |= self._balance(label)
        return layers, values

    def _draw(self, name: str, rows: Tensor) -> None:
        """Make the histogram of a layer, where a sink takes it."""
        histogram = histogram_of(rows) if self._has_histograms else None
        if histogram is not None:
            self._histograms[name] = histogram

    def _own(self, rows: Tensor, y: Int64[Array, "m"], *, is_logit: bool) -> dict[str, float]:
        """How well the network's own output names the classes."""
        k = max(len(self._confusion), int(y.max(initial=0)) + 1, 2)
        guess = guesses(rows, k, is_logit=is_logit)
        if guess is None or y.min(initial=0) < 0:
            return {}
        k = max(k, int(guess.max(initial=0)) + 1)
        old = len(self._confusion)
        counts = np.bincount(y * k + guess, minlength=k * k).astype(float).reshape(k, k)
        accuracy = float(counts.trace()) / len(y) if len(y) else math.nan
        counts[:old, :old] += self._confusion * _FORGET
        self._confusion = counts
        pairs = zip(counts.diagonal().tolist(), counts.sum(1).tolist(), strict=True)
        recalls = {code: right / n for code, (right, n) in enumerate(pairs) if n >= _ROWS}
        if not recalls:
            return {"accuracy": accuracy}
        weakest = min(recalls, key=recalls.__getitem__)
        return {"accuracy": accuracy, "recall": recalls[weakest], "weakest": float(weakest)}

    def _balance(self, label: Int64[Array, "m"]) -> dict[str, float]:
        """How unequal the classes are, over all labels seen."""
        if label.min() >= 0 and label.max() < _FEW_CLASSES:
            counted = np.bincount(label)
            found = np.flatnonzero(counted)
            n = counted[found]
        else:
            found, n = np.unique(label, return_counts=True)
        for code, more in zip(found.tolist(), n.tolist(), strict=True):
            self._n_labels[code] = self._n_labels.get(code, 0) + more
        counts = self._n_labels.values()
        majority = {"majority": max(counts) / sum(counts)}
        if sum(counts) < _LABELS * len(counts):
            return majority
        return majority | {"balance": min(counts) / max(counts)}

    def _of_weights(
        self, parts: Sequence[RankPart], names: tuple[str, ...], layers: dict[str, dict[str, float]]
    ) -> dict[str, float]:
        """Norms by the module that owns the parameters, added to `layers`; those of all together come back."""
        if names is not self._names:
            self._names = names
            owners = [name.rpartition(".")[0] for name in names]  # those of one module follow each other
            self._starts = {name: i for i, name in enumerate(owners) if i == 0 or owners[i - 1] != name}
        if not self._starts:
            return {}
        norms = parts[0].norms  # all ranks hold the same
        squares = np.add.reduceat(norms * norms, list(self._starts.values()), axis=1).tolist()
        for name, *owned in zip(self._starts, *squares, strict=True):
            gradient, _, weight, moved, before = map(math.sqrt, owned)
            update = moved / before if before > 0 else math.nan
            found = zip(("gradient", "weight", "update"), (gradient, weight, update), strict=True)
            layers.setdefault(name, {}).update({what: value for what, value in found if not math.isnan(value)})
        whole, clipped = math.sqrt(sum(squares[0])), math.sqrt(sum(squares[1]))
        return {"gradient": whole, "clipped": clipped / whole if whole > 0 else math.nan}


def _match(rows: Sequence[Tensor], labels: Sequence[Array | None]) -> tuple[Tensor, Array]:
    """The rows that have a label, rank by rank."""
    pairs = [(part[: len(y)], y[: len(part)]) for part, y in zip(rows, labels, strict=True) if y is not None]
    if len(pairs) == 1:
        return pairs[0]
    return torch.cat([part for part, _ in pairs]), np.concatenate([y for _, y in pairs])


def _mean_values(parts: Sequence[RankPart]) -> dict[str, float]:
    """Numbers of the network, averaged over the ranks."""
    if len(parts) == 1:
        return parts[0].values
    names = dict.fromkeys(name for part in parts for name in part.values)
    return {name: float(np.mean([part.values[name] for part in parts if name in part.values])) for name in names}
