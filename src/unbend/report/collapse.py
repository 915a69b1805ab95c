"""What a page shows of `Collapse`: the four measures of neural collapse."""

import numpy as np

from unbend.numerics.collapse import Collapse
from unbend.report.sections import NOWHERE, Place, Section, section
from unbend.report.text import Number, in_digits


@section.register
def collapse(result: Collapse, place: Place = NOWHERE) -> Section:
    """The measures; all go to 0 as a network is trained far beyond zero errors."""
    even = ("NC1", result.nc1_even, "variability within classes against between, the classes weighing alike (Papyan)")
    weighted = "NC1 weighted" if np.isfinite(result.nc1_even) else "NC1"
    of_two = len(place.class_names) == 2  # two means are opposite by construction
    said = (
        *([even] if np.isfinite(result.nc1_even) else []),
        (weighted, result.nc1, "the same, every class weighing as many rows as it has"),
        ("NC2 norm", result.nc2_norm, "spread of the class means' distances to the centre"),
        ("NC2 angle", result.nc2_angle, "distance of the cosines between class means from a simplex"),
        ("NC3", result.nc3, "distance between the head and the class means"),
        ("NC4", result.nc4, "share of rows where the head and the nearest class mean disagree"),
    )
    shown = [one for one in said if not (of_two and one[0].startswith("NC2"))]
    return Section(tuple(Number(label, value, in_digits(value), meaning) for label, value, meaning in shown))
