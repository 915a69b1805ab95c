"""What a page shows of `Gradients`: how far learning reaches."""

import numpy as np

from unbend.numerics.gradient import Gradients
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import in_digits

_FOLD = 4.0


@section.register
def gradients(result: Gradients, place: Place = NOWHERE) -> Section:
    """The norm of the loss gradient at each layer."""
    labels = [place.label(name) for name in result.layers]
    said = _change_words(result.orders_lost)
    picture = Picture(
        "How far learning reaches",
        f"Norm of the loss gradient at each layer, log scale.{said}",
        view="gradient",
        data={"layers": place.positions(result.layers), "norm": result.norm},
        label=f"Gradient norm through {len(labels)} layers.{said}",
        table=Table(
            ("layer", "gradient norm"),
            tuple((label, in_digits(float(v))) for label, v in zip(labels, result.norm, strict=True)),
            f"Root mean square over {result.n:,} samples.",
        ),
        size="medium",
    )
    return Section(pictures=(picture,))


def _change_words(lost: float) -> str:
    """How much the gradient changes on its way back."""
    if not np.isfinite(lost):
        return ""
    verb = "shrinks" if lost > 0 else "grows"
    if abs(lost) > _FOLD:
        return f" On its way back it {verb} by {abs(lost):.0f} orders of magnitude."
    return f" On its way back it {verb} {in_digits(float(10 ** abs(lost)))}-fold."
