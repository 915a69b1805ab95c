"""What a page shows of `Histogram`: the distribution of a layer's values."""

from dataclasses import asdict

import numpy as np

from unbend._shares import percent, small_percent
from unbend.chart.histogram import bars
from unbend.numerics.histogram import Histogram
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import Number, in_digits


@section.register
def histogram(result: Histogram, place: Place = NOWHERE) -> Section:
    """The bars on a signed logarithmic axis."""
    shown = bars(result)
    picture = Picture(
        "Values",
        "Signed log scale, four bars an octave; exact zeros stand between the signs.",
        view="histogram",
        data=asdict(shown),
        label=f"{place.label(place.layer)}: distribution of values, {percent(shown.zero)} exactly zero",
        ratio=1.7,
        table=_table(result),
    )
    said = "values that are NaN or infinite, among those in the histogram"
    bad = (Number("not finite", float(result.nonfinite), in_digits(result.nonfinite), said),)
    return Section(bad if result.nonfinite else (), (picture,))


def _table(result: Histogram) -> Table:
    """Counts per decade, from the most negative to the most positive."""
    counts: dict[tuple[int, int], int] = {}
    for low, high, count in zip(result.edges[:-1], result.edges[1:], result.counts, strict=True):
        if count and (low >= 0 or high <= 0):
            sign, near = (-1, -high) if high <= 0 else (1, low)
            key = sign, int(np.floor(np.log10(max(near, 1e-45)) + 1e-9))
            counts[key] = counts.get(key, 0) + int(count)
    total = max(sum(counts.values()) + result.zeros, 1)
    keys = sorted(counts, key=lambda key: key[0] * (key[1] + 100))
    rows = [(_decade(*key), counts[key]) for key in keys]
    rows.insert(sum(sign < 0 for sign, _ in keys), ("exactly 0", result.zeros))
    return Table(
        ("magnitude", "values", "share"),
        tuple((words, f"{count:,}", small_percent(count / total)) for words, count in rows if count),
    )


def _decade(sign: int, power: int) -> str:
    mark = "−" if sign < 0 else ""
    return f"{mark}1e{power} to {mark}1e{power + 1}"
