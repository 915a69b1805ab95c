"""What a page shows of `Activity`: every unit of a layer, and which are silent."""

import numpy as np

from unbend.numerics.activity import Activity
from unbend.plot.activity import VERDICTS, grid_width
from unbend.plot.activity import activity as strip
from unbend.plot.vector import vector
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import headline, in_digits, percent
from unbend.study.silence import bound_in_words

_ALL = 64
_RATIO = 6.0


@section.register
def activity(result: Activity, place: Place = NOWHERE) -> Section:
    """The strip of units; of a layer that is no activation, only how many units are silent, if any."""
    numbers = headline(result, place.name)
    if not result.is_judged:
        return Section(tuple(n for n in numbers if n.label == "silent" and n.value))
    d = len(result.score)
    counts = {
        "silent": result.n_silent,
        "saturated": result.n_saturated,
        "dormant": result.n_dormant - result.n_silent,
        **({"always on": int(result.always_on.sum())} if result.is_rectifier else {}),
    }
    label = f"{place.label(place.layer)}: activity of {d} units; " + ", ".join(f"{n} {w}" for w, n in counts.items())
    caption = f"{d:,} units, row by row; the fuller the more active." + (
        f" {bound_in_words(result)}" if result.n_silent else ""
    )
    picture = Picture(
        "Units",
        caption,
        vector(lambda ax: strip(ax, result), label, size=_size(d), margins=(0.02, 0.02, 0.02, 0.02)),
        _table(result),
        tuple((word.split()[0], f"{n:,} {word}") for word, n in counts.items() if n),
        "wide",
    )
    return Section(numbers, (picture,))


def _size(d: int) -> tuple[float, float]:
    """Inches of the strip, cells about square."""
    rows = -(-d // grid_width(d, ratio=_RATIO))
    return 7.0, float(np.clip(7.0 / grid_width(d, ratio=_RATIO) * rows, 0.28, 7.0 / _RATIO))


def _table(result: Activity) -> Table:
    """Every unit of a narrow layer; of a wide one the flagged, the least and the most active."""
    d = len(result.score)
    flagged = np.flatnonzero(result.silent | result.saturated | result.dormant)
    order = np.argsort(result.score, kind="stable")
    listed, note = np.arange(d), ""
    if d > _ALL:
        listed = np.unique(np.concatenate([flagged[:48], order[:8], order[-8:]]))
        note = f"Of {d:,} units: {len(flagged):,} flagged (at most 48 listed), the 8 least and the 8 most active."
    columns = (result.zero_share, result.flat_share)
    rows = tuple(
        (str(i), in_digits(float(result.score[i])), *(percent(float(c[i])) for c in columns), _verdict(result, int(i)))
        for i in listed
    )
    return Table(("unit", "activity", "zero", "flat", "verdict"), rows, note)


def _verdict(result: Activity, i: int) -> str:
    held = (name for name, _, _ in VERDICTS if getattr(result, name)[i])
    return next(held, "").replace("_", " ")
