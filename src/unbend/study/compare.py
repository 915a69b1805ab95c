"""Two studies side by side: what got better, what got worse, and what is noise.

Layers are matched by name, and between those by position (`match`).
Accuracies on the same held-out rows are compared row by row, others as
independent proportions. "Beyond noise" is held to 95 % over all layers together (Bonferroni), so that a
network of fifty layers does not get two or three verdicts for nothing. It is noise of the held-out rows
only: how another random seed would have trained is not in it, and only `runs.compare_runs` tells.
"""

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from statistics import NormalDist

import numpy as np

from unbend._names import first_few
from unbend._typing import Array, Bool, Float64, Int64
from unbend.errors import DataError
from unbend.numerics.activity import Activity
from unbend.numerics.interval import paired_interval, wilson
from unbend.numerics.readout import Readout, alike
from unbend.numerics.result import result
from unbend.numerics.runs import RunDifference
from unbend.numerics.sample import SampleState
from unbend.numerics.scatter import Scatter
from unbend.numerics.spectrum import Spectrum
from unbend.study.head import Head
from unbend.study.match import matched_by_position, rename
from unbend.study.network_score import right_rows
from unbend.study.values import Finding, Layer, R, Study

LEVEL = 0.95
NOTABLE_SHARE = 0.05
"""A change in silent units is told when it is this share of the layer's units or more."""
NOTABLE_RATIO = 1.5
"""A change in the Fisher value or the effective rank is told when it is by this factor or more."""


@result
class Comparison:
    """A second study against a first one. Changes are second minus first.

    Attributes:
        first: name of the first study.
        second: name of the second one.
        verdict: the outcome in one sentence.
        better: layers that read out better in the second, beyond noise, in sentences.
        worse: layers that read out worse.
        noted: other changes, without a test: silent units, Fisher value, effective rank, data.
        solved: problems and warnings of the first that the second does not have.
        new: those that only the second has.
        layers: layers that both have [l].
        only_first: layers that only the first has.
        only_second: layers that only the second has.
        held_out_first: held-out accuracy (R²) of the read-out [l].
        held_out_second: the same in the second [l].
        change: of the held-out accuracy (R²) [l].
        low: lower end of its 95 % interval [l].
        high: upper end [l].
        is_paired: whether it was measured on the same rows [l].
        is_beyond_noise: whether the interval at 95 % over all layers together leaves out 0 [l].
        fisher_first: debiased Fisher value [l]; NaN for a regression.
        fisher_second: the same in the second [l].
        effective_rank_first: effective rank [l].
        effective_rank_second: the same in the second [l].
        silent_first: silent units [l]; 0 where they are not counted.
        silent_second: the same in the second [l].
        own_first: held-out accuracy (R²) of the first network itself; NaN where unknown.
        own_second: that of the second.
        own_change: their difference.
        own_low: lower end of its 95 % interval; NaN for a regression.
        own_high: upper end.
        by_position: layers matched by their place: name in the second → name in the first, as in `layers`.
        runs: the noise of rows and of seeds, where several runs are compared; None for one study a side.
    """

    first: str
    second: str
    verdict: str
    better: tuple[str, ...]
    worse: tuple[str, ...]
    noted: tuple[str, ...]
    solved: tuple[str, ...]
    new: tuple[str, ...]
    layers: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    held_out_first: Float64[Array, "l"]
    held_out_second: Float64[Array, "l"]
    change: Float64[Array, "l"]
    low: Float64[Array, "l"]
    high: Float64[Array, "l"]
    is_paired: Bool[Array, "l"]
    is_beyond_noise: Bool[Array, "l"]
    fisher_first: Float64[Array, "l"]
    fisher_second: Float64[Array, "l"]
    effective_rank_first: Float64[Array, "l"]
    effective_rank_second: Float64[Array, "l"]
    silent_first: Int64[Array, "l"]
    silent_second: Int64[Array, "l"]
    own_first: float
    own_second: float
    own_change: float
    own_low: float
    own_high: float
    by_position: dict[str, str] = field(default_factory=dict)
    runs: RunDifference | None = None


