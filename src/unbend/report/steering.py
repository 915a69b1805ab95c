"""The page of steering: a curve a layer, and the numbers."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from unbend._names import number_of
from unbend._shares import percent
from unbend.explain.steering import Steering
from unbend.plot.steering import steering as draw
from unbend.plot.vector import vector
from unbend.report.sheet import SheetPart, drawing, sheet

_MOST = 24


def steering_page(found: Sequence[Steering], *, title: str) -> str:
    """The page.

    Args:
        found: one for each layer.
        title: of the page.
    """
    pictures = []
    for one in found[:_MOST]:
        label = f"Share called {one.direction.name} over what is added to {one.direction.layer}"
        pictures.append(drawing(vector(partial(draw, result=one), label, margins=(0.45, 0.36, 0.08, 0.25))))
    columns = ("layer", "as it is", "one step", "random, one step", "effect", "length of a step")
    return sheet(title, steering_sentences(found), [
        SheetPart("", (), pictures),
        SheetPart("One whole step", (), (), columns, [_row(one) for one in found]),
    ])  # fmt: skip


def steering_sentences(found: Sequence[Steering]) -> tuple[str, ...]:
    """Where the direction works most, and whether a random one would do as well."""
    first = found[0]
    way = f"the way from the mean of all other rows to that of class {first.direction.name}"
    if first.direction.kind != "mean":
        way = f"a direction ({first.direction.kind}) towards {first.direction.name}"
    told = (
        f"Added to a layer, at every position: {way}. Shown is how many of {number_of(first.n, 'held-out row')} of "
        "other classes the network calls that class then, beside random directions of the same length."
    )
    best = max(found, key=lambda one: one.effect)
    at, none = (_at(best, s) for s in (1.0, 0.0))
    if best.effect < 0.05:
        return told, "In no layer does one whole step do more than a random direction of the same length."
    random = best.random_called[:, at].mean() if len(best.random_called) else np.nan
    return told, (
        f"It works most in `{best.direction.layer}`: one whole step takes the share from {percent(best.called[none])} "
        f"to {percent(best.called[at])}; a random direction of that length to {percent(random)}."
    )


def _at(one: Steering, strength: float) -> int:
    return int(np.abs(one.strengths - strength).argmin())


def _row(one: Steering) -> tuple[str, ...]:
    at, none = _at(one, 1.0), _at(one, 0.0)
    random = percent(float(one.random_called[:, at].mean())) if len(one.random_called) else "—"
    return (
        f"`{one.direction.layer}`", percent(one.called[none]), percent(one.called[at]), random,
        f"{100 * one.effect:.1f} points", f"{one.direction.length:.3g}",
    )  # fmt: skip
