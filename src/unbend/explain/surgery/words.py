"""What surgery shows, in sentences: what can be left out, what cannot, what is used and not only readable."""

from collections.abc import Sequence

from unbend._names import first_few, number_of
from unbend._shares import percent
from unbend.explain.surgery.runs import LayerRun, longest
from unbend.explain.surgery.surgery import Cut, Erasure, Surgery
from unbend.study.worth import LITTLE, MUCH, is_little, is_much, outermost, points

_MOST = 4
_NOTHING = "That is about the base rate: a network that has nothing to lose shows nothing of what its layers are worth."
_WHOLE = {"none", "flatten"}
"""Readings that leave nothing of a layer out."""
READINGS = {"mean": "the mean over positions", "last": "the last position", "cls": "the first position"}
"""What a reading of a layer with positions takes of it, in words."""


def sentences(found: Surgery) -> tuple[str, ...]:
    """The findings, the most surprising first."""
    first = (
        f"On {number_of(found.n, 'held-out row')} the network is right in {percent(found.accuracy)}; the most frequent "
        f"class alone is {percent(found.base_rate)}. Costs are in points of that accuracy, with 95 % intervals paired "
        "by row."
    )
    if found.accuracy <= found.base_rate + MUCH:
        return first, _NOTHING, *_proof(found, sum(1 for cut in found.cuts if cut.operation == "erase"))
    told = [
        first,
        *_runs(found.runs),
        *_useless(found),
        *_essential(found),
        *_uses(found),
        *_needs(found),
        *_alone(found),
    ]
    return tuple(told)


def _runs(runs: Sequence[LayerRun]) -> list[str]:
    """Runs of layers that one matrix replaces, those first that surely do not cost much."""
    shown = sorted(longest(runs), key=lambda run: run.cost.high > MUCH)
    return [_run(run) for run in shown[:_MOST]]


def _run(run: LayerRun) -> str:
    names = ", ".join(f"`{name}`" for name in run.layers)
    if run.cost.high <= MUCH:
        return f"Layers {names} can be replaced by one matrix at a cost of {points(run.cost)}."
    return (
        f"One matrix in the place of layers {names} costs {points(run.cost)}, which "
        f"{number_of(run.cost.n, 'row')} cannot tell from nothing or from much."
    )


def is_useless(cut: Cut) -> bool:
    """Whether the layer costs at most a point, and surely no more than two."""
    return is_little(cut.cost)


def is_essential(cut: Cut) -> bool:
    """Whether the layer surely costs more than five points."""
    return is_much(cut.cost)


def _useless(found: Surgery) -> list[str]:
    useless = [cut for cut in found.cuts if cut.operation in {"skip", "mean"} and is_useless(cut)]
    shown = outermost(cut.layer for cut in useless)
    skipped, averaged = (
        [cut for cut in useless if cut.operation == operation and cut.layer in shown] for operation in ("skip", "mean")
    )
    return [
        f"{_join_names(cuts)} {word} at little cost: {points(max(cuts, key=lambda c: c.cost.difference).cost)} at most."
        for cuts, word in ((averaged, "can be put at the mean, whatever the input,"), (skipped, "can be skipped"))
        if cuts
    ]


def _essential(found: Surgery) -> list[str]:
    cuts = sorted(
        (c for c in found.cuts if c.operation == "skip" and is_essential(c)), key=lambda c: -c.cost.difference
    )
    if not cuts:
        return []
    told = ", ".join(f"`{cut.layer}` {points(cut.cost)}" for cut in cuts[:_MOST])
    return [f"Skipping these costs most: {told}."]


