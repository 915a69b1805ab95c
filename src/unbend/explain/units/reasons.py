"""What is most remarkable about a unit, and which units are the most remarkable.

In: `Units` of a layer, the examples. Out: a `Reason` for each unit, and their order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
"""From this share of its variance on a unit is called one of a class."""
_FEWEST = 4


@result
class Reason:
    """What is remarkable about a unit.

    Attributes:
        kind: silent, copy, column, word or class.
        strength: between 0 and 1.
        words: the same in words.
    """

    kind: str
    strength: float
    words: str


_TURNS = {"word": 0, "column": 1, "copy": 2, "class": 3, "silent": 4}
"""Which reason is told where there are several: the most specific one, and silence where there is nothing else."""


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
    told = tuple(_reason(found, j, shown, class_names, texts) for j in range(len(found.rate)))
    keys = [(_TURNS[r.kind], -r.strength) if r is not None else (_TURNS["class"], -float(found.selectivity[j]))
            for j, r in enumerate(told)]  # fmt: skip
    return told, np.array(sorted(range(len(told)), key=keys.__getitem__), dtype=np.int64)


def _reason(found: Units, j: int, shown: Examples, names: Sequence[str], texts: TokenRows | None) -> Reason | None:
    if found.strongest.value[j, 0] == found.weakest.value[j, 0]:
        return Reason(kind="silent", strength=1.0, words=f"always {found.strongest.value[j, 0]:.3g}")
    candidates = (_word(found, j, shown, texts), _column(found, j, shown), _copy(found, j), _class(found, j, names))
    return next((one for one in candidates if one is not None), None)


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
    column = int(found.column[j])
    where = f"column {column}"
    if shown.form == "image" and shown.x.shape[3] == 1:
        where = f"the pixel in row {column // shown.x.shape[2]}, column {column % shown.x.shape[2]}"
    return Reason(kind="column", strength=abs(r), words=f"{where} (r = {r:.2f})")


def _copy(found: Units, j: int) -> Reason | None:
    r = float(found.copy_r[j])
    if found.copy[j] < 0 or abs(r) < COPY:
        return None
    word = "a copy" if r > 0 else "the mirror image"
    return Reason(kind="copy", strength=abs(r), words=f"{word} of unit {found.copy[j]} (r = {r:.3f})")


def _class(found: Units, j: int, names: Sequence[str]) -> Reason | None:
    if found.selectivity[j] < CLASS:
        return None
    side = "high" if found.contrast[j] > 0 else "low"
    name = names[found.best_class[j]]
    return Reason(
        kind="class", strength=float(found.selectivity[j]),
        words=f"{side} for class {name}; the classes explain {percent(found.selectivity[j])} of it",
    )  # fmt: skip
