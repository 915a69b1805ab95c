"""What feeds what among the layers of a study: the graph along which layers are compared.

In: layers with what feeds them. Out: `Paths`. Other names of the same values, such as a container that ends in its last
layer, are set aside. A layer is compared with the one before it only where everything passes both: never across
branches, shortcuts or low-rank factors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unbend._names import INPUT
from unbend.study.values import Layer


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """The layers of a study as a graph, by name.

    Attributes:
        own: layer → the layer whose values it has: itself, but for other names of the same values.
        feeders: layer → the layers that feed it through no other; only layers with values of their own.
        readers: layer → the layers that it feeds, likewise.
        ancestors: layer → all layers that lead to it, itself left out.
    """

    own: Mapping[str, str]
    feeders: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]
    ancestors: Mapping[str, frozenset[str]]

    def before(self, name: str) -> str | None:
        """The one layer that feeds this one and nothing else, so that nothing passes by; None where there is none."""
        fed = self.feeders.get(name, ())
        return fed[0] if len(fed) == 1 and self.readers.get(fed[0]) == (name,) else None

    def joins(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Where branches meet: (the layer they meet in, the last layer of one, the last layers of the others)."""
        return [
            (name, branch, tuple(other for other in fed if other != branch))
            for name, fed in self.feeders.items()
            if len(fed) > 1
            for branch in fed
        ]

    def trunk(self) -> frozenset[str]:
        """The layers that every path from the input to the last layer passes."""
        passed: dict[str, frozenset[str]] = {}
        for name, fed in self.feeders.items():
            known = [passed[other] for other in fed if other in passed]
            passed[name] = frozenset.intersection(*known) | {name} if known else frozenset({name})
        last = list(self.feeders)[-1:]
        return passed[last[0]] if last else frozenset()


def paths(layers: Sequence[Layer]) -> Paths:
    """The graph of the layers, in the order in which they ran.

    Where a study of before this was recorded names no feeders, the layer whose tensor one takes stands for them.
    """
    alias = {layer.name: layer.alias_of for layer in layers}
    own = {name: _own(name, alias) for name in alias}
    first = next((layer.name for layer in layers if layer.kind != INPUT), None)
    feeders: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        if own[layer.name] != layer.name:
            continue
        fed = layer.feeders or ((layer.fed_by,) if layer.fed_by else (INPUT,) if layer.name == first else ())
        feeders[layer.name] = tuple(dict.fromkeys(own.get(name, name) for name in fed))
    readers: dict[str, list[str]] = {}
    ancestors: dict[str, frozenset[str]] = {}
    for name, fed in feeders.items():
        for other in fed:
            readers.setdefault(other, []).append(name)
        ancestors[name] = frozenset(fed).union(*(ancestors.get(other, frozenset()) for other in fed))
    return Paths(own, feeders, {name: tuple(found) for name, found in readers.items()}, ancestors)


def _own(name: str, alias: Mapping[str, str | None]) -> str:
    """The end of a chain of names for the same values."""
    seen = {name}
    while (found := alias.get(name)) is not None and found in alias and found not in seen:
        seen.add(found)
        name = found
    return name