@result
class Difference:
    """A change of one score, with its interval.

    Attributes:
        change: second minus first.
        low: lower end of the interval at the stated level.
        high: upper end.
        is_paired: whether both were measured on the same rows.
        is_beyond_noise: whether the interval at the stricter level for many layers leaves out 0.
    """

    change: float
    low: float
    high: float
    is_paired: bool
    is_beyond_noise: bool


_NAN = float("nan")
_NOT_KNOWN = Difference(change=_NAN, low=_NAN, high=_NAN, is_paired=False, is_beyond_noise=False)


def compare(first: Study, second: Study) -> Comparison:
    """What changed from one study to another, layer by layer.

    Args:
        first: the study to compare with.
        second: the study whose changes are told.

    Raises:
        DataError: one is of a classification, the other of a regression.

    Cost:
        One pass over the held-out row sample of every layer.
    """
    if first.about.task != second.about.task:
        raise DataError(
            f"compare: expected studies of one task, got {first.about.task} and {second.about.task}. "
            "Accuracy and R² do not compare."
        )
    by_position = matched_by_position(first.layers, second.layers)
    second = rename(second, by_position)
    names = [layer.name for layer in first.layers if layer.name in {x.name for x in second.layers}]
    mine, other = ([study[name] for name in names] for study in (first, second))
    strict = 1 - (1 - LEVEL) / max(len(names), 1)
    found = [_read_out(first, second, name, strict) for name in names]
    own = _own(first, second)
    held_out = [_numbers(side, Readout, lambda r: r.held_out) for side in (mine, other)]
    fisher = [_numbers(side, Scatter, lambda s: s.fisher) for side in (mine, other)]
    rank = [_numbers(side, Spectrum, lambda s: s.effective_rank) for side in (mine, other)]
    counted = [_numbers(side, Activity, lambda a: a.n_silent) for side in (mine, other)]
    silent = [np.nan_to_num(n).astype(np.int64) for n in counted]
    better, worse = (_sentences(names, found, held_out, sign) for sign in (1, -1))
    return Comparison(
        first=_name(first),
        second=_name(second),
        verdict=_verdict(own, better, worse, len(names)),
        better=better,
        worse=worse,
        noted=(*_about(first, second), *_matches(by_position, first, second, names),
               *_silent(mine, silent), *_ratios(names, "Fisher value", fisher, 0.1),
               *_ratios(names, "effective rank", rank, 1.0)),
        solved=_missing(first.findings, second.findings),
        new=_missing(second.findings, first.findings),
        layers=tuple(names),
        only_first=tuple(x.name for x in first.layers if x.name not in names),
        only_second=tuple(x.name for x in second.layers if x.name not in names),
        held_out_first=held_out[0],
        held_out_second=held_out[1],
        change=np.array([d.change for d in found]),
        low=np.array([d.low for d in found]),
        high=np.array([d.high for d in found]),
        is_paired=np.array([d.is_paired for d in found], dtype=bool),
        is_beyond_noise=np.array([d.is_beyond_noise for d in found], dtype=bool),
        fisher_first=fisher[0],
        fisher_second=fisher[1],
        effective_rank_first=rank[0],
        effective_rank_second=rank[1],
        silent_first=silent[0],
        silent_second=silent[1],
        own_first=_own_score(first),
        own_second=_own_score(second),
        own_change=own.change,
        own_low=own.low,
        own_high=own.high,
        by_position=by_position,
    )  # fmt: skip


def _name(study: Study) -> str:
    return f"{study.about.model} on {study.about.data}"


def _numbers(layers: Sequence[Layer], kind: type[R], pick: Callable[[R], float]) -> Float64[Array, "l"]:
    """One number of one Result per layer; NaN where the layer has none."""
    results = (layer.result(kind) for layer in layers)
    return np.array([np.nan if found is None else float(pick(found)) for found in results], dtype=np.float64)


