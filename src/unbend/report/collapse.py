"""What a page shows of `Collapse`: the four measures of neural collapse."""

from unbend.numerics.collapse import Collapse
from unbend.report.sections import NOWHERE, Place, Section, section
from unbend.report.text import Number, in_digits


@section.register
def collapse(result: Collapse, place: Place = NOWHERE) -> Section:
    """The four numbers; all go to 0 as a network is trained far beyond zero errors."""
    del place
    said = (
        ("NC1", result.nc1, "variability within classes against between"),
        ("NC2 norm", result.nc2_norm, "spread of the class means' distances to the centre"),
        ("NC2 angle", result.nc2_angle, "distance of the cosines between class means from a simplex"),
        ("NC3", result.nc3, "distance between the head and the class means"),
        ("NC4", result.nc4, "share of rows where the head and the nearest class mean disagree"),
    )
    return Section(tuple(Number(label, value, in_digits(value), meaning) for label, value, meaning in said))
