"""The passes over the data: the sums of every layer, of the network and of its untrained twin.

In: a model, a data set, what was prepared. Out: `Sums`, and how many rows were seen; the Results that need all rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, final

import numpy as np
import torch
from torch import nn

from unbend._typing import Array
from unbend.capture import quiet
from unbend.errors import DataError
from unbend.numerics.sample import SampleState
from unbend.numerics.state import HeldOut, Measure
from unbend.study.examine.examine import examine
from unbend.study.examine.subject import Subject
from unbend.study.examine.values import Examination
from unbend.study.finish import BASELINE
from unbend.study.fold import fold
from unbend.study.gradients import fold_gradients
from unbend.study.positions import PER_ITEM, Positions
from unbend.study.prepare import Preparation
from unbend.study.probes import Probing
from unbend.study.progress import Progress, ticker
from unbend.study.proofs import Proving
from unbend.study.ranks import Share, gather, share, total
from unbend.study.reader import Minibatch
from unbend.study.settings import Settings
from unbend.study.source import Part, Source
from unbend.study.tables import Maker, Tables, collect, sample_tables, widths_of
from unbend.study.values import States, Sums

_GRADIENT_ROWS = 1024


@final
class Passes:
    """Passes over one data set, made as it was prepared.

    Args:
        rows: the data set.
        work: what was prepared.
        how: what the caller chose.
        progress: called as the passes go on.
    """

    def __init__(self, rows: Source, work: Preparation, how: Settings, progress: Progress) -> None:
        self._rows, self._work, self._how, self._progress = rows, work, how, progress
        self._share = share() if how.ranks else Share()

    def sums(self, model: nn.Module, fresh: nn.Module | None) -> "tuple[Sums, dict[Part, Census]]":
        """The sums of the model and of its untrained twin, where there is one, and what was counted of each part."""
        measures, counted = self._work.measures, {}
        train, counted["train"] = self._part(model, "train", "Training rows", measures)
        held_out, counted["held_out"] = self._part(model, "held_out", "Held-out rows", measures)
        weight, bias = _head_of(model, self._work)
        sums = Sums(train, held_out, head_weight=weight, head_bias=bias)
        if fresh is not None:
            twin_train, twin_held_out = self.of_twin(fresh, "Untrained twin")
            sums = replace(sums, twin_train=twin_train, twin_held_out=twin_held_out)
        return replace(sums, gradient=self._gradient(model)), counted

    def of_twin(self, fresh: nn.Module, phase: str) -> tuple[States, States]:
        """The sums of an untrained draw over training and held-out rows.

        Args:
            fresh: the draw.
            phase: what the passes are called as they go on.
        """
        base = tuple(m for m in self._work.measures if m.name in BASELINE)
        train, _ = self._part(fresh, "train", phase, base)
        held_out, _ = self._part(fresh, "held_out", f"{phase}, held out", base)
        return train, held_out

    def of_all_rows(self, model: nn.Module, sums: Sums) -> dict[str, Any]:
        """The Results that need all rows of every layer, of those asked for; the rows are collected once."""
        if not (self._how.proofs or self._how.probes):
            return {}
        work, held_out = self._work, sample_tables(sums.held_out)
        makers: dict[str, Maker] = {}
        if self._how.proofs:
            makers["ladder"] = Proving(held_out, _head_of_proofs(work, sums), self._how.budget)
        if self._how.probes:
            makers["probes"] = Probing(held_out)
        phases = {"ladder": "Proving separability", "probes": "Fitting probes"}
        ticks = {name: ticker(self._progress, phases[name], len(work.frames)) for name in makers}
        tables = Tables(model, work.plan, self._rows, work.fit, work.n_classes, widths_of(work.frames), work.positions)
        return collect(tables, makers, tick=lambda name: ticks[name](1))

    def examination(self, model: nn.Module) -> Examination | None:
        """What the statistics of layers do not tell; every rank asks it of the same rows.

        None without labels, and where the output is no score per class of a row: for several yes/no labels, and for
        labels per position.
        """
        how, work = self._how, self._work
        if work.positions is not None or work.task not in ("classes", "targets") or work.rows.n["held_out"] == 0:
            return None
        subject = Subject(
            model, work.rows, work.fit, n_classes=work.n_classes, loss=how.loss, protect=work.plan.protect
        )
        return examine(
            subject, is_declared=work.rows.is_declared, with_trials=how.trials, frames=work.frames,
            tell=lambda what: self._progress(what, 0, None),
        )  # fmt: skip

    def _part(self, model: nn.Module, part: Part, phase: str, measures: Sequence[Measure]) -> "tuple[States, Census]":
        """The sums over one part of the data, and what was counted of it, of all ranks."""
        kinds = _kinds(measures, held_out=part == "held_out")
        if part == "held_out" and SampleState in _kinds(measures, held_out=False) and SampleState not in kinds:
            kinds = (*kinds, SampleState)
        if not kinds:
            return {}, Census()
        n, work = self._rows.n[part], self._work
        tick = ticker(self._progress, phase, None if n is None else -(-n // self._share.n))
        census = Census(work.positions)

        def mine() -> States:
            with quiet(model):
                return fold(
                    model, work.plan, census.note(self._rows.batches(part, share=self._share)), kinds,
                    n_classes=work.n_classes, fit=work.fit, tick=tick, positions=work.positions,
                    selection=replace(work.selection, n=n if work.positions is None else None),
                )  # fmt: skip

        found = total(mine, self._share)
        seen = gather(lambda: census, self._share)
        counted = reduce(Census.__add__, seen)
        if work.positions is not None and not counted.n:
            raise DataError(f"y: no position of the {part.replace('_', '-')} items has a label. Pass some that have.")
        if work.task is not None and part == "train" and len(counted.labels) < 2:
            raise DataError(
                "y: all training rows have the same label, so there is nothing to tell apart. Pass rows of two classes."
            )
        return found, counted

    def _gradient(self, model: nn.Module) -> dict[str, Any]:
        """The sums of squared loss gradients, where a loss is given."""
        loss, work = self._how.loss, self._work
        if loss is None:
            return {}
        with quiet(model, grad=True):
            n = min(self._rows.n["train"] or _GRADIENT_ROWS, _GRADIENT_ROWS)
            tick = ticker(self._progress, "Gradients", -(-n // self._share.n))
            batches = self._rows.batches("train", most=_GRADIENT_ROWS, share=self._share)

            def mine() -> dict[str, Any]:
                return fold_gradients(
                    model, work.plan, batches, loss, n_classes=work.n_classes, fit=work.fit, tick=tick
                )

            return total(mine, self._share)


@dataclass(slots=True)
class Census:
    """What is counted as the batches go by.

    Attributes:
        positions: how rows are drawn of labels per position; None for one label per row.
        n: rows.
        n_positions: positions of all items, where labels stand at positions.
        n_ignored: those without a label.
        labels: the first two labels that differ.
    """

    positions: Positions | None = None
    n: int = 0
    n_positions: int = 0
    n_ignored: int = 0
    labels: set[tuple[float, ...]] = field(default_factory=set)

    def __add__(self, other: "Census") -> "Census":
        """What was counted on two ranks."""
        return Census(
            self.positions, self.n + other.n, self.n_positions + other.n_positions, self.n_ignored + other.n_ignored,
            self.labels | other.labels,
        )  # fmt: skip

    def note(self, batches: Iterator[Minibatch]) -> Iterator[Minibatch]:
        """The batches as they are."""
        for minibatch in batches:
            y = minibatch.y
            if self.positions is None:
                self.n += len(y)
            else:
                has_label = self.positions.label_mask(y)
                self.n += int(np.minimum(has_label.sum(1), PER_ITEM).sum())
                self.n_positions += has_label.size
                self.n_ignored += has_label.size - int(has_label.sum())
                y = self.positions.flat(y)[torch.from_numpy(has_label)]
            if len(self.labels) < 2 and len(y):
                found = torch.unique(y.reshape(len(y), -1), dim=0)[:2]
                self.labels.update(tuple(row) for row in found.tolist())
            yield minibatch


def _kinds(measures: Sequence[Measure], *, held_out: bool) -> tuple[type[Any], ...]:
    """The States needed, each once, in order; for held-out rows those marked so."""
    needs = [need for m in measures for need in m.needs]
    if held_out:
        return tuple(dict.fromkeys(need.state for need in needs if isinstance(need, HeldOut)))
    return tuple(dict.fromkeys(need for need in needs if not isinstance(need, HeldOut)))


def _head_of(model: nn.Module, work: Preparation) -> tuple[Array | None, Array | None]:
    """The head's weight and bias as arrays, if it is a linear layer."""
    path = next((tap.path for tap in work.plan.taps if tap.name == work.plan.head), None)
    module = None if path is None else model.get_submodule(path)
    if not isinstance(module, nn.Linear):
        return None, None
    bias = module.bias if module.bias is not None else torch.zeros(module.out_features)
    return module.weight.detach().double().cpu().numpy(), bias.detach().double().cpu().numpy()


def _head_of_proofs(work: Preparation, sums: Sums) -> tuple[str, Array, Array] | None:
    """The layer that feeds the network's head, with the head's weight and bias."""
    last = next((frame for frame in work.frames if frame.is_head and frame.fed_by), None)
    if last is None or last.fed_by is None or sums.head_weight is None or sums.head_bias is None:
        return None
    return last.fed_by, sums.head_weight, sums.head_bias
