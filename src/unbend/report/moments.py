"""What a page shows of `Moments`: mean and range of every unit."""

from dataclasses import asdict

import numpy as np

from unbend.chart.moments import unit_ranges
from unbend.numerics.moments import Moments
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import headline, in_digits

_ALL, _SOME = 64, 24


@section.register
def moments(result: Moments, place: Place = NOWHERE) -> Section:
    """The units by rising mean."""
    d = len(result.mean)
    listed = np.arange(d) if d <= _ALL else np.unique(np.linspace(0, d - 1, _SOME).astype(int))
    columns = (result.mean, result.std, result.low, result.high)
    rows = tuple((str(i), *(in_digits(float(c[i])) for c in columns)) for i in np.argsort(result.mean)[listed])
    picture = Picture(
        "Mean and range of units",
        "Mean, ± one standard deviation, least and greatest value.",
        view="moments",
        data=asdict(unit_ranges(result)),
        label=f"{place.label(place.layer)}: mean and range of {d} units",
        ratio=1.7,
        table=Table(
            ("unit", "mean", "std", "least", "greatest"),
            rows,
            "" if d <= _ALL else f"{len(rows)} of {d:,} units, evenly spaced by mean.",
        ),
    )
    return Section(headline(result, place.name), (picture,))
