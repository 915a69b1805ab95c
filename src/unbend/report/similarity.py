"""What a page shows of `Similarity`: which layers say the same."""

import numpy as np

from unbend.chart.matrix import likeness_shade
from unbend.numerics.similarity import Similarity
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import NONE


@section.register
def similarity(result: Similarity, place: Place = NOWHERE) -> Section:
    """The heat map of debiased CKA."""
    labels = [place.label(name) for name in result.layers]
    n = len(labels)
    rows = tuple((labels[i], *(f"{v:.2f}" if np.isfinite(v) else NONE for v in result.cka[i])) for i in range(n))
    picture = Picture(
        "Which layers say the same",
        f"Debiased linear CKA on {result.n:,} rows: 1 is the same up to rotation and scale, 0 unrelated.",
        view="similarity",
        data={"layers": place.positions(result.layers), "cka": result.cka, "shade": likeness_shade(result)},
        label=f"Similarity of {n} layers, from {np.nanmin(result.cka):.2f} to 1"
        if np.isfinite(result.cka).any()
        else f"Similarity of {n} layers: too few rows",
        ratio=1.0,
        table=Table(("", *labels), rows),
        size="medium",
    )
    return Section(pictures=(picture,))
