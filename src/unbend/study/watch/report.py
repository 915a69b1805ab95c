"""One snapshot of a run: what the spots added up and the optimiser's step, made into numbers.

In: sums in buffers, norms on their device, labels. Out: numbers by layer. The only place of a watched run that waits
for a device or for other ranks.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array, Int64
from unbend.capture.live import Spot
from unbend.study.history.values import numbers
from unbend.study.ranks import Share, gather, share
from unbend.study.watch.measure import codes, guesses, histogram_of, of_rows, of_sums
from unbend.study.watch.optimiser import OptimiserStep
from unbend.study.watch.schedule import share_of
from unbend.study.watch.settings import WatchSettings
from unbend.study.watch.sink import ValueHistogram
from unbend.study.watch.sums import CHECKED, SAMPLES, SpotSums, StepPlace, add_packed

_FORGET = 0.8
"""What a snapshot leaves of the counts of the confusion matrix: the last five snapshots or so tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Reported:
    """What a snapshot will hold, and what else was seen.

    Attributes:
        values: of the whole network.
        layers: by layer.
        bad: the step and the layer of the first value that is not finite; the layer is "" where only gradients are.
        is_deep: whether rows were asked as well.
        distance: steps until the next snapshot, on which all ranks agree.
        histograms: of the values of layers, where they are wanted and rows were asked.
    """

    values: dict[str, float]
    layers: dict[str, dict[str, float]]
    bad: tuple[int, str] | None
    is_deep: bool
    distance: int
    histograms: dict[str, ValueHistogram]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one rank brings to a snapshot."""

    packed: tuple[Array, ...]
    rows: tuple[Tensor, ...]
    peaks: Array
    y: Int64[Array, "m"] | None
    norms: dict[str, Array]
    values: dict[str, float]
    is_deep: bool
    distance: int = 1


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
        self._histograms: dict[str, ValueHistogram] = {}
        self._ranks = share() if how.ranks else Share()
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self._at = StepPlace(device)
        each = -(-SAMPLES // self._ranks.n)
        self.spots: tuple[Spot, ...] = tuple(chosen)
        self._sums = tuple(SpotSums(spot, spot.tap.view.width, self._at, each) for spot in chosen)
        self._looked = 0
        self._deep_cost = 0.0
        self._is_deep = True
        self._n_labels: dict[int, float] = {}
        self._confusion = np.zeros((0, 0))

    def receivers(self) -> dict[Spot, SpotSums]:
        """What takes each spot's values."""
        return dict(zip(self.spots, self._sums, strict=True))

    def reset(self, spend: float) -> None:
        """Begin a step that is reported.

        Args:
            spend: share of the run's time that watching has taken, as far as it decides whether rows are asked.
        """
        self._is_deep = self._how.every is None or self._deep_cost == 0 or spend < share_of(self._how.budget)
        has_rows = self._is_deep or self._ranks.n > 1  # the first rank decides for all
        for spot, sums in zip(self.spots, self._sums, strict=True):
            sums.reset()
            sums.wants_rows = has_rows or spot.is_output

    def advance(self, step: int) -> None:
        """Say how many steps there have been."""
        self._at.move(step)

    @property
    def is_deaf(self) -> bool:
        """Whether there are spots and none of them has seen anything in this step."""
        return bool(self._sums) and not any(sums.n for sums in self._sums)

    def flush(self, step: int) -> tuple[int, str] | None:
        """The first step and layer, since the last look, of a value that is not finite.

        Args:
            step: how many steps there have been, the one that ran last included.
        """
        if not self._sums:
            return None
        return self._first_bad(self._take_peaks(), step)

    def _take_peaks(self) -> Array:
        """The peaks since the last look [spots, steps]."""
        peaks = torch.stack([sums.peaks for sums in self._sums]).cpu().numpy()
        for sums in self._sums:
            sums.peaks.zero_()
        totals = [(i, at, total) for i, sums in enumerate(self._sums) for at, total in sums.take_totals()]
        if totals:
            rows, columns, values = zip(*totals, strict=True)
            with np.errstate(invalid="ignore", over="ignore"):  # such sums are what is looked for
                np.add.at(peaks, (rows, columns), torch.stack(values).cpu().numpy())
        return peaks

    def _first_bad(self, peaks: Array, step: int) -> tuple[int, str] | None:
        first = max(self._looked, step - CHECKED)
        self._looked = step
        for at in range(first, step):
            for spot, peak in zip(self.spots, peaks[:, at % CHECKED], strict=True):
                if not np.isfinite(peak):
                    return at + 1, spot.tap.name
        return None

    def report(
        self, taken: OptimiserStep, y: Any, step: int, values: Mapping[str, float], distance: int
    ) -> Reported | None:
        """The numbers of a step; None where the optimiser skipped it.

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
            return None
        mine = replace(self._mine(taken, y, values), distance=distance)
        parts = gather(lambda: mine, self._ranks)
        started = time.perf_counter()
        layers, values = self._of_spots(parts)
        self._deep_cost = time.perf_counter() - started if parts[0].is_deep else self._deep_cost
        found = self._of_weights(parts, taken, layers)
        peaks = np.stack([part.peaks for part in parts]).max(0) if len(parts) > 1 else mine.peaks
        bad = self._first_bad(peaks, step) if self._sums else None
        if bad is None and not np.isfinite(found.get("gradient", 0.0)):
            bad = step, ""
        whole = numbers({**_mean_values(parts), **values, **found})
        histograms, self._histograms = self._histograms, {}
        return Reported(whole, layers, bad, parts[0].is_deep, max(part.distance for part in parts), histograms)

    def _mine(self, taken: OptimiserStep, y: Any, values: Mapping[str, float]) -> _Part:
        """What this rank saw."""
        packed = tuple(sums.packed() for sums in self._sums)
        rows = tuple(
            sums.rows.cpu().clone() if sums.wants_rows else torch.zeros(0, sums.rows.shape[1]) for sums in self._sums
        )
        n = min((int(part[5 * sums.sums.shape[1]]) for part, sums in zip(packed, self._sums, strict=True)), default=0)
        label = codes(y, min(n, SAMPLES if self._ranks.n == 1 else -(-SAMPLES // self._ranks.n), _length(y)))
        scale = 1.0 if taken.scale is None else float(taken.scale)
        norms = {
            "gradient": taken.gradients.double().cpu().numpy() / scale,
            "flow": taken.flow.double().cpu().numpy(),
            "weight": taken.weights.double().cpu().numpy(),
            "moved": taken.moved.double().cpu().numpy(),
            "before": taken.before.double().cpu().numpy(),
        }
        return _Part(
            packed, rows, self._take_peaks() if self._sums else np.zeros((0, CHECKED)), label, norms,
            {**values, "learning_rate": taken.rate}, self._is_deep,
        )  # fmt: skip

    def _of_spots(self, parts: Sequence[_Part]) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """What layers did, and what the network's own output was worth."""
        labels = [part.y for part in parts]
        label = None if any(y is None for y in labels) else np.concatenate([y for y in labels if y is not None])
        layers: dict[str, dict[str, float]] = {}
        values: dict[str, float] = {}
        for i, (spot, sums) in enumerate(zip(self.spots, self._sums, strict=True)):
            each = [sums.unpack(part.packed[i], part.rows[i]) for part in parts]
            whole = each[0]
            if len(parts) > 1:
                whole = sums.unpack(add_packed([part.packed[i] for part in parts]), torch.zeros(0, 1))
            if whole.n == 0:
                continue
            found = of_sums(whole, is_judged=sums.is_judged)
            rows = each[0].rows if len(each) == 1 else torch.cat([taken.rows for taken in each])
            if label is not None and len(rows) and sum(len(y) for y in labels if y is not None) != len(rows):
                rows, y = _matched(each, parts)
            else:
                y = label
            if parts[0].is_deep and len(rows):
                found |= of_rows(rows, y)
                histogram = histogram_of(rows) if self._has_histograms else None
                if histogram is not None:
                    self._histograms[spot.tap.name] = histogram
            if spot.is_output and y is not None and len(rows):
                values |= self._own(rows, y)
            layers[spot.tap.name] = numbers(found)
        if label is not None and len(label):
            values |= self._balance(label)
        return layers, values

    def _own(self, rows: Tensor, y: Int64[Array, "m"]) -> dict[str, float]:
        """How well the network's own output names the classes."""
        k = max(len(self._confusion), int(y.max(initial=0)) + 1, 2)
        guess = guesses(rows, k)
        if guess is None or y.min(initial=0) < 0:
            return {}
        k = max(k, int(guess.max(initial=0)) + 1)
        old = len(self._confusion)
        counts = np.bincount(y * k + guess, minlength=k * k).reshape(k, k).astype(float)
        counts[:old, :old] += self._confusion * _FORGET
        self._confusion = counts
        each = counts.sum(1)
        seen = each >= 1
        recall = (counts.diagonal()[seen] / each[seen]).min() if seen.any() else np.nan
        return {"accuracy": float((guess == y).mean()), "recall": float(recall)}

    def _balance(self, label: Int64[Array, "m"]) -> dict[str, float]:
        """How unequal the classes are, over all labels seen."""
        codes, n = np.unique(label, return_counts=True)
        for code, more in zip(codes.tolist(), n.tolist(), strict=True):
            self._n_labels[code] = self._n_labels.get(code, 0) + more
        counts = self._n_labels.values()
        return {"majority": max(counts) / sum(counts), "balance": min(counts) / max(counts)}

    def _of_weights(
        self, parts: Sequence[_Part], taken: OptimiserStep, layers: dict[str, dict[str, float]]
    ) -> dict[str, float]:
        """Norms by the module that owns the parameters, added to `layers`; those of all together come back."""
        squares = {
            what: _joined([part.norms[what] for part in parts], taken.sharded) ** 2 for what in parts[0].norms
        }  # fmt: skip
        owners = {name: name.rpartition(".")[0] for name in taken.names}
        places = {owner: i for i, owner in enumerate(dict.fromkeys(owners.values()))}
        at = [places[owners[name]] for name in taken.names]
        sizes = {what: np.sqrt(np.bincount(at, square, len(places))) for what, square in squares.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            update = np.where(sizes["before"] > 0, sizes["moved"] / sizes["before"], np.nan)
        for owner, gradient, weight, ratio in zip(places, sizes["gradient"], sizes["weight"], update, strict=True):
            told = {"gradient": gradient, "weight": weight, "update": ratio}
            layers.setdefault(owner, {}).update(numbers(told))
        whole = {what: float(np.sqrt(square.sum())) for what, square in squares.items()}
        clipped = whole["flow"] / whole["gradient"] if whole["gradient"] > 0 else np.nan
        return {"gradient": whole["gradient"], "clipped": clipped}


def _length(y: Any) -> int:
    return len(y) if hasattr(y, "__len__") else 0


def _matched(each: Sequence[Any], parts: Sequence[_Part]) -> tuple[Tensor, Array]:
    """The rows that have a label, rank by rank."""
    pairs = [(taken.rows[: len(part.y)], part.y[: len(taken.rows)]) for taken, part in zip(each, parts, strict=True)
             if part.y is not None]  # fmt: skip
    return torch.cat([rows for rows, _ in pairs]), np.concatenate([y for _, y in pairs])


def _joined(norms: Sequence[Array], sharded: Sequence[bool]) -> Array:
    """Norms of whole parameters: every rank holds the same, or its part of one."""
    squares = np.stack(norms) ** 2
    return np.sqrt(np.where(np.array(sharded, bool), squares.sum(0), squares[0]))


def _mean_values(parts: Sequence[_Part]) -> dict[str, float]:
    """Numbers of the network, averaged over the ranks."""
    names = dict.fromkeys(name for part in parts for name in part.values)
    return {name: float(np.mean([part.values[name] for part in parts if name in part.values])) for name in names}
