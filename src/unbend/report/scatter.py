"""What a page shows of `Scatter`: how far apart the classes are."""

from unbend.numerics.scatter import Scatter
from unbend.report.sections import NOWHERE, Place, Section, section
from unbend.report.text import Number, headline, in_digits


@section.register
def scatter(result: Scatter, place: Place = NOWHERE) -> Section:
    """The numbers; their course over depth is drawn at the top of the page."""
    said = (
        "tr B / tr W, what many articles plot; it depends on the scale of every unit, falls when one noisy unit is "
        "scaled up and rises in a bottleneck that destroys information"
    )
    ratio = Number("trace ratio", result.trace_ratio, in_digits(result.trace_ratio), said)
    return Section((*headline(result, place.name), ratio))
