"""What a page shows of the measures of one layer.

In: their Results. Out: Sections with pictures, each with its numbers and how to read it.
"""

import numpy as np

from unbend._typing import Array
from unbend.numerics.activity import Activity
from unbend.numerics.centroids import Centroids
from unbend.numerics.histogram import Histogram
from unbend.numerics.moments import Moments
from unbend.numerics.planes import Planes
from unbend.numerics.readout import Readout
from unbend.numerics.scatter import Scatter
from unbend.numerics.spectrum import Spectrum
from unbend.plot import activity as plot_activity
from unbend.plot import histogram as plot_histogram
from unbend.plot import moments as plot_moments
from unbend.plot import planes as plot_planes
from unbend.plot import readout as plot_readout
from unbend.plot import spectrum as plot_spectrum
from unbend.plot.style import BENDS
from unbend.plot.vector import vector
from unbend.report.sections import Picture, Place, Section, Table, section
from unbend.report.text import Number, headline, shown, written

_LISTED = 12
_SQUARE = (3.4, 3.0)
_BARE = (0.06, 0.06, 0.06, 0.06)


@section.register
def _(result: Planes, place: Place = Place()) -> Section:  # noqa: B008
    pictures = [Picture(
        "Most variance", f"PCA: {_shares(result)} of the variance.",
        vector(lambda ax: plot_planes.pca(ax, result, class_names=place.class_names),
               f"{place.label(place.layer)}: {len(result.ids)} rows in the plane of most variance", size=_SQUARE, margins=_BARE),
        _plane_table(result, result.pca, place),
    )]  # fmt: skip
    if result.discriminant is not None:
        pictures.append(Picture(
            "Best for telling classes apart", "Linear discriminants, in units of the spread within classes.",
            vector(lambda ax: plot_planes.discriminant(ax, result, class_names=place.class_names),
                   f"{place.label(place.layer)}: the same rows in the plane that best tells the classes apart",
                   size=_SQUARE, margins=_BARE),
            _plane_table(result, result.discriminant, place),
        ))  # fmt: skip
    return Section(pictures=tuple(pictures))


def _shares(result: Planes) -> str:
    return " and ".join(shown(float(v)) for v in result.pca_share)


def _plane_table(result: Planes, points: Array, place: Place) -> Table:
    """Where each class lies: its mean and spread, in both parts."""
    groups = place.class_names or ("all rows",)
    rows = []
    for i, name in enumerate(groups):
        for part, word in ((False, "train"), (True, "held-out")):
            mine = (result.held_out == part) & ((result.label == i) | (not place.class_names))
            if mine.any():
                mean, std = points[mine].mean(0), points[mine].std(0)
                rows.append((name, word, str(int(mine.sum())), *(f"{m:.3g} ± {s:.2g}" for m, s in zip(mean, std, strict=True))))
    return Table(("class", "part", "rows", "across", "up"), tuple(rows), "Mean ± standard deviation of the points drawn.")