def _uses(found: Surgery) -> list[str]:
    """What of the classes is readable and used, and what is used without being linearly readable.

    That erasing the classes does no harm says something of a layer only where the layer is needed; that it does harm,
    only where as many random directions do less.
    """
    erased = [cut for cut in found.cuts if cut.operation == "erase" and cut.cost.n]
    lost = [cut for cut in erased if cut.accuracy <= found.base_rate + 2 * MUCH]
    told = _survivors(found, [cut for cut in erased if cut not in lost])
    controls = {cut.layer: found.cut(cut.layer, "control") for cut in lost}
    harmless = [cut.layer for cut in lost if (c := controls[cut.layer]) is not None and c.cost.high < cut.cost.low]
    harmful = [name for name, control in controls.items() if control is not None and name not in harmless]
    unknown = [name for name, control in controls.items() if control is None]
    for names, word in (
        (harmless, ", as many random directions do not: there it uses just that"),
        (harmful, ", but so do as many random directions, so that says nothing of the classes"),
        (unknown, ""),
    ):
        if names:
            told.append(
                f"Erasing what can be read linearly leaves the network about the base rate in {_names(names)}{word}."
            )
    return [*told, *_proof(found, len(erased))]


def _survivors(found: Surgery, survive: Sequence[Cut]) -> list[str]:
    """The layer whose loss costs more than the loss of what can be read linearly in it, if there is one."""
    needed = [cut for cut in survive if (gone := found.cut(cut.layer, "mean")) and gone.cost.low > cut.cost.high]
    if not needed:
        return []
    cut = max(needed, key=lambda one: one.accuracy)
    reading = next(one.reading for one in found.erasures if one.layer == cut.layer)
    where = f"`{cut.layer}`" if reading in _WHOLE else f"{READINGS[reading]} of `{cut.layer}`"
    told = (
        f"With all that a linear read-out of {where} can use of the classes erased, the network is still right in "
        f"{percent(cut.accuracy)}, and it needs that layer: "
    )
    if reading in _WHOLE:
        return [f"{told}it uses more there than what can be read linearly."]
    more = "it uses what single positions hold, or more than can be read linearly"
    return [f"{told}{more} (`--reduce {cut.layer}=flatten` erases from all positions at once)."]


def _proof(found: Surgery, n: int) -> list[str]:
    if not n:
        return []
    worst = max(one.gap_left for one in found.erasures)
    where = f"all {n} erased layers" if n > 2 else "both erased layers" if n == 2 else "the erased layer"
    told = (
        f"In {where} the class means are equal up to {worst:.1g} standard deviations, so no linear read-out beats a "
        f"constant on the rows they were fitted on{_as_read(found.erasures)}.{_leaks(found.erasures)}"
    )
    return [told]


def _as_read(erasures: Sequence[Erasure]) -> str:
    """What stands for a row in layers with positions."""
    found = sorted({READINGS[one.reading] for one in erasures if one.reading not in _WHOLE})
    return f" (in layers with positions: on {' or '.join(found)})" if found else ""


def _leaks(erasures: Sequence[Erasure]) -> str:
    """What a probe fitted to other rows still finds."""
    known = [(one.layer, one.leak) for one in erasures if one.leak is not None]
    if not known:
        return ""
    layer, leak = max(known, key=lambda pair: pair[1].after - pair[1].base_rate)
    return (
        f" Other rows can leak: fitted to erased held-out rows, a probe is right in at most {percent(leak.after)} of "
        f"further ones (`{layer}`; {percent(leak.before)} before, base rate {percent(leak.base_rate)})."
    )


def _needs(found: Surgery) -> list[str]:
    spare = [one for one in found.units if one.needed < one.n_units]
    if not spare:
        return []
    told = ", ".join(f"`{one.layer}` {one.needed:,} of {one.n_units:,}" for one in spare[: 2 * _MOST])
    rest = "as they are for another row" if spare[0].is_resampled else "at their mean"
    return [f"Units needed to stay within two points, the others {rest}: {told}."]


def _alone(found: Surgery) -> list[str]:
    """Single units whose loss can be told from chance and costs over a point."""
    every = [(one, int(unit), cost) for one in found.units for unit, cost in zip(one.alone, one.costs, strict=True)]
    costly = sorted((t for t in every if t[2].low > 0 and t[2].difference > LITTLE), key=lambda t: -t[2].difference)
    if not costly:
        return []
    told = ", ".join(f"unit {unit} of `{one.layer}` {points(cost)}" for one, unit, cost in costly[:_MOST])
    return [f"Single units that cost most: {told}."]


def _join_names(cuts: Sequence[Cut]) -> str:
    return _names([cut.layer for cut in cuts])


def _names(layers: Sequence[str]) -> str:
    return first_few([f"`{name}`" for name in layers], 6)
