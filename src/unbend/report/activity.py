"""What a page shows of `Activity`: every unit of a layer, and which are silent."""

import numpy as np

from unbend._shares import percent
from unbend.chart.activity import RATIO, VERDICTS, unit_strip
from unbend.numerics.activity import Activity
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import headline, in_digits
from unbend.study.silence import bound_in_words

_ALL = 64
_LEAST_HEIGHT = 25.0
"""A strip is at most this many times as wide as high."""


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
    strip = unit_strip(result)
    picture = Picture(
        "Units",
        caption,
        view="units",
        data={
            "score": result.score,
            "shade": strip.shade,
            "zero": result.zero_share,
            "flat": result.flat_share,
            "verdict": strip.verdict,
            "words": [name.replace("_", " ") for name in VERDICTS],
            "columns": strip.columns,
        },
        label=label,
        ratio=float(np.clip(strip.columns / -(-d // strip.columns), RATIO, _LEAST_HEIGHT)),
        table=_table(result),
        legend=tuple((word.split()[0], f"{n:,} {word}") for word, n in counts.items() if n),
        size="wide",
    )
    return Section(numbers, (picture,))


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
    held = (name for name in VERDICTS if getattr(result, name)[i])
    return next(held, "").replace("_", " ")
