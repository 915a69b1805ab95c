"""A study in plain text: the headline numbers of every layer, and how numbers are written.

In: a Study. Out: rows of words and numbers; the terminal and the page's table are drawn from the same rows.
Must not know terminals or HTML.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import singledispatch
from numbers import Integral, Real
from typing import Any

import numpy as np

from unbend._shares import NONE, percent
from unbend.numerics.activity import Activity
from unbend.numerics.centroids import Centroids
from unbend.numerics.histogram import Histogram
from unbend.numerics.moments import Moments
from unbend.numerics.planes import Projections
from unbend.numerics.probe import Probes
from unbend.numerics.readout import READERS, Readout
from unbend.numerics.scatter import Scatter
from unbend.numerics.spectrum import Spectrum
from unbend.study.depth import untrained_scores
from unbend.study.ladder import Ladder, word
from unbend.study.unknown import Unknown
from unbend.study.values import Layer, Study

PERMUTED = "training accuracy of a closed form with shuffled labels: what width alone can do"
"""What stands where a number would say nothing."""
_JUDGED = f"{NONE} for a layer that is no activation, or has no finite value"


@dataclass(frozen=True, slots=True)
class Number:
    """One headline number.

    Attributes:
        label: what it is called at the head of a column.
        value: what a table sorts by; NaN where there is none.
        text: what is shown; a dash where there is no value, and `meaning` then says why.
        meaning: what it means, in a sentence; empty when nobody said.
        share: the value as a share of the most it can be, for a bar; None where there is no such thing.
        aside: its interval, or what else stands beside it in small print.
    """

    label: str
    value: float
    text: str
    meaning: str = ""
    share: float | None = None
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One layer in the summary.

    Attributes:
        layer: its name.
        kind: what it is.
        module: class of the module.
        shape: shape of its output for one sample.
        numbers: headline numbers by label.
    """

    layer: str
    kind: str
    module: str
    shape: str
    numbers: dict[str, Number]


def summary(study: Study) -> list[Row]:
    """The headline numbers of every layer, in the order the layers ran.

    A measure that nobody wrote a `headline` for shows every number it holds as `name.field`.
    """
    across: dict[str, dict[str, Number]] = {}
    for result in study.across.values():
        for name, number in of_layers(result).items():
            across.setdefault(name, {})[number.label] = number
    return [
        Row(
            layer.name,
            layer.kind,
            layer.module,
            "×".join(map(str, layer.shape)) or "1",
            across.get(layer.name, {}) | _numbers(layer),
        )
        for layer in study.layers
    ]


def columns(rows: list[Row]) -> list[str]:
    """The labels of all rows, each once, in the order they first come."""
    return list(dict.fromkeys(label for row in rows for label in row.numbers))


def _numbers(layer: Layer) -> dict[str, Number]:
    out: dict[str, Number] = {}
    names = sorted(layer.results, key=lambda name: (name != "readout", name != "scatter"))
    for name in names:
        for number in headline(layer.results[name], name):
            out[number.label] = number
        scores = untrained_scores(layer)
        if name == "readout" and len(scores):
            meaning = "held-out read-out of the same layer before training"
            least, most = (percent(float(end)) for end in (scores.min(), scores.max()))
            draws = f", on average over {len(scores)} draws: {least} to {most}" if len(scores) > 1 else ", of one draw"
            out["untrained"] = rate("untrained", float(scores.mean()), meaning + draws)
    return out


@singledispatch
def headline(result: Any, name: str) -> tuple[Number, ...]:
    """What of a Result stands in the summary; for an unknown one, every single number in it.

    Args:
        result: the Result.
        name: what it is called in the study.
    """
    return tuple(
        Number(f"{name}.{field}", float(value), in_digits(value), meaning)
        for field, value, meaning in entries(result)
        if isinstance(value, Real | np.bool_)
    )


@singledispatch
def of_layers(result: Any) -> dict[str, Number]:
    """What a Result about the whole network says of single layers, by their names; nothing for most."""
    del result
    return {}


@of_layers.register
def _(result: Ladder) -> dict[str, Number]:
    meaning = "proved over all training rows; * says that shuffled labels would be separable too"
    found = {}
    for name, step in zip(result.layers, result.steps, strict=True):
        said = word(step)
        value = {"overlap": 0.0, "undecided": np.nan}.get(said, 1.0)
        found[name] = Number("proof", value, said + "*" * step.frame.is_worthless, meaning)
    return found


@of_layers.register
def _(result: Probes) -> dict[str, Number]:
    meaning = "held-out rows that a logistic probe gets right"
    return {name: rate("probe", probe.accuracy, meaning) for name, probe in result.layers.items()}