def _read_out(first: Study, second: Study, name: str, strict: float) -> Difference:
    """The change of a layer's held-out read-out."""
    a, b = first[name].result(Readout), second[name].result(Readout)
    if a is None or b is None or not (a.n_held_out and b.n_held_out):
        return _NOT_KNOWN
    a, b = alike(a, b)
    samples = [study.sums.state(name, SampleState, "held_out") for study in (first, second)]
    same, x, y = is_same_rows(*samples), a.correct, b.correct
    if x is None or y is None:
        return _difference_of_r2((a, b), samples, same=same, strict=strict)
    if same and len(x) == len(y):
        return _difference(lambda level: _pair(x, y, level), strict, is_paired=True)
    one, two = ((int(right.sum()), len(right)) for right in (x, y))
    return _difference(lambda level: _independent(one, two, level), strict, is_paired=False)


def _difference(
    interval: Callable[[float], tuple[float, float, float]], strict: float, *, is_paired: bool
) -> Difference:
    change, low, high = interval(LEVEL)
    _, strict_low, strict_high = interval(strict)
    return Difference(
        change=change, low=low, high=high, is_paired=is_paired, is_beyond_noise=bool(strict_low > 0 or strict_high < 0)
    )


def _pair(first: Array, second: Array, level: float) -> tuple[float, float, float]:
    return paired_interval(second, first, level)


def _independent(first: tuple[int, int], second: tuple[int, int], level: float) -> tuple[float, float, float]:
    """Newcombe's square-and-add interval for two independent proportions (1998, method 10)."""
    (s, n), (t, m) = first, second
    p, q = s / n, t / m
    (low, low2), (high, high2) = wilson([s, t], [n, m], level)
    change = q - p
    return change, float(change - np.hypot(q - low2, high - p)), float(change + np.hypot(high2 - q, p - low))


def is_same_rows(a: SampleState | None, b: SampleState | None) -> bool:
    """Whether two held-out samples are the same rows: the same numbers with the same targets.

    Args:
        a: rows of one study.
        b: of another.
    """
    if a is None or b is None:
        return False
    a, b = a.settle(), b.settle()
    if not np.array_equal(a.ids, b.ids):
        return False
    (_, y), (_, z) = a.table(), b.table()
    return y.shape == z.shape and bool((y == z).all())


def _difference_of_r2(
    reads: tuple[Readout, Readout], samples: Sequence[SampleState | None], *, same: bool, strict: float
) -> Difference:
    """The change of R², with the interval of a sum over independent rows."""
    change = reads[1].held_out - reads[0].held_out
    known = [sample for sample in samples if sample is not None]
    if len(known) < len(reads) or not np.isfinite(change):
        return replace(_NOT_KNOWN, change=change)
    lost = [_unexplained_shares(read, sample) for read, sample in zip(reads, known, strict=True)]
    parts = [lost[1] - lost[0]] if same else lost
    error = float(np.sqrt(sum(len(p) * p.var(ddof=1) for p in parts)))

    def interval(level: float) -> tuple[float, float, float]:
        half = NormalDist().inv_cdf((1 + level) / 2) * error
        return change, change - half, change + half

    return _difference(interval, strict, is_paired=same)


def _unexplained_shares(read: Readout, sample: SampleState) -> Float64[Array, "s"]:
    """Each row's share of 1 - R², or of its yes/no labels that are read wrongly over the rows."""
    if read.labels:
        return read.unexplained / read.n_held_out if read.unexplained is not None else np.zeros(0)
    rows, targets = (t.astype(np.float64) for t in sample.table())
    squares = (targets - rows @ read.weight.T - read.bias) ** 2
    return squares.sum(1) / ((targets - targets.mean(0)) ** 2).sum()


def _own_score(study: Study) -> float:
    head = study.result(Head)
    return np.nan if head is None else head.own


def _own(first: Study, second: Study) -> Difference:
    a, b = first.result(Head), second.result(Head)
    if a is None or b is None:
        return _NOT_KNOWN
    change = b.own - a.own
    if first.about.task != "classification" or not (a.n and b.n and np.isfinite(change)):
        return replace(_NOT_KNOWN, change=change)
    (one_sample, x), (other_sample, y) = own_rows(first), own_rows(second)
    if x is not None and y is not None and is_same_rows(one_sample, other_sample):
        return _difference(lambda level: _pair(x, y, level), LEVEL, is_paired=True)
    one, two = ((round(h.own * h.n), h.n) for h in (a, b))
    return _difference(lambda level: _independent(one, two, level), LEVEL, is_paired=False)


