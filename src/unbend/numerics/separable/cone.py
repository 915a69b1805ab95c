"""The two forms of the question as one: is there v with z·v > 0 for all of many vectors z?

A cone knows its vectors without storing them: it gathers a few as float64, and sweeps one hyperplane over all
of them. Binary: z_i = ±(x_i, 1). Joint, k classes: z_ic = (x_i, 1) in the block of its class, minus (x_i, 1) in
the block of each rival c (Kesler's construction), with the last class as the origin.

Inside the solver columns are shifted and scaled (`Chart`); verdicts are in the units of the data.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer

from unbend.numerics.separable.clearance import Clearance, Hyperplane, argmax_clearance, clearance
from unbend.numerics.separable.verdicts import binary_vectors, joint_vectors

SAMPLE = 1000
"""Rows from which shift and scale are taken."""
TAME = 400
"""Squares of numbers below 2 ** TAME neither overflow nor vanish."""


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """Which columns take part, and the shift and scale that make them comparable.

    `exponent` is None where the columns are tame; else columns are first divided by those powers of two, and
    `mean` and `scale` are in units of the quotient.

    Attributes:
        columns: that take part.
        mean: of each of them.
        scale: of each of them.
        exponent: powers of two by which columns are divided before; None where they are tame.
    """

    columns: Int64[np.ndarray, "c"]
    mean: Float64[np.ndarray, "c"]
    scale: Float64[np.ndarray, "c"]
    exponent: Integer[np.ndarray, "c"] | None

    def apply(self, x: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "n c1"]:
        """`(x - mean) / scale` with a column of ones."""
        if len(self.columns) < x.shape[1]:
            x = x[:, self.columns]
        if self.exponent is not None:
            x = np.ldexp(x.astype(np.float64), -self.exponent)
        out = np.empty((len(x), len(self.columns) + 1))
        np.subtract(x, self.mean, out=out[:, :-1])
        out[:, :-1] /= self.scale
        out[:, -1] = 1.0
        return out

    @property
    def size(self) -> Integer[np.ndarray, "c"]:
        """The power of two of each column's spread, in units of the data."""
        own = np.frexp(self.scale)[1]
        return own if self.exponent is None else own + self.exponent


