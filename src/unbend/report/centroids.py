"""What a page shows of `Centroids`: the units that answer to one class."""

import numpy as np

from unbend.numerics.centroids import Centroids
from unbend.report.sections import NOWHERE, Place, Section, Table, section
from unbend.report.text import in_digits

_LISTED = 12


@section.register
def centroids(result: Centroids, place: Place = NOWHERE) -> Section:
    """The most selective units, each with its class."""
    seen = np.flatnonzero(result.n > 0)
    if len(seen) < 2 or not result.selectivity.any():
        return Section()
    names = place.class_names or tuple(map(str, range(len(result.n))))
    order = np.argsort(-result.selectivity, kind="stable")[:_LISTED]
    best = seen[result.mean[seen].argmax(0)]
    rows = tuple(
        (str(u), in_digits(float(result.selectivity[u])), names[best[u]], in_digits(float(result.mean[best[u], u])))
        for u in order
    )
    note = "The units that tell one class most clearly from the others; 1 is a unit that answers to it alone."
    head = ("unit", "selectivity", "class it answers to", "its mean there")
    return Section(tables=(("Units that answer to one class", Table(head, rows, note)),))
