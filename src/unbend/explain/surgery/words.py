"""What surgery shows, in sentences: what can be left out, what cannot, what is used and not only readable."""

from collections.abc import Sequence

from unbend._names import first_few
from unbend._shares import percent
from unbend.explain.surgery.runs import LayerRun, longest
from unbend.explain.surgery.surgery import Cut, Erasure, Surgery
from unbend.study.worth import MUCH, is_little, is_much, points

_MOST = 4


def sentences(found: Surgery) -> tuple[str, ...]:
    """The findings, the most surprising first."""
    first = (
        f"On {found.n:,} held-out rows the network is right in {percent(found.accuracy)}; the most frequent class "
        f"alone is {percent(found.base_rate)}. Costs are in points of that accuracy, with 95 % intervals paired by row."
    )
    told = [
        first,
        *_runs(found.runs),
        *_useless(found),
        *_essential(found),
        *_used(found),
        *_needed(found),
    ]
    return tuple(told)


def _runs(runs: Sequence[LayerRun]) -> list[str]:
    return [
        f"Layers {', '.join(f'`{name}`' for name in run.layers)} can be replaced by one matrix at a cost of "
        f"{points(run.cost)}."
        for run in longest(runs)[:_MOST]
    ]


def is_useless(cut: Cut) -> bool:
    """Whether the layer costs at most a point, and surely no more than two."""
    return is_little(cut.cost)


def is_essential(cut: Cut) -> bool:
    """Whether the layer surely costs more than five points."""
    return is_much(cut.cost)


def _useless(found: Surgery) -> list[str]:
    skipped = [cut for cut in found.cuts if cut.operation == "skip" and is_useless(cut)]
    averaged = [cut for cut in found.cuts if cut.operation == "mean" and is_useless(cut)]
    return [
        f"{_listed(cuts)} {word} at little cost: {points(max(cuts, key=lambda c: c.cost.difference).cost)} at most."
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


def _used(found: Surgery) -> list[str]:
    """What of the classes is readable and used, and what is used without being linearly readable."""
    told = []
    by_layer = {one.layer: one for one in found.erasures}
    pairs = [(by_layer[cut.layer], cut) for cut in found.cuts if cut.operation == "erase" and cut.layer in by_layer]
    survive = [(one, cut) for one, cut in pairs if cut.cost.n and cut.accuracy > one.base_rate + 2 * MUCH]
    if survive:
        one, cut = max(survive, key=lambda pair: pair[1].accuracy)
        told.append(
            f"With all that a linear read-out can use of the classes erased from `{one.layer}`, the network is still "
            f"right in {percent(cut.accuracy)}: it uses more there than what can be read linearly."
        )
    lost = [one.layer for one, cut in pairs if cut.accuracy <= one.base_rate + 2 * MUCH]
    if lost:
        told.append(
            f"Erasing what can be read linearly leaves the network about the base rate in {_names(lost)}: there it "
            "uses just that."
        )
    if pairs:
        worst = max(one.gap_left for one, _ in pairs)
        told.append(
            f"In all {len(pairs)} erased layers the class means are equal up to {worst:.1g} standard deviations, so no "
            f"linear read-out beats a constant on the rows they were fitted on.{_leaks(found.erasures)}"
        )
    return told


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


def _needed(found: Surgery) -> list[str]:
    spare = [one for one in found.units if one.needed < one.n_units]
    if not spare:
        return []
    told = ", ".join(f"`{one.layer}` {one.needed:,} of {one.n_units:,}" for one in spare[: 2 * _MOST])
    return [f"Units needed to stay within two points, the others at their mean: {told}."]


def _listed(cuts: Sequence[Cut]) -> str:
    return _names([cut.layer for cut in cuts])


def _names(layers: Sequence[str]) -> str:
    return first_few([f"`{name}`" for name in layers], 6)