def own_rows(study: Study) -> tuple[SampleState | None, Array | None]:
    """The held-out row sample of the network's own output, and which of its rows the network reads rightly."""
    output = next((layer for layer in study.layers if layer.is_output), None)
    if output is None:
        return None, None
    held_out = study.sums.state(output.name, SampleState, "held_out")
    train = study.sums.state(output.name, SampleState)
    if held_out is None:
        return None, None
    right = right_rows(output, held_out, *([] if train is None else [train]))
    return held_out, None if right is None else right[0]


def _sentences(names: list[str], found: list[Difference], held_out: list[Array], sign: int) -> tuple[str, ...]:
    return tuple(
        f"{name}: {a:.3f} → {b:.3f} ({d.change:+.3f}, 95 % interval {d.low:+.3f} to {d.high:+.3f})"
        for name, d, a, b in zip(names, found, *held_out, strict=True)
        if d.is_beyond_noise and d.change * sign > 0
    )


def _verdict(own: Difference, better: tuple[str, ...], worse: tuple[str, ...], n: int) -> str:
    layers = f"{len(better)} of {n} layers read out better and {len(worse)} worse, beyond the noise of these rows."
    if not (better or worse):
        layers = f"None of {n} layers reads out better or worse, beyond the noise of these rows."
    if not np.isfinite(own.change):
        return layers
    how = "beyond the noise of these rows" if own.is_beyond_noise else "no more than the noise of these rows"
    how = how if np.isfinite(own.low) else "without an interval"
    seed = (
        " Another seed often changes as much: compare several runs." if own.is_beyond_noise or better or worse else ""
    )
    return f"The network's own score changes by {own.change:+.3f}, {how}. {layers}{seed}"


def _about(first: Study, second: Study) -> tuple[str, ...]:
    """What makes the studies hard to compare."""
    a, b = first.about, second.about
    pairs = (("data", a.data, b.data), ("class names", a.class_names, b.class_names))
    return tuple(f"The {what} differ: {x!r} and {y!r}." for what, x, y in pairs if x != y)


def _matches(by_position: dict[str, str], first: Study, second: Study, names: list[str]) -> tuple[str, ...]:
    """Which layers are the same under another name, and how many have no match."""
    said = []
    if by_position:
        pairs = [f"{a} is {b}" for b, a in by_position.items()]
        said.append(f"Matched by position: {first_few(pairs)} in the second.")
    left = [len(study.layers) - len(names) for study in (first, second)]
    if any(left):
        said.append(f"Not matched: {left[0]} of the {len(first.layers)} layers of the first, {left[1]} of the "
                    f"{len(second.layers)} of the second.")  # fmt: skip
    return tuple(said)


def _silent(layers: list[Layer], silent: list[Array]) -> tuple[str, ...]:
    return tuple(
        f"{layer.name}: {a} → {b} silent of {layer.view.width} units"
        for layer, a, b in zip(layers, *silent, strict=True)
        if a != b and abs(b - a) >= NOTABLE_SHARE * layer.view.width
    )


def _ratios(names: list[str], what: str, values: list[Array], least: float) -> tuple[str, ...]:
    """Changes by a factor; values below `least` count as that, so that noise around 0 is not told."""
    return tuple(
        f"{name}: {what} {a:.3g} → {b:.3g}"
        for name, a, b in zip(names, *values, strict=True)
        if max(a, b) >= NOTABLE_RATIO * max(min(a, b), least)
    )


def _missing(here: tuple[Finding, ...], there: tuple[Finding, ...]) -> tuple[str, ...]:
    """Titles of problems and warnings of one study that another does not have."""
    known = {(f.rule, f.layer) for f in there}
    bad = (f for f in here if f.severity in ("problem", "warning"))
    return tuple(f.title for f in bad if (f.rule, f.layer) not in known)
