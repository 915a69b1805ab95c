"""Which layers of two studies are the same: those of one name, and between these those at one place.

In: two studies. Out: the second with the names of the first. Must not know what is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from unbend.study.values import Finding, Layer, Study


def matched_by_position(first: Sequence[Layer], second: Sequence[Layer]) -> dict[str, str]:
    """Layers that have another name and the same place: name in the second → name in the first.

    Layers of one name match. Of the others, as many as stand in both between the same two of those match in turn, if
    each is of the kind of its match.

    Args:
        first: the layers whose names are kept.
        second: the layers that may be called otherwise.
    """
    found: dict[str, str] = {}
    for mine, other in _gaps(first, second):
        if [layer.kind for layer in mine] == [layer.kind for layer in other]:
            found |= {b.name: a.name for a, b in zip(mine, other, strict=True)}
    return found


def _gaps(first: Sequence[Layer], second: Sequence[Layer]) -> Iterator[tuple[Sequence[Layer], Sequence[Layer]]]:
    """What stands between two layers that both have, where these follow each other in both."""
    names = {layer.name for layer in first} & {layer.name for layer in second}
    ends = [[-1, *(i for i, x in enumerate(side) if x.name in names), len(side)] for side in (first, second)]
    inner = [[x.name for x in side if x.name in names] for side in (first, second)]
    if inner[0] != inner[1]:  # they do not come in one order: no place is the same
        return
    for (a, b), (c, d) in zip(*map(pairwise, ends), strict=True):
        yield first[a + 1 : b], second[c + 1 : d]


def rename(study: Study, names: Mapping[str, str]) -> Study:
    """A study with other names for some of its layers.

    Args:
        study: whose layers.
        names: name → new name.
    """
    if not names:
        return study

    def layer(one: Layer) -> Layer:
        return replace(
            one, name=names.get(one.name, one.name),
            fed_by=None if one.fed_by is None else names.get(one.fed_by, one.fed_by),
            feeders=tuple(names.get(name, name) for name in one.feeders),
            alias_of=None if one.alias_of is None else names.get(one.alias_of, one.alias_of),
        )  # fmt: skip

    def keys(part: Mapping[str, Any]) -> dict[str, Any]:
        return {names.get(name, name): entry for name, entry in part.items()}

    def finding(one: Finding) -> Finding:
        layer = None if one.layer is None else names.get(one.layer, one.layer)
        return replace(one, layer=layer, rests_on=tuple(names.get(name, name) for name in one.rests_on))

    sums = study.sums
    return replace(
        study, layers=tuple(map(layer, study.layers)), findings=tuple(map(finding, study.findings)),
        sums=replace(
            sums, train=keys(sums.train), held_out=keys(sums.held_out), twin_train=keys(sums.twin_train),
            twin_held_out=keys(sums.twin_held_out), gradient=keys(sums.gradient),
        ),
    )  # fmt: skip
