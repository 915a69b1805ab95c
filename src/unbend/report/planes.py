"""What a page shows of `Projections`: two flat views of a layer."""

from typing import Any

import numpy as np

from unbend._shares import percent
from unbend._typing import Array
from unbend.chart.planes import groups, window
from unbend.numerics.planes import Projections
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section

_RATIO = 1.17
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
        view="planes",
        data=_view(result, result.pca, place),
        label=f"{where}: {n} rows in the plane of most variance",
        ratio=_RATIO,
        table=_table(result, result.pca, place),
    )
    if result.discriminant is None or not result.discriminant.any():
        return Section(pictures=(first,))
    is_line = not result.discriminant[:, 1].any()
    second = Picture(
        "Best for telling classes apart",
        "The linear discriminant, in units of the spread within classes; training rows filled, held-out rows drawn."
        if is_line
        else "Linear discriminants, in units of the spread within classes.",
        view="density" if is_line else "planes",
        data=_view(result, result.discriminant, place),
        label=f"{where}: the same {n} rows in the plane that best tells the classes apart",
        ratio=_RATIO,
        table=_table(result, result.discriminant, place),
    )
    return Section(pictures=(second, first))


def _view(result: Projections, points: Array, place: Place) -> dict[str, Any]:
    """The rows as the page draws them."""
    good = np.asarray(np.isfinite(points).all(1))
    low, high = window(points[good])
    return {
        "ids": result.ids,
        "group": groups(result, good, is_classes=bool(place.class_names)),
        "held_out": result.held_out,
        "points": points,
        "low": low.tolist(),
        "high": high.tolist(),
        "is_classes": bool(place.class_names),
    }


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
