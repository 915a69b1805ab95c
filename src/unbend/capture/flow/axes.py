"""Axis variables: which axes of which tensors are one logical axis, and what that axis is.

In: claims made by the operations that produce and read tensors. Out: the role of an axis. It is type inference: an axis
of a tensor is a list of factors (variable, size); the same variable stands in every tensor that has the axis, adding
two tensors makes their variables one, and every operation claims roles for the variables it knows something of. So a
consumer decides the axes of a silent producer, of earlier tensors too, without a second pass. Knows no tensors.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Role: TypeAlias = Literal["sample", "position", "unit", "unknown"]

GIVEN = 4
"""Strength of a claim: the samples of an input, which the caller counted."""
MADE = 3
"""What made the axis claims it: the columns of a weight, the pixels of a convolution."""
READ = 2
"""What reads the axis claims it: a Linear takes units from the last."""
PIECE = 1
"""Handed down to the pieces of an axis that was cut; anyone may know better."""
_TIES: tuple[Role, ...] = ("sample", "position", "unit")


class Variable:
    """One logical axis. The strongest claim tells its role."""

    __slots__ = ("_claims", "_same")

    def __init__(self, role: Role | None = None, strength: int = MADE) -> None:
        self._claims: dict[Role, int] = {} if role is None else {role: strength}
        self._same: Variable | None = None

    @property
    def root(self) -> "Variable":
        """The variable that stands for all that were made one with this."""
        here = self
        while here._same is not None:
            here = here._same
        return here

    @property
    def role(self) -> Role:
        """What is claimed most strongly."""
        claims = self.root._claims
        return max(_TIES, key=lambda role: claims.get(role, 0)) if claims else "unknown"

    def strength(self, role: Role) -> int:
        """How strongly the role is claimed; 0 if nobody does."""
        return self.root._claims.get(role, 0)

    def claim(self, role: Role, strength: int) -> None:
        """Say what the axis is."""
        claims = self.root._claims
        claims[role] = max(strength, claims.get(role, 0))

    def unify(self, other: "Variable") -> None:
        """From now on the two are one axis."""
        mine, its = self.root, other.root
        if mine is not its:
            its._same = mine
            for role, strength in its._claims.items():
                mine.claim(role, strength)

    def piece(self) -> "Variable":
        """A new axis, cut out of this one. Pieces of the samples are samples; other roles are handed down weakly."""
        part = Variable()
        for role, strength in self.root._claims.items():
            part.claim(role, strength if role == "sample" else min(strength, PIECE))
        return part


class Factor(NamedTuple):
    """A logical axis inside an axis of a tensor.

    Attributes:
        variable: what the axis counts, if that is known.
        size: its length.
    """

    variable: Variable
    size: int


Axis: TypeAlias = tuple[Factor, ...]
"""In the order of memory; empty for length one. Ragged (a packed sequence) where the sizes do not multiply to its."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What the axes of one tensor are.

    Attributes:
        axes: one per axis of the tensor.
        unit: the axis that the last weight made, where the values since have kept it.
    """

    axes: tuple[Axis, ...] = ()
    unit: Variable | None = None


def axis(variable: Variable, size: int) -> Axis:
    """An axis that is one logical axis."""
    return () if size == 1 else (Factor(variable, size),)


def fresh(shape: Sequence[int]) -> tuple[Axis, ...]:
    """Axes of which nothing is known."""
    return tuple(axis(Variable(), size) for size in shape)


def unseen(shape: Sequence[int], n: int) -> tuple[Axis, ...]:
    """Axes of what was made where nobody looked: the first holds the samples, weakly, if it is as long."""
    first = tuple(axis(Variable("sample", PIECE), size) if size == n else axis(Variable(), size) for size in shape[:1])
    return (*first, *fresh(shape[1:]))


def length(of: Axis) -> int:
    """How long an axis is that is not ragged."""
    return math.prod(factor.size for factor in of)


def claim(of: Axis, role: Role, strength: int = READ) -> None:
    """Say what an axis is, if it is one logical axis."""
    if len({factor.variable.root for factor in of}) == 1:
        of[0].variable.claim(role, strength)


def holds(of: Axis, role: Role) -> bool:
    """Whether a role is among those of the factors."""
    return any(factor.variable.role == role for factor in of)


def join(a: Axis, b: Axis) -> None:
    """Two axes are one: factor by factor where they have the same sizes."""
    if [f.size for f in a] == [f.size for f in b] or len(a) == len(b) == 1:
        for mine, its in zip(a, b, strict=True):
            mine.variable.unify(its.variable)


def resize(of: Axis, size: int) -> Axis:
    """The same axis at another length: cropped, padded, strided."""
    if length(of) == size:
        return of
    if len(of) > 1:
        return of if size != 1 else ()
    return axis(of[0].variable if of else Variable(), size)


def broadcast(shape: Sequence[int], many: Iterable[Sequence[Axis]]) -> tuple[Axis, ...]:
    """The axes of what is broadcast together, joined one by one from the right."""
    many, out = list(many), []
    for i, size in enumerate(shape):
        found = [axes[i - len(shape)] for axes in many if len(axes) >= len(shape) - i]
        found = sorted((one for one in found if one), key=len, reverse=True)
        for other in found[1:]:
            join(found[0], other)
        out.append(found[0] if found else axis(Variable(), size))
    return tuple(out)


def common(units: Iterable[Variable | None]) -> Variable | None:
    """The unit axis on which all that have one agree; None if they do not."""
    roots = {unit.root for unit in units if unit is not None}
    return roots.pop() if len(roots) == 1 else None
