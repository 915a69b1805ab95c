"""Several training runs against several others: what a change did beyond what another seed does.

In: saved studies of runs that differ in their seed only, on each side. Out: a `Comparison` whose changes are between
the means of both sides, and whose intervals hold for other rows and other seeds.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unbend._typing import Array, Float64
from unbend.errors import DataError
from unbend.numerics.readout import Readout
from unbend.numerics.runs import RunDifference, between_runs
from unbend.numerics.sample import SampleState
from unbend.study.compare import Comparison, compare, is_same_rows, own_rows
from unbend.study.depth import shares_of
from unbend.study.values import Study

_NAN = np.full(1, np.nan)
_NOT_KNOWN = RunDifference(
    n_first=0, n_second=0, n=0, level=0.95, first=_NAN, second=_NAN, change=_NAN, rows=_NAN, seeds=_NAN, error=_NAN,
    low=_NAN, high=_NAN, knows_seeds=False, is_beyond_rows=np.zeros(1, bool), is_beyond_noise=np.zeros(1, bool),
)  # fmt: skip


def compare_runs(first: Sequence[Study], second: Sequence[Study]) -> Comparison:
    """What changed from one group of runs to another, layer by layer, beyond the noise of rows and of seeds.

    All runs must be scored on the same held-out rows. What has no test (Fisher value, effective rank, silent units,
    findings) is that of the first study of each side.

    Args:
        first: studies of runs under several seeds, to compare with.
        second: studies of runs of what was changed, under several seeds.

    Raises:
        DataError: no study on a side, studies of other tasks or other held-out rows, no layer that all of them have.

    Cost:
        That of `compare`, and a table of runs, layers and rows.
    """
    studies = [*first, *second]
    if not (first and second):
        raise DataError("compare: expected a study on each side. Pass at least one run before and one after.")
    for study in studies[1:]:
        if study.about.task != studies[0].about.task:
            raise DataError(f"compare: expected studies of one task, got {studies[0].about.task} and "
                            f"{study.about.task}. Accuracy and R² do not compare.")  # fmt: skip
    base = compare(first[0], second[0])
    names = [name for name in base.layers if all(_has(study, name) for study in studies)]
    _check_rows(names, studies)
    tables = [_shares(name, studies) for name in names]
    known = [name for name, table in zip(names, tables, strict=True) if table is not None]
    kept = [table for table in tables if table is not None]
    if not kept:
        raise DataError(
            "compare: no layer of all runs was read on the same held-out rows. Hold out rows of each class."
        )
    runs = np.array(kept).swapaxes(0, 1)
    found = between_runs(runs[: len(first)], runs[len(first) :])
    own = _own(studies, len(first))
    return _merge(base, known, found, own)


def _has(study: Study, name: str) -> bool:
    return any(layer.name == name and layer.result(Readout) is not None for layer in study.layers)


def _check_rows(names: Sequence[str], studies: Sequence[Study]) -> None:
    """Refuse runs that were scored on other held-out rows: their noises could not be told apart."""
    for name in names:
        samples = [study.sums.state(name, SampleState, "held_out") for study in studies]
        if not all(is_same_rows(samples[0], sample) for sample in samples[1:]):
            raise DataError(
                f"compare: {name}: the runs were scored on other held-out rows. Study all on the same ones."
            )


def _shares(name: str, studies: Sequence[Study]) -> Float64[Array, "s n"] | None:
    """Of each study and row, the row's share of a layer's score, all by the same reader; None where it is not known."""
    reads = [read for study in studies if (read := study[name].result(Readout)) is not None]
    if len({read.reader for read in reads}) > 1:
        reads = [read.closed or read for read in reads]
    shares = [shares_of(read) for read in reads]
    known = [share for share in shares if share is not None]
    is_alike = len(known) == len(studies) and len({len(share) for share in known}) == 1
    return np.array(known) if is_alike else None


def _own(studies: Sequence[Study], n_first: int) -> RunDifference | None:
    """The same of the networks' own output; None where it is not known by rows."""
    right = [own_rows(study)[1] for study in studies]
    known = [np.asarray(rows, np.float64)[None] for rows in right if rows is not None]
    if len(known) < len(studies) or len({rows.shape for rows in known}) > 1:
        return None
    return between_runs(np.array(known[:n_first]), np.array(known[n_first:]))


def _merge(base: Comparison, names: Sequence[str], found: RunDifference, own: RunDifference | None) -> Comparison:
    """The comparison of the first studies, with the changes between the runs in their place."""
    at = [base.layers.index(name) for name in names]
    beyond = found.is_beyond_noise if found.knows_seeds else found.is_beyond_rows
    better, worse = (
        tuple(_sentence(name, found, i) for i, name in enumerate(names) if beyond[i] and found.change[i] * sign > 0)
        for sign in (1, -1)
    )
    told = own or _NOT_KNOWN
    return replace(
        base,
        first=f"{base.first} ({_count(found.n_first)})",
        second=f"{base.second} ({_count(found.n_second)})",
        verdict=_verdict(found, own, len(better), len(worse)),
        better=better,
        worse=worse,
        layers=tuple(names),
        held_out_first=found.first,
        held_out_second=found.second,
        change=found.change,
        low=found.low,
        high=found.high,
        is_paired=np.ones(len(names), bool),
        is_beyond_noise=beyond,
        fisher_first=base.fisher_first[at],
        fisher_second=base.fisher_second[at],
        effective_rank_first=base.effective_rank_first[at],
        effective_rank_second=base.effective_rank_second[at],
        silent_first=base.silent_first[at],
        silent_second=base.silent_second[at],
        own_first=float(told.first[0]),
        own_second=float(told.second[0]),
        own_change=float(told.change[0]),
        own_low=float(told.low[0]),
        own_high=float(told.high[0]),
        runs=found,
    )


def _sentence(name: str, found: RunDifference, i: int) -> str:
    return (
        f"{name}: {found.first[i]:.3f} → {found.second[i]:.3f} ({found.change[i]:+.3f}, 95 % interval "
        f"{found.low[i]:+.3f} to {found.high[i]:+.3f})"
    )


def _verdict(found: RunDifference, own: RunDifference | None, n_better: int, n_worse: int) -> str:
    noise = "the noise of rows and seeds" if found.knows_seeds else "the noise of these rows"
    n = len(found.change)
    layers = f"{n_better} of {n} layers read out better and {n_worse} worse, beyond {noise}."
    if not (n_better or n_worse):
        layers = f"None of {n} layers is shown to read out better or worse, beyond {noise}."
    unknown = "" if found.knows_seeds else " How much seeds differ is not known: it takes two runs on each side."
    if own is None:
        return f"{layers}{unknown}"
    is_beyond = own.is_beyond_noise[0] if own.knows_seeds else own.is_beyond_rows[0]
    how = f"beyond {noise}" if is_beyond else f"no more than {noise}"
    return (
        f"From {_count(found.n_first)} to {_count(found.n_second)} the network's own score changes by "
        f"{own.change[0]:+.3f} (95 % interval {own.low[0]:+.3f} to {own.high[0]:+.3f}), {how}. {layers}{unknown}"
    )


def _count(n: int) -> str:
    return f"{n} run{'s' if n > 1 else ''}"
