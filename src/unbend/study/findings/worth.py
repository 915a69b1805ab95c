"""Rules about what layers are worth, where surgery was asked for: what can be left out, and what cannot.

A network that needs few of its layers is no sick one: all of these are notes.
"""

from collections.abc import Iterator

from unbend._names import first_few
from unbend._shares import percent
from unbend.study.findings.evidence import Evidence
from unbend.study.values import Finding
from unbend.study.worth import MUCH, LayerCost, Worth, is_little, is_much, outermost, points

_FEW = 6


def replaceable(e: Evidence) -> Iterator[Finding]:
    """Several layers in a row that one matrix replaces."""
    worth = _judge(e)
    if worth is None:
        return
    for one in worth.costs:
        if one.way == "matrix" and len(one.layers) > 1 and is_little(one.cost):
            yield Finding(
                "replaceable", "note", one.layers[0],
                f"Layers {first_few(one.layers, _FEW)} can be replaced by one matrix at a cost of {points(one.cost)}.",
                f"The best affine map of what enters {one.layers[0]}, fitted to training rows, in the place of all of "
                f"them, judged on {one.cost.n:,} held-out rows.",
                "On these data these layers bend nothing that the output needs.",
                "Try a network with one linear layer in their place; surgery tells nothing of a network trained anew.",
            )  # fmt: skip


def unused(e: Evidence) -> Iterator[Finding]:
    """Single layers without which the network does as well."""
    worth = _judge(e)
    if worth is None:
        return
    told: set[str] = set()
    useless = [one for one in worth.costs if one.way in {"mean", "skip"} and is_little(one.cost)]
    shown = outermost(one.layers[0] for one in useless)
    for way, how in (("mean", "put at its mean, whatever the input"), ("skip", "skipped")):
        for one in useless:
            (name,) = one.layers
            if one.way == way and name in shown and name not in told:
                told.add(name)
                yield Finding(
                    "unused_layer", "note", name,
                    f"Layer {name} can be {how}, at a cost of {points(one.cost)}.",
                    _judged_on(worth, one),
                    "The network does as well without what this layer computes.",
                    "Try the network without it. One layer was left out at a time: two that are each useless need not "
                    "be useless together.",
                )  # fmt: skip


def essential(e: Evidence) -> Iterator[Finding]:
    """The layer that the network can least do without."""
    worth = _judge(e)
    skipped = [] if worth is None else [one for one in worth.costs if one.way == "skip" and is_much(one.cost)]
    if worth is None or not skipped:
        return
    one = max(skipped, key=lambda each: each.cost.difference)
    yield Finding(
        "essential_layer", "note", one.layers[0],
        f"Skipping layer {one.layers[0]} costs most: {points(one.cost)}.",
        _judged_on(worth, one),
        "What this layer does to its input is what the layers behind it were trained to read.",
        "Leave it when you prune or shrink the network.",
    )  # fmt: skip


def _judge(e: Evidence) -> Worth | None:
    """What layers are worth, of a network that does something: one at the base rate has nothing to lose."""
    worth = e.result(Worth)
    return None if worth is None or e.is_ill or worth.accuracy <= worth.base_rate + MUCH else worth


def _judged_on(worth: Worth, one: LayerCost) -> str:
    return f"On {one.cost.n:,} held-out rows, {percent(worth.accuracy)} of which are right as the network is."
