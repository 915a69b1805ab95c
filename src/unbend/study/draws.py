"""Further untrained draws of a network, so that what training did is told from what another draw would do.

In: a model, what was prepared, the sums of the network and of its first draw. Out: the read-outs of the further draws by
layer, and the note on how many there are. One draw is held in memory at a time, and only its read-outs are kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import nn

from unbend.errors import ModelError
from unbend.numerics.readout import Readout, readout
from unbend.study.cost import draw_seconds
from unbend.study.finish import results_of
from unbend.study.outputs import part_of_output
from unbend.study.passes import Passes
from unbend.study.prepare import TASKS, Preparation
from unbend.study.readers import DRAWS, affordable, logistic_of
from unbend.study.settings import Settings
from unbend.study.untrained import untrained_twin
from unbend.study.values import Layer, Sums

BUDGET = 10.0
"""Seconds of one core that the further draws may take, as far as they can be estimated before."""
_RATE = 1e10
"""Multiplications and additions a second, of one core."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Read-outs of the further untrained draws.

    Attributes:
        frames: the layers, each with its own.
        notes: why there are fewer than usual; none where there are as many.
    """

    frames: tuple[Layer, ...]
    notes: tuple[str, ...] = ()


def further_draws(model: nn.Module, passes: Passes, work: Preparation, how: Settings, sums: Sums) -> Draws:
    """The read-outs of further untrained draws, where one is cheap.

    Args:
        model: the bare module.
        passes: over its data.
        work: what was prepared.
        how: what the caller chose; the draws have the seeds after its own.
        sums: of the network and of its first draw.

    Cost:
        A pass over the data for each, and the read-outs of its layers.
    """
    if not sums.twin_train or isinstance(how.untrained, nn.Module):
        return Draws(work.frames)
    task = TASKS[work.task]
    names = affordable(task, work.frames, sums)
    n, note = _count(model, work, sums, names)
    drawn: dict[str, list[Readout]] = {frame.name: [] for frame in work.frames}
    for i in range(1, 1 + n):
        try:
            fresh, _ = untrained_twin(model, work.rows, work, replace(how, seed=how.seed + i))
        except ModelError:
            break
        if fresh is None:
            break
        with part_of_output(fresh, how.output):
            mine = replace(sums, **passes.of_twin(fresh, f"Untrained draw {i + 1}"))
        for name, found in drawn.items():
            read = _readout(work, mine, name, is_logistic=name in names)
            found += [] if read is None else [_small(read)]
    return Draws(
        tuple(replace(frame, draws=tuple(drawn[frame.name])) for frame in work.frames), (note,) if note else ()
    )


def _count(model: nn.Module, work: Preparation, sums: Sums, names: frozenset[str]) -> tuple[int, str]:
    """How many further draws there is time for, and what is said where there are fewer than usual."""
    n_rows = [work.rows.n[part] for part in ("train", "held_out")]
    if any(n is None for n in n_rows):
        return 0, "The data are read as they come, so there is one untrained draw: how much draws differ is not known."
    each = _pass_operations(model, work.frames) * sum(n or 0 for n in n_rows) / _RATE
    each += draw_seconds(TASKS[work.task], work.frames, sums, names)
    n = min(DRAWS - 1, int(BUDGET / max(each, 1e-9)))
    if n == DRAWS - 1:
        return n, ""
    drawn = "one untrained draw" if n == 0 else f"{n + 1} untrained draws"
    unknown = ": how much draws differ is not known" if n == 0 else ""
    return n, f"There is {drawn} and not {DRAWS}, since each takes about {math.ceil(each):,} s{unknown}."


def _pass_operations(model: nn.Module, frames: Sequence[Layer]) -> float:
    """Operations a row takes, by the weights and positions of the layers; those of no layer count at the most."""
    modules, counted, found = dict(model.named_modules()), 0, 0.0
    positions = {frame.name: math.prod(frame.shape) / max(frame.view.width, 1) for frame in frames}
    for name, at in positions.items():
        if name in modules:
            here = sum(p.numel() for p in modules[name].parameters(recurse=False))
            counted, found = counted + here, found + 2.0 * here * at
    rest = max(sum(p.numel() for p in model.parameters()) - counted, 0)
    return found + 2.0 * rest * max(positions.values(), default=1.0)


def _readout(work: Preparation, sums: Sums, name: str, *, is_logistic: bool) -> Readout | None:
    """What is read of one layer of a draw."""
    measures = [
        replace(m, finish=partial(m.finish, controls=False)) for m in work.measures if m.name == readout.__name__
    ]
    found = results_of(measures, sums.twin_train.get(name, {}), sums.twin_held_out.get(name, {}))
    read = next((r for r in found.values() if isinstance(r, Readout)), None)
    if read is None or not is_logistic:
        return read
    return logistic_of(read, sums, name, ("twin_train", "twin_held_out"))


def _small(read: Readout) -> Readout:
    """A read-out without its planes: only what it gets right is compared."""
    return replace(
        read, weight=np.zeros((0, read.weight.shape[1])), bias=np.zeros(0), confusion=None, labels=(),
        closed=None if read.closed is None else _small(read.closed),
    )  # fmt: skip
