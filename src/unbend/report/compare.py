"""The page of a comparison: both curves, their differences with intervals, findings gone and new.

In: a `Comparison`. Out: HTML, and a file when a path is given. Must not know studies, models or argv.
"""

import os

import numpy as np

from unbend._shares import percent, points
from unbend.report.block import pack
from unbend.report.figures import Figures, rules
from unbend.report.html import fill, looks, template, write
from unbend.report.sections import Picture, Table
from unbend.report.text import in_digits
from unbend.study.compare import Comparison

_HERE = "unbend.report"
_RATIO = 2.0


def comparison_page(comparison: Comparison, path: str | os.PathLike[str] | None = None) -> str:
    """The page of a comparison, as HTML; written to `path` when one is given.

    Args:
        comparison: what to show.
        path: where to write it; nothing is written when left out.

    Raises:
        RecordError: the file cannot be written.
    """
    c = comparison
    figures = Figures([])
    pictures = [figures.picture(picture, -1) for picture in _pictures(c)]
    layers = [
        {"name": name, "label": name, "anchor": f"layer-{i}", "bends": False, "feeders": None}
        for i, name in enumerate(c.layers)
    ]
    rows = [_row(c, i) for i in range(len(c.layers))]
    html = fill(
        template(_HERE, "compare.html"),
        "report",
        looks("charts", "report") + rules(figures),
        c=c,
        pictures=pictures,
        lists=[
            ("Read better", c.better),
            ("Read worse", c.worse),
            ("Findings that are gone", c.solved),
            ("Findings that are new", c.new),
            ("Other changes, without a test", c.noted),
            (f"Only in {c.first}", c.only_first),
            (f"Only in {c.second}", c.only_second),
        ],
        head=("layer", "first", "second", "change", "95 % interval", "beyond noise", "same rows", "Fisher", "second",
              "eff. rank", "second", "silent", "second"),
        rows=rows,
        packed=pack(figures.listed, 0, layers=layers, classes=[]),
    )  # fmt: skip
    if path is not None:
        write(html, path)
    return html


def _pictures(c: Comparison) -> list[Picture]:
    places = list(range(len(c.layers)))
    both = zip(c.layers, c.held_out_first, c.held_out_second, strict=True)
    ends = zip(c.layers, c.change, c.low, c.high, strict=True)
    return [
        Picture(
            "What a straight cut can read",
            "Held-out score of a linear read-out of every layer that both have.",
            view="versus",
            data={
                "layers": places,
                "names": [c.first, c.second],
                "is_accuracy": bool((np.nan_to_num(np.append(c.held_out_first, c.held_out_second)) >= 0).all()),
                "first": c.held_out_first,
                "second": c.held_out_second,
            },
            label=f"Held-out read-outs of {len(places)} layers in {c.first} and in {c.second}.",
            ratio=_RATIO,
            table=Table(("layer", c.first, c.second), tuple((n, percent(a), percent(b)) for n, a, b in both)),
            size="wide",
        ),
        Picture(
            "The difference",
            "Second minus first, in points, with its 95 % interval; filled where it is beyond noise over all layers "
            "together.",
            view="differences",
            data={"layers": places, "change": c.change, "low": c.low, "high": c.high,
                  "is_beyond_noise": c.is_beyond_noise},
            label=f"Change of the read-out at {len(places)} layers; {int(c.is_beyond_noise.sum())} beyond noise.",
            ratio=_RATIO,
            table=Table(
                ("layer", "points", "from", "to"), tuple((n, points(a), points(b), points(d)) for n, a, b, d in ends)
            ),
            size="wide",
        ),
    ]  # fmt: skip


def _row(c: Comparison, i: int) -> list[tuple[str, float]]:
    """What is written in the cells of a layer, and what they sort by."""
    return [
        (c.layers[i], 0.0),
        (percent(c.held_out_first[i]), c.held_out_first[i]),
        (percent(c.held_out_second[i]), c.held_out_second[i]),
        (points(c.change[i]), c.change[i]),
        (f"{points(c.low[i])} to {points(c.high[i])}", c.low[i]),
        ("yes" if c.is_beyond_noise[i] else "no", float(c.is_beyond_noise[i])),
        ("yes" if c.is_paired[i] else "no", float(c.is_paired[i])),
        *((in_digits(float(v)), float(v)) for v in (c.fisher_first[i], c.fisher_second[i])),
        *((in_digits(float(v)), float(v)) for v in (c.effective_rank_first[i], c.effective_rank_second[i])),
        *((in_digits(int(v)), float(v)) for v in (c.silent_first[i], c.silent_second[i])),
    ]
