"""The page of surgery: what each layer is worth, as a picture, as sentences and as numbers."""

from functools import partial
from typing import cast

from unbend._names import first_few, number_of
from unbend._shares import percent
from unbend.explain.defaults import Operation
from unbend.explain.surgery.cost import in_seconds
from unbend.explain.surgery.leak import Leak
from unbend.explain.surgery.operations import MEANINGS
from unbend.explain.surgery.surgery import Cut, Surgery
from unbend.explain.surgery.words import sentences
from unbend.plot.surgery import LOOKS, units_needed
from unbend.plot.surgery import surgery as draw
from unbend.plot.vector import vector
from unbend.report.sheet import SheetPart, SheetPicture, drawing, sheet
from unbend.study.worth import points

_MOST = 24
"""Layers whose curve over units is drawn."""


def surgery_page(result: Surgery, *, title: str) -> str:
    """The page.

    Args:
        result: what was found.
        title: of the page.
    """
    first, *rest = sentences(result)
    parts = [
        SheetPart("", rest, [_picture(result)]),
        *([_units(result)] if result.units else []),
        SheetPart("What was done", [*(f"`{LOOKS[op][2]}`: {said}." for op, said in MEANINGS.items()), _cost(result)]),
        _numbers(result),
        *([_impossible(result)] if result.impossible else []),
        *([_runs(result)] if result.runs else []),
        *([_erasures(result)] if result.erasures else []),
    ]
    return sheet(title, (first,), parts)


def _cost(result: Surgery) -> str:
    return (
        f"{number_of(len(result.cuts), 'operation')} took {result.n_passes:.1f} forward passes over "
        f"{number_of(result.n, 'held-out row')}, the plain one among them, for which {in_seconds(result.seconds)} were "
        "expected; whatever stands before a changed layer does not run again."
    )


def _picture(result: Surgery) -> SheetPicture:
    label = f"Held-out accuracy of the network with each of {len(result.layers)} layers changed"
    size = (8.4, 0.9 + 0.42 * len(result.layers))
    name_room = 0.25 + 0.062 * min(28, max(len(name) for name in result.layers))
    caption = (
        "Each line is a layer, in the order in which they run; a mark tells what the network makes of the held-out "
        "rows when that layer alone is changed. Full line: the network as it is. Dashed: the most frequent class."
    )
    return drawing(vector(lambda ax: draw(ax, result), label, size=size, margins=(name_room, 0.4, 0.1, 0.32)), caption)


def _units(result: Surgery) -> SheetPart:
    pictures = []
    for one in result.units[:_MOST]:
        label = f"Accuracy over the units of {one.layer} that are kept"
        paint = partial(units_needed, result=one, accuracy=result.accuracy)
        pictures.append(drawing(vector(paint, label, margins=(0.45, 0.36, 0.08, 0.25))))
    where = "as they are for another row" if result.units[0].is_resampled else "put at their mean"
    words = (
        f"Units are {where}, the least important first (by the first-order change of the loss), and in a random "
        "order. Dotted: the least number that was tried within two points. Below: the most important units, each alone."
    )
    columns = ("layer", "unit", "cost of it alone")
    rows = [
        (f"`{one.layer}`", str(unit), points(cost).removesuffix(" points"))
        for one in result.units for unit, cost in zip(one.alone, one.costs, strict=True)
    ]  # fmt: skip
    return SheetPart("How many units each layer needs", (words,), pictures, columns, rows)


def _numbers(result: Surgery) -> SheetPart:
    columns = ("layer", "change", "accuracy", "cost", "loss rises by", "same decision")
    return SheetPart("The numbers", (), (), columns, [_row(cut) for cut in result.cuts])


def _impossible(result: Surgery) -> SheetPart:
    """Which changes could not be made, by the reason."""
    by_reason: dict[tuple[str, Operation], list[str]] = {}
    for key, reason in result.impossible.items():
        layer, _, operation = key.rpartition(": ")
        by_reason.setdefault((reason, cast("Operation", operation)), []).append(f"`{layer}`")
    rows = [(LOOKS[operation][2], reason, first_few(names, 8)) for (reason, operation), names in by_reason.items()]
    return SheetPart("What could not be done", (), (), ("change", "since", "layers"), rows)


def _row(cut: Cut) -> tuple[str, ...]:
    rise = f"{cut.loss_rise:.3f} ({cut.loss_rise_low:.3f} to {cut.loss_rise_high:.3f})"
    cost = points(cut.cost).removesuffix(" points")
    return f"`{cut.layer}`", LOOKS[cut.operation][2], percent(cut.accuracy), cost, rise, percent(cut.same)


def _runs(result: Surgery) -> SheetPart:
    rows = [
        (", ".join(f"`{name}`" for name in run.layers), f"{run.r2:.4f}", percent(run.accuracy),
         points(run.cost).removesuffix(" points"))
        for run in result.runs
    ]  # fmt: skip
    return SheetPart("One matrix for several layers", (), (), ("layers", "R²", "accuracy", "cost"), rows)


def _leak(leak: Leak | None) -> tuple[str, str, str]:
    if leak is None:
        return "—", "—", "—"
    after = f"{percent(leak.after)} ({percent(leak.low)} to {percent(leak.high)})"
    return percent(leak.before), after, percent(leak.base_rate)


def _erasures(result: Surgery) -> SheetPart:
    rows = []
    for one in result.erasures:
        gaps = f"{one.gap:.2f}", f"{one.gap_left:.1g}"
        rows.append((f"`{one.layer}`", str(one.rank), percent(one.moved), *gaps, *_leak(one.leak)))
    columns = ("layer", "directions", "variance", "class gap", "gap left", "probe", "probe, erased", "base rate")
    words = (
        "The gap is the greatest distance of a class mean from the mean, in standard deviations of a unit. Where none "
        "is left, no affine read-out beats a constant on the rows the eraser was fitted on. The probe is fitted to one "
        "half of the held-out rows and judged on the other: those rows can leak."
    )
    return SheetPart("Erasure", (words,), (), columns, rows)
