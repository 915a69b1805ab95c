"""Continuous piecewise-affine networks as plain arrays: affine maps and hinges, nothing else.

Every network made of affine operations and continuous piecewise-linear activations is a list of *stages*
of hinges. A hinge looks at one affine function `z` of the inputs and of the hinges of earlier stages, and
returns `low * z` where `z < 0`, `high * z` where `z > 0`. ReLU is (0, 1), LeakyReLU (a, 1), `abs` (-1, 1);
an activation with several breakpoints is a sum of shifted hinges; `max(a, b)` is `a + relu(b - a)`.

In: arrays. Out: values, patterns and affine maps. Knows nothing of torch, planes or cells.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from scipy.sparse import csr_array, hstack

from unbend._typing import Array, Bool, Float64, Int64

_DENSE = 0.2  # above this share of non-zeros a dense product is faster than a sparse one


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """A matrix in compressed sparse rows."""

    data: Float64[Array, "z"]
    indices: Int64[Array, "z"]
    indptr: Int64[Array, "rows_plus_1"]
    n_columns: int

    @classmethod
    def of(cls, matrix: csr_array) -> "Sparse":
        """The same matrix, from scipy, with its rows sorted and its zeros dropped."""
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        return cls(
            matrix.data.astype(np.float64),
            matrix.indices.astype(np.int64),
            matrix.indptr.astype(np.int64),
            int(matrix.shape[1]),
        )

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return len(self.indptr) - 1

    def csr(self) -> csr_array:
        """The same matrix for scipy."""
        return csr_array((self.data, self.indices, self.indptr), shape=(self.n_rows, self.n_columns))

    def used(self) -> Int64[Array, "used"]:
        """The columns that hold a non-zero, ascending."""
        return np.flatnonzero(np.bincount(self.indices, minlength=1))

    def __abs__(self) -> "Sparse":
        return replace(self, data=np.abs(self.data))

    def __matmul__(self, columns: Float64[Array, "cols n"]) -> Float64[Array, "rows n"]:
        used = self.used()
        if len(self.data) < _DENSE * self.n_rows * max(1, len(used)):
            return self.csr() @ columns[: self.n_columns]
        return self.block(used) @ columns[used]

    def block(self, columns: Int64[Array, "used"]) -> Float64[Array, "rows used"]:
        """The given columns, dense; they must be ascending and cover every non-zero."""
        if len(self.data) == self.n_rows * len(columns):
            return self.data.reshape(self.n_rows, len(columns))
        dense = np.zeros((self.n_rows, len(columns)))
        rows = np.repeat(np.arange(self.n_rows), np.diff(self.indptr))
        dense[rows, np.searchsorted(columns, self.indices)] = self.data
        return dense


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Hinges that do not depend on each other.

    Columns of `weight`: the constant 1, the inputs, then all hinges of earlier stages, in order.
    """

    weight: Sparse
    low: Float64[Array, "n"]
    high: Float64[Array, "n"]