def chart_of(x: Float[np.ndarray, "n d"]) -> Chart:
    """The chart that standardises `x`; columns constant in `x` are left out."""
    columns = np.flatnonzero((x != x[:1]).any(axis=0))
    part = x if len(columns) == x.shape[1] else x[:, columns]
    part = part[:: max(1, len(part) // SAMPLE)].astype(np.float64)
    _, exponent = np.frexp(np.abs(part).max(axis=0, initial=0.0))
    is_tame = np.abs(exponent).max(initial=0) < TAME
    if not is_tame:
        part = np.ldexp(part, -exponent)
    mean = part.mean(axis=0)
    part -= mean
    scale = np.sqrt(np.einsum("ij,ij->j", part, part) / len(part))
    scale[scale == 0] = 1.0
    return Chart(columns, mean, scale, None if is_tame else exponent)


@dataclass(frozen=True, slots=True, eq=False)
class Hyperplanes:
    """One hyperplane per block in the units of the data; `low` [blocks, d + 1] holds second words.

    Attributes:
        weight: of each block.
        bias: of each block.
        low: second words of both, which the first round off; None for none.
    """

    weight: Float64[np.ndarray, "blocks d"]
    bias: Float64[np.ndarray, "blocks"]
    low: Float64[np.ndarray, "blocks d1"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BinaryCone:
    """Rows with a sign each.

    Attributes:
        x: the rows.
        sign: 1 or -1 of each.
        blocks: hyperplanes that are asked for.
    """

    x: Float[np.ndarray, "n d"]
    sign: Float64[np.ndarray, "n"]
    blocks: int = 1

    @property
    def size(self) -> int:
        """How many vectors there are."""
        return len(self.x)

    def features(self, index: Int64[np.ndarray, "m"]) -> Float[np.ndarray, "m d"]:
        """The rows of x behind some vectors."""
        return self.x[index]

    def gather(self, index: Int64[np.ndarray, "m"], chart: Chart) -> Float64[np.ndarray, "m D"]:
        """Some vectors as float64, in the coordinates of a chart."""
        Z = chart.apply(self.x[index])
        Z *= self.sign[index, None]
        return Z

    def vectors(self, index: Int64[np.ndarray, "m"]) -> Float64[np.ndarray, "m D"]:
        """Some vectors in the units of the data."""
        long = np.hstack([self.x[index].astype(np.float64), np.ones((len(index), 1))])
        return long * self.sign[index, None]

    def clear(self, planes: Hyperplanes) -> Clearance:
        """One pass over all rows."""
        low, bias_low = (None, 0.0) if planes.low is None else (planes.low[0, :-1], float(planes.low[0, -1]))
        return clearance(self.x, self.sign, Hyperplane(planes.weight[0], float(planes.bias[0]), low, bias_low))

    def proof_vectors(self, index: Int64[np.ndarray, "m"]) -> Float64[np.ndarray, "m b d1"]:
        """Some vectors as a proof states them, [m, blocks, d + 1]."""
        return binary_vectors(self.x[index], self.sign[index])


@dataclass(frozen=True, slots=True, eq=False)
class KeslerCone:
    """Rows with a class each; vector i (k - 1) + r is row i against its r-th rival.

    Attributes:
        x: the rows.
        code: class of each.
        k: number of classes.
    """

    x: Float[np.ndarray, "n d"]
    code: Int64[np.ndarray, "n"]
    k: int

    @property
    def size(self) -> int:
        """How many vectors there are."""
        return len(self.x) * (self.k - 1)

    @property
    def blocks(self) -> int:
        """Classes but the last, which is the origin."""
        return self.k - 1

    def transfer(self, index: Int64[np.ndarray, "m"]) -> tuple[Int64[np.ndarray, "m"], Int64[np.ndarray, "m"]]:
        """The row and the rival class behind each vector."""
        row, rival = np.divmod(index, self.k - 1)
        return row, rival + (rival >= self.code[row])

    def features(self, index: Int64[np.ndarray, "m"]) -> Float[np.ndarray, "m d"]:
        """The rows of x behind some vectors."""
        return self.x[index // (self.k - 1)]

    def gather(self, index: Int64[np.ndarray, "m"], chart: Chart) -> Float64[np.ndarray, "m D"]:
        """Some vectors as float64, in the coordinates of a chart."""
        return self._place(chart.apply(self.features(index)), index)

    def vectors(self, index: Int64[np.ndarray, "m"]) -> Float64[np.ndarray, "m D"]:
        """Some vectors in the units of the data."""
        x = self.features(index).astype(np.float64)
        return self._place(np.hstack([x, np.ones((len(index), 1))]), index)

    def _place(self, long: Float64[np.ndarray, "m d1"], index: Int64[np.ndarray, "m"]) -> Float64[np.ndarray, "m D"]:
        row, rival = self.transfer(index)
        out = np.zeros((len(index), self.k, long.shape[1]))
        here = np.arange(len(index))
        out[here, self.code[row]] = long
        out[here, rival] = -long
        return out[:, :-1].reshape(len(index), -1)

    def clear(self, planes: Hyperplanes) -> Clearance:
        """The lead of every row over each rival."""
        found = argmax_clearance(self.x, self.code, *self.readout(planes))
        rivals = np.ones(found.values.shape, bool)
        rivals[np.arange(len(self.x)), self.code] = False
        return replace(found, values=found.values[rivals])

    def flat(self) -> Hyperplanes:
        """Hyperplanes that tell nothing."""
        return Hyperplanes(np.zeros((self.k - 1, self.x.shape[1])), np.zeros(self.k - 1))

    def readout(
        self, planes: Hyperplanes
    ) -> tuple[Float64[np.ndarray, "k d"], Float64[np.ndarray, "k"], Float64[np.ndarray, "k d1"] | None]:
        """Weight, bias and second words of all k classes, the last class at zero."""
        d = planes.weight.shape[1]
        low = None if planes.low is None else np.vstack([planes.low, np.zeros((1, d + 1))])
        return np.vstack([planes.weight, np.zeros((1, d))]), np.append(planes.bias, 0.0), low

    def proof_vectors(self, index: Int64[np.ndarray, "m"]) -> Float64[np.ndarray, "m b d1"]:
        """Some vectors as a proof states them, [m, blocks, d + 1]."""
        row, rival = self.transfer(index)
        return joint_vectors(self.x[row], self.code[row], rival)


Cone: TypeAlias = BinaryCone | KeslerCone
