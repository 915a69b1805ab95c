"""What a page shows of `Readout`: how much a linear read-out gets right, and what it takes for what."""

from dataclasses import replace
from typing import Any

import numpy as np

from unbend._shares import percent
from unbend._typing import Array
from unbend.chart.matrix import mistake_shade, mistake_share
from unbend.numerics.readout import Readout
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import headline

_LISTED = 24


@section.register
def readout(result: Readout, place: Place = NOWHERE) -> Section:
    """The accuracies, and the mistakes on held-out rows."""
    first, *rest = headline(result, place.name)
    low, high = result.held_out_interval
    if np.isfinite(low):
        first = replace(first, aside=f"{100 * low:.1f} to {100 * high:.1f}")
    numbers = (first, *rest)
    if result.labels:
        return Section(numbers, (), (("labels", _of_labels(result, place.label_names)),))
    if result.confusion is None or not result.confusion.sum():
        return Section(numbers)
    names = place.class_names or tuple(map(str, range(len(result.confusion))))
    wrong = int(result.confusion.sum() - np.trace(result.confusion))
    picture = Picture(
        "Mistakes of the read-out",
        f"{wrong:,} of {result.n_held_out:,} held-out rows; the true class down, what it was read as across.",
        view="confusion",
        data=_mistakes(result.confusion),
        label=f"{place.label(place.layer)}: {wrong} of {result.n_held_out} held-out rows read as another class",
        ratio=1.15,
        table=_table(result.confusion, names),
    )
    return Section(numbers, (picture,))


def _mistakes(confusion: Array) -> dict[str, Any]:
    """Every mistake that was made; of a thousand classes most pairs have none."""
    share = mistake_share(confusion)
    row, column = np.nonzero(share)
    return {
        "row": row,
        "column": column,
        "count": confusion[row, column],
        "share": share[row, column],
        "shade": mistake_shade(share)[row, column],
        "n_classes": len(confusion),
    }


def _of_labels(result: Readout, names: tuple[str, ...]) -> Table:
    """The read-out of each yes/no label beside its base rate."""
    names = names if len(names) == len(result.labels) else tuple(map(str, range(len(result.labels))))
    rows = tuple(
        (name, *map(percent, (r.held_out, r.majority, r.balanced, r.precision, r.control_held_out)))
        for name, r in zip(names, result.labels, strict=True)
    )
    head = ("label", "held-out", "base rate", "balanced", "average precision", "permuted, held-out")
    return Table(head, rows, "A read-out of each label by itself; the base rate is that of the more frequent answer.")


def _table(confusion: Array, names: tuple[str, ...]) -> Table:
    """The pairs most often confused."""
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(off, axis=None, kind="stable")[::-1][:_LISTED]
    pairs = [divmod(int(i), off.shape[1]) for i in order]
    rows = tuple(
        (names[i], names[j], str(off[i, j]), percent(off[i, j] / confusion[i].sum())) for i, j in pairs if off[i, j]
    )
    return Table(("true class", "read as", "rows", "of the class"), rows, "The most frequent mistakes.")