@dataclass(frozen=True, slots=True, eq=False)
class UnitGroup:
    """Which hinges belong to one activation of the network, and how they encode a unit's state.

    `kind` "bend": a unit has `n_ways` breakpoints; hinge `first + b * n_units + unit` is breakpoint `b`.
    `kind` "max": a unit is the largest of `n_ways` candidates, found by rounds of pairs; in each round
    hinge `p * n_units + unit` says that candidate `2p + 1` beats candidate `2p` of those still in.
    """

    name: str
    kind: str
    n_units: int
    n_ways: int
    first: int

    @property
    def n_hinges(self) -> int:
        """Hinges of this layer: one per unit and breakpoint, or one per match of the tournament."""
        return self.n_units * (self.n_ways if self.kind == "bend" else self.n_ways - 1)

    def states(self, bits: Bool[Array, "n hinges"]) -> Int64[Array, "n units"]:
        """Per unit: the number of breakpoints passed, or the index of the winning candidate."""
        own = bits[:, self.first : self.first + self.n_hinges]
        n = len(own)
        if self.kind == "bend":
            return own.reshape(n, self.n_ways, self.n_units).sum(axis=1, dtype=np.int64)
        winners = np.broadcast_to(np.arange(self.n_ways)[None, :, None], (n, self.n_ways, self.n_units))
        at = 0
        while winners.shape[1] > 1:
            pairs = winners.shape[1] // 2
            second = own[:, at : at + pairs * self.n_units].reshape(n, pairs, self.n_units)
            at += pairs * self.n_units
            best = np.where(second, winners[:, 1 : 2 * pairs : 2], winners[:, 0 : 2 * pairs : 2])
            winners = np.concatenate([best, winners[:, 2 * pairs :]], axis=1)
        return np.ascontiguousarray(winners[:, 0])


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PiecewiseAffine:
    """A continuous piecewise-affine function of `n_inputs` numbers.

    Example:
        >>> import numpy as np
        >>> tent = network([np.array([[2.0], [4.0]])], [np.array([0.0, -2.0])],
        ...                np.array([[1.0, -1.0]]), np.zeros(1))
        >>> tent(np.array([[0.25], [0.5], [0.75]])).ravel().tolist()
        [0.5, 1.0, 0.5]
    """

    n_inputs: int
    stages: tuple[Stage, ...]
    layers: tuple[UnitGroup, ...]
    output: Sparse
    input_shape: tuple[int, ...] = ()

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
        """Units (of activations and maxima) of all layers."""
        return sum(layer.n_units for layer in self.layers)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The first hinge of every stage, and the number of all."""
        return tuple(accumulate((len(stage.low) for stage in self.stages), initial=0))

    def _passes(
        self, columns: Float64[Array, "cols n"], bits: Bool[Array, "n hinges"] | None = None
    ) -> Iterator[tuple[int, Array, Array]]:
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
        parts = [layer.states(bits) for layer in self.layers]
        return np.concatenate([np.zeros((len(bits), 0), np.int64), *parts], axis=1)

    def affine(self, bits: Bool[Array, "n hinges"]) -> tuple[Float64[Array, "n k d"], Float64[Array, "n k"]]:
        """The maps `A @ x + b` that the network is where its hinges are on as told.

        Cost: one forward pass of `1 + n_inputs` columns per row.
        """
        n, width = len(bits), 1 + self.n_inputs
        columns = np.tile(np.eye(width), (1, n))
        wide = np.repeat(bits, width, axis=0)
        *_, (_, _, full) = self._passes(columns, wide)
        maps = (self.output @ full).reshape(self.n_outputs, n, width).transpose(1, 0, 2)
        return np.ascontiguousarray(maps[:, :, 1:]), np.ascontiguousarray(maps[:, :, 0])

    def hinge_units(self) -> tuple[Int64[Array, "hinges"], Int64[Array, "hinges"]]:
        """For every hinge: the index of its layer, and its unit there."""
        layer, unit = np.zeros(self.n_hinges, np.int64), np.zeros(self.n_hinges, np.int64)
        for index, entry in enumerate(self.layers):
            own = slice(entry.first, entry.first + entry.n_hinges)
            layer[own] = index
            unit[own] = np.arange(entry.n_hinges) % entry.n_units
        return layer, unit

    def first_stages(self, n: int) -> "PiecewiseAffine":
        """The network cut off after its first `n` stages; it then returns nothing but has those bends."""
        hinges = self.offsets[n]
        layers = tuple(layer for layer in self.layers if layer.first + layer.n_hinges <= hinges)
        empty = Sparse.of(csr_array((0, 1 + self.n_inputs + hinges)))
        return replace(self, stages=self.stages[:n], layers=layers, output=empty)

    def on(self, origin: Float64[Array, "d"], basis: Float64[Array, "d m"]) -> "PiecewiseAffine":
        """The network as a function of `m` coordinates: `x = origin + basis @ s`."""
        d, m = basis.shape

        def restricted(weight: Sparse) -> Sparse:
            whole = weight.csr()
            inputs = whole[:, 1 : 1 + d]
            constant = whole[:, [0]].toarray().ravel() + inputs @ origin
            head = csr_array(np.concatenate([constant[:, None], inputs @ basis], axis=1))
            return Sparse.of(csr_array(hstack([head, whole[:, 1 + d :]], format="csr")))

        stages = tuple(replace(stage, weight=restricted(stage.weight)) for stage in self.stages)
        return replace(self, n_inputs=m, stages=stages, output=restricted(self.output), input_shape=(m,))


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
    stages, layers, at = [], [], 0
    previous = slice(1, 1 + d)
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        n = len(bias)
        stages.append(Stage(_rows(weight, bias, previous, 1 + d + at), np.full(n, float(slope)), np.ones(n)))
        layers.append(UnitGroup(str(index), "bend", n, 1, at))
        previous = slice(1 + d + at, 1 + d + at + n)
        at += n
    output = _rows(output_weight, output_bias, previous, 1 + d + at)
    return PiecewiseAffine(d, tuple(stages), tuple(layers), output, (d,))


def _rows(weight: Array, bias: Array, columns: slice, n_columns: int) -> Sparse:
    """A dense affine map of some columns, as sparse rows."""
    rows = np.zeros((len(bias), n_columns))
    rows[:, 0] = bias
    rows[:, columns] = weight
    return Sparse.of(csr_array(rows))
