"""Studies of different rows added up to the study of all of them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from unbend._shares import percent
from unbend.errors import MergeError
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.study.finish import finish
from unbend.study.fold import add_sums
from unbend.study.prepare import SUBSAMPLED, subsample_note
from unbend.study.split import FAR
from unbend.study.unknown import Unknown
from unbend.study.values import About, Layer, States, Study, Sums, state_of

_OF_NETWORK = ("examination", "worth")
"""Results that only the network itself could give, so that those of the first study stand."""
_EXAMINED = "The network itself was examined on rows of the first of the studies added."
_ONE_DRAW = (
    "Of the studies' untrained draws the first is added; the others are left out, so that their spread is not known."
)
_ALIKE = 1.25
"""Ratio of two shares of rows from which they are told to be unlike."""
_CLOSE = 1e-3
"""Rows this close, relative to their scale, are the same row seen by another machine."""


def merge(first: Study, *others: Study) -> Study:
    """The study of all rows of several studies of one network.

    The sums are added, and every Result and finding is made again from them: merging shards gives what one
    study of all rows gives. Rows that carry the same numbers in different data sets are told apart. A
    held-out set that is the same in all of them is counted once.

    Args:
        first: a study.
        others: studies of the same layers of the same network, on other rows.

    Raises:
        MergeError: the studies are not of the same layers and classes, hold the same training rows, or a
            measure is not registered in this process.

    Cost:
        That of finishing one study; memory of one more.
    """
    about, sums = first.about, first.sums
    _check_known(sums)
    for other in others:
        _check(first, other)
        _check_known(other.sums)
        told = _repetitions(sums, other.sums)
        sums, same_held_out = _total(sums, other.sums)
        about = _about(about, other.about, same_held_out=same_held_out)
        about = replace(about, notes=(*about.notes, *told))
    about = replace(about, notes=_with_shares(about, sums, (first, *others)))
    kept = {name: first.across[name] for name in _OF_NETWORK if name in first.across}
    frames = _bare(first)
    if not others:  # nothing is added, so that what its further draws were read at stands
        frames = [replace(frame, draws=layer.draws) for frame, layer in zip(frames, first.layers, strict=True)]
    elif any(layer.draws for study in (first, *others) for layer in study.layers):
        about = replace(about, notes=(*about.notes, _ONE_DRAW))
    if kept:
        about = replace(about, notes=(*about.notes, _EXAMINED))
    return finish(about, frames, sums, more=kept)


def _repetitions(a: Sums, b: Sums) -> tuple[str, ...]:
    """What to tell of rows that both studies have under other numbers, as far as the row samples show them."""
    pairs = (
        ("training rows are training rows of another study too, and are counted twice", a.train, b.train),
        ("training rows are held-out rows of another study, so that they are not unseen", a.train, b.held_out),
        ("held-out rows are training rows of another study, so that they are not unseen", a.held_out, b.train),
    )
    found = ((_n_equal(mine, other), words) for words, mine, other in pairs)
    return tuple(f"At least {n:,} {words}, if equal rows are the same ones." for n, words in found if n)


def _n_equal(a: States, b: States) -> int:
    """Rows of the first layer's sample of one study that are rows, with the same targets, of another's."""
    mine, other = _sample(a), _sample(b)
    if mine is None or other is None or not (len(mine.ids) and len(other.ids)):
        return 0
    keys = [
        {(row.tobytes(), target.tobytes()) for row, target in zip(*sample.table(), strict=True)}
        for sample in (mine, other)
    ]
    has_few = any(2 * len(unlike) < len(sample.ids) for unlike, sample in zip(keys, (mine, other), strict=True))
    return 0 if has_few else len(keys[0] & keys[1])  # where most rows repeat within a study, equal ones say nothing


def _with_shares(about: About, sums: Sums, studies: Sequence[Study]) -> tuple[str, ...]:
    """The notes, with the share of the rows in second moments as it is of all, and as it is of each study if unlike."""
    kept = tuple(note for note in about.notes if not note.startswith(SUBSAMPLED))
    whole, each = _share(about, sums), [_share(study.about, study.sums) for study in studies]
    if whole < 1:
        kept = (*kept, subsample_note(whole))
    if max(each) > _ALIKE * min(each):
        shares = ", ".join(percent(share) for share in each)
        note = (
            f"The studies weigh unlike in second moments and read-outs: {shares} of their rows are in them. Make them "
            "with exact=True (--exact) to count all rows alike."
        )
        kept = (*kept, note)
    return kept


def _share(about: About, sums: Sums) -> float:
    """Which share of the training rows is in second moments; 1 where there are none."""
    second = state_of(next(iter(sums.train.values()), {}), SecondState)
    n = 0 if second is None else second.settle().n + second.lost
    return n / about.n_train if 0 < n < about.n_train else 1.0


def _check(a: Study, b: Study) -> None:
    for name in ("task", "class_names", "model", "n_parameters"):
        mine, other = getattr(a.about, name), getattr(b.about, name)
        if mine != other:
            raise MergeError(f"{name}: expected one for all studies, got {mine!r} and {other!r}. Use compare.")
    if not _is_same_head(a.sums, b.sums):
        raise MergeError("head: the networks have other weights, so their rows do not add up. Use compare.")
    if a.about.fingerprint and b.about.fingerprint and a.about.fingerprint != b.about.fingerprint:
        raise MergeError("weights: the networks have other weights, so their rows do not add up. Use compare.")
    mine, others = ([_face(layer) for layer in study.layers] for study in (a, b))
    if mine != others:
        odd = next((x[0] for x, y in zip(mine, others, strict=False) if x != y), "the end")
        raise MergeError(
            f"layers: expected the same layers, read the same way; they differ at {odd!r}. "
            "Study the shards with the same `layers`."
        )
    if not (a.sums.train and b.sums.train):
        raise MergeError("sums: a study without its sums cannot be added. Study the data again.")


def _bare(study: Study) -> list[Layer]:
    """The layers without what was measured of them."""
    return [replace(layer, results={}, twin={}, draws=()) for layer in study.layers]


def _face(layer: Layer) -> tuple[Any, ...]:
    """What must be the same for sums to add up; the name first."""
    return layer.name, layer.kind, layer.module, layer.shape, layer.view


def _is_same_head(a: Sums, b: Sums) -> bool:
    pairs = ((a.head_weight, b.head_weight), (a.head_bias, b.head_bias))
    return all(x is y if x is None or y is None else np.array_equal(x, y) for x, y in pairs)


def _check_known(sums: Sums) -> None:
    for state in chain.from_iterable(layer.values() for layer in sums.train.values()):
        if isinstance(state, Unknown):
            raise MergeError(f"sums: {state.name} is not known here. Import its module, then open the files.")


def _about(a: About, b: About, *, same_held_out: bool) -> About:
    return replace(
        a,
        data=_both(a.data, b.data),
        source=_both(a.source, b.source),
        split=_both(a.split, b.split),
        n_train=a.n_train + b.n_train,
        n_held_out=a.n_held_out + (0 if same_held_out else b.n_held_out),
        notes=tuple(dict.fromkeys(a.notes + b.notes)),
        seconds=a.seconds + b.seconds,
    )


def _both(a: str, b: str) -> str:
    return a if b in a.split(" + ") else f"{a} + {b}"


def _total(a: Sums, b: Sums) -> tuple[Sums, bool]:
    """Both sums as one, and whether their held-out rows are the same set."""
    if _overlap(a.train, b.train) == "same":
        raise MergeError("rows: the studies hold the same training rows. Merge each row once.")
    held_out = _overlap(a.held_out, b.held_out)
    if held_out == "same" and not np.array_equal(_ids(a.held_out), _ids(b.held_out)):
        raise MergeError("rows: the held-out sets share some rows, not all. Hold out the same, or others.")
    if "clash" in (_overlap(a.train, b.train), held_out) or _crosses(a, b):
        b = _renumber(b, *_counts(a))
    same, twins = held_out == "same", bool(a.twin_train and b.twin_train)
    whole = replace(
        a,
        train=add_sums(a.train, b.train),
        held_out=a.held_out if same else add_sums(a.held_out, b.held_out),
        twin_train=add_sums(a.twin_train, b.twin_train) if twins else {},
        twin_held_out=a.twin_held_out if same else add_sums(a.twin_held_out, b.twin_held_out),
        gradient=add_sums(a.gradient, b.gradient),
    )
    return (whole if twins else replace(whole, twin_held_out={})), same


def _sample(part: States) -> SampleState | None:
    """The row sample of the first layer that has one."""
    found = (state_of(states, SampleState) for states in part.values())
    first = next((sample for sample in found if sample is not None), None)
    return None if first is None else first.settle()


def _ids(part: States) -> np.ndarray:
    sample = _sample(part)
    return np.zeros(0, np.int64) if sample is None else sample.ids


def _crosses(a: Sums, b: Sums) -> bool:
    """Whether a row number is a training row in one and a held-out row in the other."""
    pairs = ((a.train, b.held_out), (a.held_out, b.train))
    return any(len(np.intersect1d(_ids(x), _ids(y))) for x, y in pairs)


def _overlap(a: States, b: States) -> str:
    """`apart`: no row number in common; `same`: the same rows behind them; `clash`: others."""
    mine, other = _sample(a), _sample(b)
    if mine is None or other is None:
        return "apart"
    _, i, j = np.intersect1d(mine.ids, other.ids, return_indices=True)
    if not len(i):
        return "apart"
    (x, y), (u, v) = ((t.astype(np.float64) for t in s.table()) for s in (mine, other))
    scale = float(np.abs(x[i]).max(initial=0.0))
    near = np.allclose(x[i], u[j], rtol=_CLOSE, atol=_CLOSE * scale, equal_nan=True)
    return "same" if near and np.array_equal(y[i], v[j]) else "clash"


def _counts(sums: Sums) -> tuple[int, int]:
    """The first free row number of a study: beside the training rows, and beside a held-out set of its own."""
    ids = np.concatenate([_ids(sums.train), _ids(sums.held_out)])
    near, far = ids[ids < FAR], ids[ids >= FAR]
    return 1 + int(near.max(initial=-1)), 1 + int((far - FAR).max(initial=-1))


def _renumber(sums: Sums, near: int, far: int) -> Sums:
    """The same with row numbers moved up; the hashes stay, so that both samples are equally deep."""

    def move(state: Any) -> Any:
        if not isinstance(state, SampleState):
            return state
        return replace(state, ids=state.ids + np.where(state.ids < FAR, near, far))

    def move_all(part: States) -> States:
        return {layer: {name: move(s) for name, s in states.items()} for layer, states in part.items()}

    return replace(
        sums,
        train=move_all(sums.train),
        held_out=move_all(sums.held_out),
        twin_train=move_all(sums.twin_train),
        twin_held_out=move_all(sums.twin_held_out),
    )
