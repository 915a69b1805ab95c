"""Further untrained draws of a network, so that what training did is told from what another draw would do.

In: a model, what was prepared, the sums of the network and of its first draw. Out: the read-outs of the further draws
by layer, and the note on how many there are. One draw is held in memory at a time, and only its read-outs are kept.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from unbend.numerics.readout import Readout, readout
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.study.cost import draw_seconds
from unbend.study.finish import one_thread, results_of, without_controls
from unbend.study.outputs import part_of_output
from unbend.study.passes import Passes
from unbend.study.prepare import TASKS, Preparation
from unbend.study.readers import DRAWS, TWIN, affordable, logistic_of
from unbend.study.settings import Settings
from unbend.study.untrained import untrained_twin
from unbend.study.values import Layer, Sums, first_of

BUDGET = 10.0
"""Seconds of one core that the further draws may take, as far as they can be estimated before."""
_RATE = 1e10
"""Multiplications and additions a second, of one core."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Read-outs of the further untrained draws.

    Attributes:
        frames: the layers, each with its own.
        notes: why there are fewer draws than usual; none where there are as many.
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
    logistic = affordable(TASKS[work.task], work.frames, sums)
    n, note = _count(model, work, sums, logistic)
    with one_thread():
        drawn: list[dict[str, Readout]] = []
        fixed = list(sums.twin_train)
        for i in range(1, 1 + n):
            fresh, _ = untrained_twin(model, work.rows, work, replace(how, seed=how.seed + i))
            if fresh is None:
                break
            with part_of_output(fresh, how.output):
                train, held_out = passes.of_twin(fresh, f"Untrained draw {i + 1}")
            mine = replace(sums, twin_train=train, twin_held_out=held_out)
            fixed = [name for name in fixed if _is_same(name, sums, mine)]
            known = {name: read for name, read in drawn[0].items() if name in fixed} if drawn else {}
            drawn.append(known | {name: _small(read) for name, read in _reads(work, mine, logistic, known).items()})
    frames = tuple(
        replace(frame, draws=tuple(draw[frame.name] for draw in drawn if frame.name in draw)) for frame in work.frames
    )
    return Draws(frames, (note,) if note else ())


def _count(model: nn.Module, work: Preparation, sums: Sums, names: Collection[str]) -> tuple[int, str]:
    """How many further draws there is time for, and what is said where there are fewer than usual."""
    n_rows = [work.rows.n[part] for part in ("train", "held_out")]
    if any(n is None for n in n_rows):
        return 0, "The data are read as they come, so there is one untrained draw: how much draws differ is not known."
    each = _pass_operations(model, work.frames) * sum(n or 0 for n in n_rows) / _RATE
    each += draw_seconds(TASKS[work.task], work.frames, sums, names)
    n = min(DRAWS - 1, int(BUDGET / max(each, 1e-9)))
    if n == DRAWS - 1:
        return n, ""
    drawn = "is one untrained draw" if n == 0 else f"are {n + 1} untrained draws"
    unknown = ": how much draws differ is not known" if n == 0 else ""
    return n, f"There {drawn} and not {DRAWS}, since each takes about {math.ceil(each):,} s{unknown}."


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


def _is_same(layer: str, a: Sums, b: Sums) -> bool:
    """Whether two draws put out the same rows at a layer, as they do before their first weight."""
    seconds = [sums.state(layer, SecondState, "twin_train") for sums in (a, b)]
    samples = [(sums.state(layer, SampleState, part) for part in TWIN) for sums in (a, b)]
    arrays = [
        [array for state in states if state is not None for array in (state.settle().ids, *state.table())]
        + ([] if second is None else [second.settle().mean, second.settle().gram])
        for second, states in zip(seconds, samples, strict=True)
    ]
    return len(arrays[0]) == len(arrays[1]) and all(map(np.array_equal, *arrays))


def _reads(work: Preparation, sums: Sums, logistic: Collection[str], known: Collection[str] = ()) -> dict[str, Readout]:
    """What is read of every layer of a draw but those that are known."""
    measures = [without_controls(m) for m in work.measures if m.name == readout.__name__]
    found = {}
    for name in (frame.name for frame in work.frames if frame.name not in known):
        results = results_of(measures, sums.twin_train.get(name, {}), sums.twin_held_out.get(name, {}))
        read = first_of(results.values(), Readout)
        if read is not None:
            found[name] = logistic_of(read, sums, name, TWIN) if name in logistic else read
    return found


def _small(read: Readout) -> Readout:
    """A read-out without its planes: only what it gets right is compared."""
    return replace(
        read, weight=np.zeros((0, read.weight.shape[1])), bias=np.zeros(0), confusion=None, labels=(),
        closed=None if read.closed is None else _small(read.closed),
    )  # fmt: skip
