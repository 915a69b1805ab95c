"""What a page shows of `Spectrum`: how many directions a layer uses."""

from dataclasses import asdict

import numpy as np

from unbend._shares import percent, small_percent
from unbend.chart.spectrum import spectrum_curve
from unbend.numerics.spectrum import Spectrum
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import Number, headline, in_digits

_LISTED = 12
_FEW = 10


@section.register
def spectrum(result: Spectrum, place: Place = NOWHERE) -> Section:
    """The curve of eigenvalues with the effective rank."""
    d = len(result.values)
    share = result.values / max(float(result.values.sum()), np.finfo(float).tiny)
    rows = tuple(
        (str(i + 1), small_percent(float(share[i])), percent(float(share[: i + 1].sum())))
        for i in range(min(d, _LISTED))
    )
    few = result.rows_per_unit < _FEW
    picture = Picture(
        "Spectrum",
        "Variance along each principal direction."
        + (" Fewer than 10 rows per unit: the rank is an underestimate." if few else ""),
        view="spectrum",
        data=asdict(spectrum_curve(result)),
        label=f"{place.label(place.layer)}: covariance spectrum, effective rank {result.effective_rank:.3g} of {d}",
        ratio=1.7,
        table=Table(("direction", "share", "in all"), rows, f"First {len(rows)} of {d} directions."),
    )
    ratio = result.participation_unbiased
    said = "participation ratio (Σλ)²/Σλ² with the sample bias removed: directions in use, small ones counting less"
    return Section((*headline(result, place.name), Number("participation", ratio, in_digits(ratio), said)), (picture,))
