"""Continuous piecewise-affine networks as plain arrays: affine maps and hinges, nothing else.

In: arrays. Out: values, patterns and affine maps. Must not know torch, planes or cells.

Every network made of affine operations and continuous piecewise-linear activations is a list of *stages*
of hinges. A hinge looks at one affine function `z` of the inputs and of the hinges of earlier stages, and
returns `low * z` where `z < 0`, `high * z` where `z > 0`. ReLU is (0, 1), LeakyReLU (a, 1), `abs` (-1, 1);
an activation with several breakpoints is a sum of shifted hinges; `max(a, b)` is `a + relu(b - a)`. The *kink* of a
hinge is where its `z` is zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from scipy.sparse import csr_array, hstack

from unbend._one_line import in_one_line
from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.sparse import Sparse
from unbend.numerics.unit_group import UnitGroup

__all__ = ["PiecewiseAffine", "Sparse", "Stage", "UnitGroup", "network"]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Hinges that do not depend on each other.

    Attributes:
        weight: one row per hinge. Columns: the constant 1, the inputs, then all hinges of earlier stages, in order.
        low: the slope of every hinge where it is off.
        high: the slope where it is on.
    """

    weight: Sparse
    low: Float64[Array, "n"]
    high: Float64[Array, "n"]

    __repr__ = in_one_line


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PiecewiseAffine:
    """A continuous piecewise-affine function of `n_inputs` numbers.

    Attributes:
        n_inputs: numbers that go in.
        stages: the hinges.
        groups: the units that they make up.
        output: one row per number that comes out, over all columns.
        input_shape: the shape of one sample.

    Example:
        >>> import numpy as np
        >>> tent = network([np.array([[2.0], [4.0]])], [np.array([0.0, -2.0])],
        ...                np.array([[1.0, -1.0]]), np.zeros(1))
        >>> tent(np.array([[0.25], [0.5], [0.75]])).ravel().tolist()
        [0.5, 1.0, 0.5]
    """

    n_inputs: int
    stages: tuple[Stage, ...]
    groups: tuple[UnitGroup, ...]
    output: Sparse
    input_shape: tuple[int, ...] = ()

    __repr__ = in_one_line

    @property
    def n_hinges(self) -> int:
        """Hinges of all stages."""
        return sum(len(stage.low) for stage in self.stages)

    @property
    def n_outputs(self) -> int:
        """Numbers that come out."""
        return self.output.n_rows

    @property
    def n_units(self) -> int:
        """Units, of activations and of maxima, of all groups."""
        return sum(group.n_units for group in self.groups)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The first hinge of every stage, and the number of all."""
        return tuple(accumulate((len(stage.low) for stage in self.stages), initial=0))

    def _passes(
        self, columns: Float64[Array, "cols n"], bits: Bool[Array, "n hinges"] | None = None
    ) -> Iterator[tuple[int, Float64[Array, "stage n"], Float64[Array, "all n"]]]:
        """Stage by stage: (its first hinge, its `z`, all columns so far); signs from `bits` if given."""
        n = columns.shape[1]
        full = np.empty((1 + self.n_inputs + self.n_hinges, n))
        at = 1 + self.n_inputs
        full[:at] = columns
        for first, stage in zip(self.offsets, self.stages, strict=False):
            z = stage.weight @ full
            on = z > 0 if bits is None else bits[:, first : first + len(z)].T
            full[at : at + len(z)] = np.where(on, stage.high[:, None], stage.low[:, None]) * z
            at += len(z)
            yield first, z, full
        yield self.n_hinges, np.empty((0, n)), full

    def _ones_and(self, x: Float64[Array, "n d"]) -> Float64[Array, "cols n"]:
        return np.concatenate([np.ones((1, len(x))), x.T])

    def __call__(self, x: Float64[Array, "n d"]) -> Float64[Array, "n k"]:
        """The outputs at the samples."""
        *_, (_, _, full) = self._passes(self._ones_and(x))
        return (self.output @ full).T

    def pre(self, x: Float64[Array, "n d"]) -> Float64[Array, "n hinges"]:
        """The function `z` of every hinge at every sample."""
        z = np.empty((self.n_hinges, len(x)))
        for first, part, _ in self._passes(self._ones_and(x)):
            z[first : first + len(part)] = part
        return z.T

    def bits(self, x: Float64[Array, "n d"]) -> Bool[Array, "n hinges"]:
        """Which hinges are on (`z > 0`) at every sample."""
        return self.pre(x) > 0

    def ties(self, x: Float64[Array, "n d"], relative: float) -> Bool[Array, "n hinges"]:
        """Which hinges have a `z` too small to tell from zero: `relative` to the sum of its terms' magnitudes."""
        tied = np.empty((self.n_hinges, len(x)), bool)
        for stage, (first, z, full) in zip(self.stages, self._passes(self._ones_and(x)), strict=False):
            tied[first : first + len(z)] = np.abs(z) <= relative * (abs(stage.weight) @ np.abs(full))
        return tied.T

    def states(self, bits: Bool[Array, "n hinges"]) -> Int64[Array, "n units"]:
        """The activation pattern: for every unit the piece it is on, from the bits of its hinges."""
        parts = [group.states(bits) for group in self.groups]
        return np.concatenate([np.zeros((len(bits), 0), np.int64), *parts], axis=1)

    def affine(self, bits: Bool[Array, "n hinges"]) -> tuple[Float64[Array, "n k d"], Float64[Array, "n k"]]:
        """The maps `A @ x + b` that the network is where these hinges are on.

        Cost:
            One forward pass of `1 + n_inputs` columns per row.
        """
        n, width = len(bits), 1 + self.n_inputs
        columns = np.tile(np.eye(width), (1, n))
        wide = np.repeat(bits, width, axis=0)
        *_, (_, _, full) = self._passes(columns, wide)
        maps = (self.output @ full).reshape(self.n_outputs, n, width).transpose(1, 0, 2)
        return np.ascontiguousarray(maps[:, :, 1:]), np.ascontiguousarray(maps[:, :, 0])

    def hinge_units(self) -> tuple[Int64[Array, "hinges"], Int64[Array, "hinges"]]:
        """For every hinge: the index of its group, and its unit there."""
        group, unit = np.zeros(self.n_hinges, np.int64), np.zeros(self.n_hinges, np.int64)
        for index, entry in enumerate(self.groups):
            own = slice(entry.first, entry.first + entry.n_hinges)
            group[own] = index
            unit[own] = np.arange(entry.n_hinges) % entry.n_units
        return group, unit

    def first_stages(self, n: int) -> "PiecewiseAffine":
        """The network cut off after its first `n` stages; it then returns nothing but has their hinges."""
        hinges = self.offsets[n]
        groups = tuple(group for group in self.groups if group.first + group.n_hinges <= hinges)
        empty = Sparse.of(csr_array((0, 1 + self.n_inputs + hinges)))
        return replace(self, stages=self.stages[:n], groups=groups, output=empty)

    def on(self, origin: Float64[Array, "d"], basis: Float64[Array, "d m"]) -> "PiecewiseAffine":
        """The network as a function of `m` coordinates: `x = origin + basis @ s`."""
        stages = tuple(replace(stage, weight=_at_affine(stage.weight, origin, basis)) for stage in self.stages)
        m = basis.shape[1]
        output = _at_affine(self.output, origin, basis)
        return replace(self, n_inputs=m, stages=stages, output=output, input_shape=(m,))