@section.register
def _(result: Activity, place: Place = Place()) -> Section:  # noqa: B008
    numbers = headline(result, place.name)
    if place.kind and place.kind not in BENDS:
        return Section(tuple(n for n in numbers if n.label == "silent" and n.value))
    d = len(result.score)
    rows = -(-d // plot_activity.grid_width(d, ratio=6.0))
    height = float(np.clip(0.25 * rows, 0.4, 1.3)) if d <= 400 else 1.3
    always = int(result.always_on.sum())
    words = (("silent", f"{result.n_silent:,} silent"), ("saturated", f"{result.n_saturated:,} saturated"),
             ("dormant", f"{result.n_dormant - result.n_silent:,} dormant"), ("always", f"{always:,} always on"))  # fmt: skip
    label = (f"{place.label(place.layer)}: activity of {d} units; {result.n_silent} silent, {result.n_dormant} dormant, "
             f"{result.n_saturated} saturated, {always} always on")  # fmt: skip
    bound = f" A silent unit fires on fewer than {shown_small(result.silent_rate_bound)} of rows (95 % confidence)."
    picture = Picture(
        "Units", f"{d:,} units, row by row; fuller is more active." + (bound if result.n_silent else ""),
        vector(lambda ax: plot_activity.activity(ax, result), label, size=(7.0, height), margins=_BARE),
        _unit_table(result), tuple((c, w) for c, w in words if not w.startswith("0 ")), "wide",
    )  # fmt: skip
    return Section(numbers, (picture,))


def shown_small(share: float) -> str:
    """A small share in percent, to two digits."""
    return f"{100 * share:.2g} %"


def _unit_table(result: Activity) -> Table:
    """Every unit of a narrow layer; of a wide one the flagged, the least and the most active."""
    d = len(result.score)
    flagged = result.silent | result.saturated | result.dormant
    order = np.argsort(result.score, kind="stable")
    listed = np.arange(d)
    note = ""
    if d > 64:
        listed = np.unique(np.concatenate([np.flatnonzero(flagged)[:48], order[:8], order[-8:]]))
        note = f"Of {d:,} units: the flagged ones ({int(flagged.sum()):,}, at most 48 listed), the 8 least and the 8 most active."
    rows = tuple(
        (str(i), written(float(result.score[i])), shown(float(result.zero_share[i])), shown(float(result.flat_share[i])),
         _verdict(result, int(i)))
        for i in listed
    )  # fmt: skip
    return Table(("unit", "activity", "zero", "flat", ""), rows, note)


def _verdict(result: Activity, i: int) -> str:
    for name, _, _ in plot_activity.VERDICTS:
        if getattr(result, name)[i]:
            return name.replace("_", " ")
    return ""


@section.register
def _(result: Spectrum, place: Place = Place()) -> Section:  # noqa: B008
    total = max(float(result.values.sum()), np.finfo(float).tiny)
    share = result.values / total
    rows = tuple((str(i + 1), shown_small(share[i]), shown(float(share[: i + 1].sum())))
                 for i in range(min(len(share), _LISTED)))  # fmt: skip
    numbers = (
        *headline(result, place.name),
        Number("participation", result.participation_unbiased, written(result.participation_unbiased),
               "(Σλ)²/Σλ², with the sample bias removed"),
    )  # fmt: skip
    few = " Fewer than 10 rows per unit: the rank is an underestimate." if result.rows_per_unit < 10 else ""
    picture = Picture(
        "Spectrum", f"Variance along each direction; {result.for_95} hold 95 %.{few}",
        vector(lambda ax: plot_spectrum.spectrum(ax, result),
               f"{place.label(place.layer)}: covariance spectrum, effective rank {result.effective_rank:.3g} of {len(share)}",
               size=(3.4, 2.1), margins=(0.52, 0.4, 0.06, 0.08)),
        Table(("direction", "share", "in all"), rows, f"First {len(rows)} of {len(share)} directions."),
    )  # fmt: skip
    return Section(numbers, (picture,))


@section.register
def _(result: Histogram, place: Place = Place()) -> Section:  # noqa: B008
    b = plot_histogram.bars(result)
    picture = Picture(
        "Values", "Signed log scale, four bars an octave; exact zeros stand between the signs.",
        vector(lambda ax: plot_histogram.histogram(ax, result),
               f"{place.label(place.layer)}: distribution of values, {shown(b.zero)} exactly zero",
               size=(3.4, 2.1), margins=(0.1, 0.4, 0.1, 0.08)),
        _decades(result),
    )  # fmt: skip
    bad = (Number("not finite", result.nonfinite, written(result.nonfinite), "NaN or infinite values"),)
    return Section(bad if result.nonfinite else (), (picture,))


def _decades(result: Histogram) -> Table:
    """Counts per decade, negative first."""
    low, high = result.edges[:-1], result.edges[1:]
    counts: dict[tuple[int, int], int] = {}
    for a, b, count in zip(low, high, result.counts, strict=True):
        if count and (a >= 0 or b <= 0):
            sign, near = (-1, -b) if b <= 0 else (1, a)
            key = (sign, int(np.floor(np.log10(max(near, 1e-45)) + 1e-9)))
            counts[key] = counts.get(key, 0) + int(count)
    total = max(sum(counts.values()) + result.zeros, 1)
    keys = sorted(counts, key=lambda k: k[0] * (k[1] + 100))
    table = [(f"{'−' if s < 0 else ''}1e{p} to {'−' if s < 0 else ''}1e{p + 1}", counts[s, p]) for s, p in keys]
    place = sum(s < 0 for s, _ in keys)
    table.insert(place, ("exactly 0", result.zeros))
    return Table(("magnitude", "values", "share"), tuple((w, f"{c:,}", shown_small(c / total)) for w, c in table if c))


@section.register
def _(result: Moments, place: Place = Place()) -> Section:  # noqa: B008
    d = len(result.mean)
    listed = np.arange(d) if d <= 64 else np.unique(np.linspace(0, d - 1, 24).astype(int))
    order = np.argsort(result.mean)[listed]
    rows = tuple((str(i), *(written(float(v[i])) for v in (result.mean, result.std, result.low, result.high))) for i in order)
    picture = Picture(
        "Mean and range of units", "Mean, ± one standard deviation, least and greatest value of every unit.",
        vector(lambda ax: plot_moments.moments(ax, result), f"{place.label(place.layer)}: mean and range of {d} units",
               size=(3.4, 2.1), margins=(0.52, 0.4, 0.06, 0.08)),
        Table(("unit", "mean", "std", "least", "greatest"), rows, "" if d <= 64 else f"24 of {d:,} units, evenly spaced by mean."),
    )  # fmt: skip
    return Section(headline(result, place.name), (picture,))


@section.register
def _(result: Readout, place: Place = Place()) -> Section:  # noqa: B008
    low, high = result.held_out_interval
    numbers = headline(result, place.name)
    if not np.isnan(low):
        first = numbers[0]
        numbers = (Number(first.label, first.value, f"{first.text} ({100 * low:.1f}–{100 * high:.1f})", first.meaning, first.share),
                   *numbers[1:])  # fmt: skip
    if result.confusion is None or not result.confusion.sum():
        return Section(numbers)
    names = place.class_names or tuple(map(str, range(len(result.confusion))))
    wrong = int(result.confusion.sum() - np.trace(result.confusion))
    picture = Picture(
        "Mistakes of the read-out", f"{wrong:,} of {result.n_held_out:,} held-out rows; true class down, read as across.",
        vector(lambda ax: plot_readout.readout(ax, result, class_names=names),
               f"{place.label(place.layer)}: {wrong} of {result.n_held_out} held-out rows read as another class",
               size=(3.4, 3.2), margins=None),
        _mistakes(result.confusion, names),
    )  # fmt: skip
    return Section(numbers, (picture,))


def _mistakes(confusion: Array, names: tuple[str, ...]) -> Table:
    """The pairs most often confused."""
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(off, axis=None, kind="stable")[::-1][: 2 * _LISTED]
    pairs = [divmod(int(i), off.shape[1]) for i in order]
    rows = tuple((names[i], names[j], str(off[i, j]), shown(off[i, j] / confusion[i].sum())) for i, j in pairs if off[i, j])
    return Table(("true class", "read as", "rows", "of the class"), rows, "The most frequent mistakes first.")


@section.register
def _(result: Scatter, place: Place = Place()) -> Section:  # noqa: B008
    ratio = Number("trace ratio", result.trace_ratio, written(result.trace_ratio),
                   "tr B / tr W, what many articles plot; it depends on the scale of units and can rise where information is lost")  # fmt: skip
    return Section((*headline(result, place.name), ratio))


@section.register
def _(result: Centroids, place: Place = Place()) -> Section:  # noqa: B008
    if len(result.n) < 2:
        return Section()
    best = np.argsort(result.selectivity)[::-1][:_LISTED]
    names = place.class_names or tuple(map(str, range(len(result.n))))
    seen = np.flatnonzero(result.n > 0)
    rows = tuple(
        (str(u), written(float(result.selectivity[u])), names[seen[int(np.argmax(result.mean[seen, u]))]], written(float(np.nanmax(result.mean[:, u]))))
        for u in best
    ) if len(seen) else ()
    table = Table(("unit", "selectivity", "class it answers to", "its mean there"), rows, "The units that tell one class most clearly from the others (Morcos et al. 2018).")
    return Section(tables=(("Units that answer to one class", table),))
