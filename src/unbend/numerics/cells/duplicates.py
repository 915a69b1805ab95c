"""Duplicate hinges, of one stage and with equal rows, become one; hinges without a row become none.

In: a network. Out: `Distinct`, a network with the same cells. Must not know planes.

Equal patches of an image, duplicated units and dead ones make such rows. Left in, their coinciding lines would
send the fast engine to exact arithmetic.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from unbend._typing import Array, Int64
from unbend.numerics.piecewise import PiecewiseAffine, Sparse, Stage


class Distinct(NamedTuple):
    """A network with the same cells, outputs aside.

    Attributes:
        net: the network.
        names: of each of its hinges the number in the whole network.
    """

    net: PiecewiseAffine
    names: Int64[Array, "hinges"]


def distinct(net: PiecewiseAffine) -> Distinct:
    """The network without duplicates: the first of equal hinges stays, and its column carries the weights of all.

    Only rows equal to the last bit are duplicates, so the true functions are equal too (but for coincidence).
    """
    if not any(_may_have_duplicates(stage.weight) for stage in net.stages):
        return Distinct(net, np.arange(net.n_hinges))
    first_column = 1 + net.n_inputs
    target = np.arange(first_column + net.n_hinges)  # the new column of every column, -1 for none
    stages, names, n_kept = [], [np.zeros(0, np.int64)], 0
    for first, stage in zip(net.offsets, net.stages, strict=False):
        rows = _redirect(stage.weight, target, first_column + n_kept)
        place, keep = _first_of_equals(rows, stage)
        target[first_column + first :][: len(place)] = np.where(place >= 0, first_column + n_kept + place, -1)
        stages.append(Stage(Sparse.of(csr_array(rows[keep])), stage.low[keep], stage.high[keep]))
        names.append(first + keep)
        n_kept += len(keep)
    nothing = Sparse.of(csr_array((0, first_column + n_kept)))
    return Distinct(replace(net, stages=tuple(stages), groups=(), output=nothing), np.concatenate(names))


def _may_have_duplicates(weight: Sparse) -> bool:
    """False if rows differ in their first numbers already, as biases of trained networks do: a cheap look."""
    is_full = weight.indptr[1:] > weight.indptr[:-1]
    return not is_full.all() or len(np.unique(weight.data[weight.indptr[:-1]])) < weight.n_rows


def _redirect(weight: Sparse, target: Int64[Array, "columns"], n_columns: int) -> csr_array:
    """The rows in the columns of the smaller network."""
    column = target[weight.indices]
    data = np.where(column >= 0, weight.data, 0.0)
    rows = csr_array((data, np.maximum(column, 0), weight.indptr.copy()), shape=(weight.n_rows, n_columns))
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _first_of_equals(rows: csr_array, stage: Stage) -> tuple[Int64[Array, "n"], Int64[Array, "kept"]]:
    """For every hinge its place among those that stay, -1 if its row is zero; and those that stay."""
    seen: dict[tuple[bytes, bytes, float, float], int] = {}
    place, keep = np.full(rows.shape[0], -1), []
    ends = rows.indptr.tolist()
    for row, (low, high) in enumerate(zip(stage.low.tolist(), stage.high.tolist(), strict=True)):
        own = slice(ends[row], ends[row + 1])
        if own.start == own.stop:
            continue
        key = (rows.data[own].tobytes(), rows.indices[own].tobytes(), low, high)
        place[row] = seen.setdefault(key, len(seen))
        if place[row] == len(keep):
            keep.append(row)
    return place, np.array(keep, np.int64)