@headline.register
def _(result: Readout, name: str) -> tuple[Number, ...]:
    del name
    if result.labels:
        return (
            rate("held-out", result.held_out, f"of {len(result.labels)} yes/no labels a row, those a "
                 f"{READERS[result.reader]} of this layer gets right, held out from its fit"),
            rate("train", result.train, "the same on the rows it was fitted on"),
            rate("base rate", result.majority, "the same by always saying the more frequent answer"),
            rate("permuted", result.control_train, PERMUTED),
        )  # fmt: skip
    if np.isnan(result.held_out_interval[0]) and result.confusion is None:
        return (rate("held-out", result.held_out, "R² of a ridge regression on held-out rows"),
                rate("train", result.train, "R² on the rows it was fitted on"))  # fmt: skip
    return (
        rate(
            "held-out",
            result.held_out,
            f"rows a {READERS[result.reader]} of this layer gets right, held out from its fit",
        ),
        rate("train", result.train, "the same on the rows it was fitted on"),
        rate("permuted", result.control_train, PERMUTED),
    )


@headline.register
def _(result: Scatter, name: str) -> tuple[Number, ...]:
    del name
    return (
        Number(
            "Fisher",
            result.fisher,
            in_digits(result.fisher),
            "debiased tr(W⁻¹B); no affine layer raises it between flat layers of one path",
        ),
        Number("separation", result.separation, in_digits(result.separation), "tr(S_W S_B⁺); smaller is further apart"),
    )


@headline.register
def _(result: Spectrum, name: str) -> tuple[Number, ...]:
    del name
    rank = result.effective_rank
    return (Number("eff. rank", rank, in_digits(rank), "directions in use: exp of the entropy of the spectrum"),)


@headline.register
def _(result: Activity, name: str) -> tuple[Number, ...]:
    del name
    d = len(result.score)
    silent = _of("silent", result.n_silent, d, "units that put out 0 and nothing else on the data seen")
    others = (
        _of(
            "dormant",
            result.n_dormant,
            d,
            f"units below 2.5 % of their layer's mean magnitude; {_JUDGED}",
        ),
        _of("saturated", result.n_saturated, d, f"units flat on at least 95 % of values; {_JUDGED}"),
    )
    return silent, *(n if result.is_judged else replace(n, value=float("nan"), text=NONE, share=None) for n in others)


@headline.register
def _(result: Moments, name: str) -> tuple[Number, ...]:
    del name
    bad = int(result.nonfinite.sum())
    scale = Number("rms", result.rms, in_digits(result.rms), "root mean square of all values: the scale of the signal")
    return (scale, Number("not finite", float(bad), in_digits(bad), "NaN or infinite values")) if bad else (scale,)


@headline.register(Histogram)
@headline.register(Projections)
@headline.register(Centroids)
def _(result: Any, name: str) -> tuple[Number, ...]:
    del result, name
    return ()


def entries(result: Any) -> Iterator[tuple[str, Any, str]]:
    """Field, value and meaning of everything in a Result; the meaning is read from its docstring."""
    if isinstance(result, Unknown):
        for name, value in result.fields.items():
            yield name, value, ""
        return
    if not is_dataclass(result):
        yield "value", result, ""
        return
    said = meanings(type(result).__doc__ or "")
    for field in fields(result):
        yield field.name, getattr(result, field.name), said.get(field.name, "")


def meanings(docstring: str) -> dict[str, str]:
    r"""What the `Attributes` section of a docstring says of each field.

    Example:
        >>> meanings("A. \n\n  Attributes:\n    n: rows\n      seen.\n    d: width.\n")
        {'n': 'rows seen.', 'd': 'width.'}
    """
    out: dict[str, str] = {}
    lines = docstring.expandtabs().splitlines()
    starts = [i for i, line in enumerate(lines) if line.strip() == "Attributes:"]
    inner = lines[starts[0] + 1 :] if starts else []
    indent = len(inner[0]) - len(inner[0].lstrip()) if inner else 0
    last = ""
    for line in inner:
        depth = len(line) - len(line.lstrip())
        if not line.strip() or depth < indent:
            break
        if depth == indent and ":" in line:
            last, _, text = (part.strip() for part in line.partition(":"))
            out[last] = text
        elif last:
            out[last] += " " + line.strip()
    return out


def rate(label: str, value: float, meaning: str = "") -> Number:
    """A share as a headline number."""
    return Number(label, value, percent(value), meaning, None if np.isnan(value) else float(np.clip(value, 0, 1)))


def in_digits(value: Any) -> str:
    """A number to three digits, an integer in full, anything else as it says itself.

    Example:
        >>> in_digits(63.5695), in_digits(1438), in_digits(float("nan")), in_digits(1e-9)
        ('63.6', '1,438', '—', '1e-09')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        number = float(value)
        if np.isnan(number):
            return NONE
        if np.isinf(number):
            return "∞" if number > 0 else "−∞"
        return f"{number:,.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"
    return NONE if value is None else str(value)


def _of(label: str, count: int, total: int, meaning: str) -> Number:
    return Number(label, float(count), f"{count:,} / {total:,}" if count else "0", meaning, count / max(total, 1))
