"""What a page shows of a `Worth`: what it costs to leave out each layer."""

from unbend._shares import percent
from unbend.report.sections import NOWHERE, Place, Section, Table, section
from unbend.study.worth import Worth, points

_WAYS = {"skip": "skipped", "mean": "at its mean", "matrix": "one matrix in its place"}


@section.register
def worth(result: Worth, place: Place = NOWHERE) -> Section:
    """A table, a line for each layer or run of layers."""
    rows = tuple(
        (", ".join(place.label(name) for name in one.layers), _WAYS[one.way], points(one.cost))
        for one in result.costs
    )  # fmt: skip
    note = (
        f"Held-out accuracy that it costs, with 95 % intervals paired by row, on {result.n:,} rows; "
        f"{percent(result.accuracy)} of them are right as the network is. A run of layers may have been judged on "
        "fewer."
    )
    return Section(tables=(("What it costs to leave out layers", Table(("layers", "change", "cost"), rows, note)),))
