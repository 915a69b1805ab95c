"""What is most remarkable about a unit, and which units are the most remarkable.

In: `Units` of a layer, the examples. Out: a `Reason` for each unit, and their order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unbend._shares import percent
from unbend._typing import Array, Float64, Int64
from unbend.explain.units.examples import Examples
from unbend.numerics.result import result
from unbend.numerics.units import Units

COPY = 0.98
"""From this correlation on two units are called copies,"""
COLUMN = 0.9
"""and a unit is called one of a column of the input."""
WORD = 0.75
"""From this share on of its strongest rows in which the same word stands where it fired, a unit may be one of it,"""
GOES_WITH = 0.8
"""and that goes with the word to this correlation over the row sample."""
CLASS = 0.5
"""From this share of its variance on that one class against all others explains, a unit is called one of that class."""
_FEWEST = 4


@result
class Reason:
    """What is remarkable about a unit.

    Attributes:
        kind: silent, copy, column, word or class.
        strength: between 0 and 1.
        words: the same in words.
        copy: the unit that it is a copy of, whatever its kind; -1 for none.
    """

    kind: str
    strength: float
    words: str
    copy: int = -1


_TURNS = {"word": 0, "column": 1, "copy": 2, "class": 3, "none": 4, "silent": 5}
"""Which reason comes first where there are several: the most specific one. Units with none stand before silent ones."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """Token numbers of some rows, and what the units of a layer answer to them.

    Attributes:
        tokens: of each row [s, t].
        answers: of each unit [s, d].
        words: from the number of a token to its word; None for numbers.
    """

    tokens: Int64[Array, "s t"]
    answers: Float64[Array, "s d"]
    words: Callable[[int], str] | None

    def r(self, token: int, unit: int) -> float:
        """The correlation of a unit with whether a token is in the row."""
        here = (self.tokens == token).any(1)
        answer = self.answers[:, unit]
        return float(np.corrcoef(here, answer)[0, 1]) if 0 < here.sum() < len(here) and np.ptp(answer) else 0.0


def reasons(
    found: Units, shown: Examples, class_names: Sequence[str], texts: TokenRows | None
) -> tuple[tuple[Reason | None, ...], Int64[Array, "d"]]:
    """For every unit what is most remarkable about it, and the units by kind of reason and its strength.

    Args:
        found: of a layer.
        shown: the rows that are named.
        class_names: of the classes.
        texts: rows of token numbers; None where the input is something else.
    """
    of_class = class_shares(found)
    told = tuple(_reason(found, j, shown, class_names, texts, of_class) for j in range(len(found.rate)))
    keys = [(_TURNS[r.kind], -r.strength) if r is not None else (_TURNS["none"], -float(of_class[j]))
            for j, r in enumerate(told)]  # fmt: skip
    return told, np.array(sorted(range(len(told)), key=keys.__getitem__), dtype=np.int64)


def class_shares(found: Units) -> Float64[Array, "d"]:
    """The share of a unit's variance that its best class against all other rows explains.

    The share of all classes together is no measure of one: ten classes explain half of nearly any trained unit.
    """
    n, mean = found.class_n.astype(np.float64)[:, None], np.nan_to_num(found.mean)
    centre = (n * mean).sum(0) / max(found.n, 1)
    between = (n * (mean - centre) ** 2).sum(0)
    whole = between + (n * np.nan_to_num(found.spread) ** 2).sum(0)
    of_best = found.class_n[found.best_class].astype(np.float64)
    gap = np.take_along_axis(mean, found.best_class[None], 0)[0] - centre
    alone = gap**2 * of_best * found.n / np.maximum(found.n - of_best, 1)
    return np.where(found.selectivity > 0, alone / np.where(whole > 0, whole, np.inf), 0.0).clip(0, 1)


def _reason(
    found: Units, j: int, shown: Examples, names: Sequence[str], texts: TokenRows | None,
    of_class: Float64[Array, "d"],
) -> Reason | None:  # fmt: skip
    if found.strongest.value[j, 0] == found.weakest.value[j, 0]:
        return Reason(kind="silent", strength=1.0, words=f"always {found.strongest.value[j, 0]:.3g}")
    copy, of_one = _copy(found, j), _class(found, j, names, of_class)
    candidates = (_word(found, j, shown, texts), _column(found, j, shown), copy, of_one)
    first = next((one for one in candidates if one is not None), None)
    besides = of_one if first is copy else copy
    if first is None or besides is None:
        return first
    return replace(first, words=f"{first.words}, and {besides.words}", copy=max(first.copy, besides.copy))


def _word(found: Units, j: int, shown: Examples, texts: TokenRows | None) -> Reason | None:
    """The same token where it fired in most of its strongest rows, with which the unit goes over other rows too."""
    ids, place = found.strongest.ids[j], found.strongest.place[j]
    kept = ids >= 0
    if texts is None or kept.sum() < _FEWEST:
        return None
    at, place = shown.at(ids[kept]), place[kept]
    if place.max() >= shown.x.shape[1] or not found.strongest.place.any():
        return None
    fired = shown.x[at, place]
    numbers, counts = np.unique(fired, return_counts=True)
    share = counts.max() / len(fired)
    if share < WORD:
        return None
    number = int(numbers[counts.argmax()])
    r = texts.r(number, j)
    if r < GOES_WITH:
        return None
    word = f"token {number}" if texts.words is None else f"the word \u201c{texts.words(number)}\u201d"
    return Reason(
        kind="word", strength=r, words=f"{word}, in {counts.max()} of its {len(fired)} strongest rows (r = {r:.2f})"
    )


def _column(found: Units, j: int, shown: Examples) -> Reason | None:
    r = float(found.column_r[j])
    if found.column[j] < 0 or abs(r) < COLUMN:
        return None
    return Reason(kind="column", strength=abs(r), words=f"{shown.column(int(found.column[j]))} (r = {r:.2f})")


def _copy(found: Units, j: int) -> Reason | None:
    r = float(found.copy_r[j])
    if found.copy[j] < 0 or abs(r) < COPY:
        return None
    word = "a copy" if r > 0 else "the mirror image"
    other = int(found.copy[j])
    return Reason(kind="copy", strength=abs(r), words=f"{word} of unit {other} (r = {r:.3f})", copy=other)


def _class(found: Units, j: int, names: Sequence[str], of_class: Float64[Array, "d"]) -> Reason | None:
    if of_class[j] < CLASS:
        return None
    side = "high" if found.contrast[j] > 0 else "low"
    name = names[found.best_class[j]]
    told = f"{side} for class {name}, which explains {percent(of_class[j])} of it"
    return Reason(kind="class", strength=float(of_class[j]), words=told)
