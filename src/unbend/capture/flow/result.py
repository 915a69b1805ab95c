"""What one planning pass showed, as plain data: sites, how they feed each other, what their axes are.

In: nothing of torch. Out: `Site` and `Flow`, and the same reduced to some of the sites.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from unbend.capture.flow.axes import Role
from unbend.capture.flow.masks import Mask

OPAQUE = "?"
"""A feeder that is not known: values that came from where torch does not look."""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A tensor that a module, an activation or the caller put out.

    Attributes:
        name: `path`, `path#2` for its second call, `path:relu` for an activation inside `path`, `path[1]` for a further
            tensor of the same output, `output` for the model's, `input['x']` for one of the inputs.
        place: path of the module, name of the torch function ("" for the module itself), which call of it.
        feeders: the sites whose values reach it through no other; `"?"` where that could not be seen.
        alias_of: the site whose values these are, at most moved.
        parts: per axis, the logical axes in it in the order of memory, each with its length. More than one where axes
            were merged (pixels flattened into units, time merged with the samples). Lengths that do not multiply to the
            axis's: a packed or masked axis.
        is_assumed: neither what made it nor what reads it said where its units are.
        activations: element-wise non-linearities between its feeders and it, its own included.
        operations: what else happened between its feeders and it, outside of the module itself; moves aside.
        is_rectifier: it puts out max(z, 0) of one tensor, by its values on a grid.
        source: for an element-wise function of one tensor, the site whose values that tensor has, if it is one.
        mask: the padding mask of its positions.
    """

    name: str
    place: tuple[str, str, int]
    feeders: tuple[str, ...]
    alias_of: str | None
    parts: tuple[tuple[tuple[Role, int], ...], ...]
    is_assumed: bool = False
    activations: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    is_rectifier: bool = False
    source: str | None = None
    mask: Mask | None = None

    @property
    def axes(self) -> tuple[Role, ...]:
        """Role per axis; of a merged axis the first of unit, sample, position that is in it."""
        return tuple(_role([role for role, _ in part]) for part in self.parts)

    @property
    def unit_axes(self) -> tuple[int, ...]:
        """The axes that hold units: several where heads and their columns stand apart."""
        return tuple(i for i, role in enumerate(self.axes) if role == "unit")

    @property
    def unit_axis(self) -> int | None:
        """The axis of the units; None if there is none or more than one."""
        axes = self.unit_axes
        return axes[0] if len(axes) == 1 else None

    @property
    def sample_axis(self) -> int | None:
        """The first axis that holds the samples: alone, or merged with others."""
        return next((i for i, part in enumerate(self.parts) if any(role == "sample" for role, _ in part)), None)

    @property
    def width(self) -> int:
        """How many units it has, with what is merged into their axes."""
        return math.prod(size for i in self.unit_axes for _, size in self.parts[i]) if self.unit_axes else 0


def _role(roles: list[Role]) -> Role:
    known: tuple[Role, ...] = ("unit", "sample", "position")
    return next((role for role in known if role in roles), "unknown")


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """One planning pass.

    Attributes:
        sites: in the order in which they ran.
        inputs: the model's inputs, as sites without feeders.
        masks: those inputs that are padding masks.
        writes: names of the inputs that forward writes into.
        unknown: names of operations whose effect on the axes no rule knew.
    """

    sites: tuple[Site, ...]
    inputs: tuple[Site, ...]
    masks: tuple[Mask, ...]
    writes: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    def site(self, name: str) -> Site:
        """A site or an input by name.

        Raises:
            KeyError: there is none.
        """
        found = next((site for site in (*self.sites, *self.inputs) if site.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def among(self, names: Collection[str]) -> "Flow":
        """The flow between some of the sites only: what lies between them is passed through.

        A further tensor of a module's output stays where the module is kept. Of names for the same values, the one
        that is kept stands for the others.
        """
        kept = {site.name: site for site in self.sites if site.name in names or site.name.split("[")[0] in names}
        lookup = {site.name: site for site in self.sites}
        stands = {
            site.alias_of: site.name
            for site in reversed(kept.values())
            if site.alias_of in lookup and site.alias_of not in kept
        }
        walk = _Walk(lookup, {**{name: name for name in kept}, **{k: v for k, v in stands.items() if k is not None}})
        return replace(self, sites=tuple(walk.with_kept(site) for site in kept.values()))


class _Walk:
    """Walks from a site back to what feeds it, through sites that are left out."""

    def __init__(self, sites: dict[str, Site], known: dict[str, str]) -> None:
        self._sites, self._known = sites, known

    def with_kept(self, site: Site) -> Site:
        """A site with its feeders among those that are kept."""
        if site.alias_of is not None and self._known.get(site.alias_of, site.name) != site.name:
            alias = self._known[site.alias_of]
            return replace(site, feeders=(alias,), alias_of=alias)
        is_input = site.alias_of is not None and site.alias_of not in self._sites
        start = site if site.alias_of is None or is_input else self._sites[site.alias_of]
        left_out = list(self._left_out(start))
        through = [s for s in left_out if s.alias_of is None]
        feeders = [f for s in (start, *left_out) for f in s.feeders]
        kept = [self._known.get(f, f) for f in feeders if f in self._known or f not in self._sites]
        return replace(
            site,
            feeders=tuple(dict.fromkeys(kept)),
            alias_of=site.alias_of if is_input else None,
            activations=tuple(dict.fromkeys(name for s in (*through[::-1], start) for name in s.activations)),
            operations=tuple(dict.fromkeys(name for s in (*through[::-1], start) for name in s.operations)),
        )

    def _left_out(self, site: Site) -> Iterator[Site]:
        """The sites on the way back that are not kept, each once."""
        seen: set[str] = set()
        todo = [*site.feeders]
        while todo:
            name = todo.pop()
            if name not in seen and name not in self._known and name in self._sites:
                seen.add(name)
                todo += self._sites[name].feeders
                yield self._sites[name]
