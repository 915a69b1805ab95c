"""What a page shows of `Projections`: two flat views of a layer."""

from unbend._typing import Array
from unbend.numerics.planes import Projections
from unbend.plot.planes import discriminant, pca
from unbend.plot.vector import vector
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import percent

_SIZE = (3.4, 2.9)
_BARE = (0.04, 0.04, 0.04, 0.04)
_CLASSES = 24
_CUT = "Mean ± standard deviation of the points. At most 0.5 % of the points on a side lie outside the picture."


@section.register
def planes(result: Projections, place: Place = NOWHERE) -> Section:
    """The plane of most variance and, for classes, the plane that best tells them apart."""
    n, where = len(result.ids), place.label(place.layer)
    shares = " and ".join(percent(float(v)) for v in result.pca_share)
    first = Picture(
        "Most variance",
        f"PCA axes hold {shares} of the variance.",
        vector(
            lambda ax: pca(ax, result, class_names=place.class_names),
            f"{where}: {n} rows in the plane of most variance",
            size=_SIZE,
            margins=_BARE,
        ),
        _table(result, result.pca, place),
    )
    if result.discriminant is None or not result.discriminant.any():
        return Section(pictures=(first,))
    second = Picture(
        "Best for telling classes apart",
        "Linear discriminants, in units of the spread within classes.",
        vector(
            lambda ax: discriminant(ax, result, class_names=place.class_names),
            f"{where}: the same {n} rows in the plane that best tells the classes apart",
            size=_SIZE,
            margins=_BARE,
        ),
        _table(result, result.discriminant, place),
    )
    return Section(pictures=(second, first))


def _table(result: Projections, points: Array, place: Place) -> Table:
    """Where each class lies, in both parts."""
    rows = []
    parts = ((False, "train"), (True, "held-out"))[: 1 if len(place.class_names) > _CLASSES else 2]
    for i, name in enumerate(place.class_names or ("all rows",)):
        for part, word in parts:
            mine = (result.held_out == part) & ((result.label == i) | (not place.class_names))
            if mine.any():
                middle, spread = points[mine].mean(0), points[mine].std(0)
                both = (f"{m:.3g} ± {s:.2g}" for m, s in zip(middle, spread, strict=True))
                rows.append((name, word, str(int(mine.sum())), *both))
    return Table(("class", "part", "rows", "across", "up"), tuple(rows), _CUT)