def _at_affine(weight: Sparse, origin: Float64[Array, "d"], basis: Float64[Array, "d m"]) -> Sparse:
    """Rows over inputs `x`, as rows over `s` where `x = origin + basis @ s`."""
    whole, d = weight.csr(), len(origin)
    inputs = whole[:, 1 : 1 + d]
    constant = whole[:, [0]].toarray().ravel() + inputs @ origin
    head = csr_array(np.concatenate([constant[:, None], inputs @ basis], axis=1))
    return Sparse.of(csr_array(hstack([head, whole[:, 1 + d :]], format="csr")))


def network(
    weights: list[Float64[Array, "_ _"]],
    biases: list[Float64[Array, "_"]],
    output_weight: Float64[Array, "k _"],
    output_bias: Float64[Array, "k"],
    *,
    slope: float = 0.0,
) -> PiecewiseAffine:
    """A plain multilayer perceptron: (affine, ReLU with the given negative slope), then an affine map."""
    d = weights[0].shape[1] if weights else output_weight.shape[1]
    stages, groups, at = [], [], 0
    previous = slice(1, 1 + d)
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        n = len(bias)
        stages.append(Stage(_rows(weight, bias, previous, 1 + d + at), np.full(n, float(slope)), np.ones(n)))
        groups.append(UnitGroup(str(index), "breakpoints", n, 1, at))
        previous = slice(1 + d + at, 1 + d + at + n)
        at += n
    output = _rows(output_weight, output_bias, previous, 1 + d + at)
    return PiecewiseAffine(d, tuple(stages), tuple(groups), output, (d,))


def _rows(weight: Float64[Array, "k m"], bias: Float64[Array, "k"], columns: slice, n_columns: int) -> Sparse:
    """A dense affine map of some columns, as sparse rows."""
    rows = np.zeros((len(bias), n_columns))
    rows[:, 0] = bias
    rows[:, columns] = weight
    return Sparse.of(csr_array(rows))
